"""The program about itself: every verb has examples that are true, and the page has every verb."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bulkops.cli import program
from bulkops.cli.about import EXAMPLES
from bulkops.errors import ExitCode

#: Any: typer brings its own copy of click since 0.22, and another before.
ROOT: Any = typer.main.get_command(program())
WORDS = [(verb, line) for verb, lines in EXAMPLES.items() for line in lines]


def test_every_verb_has_examples_and_nothing_else_has() -> None:
    """Whoever adds a verb shows how it is used."""
    assert sorted(ROOT.commands) == sorted(EXAMPLES)
    assert all(EXAMPLES.values())


@pytest.mark.parametrize(("verb", "line"), WORDS, ids=[line for _, line in WORDS])
def test_examples_are_true(verb: str, line: str) -> None:
    """Each is of its verb, and its options are those of the verb."""
    first = re.split(r" [>|<] ", line.partition("bulkops ")[2])[0]
    words = shlex.split(first)
    command, context = ROOT, ROOT.make_context("bulkops", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        name = words.pop(0)
        command = command.commands[name]
        assert name == verb or verb == "config"
        context = (
            command.make_context(name, list(words), parent=context, resilient_parsing=False)
            if (not hasattr(command, "commands"))
            else context
        )
    assert context.info_name is not None


@pytest.mark.parametrize("verb", sorted(EXAMPLES))
def test_the_help_of_every_verb_shows_them(verb: str) -> None:
    """`bulkops VERB --help` ends with them."""
    result = CliRunner().invoke(program(), [verb, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert result.exit_code == 0
    for line in EXAMPLES[verb]:
        assert line in result.output


def page() -> str:
    result = CliRunner().invoke(program(), ["man"])
    assert result.exit_code == 0
    return result.output


def test_the_manual_page_has_every_verb_option_and_exit_code() -> None:
    """It is made of the help, so nothing can be forgotten in it."""
    text = page()
    for name, command in ROOT.commands.items():
        assert f".SS bulkops {name} " in text
        for parameter in command.params:
            for option in getattr(parameter, "opts", ()):
                if option.startswith("--") and not getattr(parameter, "hidden", False):
                    assert option.replace("-", r"\-") in text
    for code in ExitCode:
        assert rf"\fB{int(code)}\fR" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_the_manual_page_is_one() -> None:
    """The typesetter has nothing to complain of."""
    words = ["groff", "-man", "-Tutf8", "-P-cbou", "-ww"]
    done = subprocess.run(words, input=page(), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "COMMANDS" in done.stdout


def test_the_version_says_what_a_report_needs() -> None:
    """bulkops, Python, the platform, and the libraries that may matter."""
    text = CliRunner().invoke(program(), ["--version"]).output
    assert text.startswith("bulkops ")
    for each in ("Python 3", "OpenSSL", "aiohttp ", "duckdb ", "orjson "):
        assert each in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_the_verbs(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bulkops --show-completion` prints what a shell is to be told; here, whichever it runs in."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "true")
    result = CliRunner().invoke(program(), ["--show-completion", shell])
    assert "_BULKOPS_COMPLETE" in result.output
