"""What follows from the log and cannot be made: a run ends as it ended, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bulkops.engine import derive as deriving
from bulkops.engine.derive import derive, is_derived
from bulkops.errors import BulkopsError, ExitCode
from tests.crash import wrapped
from tests.e2e.harness import Bench, emulator
from tests.engine.report.runs import log, note, outcome, sent, unlinks

_HEADER = "op,module,record_id,related_list,related_id\n"
_TABLES = ("outcomes.csv", "failed.csv", "summary.json")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Three deals of a product; the manifest unlinks them, and one that is no id."""
    world = {"relations": {"Products/5/Deals": ["91", "92", "93"]}}
    (tmp_path / "world.json").write_text(json.dumps(world))
    rows = [f"unlink,Products,5,Deals,{each}\n" for each in ("91", "92", "93", "x")]
    (tmp_path / "m.csv").write_text(_HEADER + "".join(rows))
    with emulator(tmp_path, tmp_path / "world.json") as found:
        yield found


def planned(bench: Bench) -> Path:
    """The run directory, before anything is sent."""
    assert 0 == bench.run("plan", "m.csv").returncode
    return bench.run_directory


def outcomes(bench: Bench) -> int:
    return sum(each["type"] == "outcome" for each in bench.records())


def test_a_report_that_cannot_be_written_is_a_warning_with_the_command_for_it(
    bench: Bench,
) -> None:
    """The run ends with its own code; everything else is there, and the command makes it."""
    run = planned(bench)
    (run / "report.html").mkdir()
    ended = bench.run("run", "m.csv", "--yes")
    assert 3 == ended.returncode, ended.stderr
    assert "report.missing" in ended.stderr
    assert f"bulkops report {run}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert 4 == outcomes(bench)
    assert all((run / name).is_file() for name in _TABLES)
    (run / "report.html").rmdir()
    assert 0 == bench.run("report", str(run)).returncode
    assert (run / "report.html").is_file()


def test_a_disk_without_room_for_the_report_is_no_fault_of_the_run(bench: Bench) -> None:
    """No half of a page is left."""
    run = planned(bench)
    words = [sys.executable, wrapped.__file__, "--largest", "20000", "--", "run", "m.csv", "--yes"]
    ended = subprocess.run(
        words,
        cwd=bench.folder,
        env=bench.environment(PYTHONPATH=str(Path(__file__).parents[2])),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert 3 == ended.returncode, ended.stderr
    assert "report.missing" in ended.stderr
    assert [] == list(run.glob("report.html*"))
    assert all((run / name).is_file() for name in _TABLES)


def test_a_table_that_cannot_be_written_ends_a_finished_run_with_1_and_is_made_next_time(
    bench: Bench,
) -> None:
    """Somebody counts on it; every line is settled, and the same command sends nothing."""
    run = planned(bench)
    (run / "failed.csv").mkdir()
    ended = bench.run("run", "m.csv", "--yes")
    assert 1 == ended.returncode, ended.stderr
    words = " ".join(ended.stderr.split())
    assert "every line is settled, and the log is complete (exit code 3)" in words
    assert "failed.csv: " in words
    assert "Traceback" not in words
    assert 4 == outcomes(bench)
    assert (run / "outcomes.csv").is_file()
    calls = len(bench.ledger())
    (run / "failed.csv").rmdir()
    again = bench.run("run", "m.csv", "--yes")
    assert 3 == again.returncode, again.stderr
    assert "finished already" in again.stderr
    assert calls == len(bench.ledger())
    assert all((run / name).is_file() for name in _TABLES)


def test_a_table_of_an_unfinished_run_is_a_warning(tmp_path: Path, bench: Bench) -> None:
    """How it ended, and when to come back, is worth more; the next start makes it."""
    rows = [f"unlink,Products,{each},Deals,{each}1\n" for each in range(10, 40)]
    (tmp_path / "m.csv").write_text(_HEADER + "".join(rows))
    run = planned(bench)
    (run / "failed.csv").mkdir()
    one = {"BULKOPS_LIMITS__CONCURRENCY": "1"}
    ended = bench.run("run", "m.csv", "--yes", "--max-credits", "2", **one)
    assert 5 == ended.returncode, ended.stderr
    assert "tables.missing" in ended.stderr
    status = json.loads(bench.run("status", str(run), "--json").stdout)
    assert (5, "unfinished") == (status["exit"], status["state"])
    assert status["stopped_because"]
    assert "exit code 5 (paused; run again later)" in bench.run("status", str(run)).stdout
    assert 5 == json.loads(bench.run("report", str(run), "--json").stdout)["exit"]
    (run / "failed.csv").rmdir()
    # Nobody knows these products.
    assert 3 == bench.run("run", "m.csv", "--yes").returncode
    assert all((run / name).is_file() for name in _TABLES)


def test_a_bug_in_a_chart_is_a_warning_and_an_older_report_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is; a report of an earlier end would say what is no longer so."""
    made = log(unlinks(tmp_path, 1), note(0, "run.started"), sent(1, 1), outcome(2, 1))
    (made.run.path / "report.html").write_text("of before")

    def broken(*_given: object, **_more: object) -> None:
        raise ZeroDivisionError("a chart without a bar")

    monkeypatch.setattr(deriving, "write_report", broken)
    with capture_logs() as said:
        derive(made, ExitCode.OK, finished=True)
    assert ["report.missing"] == [each["event"] for each in said]
    assert "ZeroDivisionError: a chart without a bar" == said[0]["why"]
    assert f"bulkops report {made.run.path}" == said[0]["next"]
    assert not (made.run.path / "report.html").exists()
    assert is_derived(made.run)


def test_rows_that_cannot_be_read_lose_all_that_is_made_of_them(tmp_path: Path) -> None:
    """What an earlier end wrote is taken away, and the words say what is to be mended."""
    made = log(unlinks(tmp_path, 1), note(0, "run.started"), sent(1, 1), outcome(2, 1))
    derive(made, ExitCode.OK, finished=True)
    assert (made.run.path / "report.html").is_file()
    made.run.rows.write_bytes(b"no Parquet")
    with capture_logs() as said, pytest.raises(BulkopsError, match="cannot be written"):
        derive(made, ExitCode.OK, finished=True)
    assert ["report.missing"] == [each["event"] for each in said]
    assert not any((made.run.path / name).exists() for name in (*_TABLES, "report.html"))
