"""What reaches a terminal: nothing that it acts upon, whatever a server or a manifest holds."""

from __future__ import annotations

import ast
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bulkops.cli.common import print_json
from bulkops.cli.console import PlainConsole, say
from bulkops.cli.log import json_printable, printable

CLI = Path(__file__).parents[2] / "bulkops" / "cli"
#: Clears the screen, sets the title of the window, goes back to overwrite; 8-bit and bidi forms.
NASTY = "a\x1b[2Jb\x1b]0;title\x07c\rd\x9b2Je\u202ef"
SPELLED = r"a\x1b[2Jb\x1b]0;title\x07c\rd\x9b2Je\u202ef"


def console() -> tuple[PlainConsole, io.StringIO]:
    stream = io.StringIO()
    return PlainConsole(file=stream, force_terminal=True, width=200, highlight=False), stream


def test_a_server_writes_no_escapes_to_the_console() -> None:
    """Neither as text, nor in a cell or a title of a table, nor where it was made a `Text`."""
    target, stream = console()
    table = Table(title=escape(NASTY))
    table.add_column("what")
    table.add_row(escape(NASTY))
    for each in (escape(NASTY), table, Text(NASTY)):
        target.print(each)
    shown = stream.getvalue()
    assert shown.count(SPELLED) == 3
    assert not set("\x07\r\x9b\u202e") & set(shown)
    # What is left of escapes are the styles of the table, which are ours.
    assert "\x1b[2J" not in shown
    assert "\x1b]" not in shown


def test_our_own_styles_stay() -> None:
    """Colour is ours to give."""
    target, stream = console()
    target.print("[red]x[/]")
    assert stream.getvalue() == "\x1b[31mx\x1b[0m\n"


def test_a_line_on_standard_output_is_clean_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`say` is what verbs print with."""
    say(f"1\n{NASTY}")
    assert capsys.readouterr().out == f"1\n{SPELLED}\n"


@given(st.text())
def test_json_for_a_terminal_is_the_same_value(text: str) -> None:
    """Control characters are spelled as JSON spells them."""
    line = json_printable(json.dumps({"message": text}, ensure_ascii=False))
    assert json.loads(line) == {"message": text}
    assert line == printable(line)


def test_values_for_programs_are_clean_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever prints `--json` on a terminal is no worse off, and a program reads the same value."""
    print_json({"message": NASTY})
    printed = capsys.readouterr().out
    assert {"message": NASTY} == json.loads(printed)
    assert printable(printed) == printed


def test_talk_goes_on_when_nobody_listens() -> None:
    """A run is worth more than who watches it: its end, and its exit code, stay its own."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        target = PlainConsole(stderr=True, highlight=False)
        target.file = stream
        target.print("x" * 100_000)
        target.print("again")
        assert target.quiet


@pytest.mark.parametrize("path", sorted(CLI.glob("*.py")), ids=lambda each: each.stem)
def test_every_verb_prints_through_what_cleans(path: Path) -> None:
    """No verb has a console or an echo of its own; `console.py` makes the only ones."""
    if path.name == "console.py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {each.id for each in calls if isinstance(each, ast.Name)}
    dotted = {
        f"{each.value.id}.{each.attr}"
        for each in calls
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name)
    }
    allowed = {"look.py": {"typer.echo"}}.get(path.name, set())
    assert not ({"Console", "print"} & names | {"typer.echo", "typer.secho"} & dotted) - allowed
