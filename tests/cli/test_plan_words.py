"""A plan as people see it: whole numbers at every width, and why rows are not sent."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bulkops import Plan, plan
from bulkops.cli.common import print_to
from bulkops.cli.console import PlainConsole
from bulkops.cli.plan_words import print_plan
from bulkops.files.config import Config

_HEADER = "op,module,record_id,related_list,related_id,territory_id\n"


def planned(folder: Path, *rows: str) -> Plan:
    """The plan of these rows."""
    manifest = folder / "cleanup.csv"
    manifest.write_text(_HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return plan(
        manifest, config=Config.model_validate({"run": {"directory": str(folder / "runs")}})
    )


def shown(of: Plan, width: int, *, terminal: bool = True) -> str:
    """What is printed at a width."""
    sink = io.StringIO()
    console = PlainConsole(
        file=sink, width=width, force_terminal=terminal, no_color=True, highlight=False
    )
    print_plan(console, of, of.cost())
    return re.sub("\x1b\\[[0-9;]*m", "", sink.getvalue())


def _mixed(folder: Path) -> Plan:
    """Twelve hundred rows of each of two operations, some repeated, contradicting or no rows."""
    rows = [f"unlink,Products,{1000 + number},Deals,7," for number in range(1200)]
    rows += [f"remove_territories,Accounts,{1000 + number},,,9" for number in range(1200)]
    rows += ["unlink,Products,1000,Deals,7,"] * 3
    rows += ["unlink,Products,5,Deals,8,", "link,Products,5,Deals,8,"]
    rows += ["unlink,Products,zcrm_6,Deals,8,", "unlink,Products,4.15E+18,Deals,8,"]
    return planned(folder, *rows)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_width_cuts_a_number(tmp_path: Path, width: int) -> None:
    """Somebody says yes to what stands there: every number, operation and module is whole."""
    of = _mixed(tmp_path)
    text = shown(of, width)
    words = set(text.replace(";", " ").replace(",\n", " ").split())
    total = of.summary.total
    numbers = [f"{each:,}" for each in (total.rows, total.sent, total.calls, total.duplicates)]
    assert [] == [each for each in numbers if each not in words]
    assert {"remove_territories", "unlink"} <= words
    assert "Accounts" in text
    assert max(map(len, text.splitlines())) <= width


def test_a_plan_says_why_rows_are_not_sent(tmp_path: Path) -> None:
    """Before a run: nobody has to send the good rows to hear what is wrong with the others."""
    text = shown(_mixed(tmp_path), 400, terminal=False)
    assert "2 rows are no operations and 2 rows contradict each other; they are not sent:" in text
    assert "  1 invalid mangled_number, line 2407: record_id '4.15E+18' is a number" in text
    assert "  1 invalid not_an_id, line 2406: record_id 'zcrm_6' has the prefix of" in text
    assert "  2 conflict opposite_wishes, lines 2404, 2405: line 2405 wishes otherwise" in text


class _Tty(io.StringIO):
    """A terminal, as far as anybody asks."""

    def isatty(self) -> bool:
        return True


def test_without_colours_words_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`NO_COLOR` asks for no escapes; it does not ask for lines that end within a word."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    of, sink = planned(tmp_path, "unlink,Products,1,Notes,7,"), _Tty()
    print_plan(print_to(sink), of, of.cost())
    text = sink.getvalue()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 60
    assert {"documents", "Attachments)", "unlinking."} <= set(text.split())


@pytest.mark.parametrize(
    ("rows", "words", "absent"),
    [
        ([], "It has no rows.", "operation"),
        (["unlink,Products,x,Deals,7,"], "There is nothing to send.", "calls in flight"),
        (["unlink,Products,x,Deals,7,"], "1 row is no operation; it is not sent:", "rows are"),
        (["unlink,Products,1,Deals,7,"], "About a second with", "0.0%"),
        (["unlink,Products,1,Deals,7,"], "less than 0.1% of a day's credits.", "invalid"),
    ],
)
def test_small_plans_are_told_in_words_that_fit(
    tmp_path: Path, rows: Sequence[str], words: str, absent: str
) -> None:
    """One row is no rows, and what is not there is not said."""
    text = shown(planned(tmp_path, *rows), 120)
    assert words in text
    assert absent not in text
