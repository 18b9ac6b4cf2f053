"""The README against the code: what it says is there, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

from bulkops.errors import ExitCode
from bulkops.rules.operations import SPECS

_README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_operation_with_its_columns_and_meaning() -> None:
    """A row of the table for each spec, and none besides."""
    table = _README.split("|---|---|---|\n")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)`(?:, list `(\w+)`)? \| (.+) \| (.+) \|$", table, re.MULTILINE)
    found = {(op, listed or None): (columns, what) for op, listed, columns, what in rows}
    assert {(spec.op, spec.related_list) for spec in SPECS.values()} == set(found)
    for spec in SPECS.values():
        columns, what = found[spec.op, spec.related_list]
        assert tuple(re.findall(r"`(\w+)`", columns)) == spec.column_names
        assert what.startswith(spec.summary)


def test_the_readme_lists_every_exit_code() -> None:
    """The table of exit codes is the enum."""
    table = _README.split("| exit code | meaning |")[1].split("\n\n")[0]
    codes = {
        int(code)
        for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
        for code in cell.split(",")
    }
    assert {int(code) for code in ExitCode} == codes
