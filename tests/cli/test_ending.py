"""The summary of a run: numbers of the log, reasons with their lines, and what to do next."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bulkops import Finished, Plan, plan
from bulkops.cli.ending import print_end
from bulkops.errors import ExitCode
from bulkops.files.config import Config
from bulkops.files.refusals import reasons_of, refused_so_far
from bulkops.files.so_far import progress_of, tally_of
from bulkops.model import Status

_HEADER = "op,module,record_id,related_list,related_id\n"
_PARENT = "the related id given seems to be invalid"


def prepared(folder: Path, *files: int) -> Plan:
    """A run of files with so many rows each, of one product a row."""
    names, number = [], 0
    for place, rows in enumerate(files):
        names.append(folder / f"part-{place}.csv")
        lines = [f"unlink,Products,{100 + number + row},Deals,7\n" for row in range(rows)]
        names[-1].write_text(_HEADER + "".join(lines), encoding="utf-8")
        number += rows
    config = Config.model_validate({"run": {"directory": str(folder / "runs")}})
    return plan(*names, config=config)


def log(of: Plan, *outcomes: tuple[int, str, str, str]) -> None:
    """Write a log with these outcomes: line, status, code, message."""
    header = {"type": "run", "v": 1, "plan": of.digest, "rows": of.rows, "t": 1.0}
    names = ("line", "status", "code", "message")
    records: list[dict[str, Any]] = [
        {"type": "outcome", "batch": 1, "t": 1.0, **dict(zip(names, each, strict=True))}
        for each in outcomes
    ]
    text = "".join(json.dumps(each) + "\n" for each in [header, *records])
    of.prepared.run.checkpoint.write_text(text, encoding="utf-8")


def summary(of: Plan, code: ExitCode, reason: str = "") -> str:
    """What is printed where nobody looks at a terminal."""
    tally = tally_of(of.prepared, progress_of(of.prepared, mend=False))
    finished = Finished(
        code=code,
        reason=reason,
        run=of.run,
        rows=of.rows,
        statuses=tally.statuses,
        calls=tally.calls,
    )
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    print_end(console, of, finished)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_reasons_are_told_apart_by_what_the_server_said(tmp_path: Path) -> None:
    """Most lines first, with the first of them; our own words name ids and do not count."""
    of = prepared(tmp_path, 7)
    log(
        of,
        (1, "failed", "INVALID_DATA", _PARENT),
        (2, "failed", "INVALID_DATA", "invalid data"),
        (3, "failed", "INVALID_DATA", "invalid data"),
        (4, "failed", "no_answer", "given up after 6 tries: a"),
        (5, "failed", "no_answer", "given up after 6 tries: b"),
        (6, "failed", "no_answer", "given up after 6 tries: c"),
        (7, "succeeded", "SUCCESS", "relation removed"),
    )
    found = [
        (each.code, each.message, each.count, each.lines)
        for each in reasons_of(of.prepared.run, most=9)
    ]
    assert [
        ("no_answer", "given up after 6 tries: a", 3, (4, 5, 6)),
        ("INVALID_DATA", "invalid data", 2, (2, 3)),
        ("INVALID_DATA", _PARENT, 1, (1,)),
    ] == found
    assert 2 == len(reasons_of(of.prepared.run, most=2))


def test_a_run_that_goes_on_knows_its_refusals_so_far(tmp_path: Path) -> None:
    """Those of lines that are settled; what is unknown is asked about again."""
    of = prepared(tmp_path, 4)
    log(
        of,
        (1, "failed", "INVALID_DATA", _PARENT),
        (2, "failed", "INVALID_DATA", _PARENT),
        (3, "unknown", "no_answer", "x"),
    )
    assert [(Status.FAILED, "INVALID_DATA", 2)] == [
        (each.status, each.code, each.count) for each in refused_so_far(of.prepared.run)
    ]
    tally = tally_of(of.prepared, progress_of(of.prepared, mend=False))
    assert [("INVALID_DATA", 2)] == [
        (each.code, each.lines) for each in tally.refusals.most_frequent(3)
    ]


def test_the_numbers_are_those_of_the_log(tmp_path: Path) -> None:
    """By operation and status, and settled in all."""
    of = prepared(tmp_path, 5)
    statuses = ["succeeded", "succeeded", "unchanged", "failed"]
    log(*[of], *((line, each, "", "") for line, each in enumerate(statuses, 1)))
    text = summary(of, ExitCode.PAUSED, "the day's credits are used up")
    header, row = (
        line.split()
        for line in text.splitlines()
        if line[:10].strip() and "  " in line and line.split()[0] in {"operation", "unlink"}
    )
    assert Counter(statuses) == Counter(dict(zip(header[1:], map(int, row[1:]), strict=True)))
    assert "4 of 5 lines settled" in text
    assert "Ended early: the day's credits are used up" in text


def test_lines_of_several_files_are_named_by_file(tmp_path: Path) -> None:
    """As the file has them: nobody counts over the parts."""
    of = prepared(tmp_path, 3, 3)
    log(of, (2, "failed", "INVALID_DATA", _PARENT), (5, "failed", "INVALID_DATA", _PARENT))
    text = summary(of, ExitCode.INCOMPLETE)
    assert "part-0.csv, line 2; " in text
    assert f"part-1.csv, line 2: {_PARENT}\n" in text
    assert "the record in record_id does not exist" in text


@pytest.mark.parametrize(
    ("code", "verbs"),
    [
        (ExitCode.INCOMPLETE, ["outcomes", "retry", "undo"]),
        (ExitCode.PAUSED, ["outcomes", "run"]),
        (ExitCode.STOPPED, ["outcomes", "run"]),
        (ExitCode.INTERRUPTED, ["outcomes", "run"]),
        (ExitCode.AUTH, ["outcomes", "check", "retry"]),
    ],
)
def test_what_comes_next_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: ExitCode, verbs: list[str]
) -> None:
    """The one for this end, with the run's own name; `--new` would begin another one."""
    monkeypatch.setattr("sys.argv", ["bulkops", "run", "a file.csv", "--new"])
    of = prepared(tmp_path, 2)
    log(of, (1, "failed", "INVALID_DATA", _PARENT), (2, "succeeded", "", ""))
    commands = [
        each[2:] for each in summary(of, code).splitlines() if each.startswith("  bulkops ")
    ]
    assert verbs == [each.split()[1] for each in commands]
    assert f"bulkops outcomes {of.run} --status failed" == commands[0]
    again = f"bulkops run 'a file.csv' --run-dir {of.run}"
    assert ("run" in verbs) == (again in commands)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_width_cuts_a_number(tmp_path: Path, width: int) -> None:
    """What became of the rows is whole on a narrow terminal too."""
    of = prepared(tmp_path, 1234)
    log(of, *((line, "failed" if line % 2 else "succeeded", "X", "x") for line in range(1, 1235)))
    console = Console(file=io.StringIO(), width=width, force_terminal=True, no_color=True)
    tally = tally_of(of.prepared, progress_of(of.prepared, mend=False))
    finished = Finished(code=ExitCode.INCOMPLETE, run=of.run, rows=of.rows, statuses=tally.statuses)
    print_end(console, of, finished)
    assert isinstance(console.file, io.StringIO)
    first = console.file.getvalue().split("Why")[0]
    assert 2 == first.count("617")
    assert "…" not in first


def test_rows_that_were_never_sent_are_mended_not_retried(tmp_path: Path) -> None:
    """A retry would be of the same rows as they are; `failed.csv` is a manifest."""
    of = prepared(tmp_path, 2)
    log(of, (1, "invalid", "not_an_id", "x"), (2, "conflict", "opposite_wishes", "x"))
    text = summary(of, ExitCode.INCOMPLETE)
    assert f"bulkops run {of.run}/failed.csv" in text
    assert "bulkops retry" not in text


def test_nothing_is_sent_to_an_organisation_that_is_gone(tmp_path: Path) -> None:
    """A demonstration ends with its organisation: what comes next is to look."""
    of = prepared(tmp_path, 2)
    log(of, (1, "failed", "INVALID_DATA", _PARENT), (2, "succeeded", "", ""))
    tally = tally_of(of.prepared, progress_of(of.prepared, mend=False))
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    finished = Finished(code=ExitCode.INCOMPLETE, run=of.run, rows=of.rows, statuses=tally.statuses)
    print_end(console, of, finished, gone=True)
    assert isinstance(console.file, io.StringIO)
    commands = [each for each in console.file.getvalue().splitlines() if "  bulkops " in each]
    assert [f"  bulkops outcomes {of.run} --status failed"] == commands


def test_a_run_that_went_well_has_no_reasons(tmp_path: Path) -> None:
    """Nothing is explained, and only the way back is named."""
    of = prepared(tmp_path, 1)
    log(of, (1, "succeeded", "SUCCESS", "relation removed"))
    text = summary(of, ExitCode.OK)
    assert "Why" not in text
    assert "bulkops undo" in text
    assert "failed.csv" not in text
    assert "Exit code 0 (every line is in its wanted state)." in text
