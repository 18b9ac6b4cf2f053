"""The list of runs: what it says of each, and what it does not have to read for that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bulkops.engine.serve import listing as module
from bulkops.engine.serve.entry import Entry, read_entry
from bulkops.engine.serve.folder import RunsFolder
from bulkops.engine.serve.listing import Lister, Listing
from tests.engine.report.runs import BEGUN, log, note, sent, unlinks
from tests.engine.serve.house import STATUS, finished, process_on, served, unfinished


@pytest.fixture
def asking() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def entry_of(found: Listing, name: str) -> Entry:
    (entry,) = [each for each in found.runs if each.name == name]
    return entry


def test_a_finished_run_says_how_it_ended(tmp_path: Path) -> None:
    """Its counts are those of `summary.json`, its exit code follows from them."""
    good, bad = finished(tmp_path, bad=False), finished(tmp_path / "other", bad=True)
    entry = read_entry(good.run)
    assert ("finished", 0, {"succeeded": 2}) == (entry.state, entry.exit, entry.statuses)
    assert (2, 2, 1, 1) == (entry.rows, entry.settled, entry.calls, entry.planned_calls)
    assert (BEGUN, BEGUN + 3, True) == (entry.started, entry.ended, entry.has_report)
    entry = read_entry(bad.run)
    assert (3, {"succeeded": 1, "failed": 1}) == (entry.exit, entry.statuses)


def test_an_unfinished_run_says_why_the_last_process_ended(tmp_path: Path) -> None:
    """In the words of the log; a killed one has none, and counts nothing."""
    stopped = read_entry(unfinished(tmp_path, "drained").run)
    assert ("unfinished", "drained", 4) == (stopped.state, stopped.stopped_because, stopped.exit)
    assert ({"succeeded": 1}, True) == (stopped.statuses, stopped.counted)
    killed = read_entry(unfinished(tmp_path / "other", None).run)
    assert ("unfinished", "", {}) == (killed.state, killed.stopped_because, killed.statuses)
    assert (False, None) == (killed.counted, killed.ended)


def test_a_plan_is_no_run_yet(tmp_path: Path) -> None:
    """It has its rows and calls, and nothing else."""
    entry = read_entry(unlinks(tmp_path, 300).run)
    assert ("planned", 300, 3, None) == (
        entry.state,
        entry.rows,
        entry.planned_calls,
        entry.started,
    )


async def test_a_manifest_without_rows_is_not_being_read(tmp_path: Path) -> None:
    """It has been read, and had none: nobody waits for more."""
    unlinks(tmp_path, 0)
    async with served(tmp_path / "runs") as server:
        page = await server.text("/")
    assert "no rows" in page
    assert "being read" not in page


def test_counts_are_told_to_be_old_once_the_log_went_on(tmp_path: Path) -> None:
    """A run that was taken up again and killed has the counts of the time before."""
    made = finished(tmp_path, bad=True)
    later = made.run.checkpoint.stat().st_mtime + 10
    os.utime(made.run.checkpoint, (later, later))
    entry = read_entry(made.run)
    assert (False, {"succeeded": 1, "failed": 1}) == (entry.counted, entry.statuses)
    # The log says how it ended, whatever the counts are.
    assert 3 == entry.exit


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("run.json", b'{"v": 1'), ("run.json", b"[]"), ("run.json", b'{"v": 1}')),
        *(("run.json", b'{"v": 1, "plan": 7}'), ("run.json", b'{"v": 99}'), ("run.json", b"\xff")),
    ],
)
def test_a_run_that_cannot_be_read_is_shown_as_such(
    tmp_path: Path, name: str, content: bytes, asking: ThreadPoolExecutor
) -> None:
    """With the reason; the others are shown as ever."""
    good, made = finished(tmp_path), finished(tmp_path / "other")
    (made.run.path / name).write_bytes(content)
    made.run.path.rename(tmp_path / "runs" / "damaged")
    found = Lister(RunsFolder(tmp_path / "runs"), asking).read()
    entry = entry_of(found, "damaged")
    assert "unreadable" == entry.state
    assert entry.problem
    assert "finished" == entry_of(found, good.run.name).state


def test_a_log_of_an_earlier_version_leaves_the_exit_code_to_the_counts(tmp_path: Path) -> None:
    """Where they are old, nobody knows."""
    made = finished(tmp_path, bad=True)
    log = made.run.checkpoint.read_bytes()
    made.run.checkpoint.write_bytes(log.replace(b'"exit":3,', b""))
    assert read_entry(made.run).exit is None
    (made.run.path / "summary.json").touch()
    assert 3 == read_entry(made.run).exit


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"outcomes": 7}', b'{"outcomes": [{}]}'])
def test_a_damaged_summary_only_takes_the_counts(tmp_path: Path, content: bytes) -> None:
    """It is derived, and can be made again."""
    made = finished(tmp_path)
    (made.run.path / "summary.json").write_bytes(content)
    entry = read_entry(made.run)
    assert ("finished", {}, False) == (entry.state, entry.statuses, entry.counted)


def test_the_middle_of_a_log_is_not_read(tmp_path: Path) -> None:
    """However long it is: its first and last lines say all that a list does."""
    made = log(unlinks(tmp_path, 1), note(0, "run.started"), sent(0, 1))
    with made.run.checkpoint.open("ab") as file:
        # A hole, which takes no time to write, and all the more to read.
        file.truncate(4 << 30)
        file.seek(0, 2)
        file.write(b"\n" + b'{"type":"note","event":"run.stopped","reason":"enough","t":9.0}\n')
    entry = read_entry(made.run)
    assert ("enough", BEGUN, 9.0) == (entry.stopped_because, entry.started, entry.ended)


def test_what_did_not_change_is_not_read_again(
    tmp_path: Path, asking: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's files are looked at, and read when one of them is another."""
    read: list[str] = []

    def reading(run: Any) -> Entry:
        read.append(run.name)
        return read_entry(run)

    monkeypatch.setattr(module, "read_entry", reading)
    made, other = finished(tmp_path), finished(tmp_path / "other")
    other.run.path.rename(tmp_path / "runs" / "other")
    lister = Lister(RunsFolder(tmp_path / "runs"), asking)
    for _ in range(3):
        lister.read()
    assert {made.run.name, "other"} == set(read)
    assert 2 == len(read)
    with made.run.checkpoint.open("ab") as file:
        file.write(b'{"type":"note","event":"run.reopened","t":9.0}\n')
    assert "unfinished" == entry_of(lister.read(), made.run.name).state
    assert 3 == len(read)


async def test_the_last_active_comes_first_and_what_runs_before_all(
    tmp_path: Path, asking: ThreadPoolExecutor
) -> None:
    """By the log's own time of change."""
    names = ["old", "new", "live"]
    for age, name in zip((300, 200, 999), names, strict=True):
        made = unfinished(tmp_path / name, "enough")
        at = BEGUN - age
        os.utime(made.run.checkpoint, (at, at))
        (tmp_path / "runs").mkdir(exist_ok=True)
        made.run.path.rename(tmp_path / "runs" / name)
    live = log(unlinks(tmp_path, 2), note(0, "run.started"))
    async with served(tmp_path / "runs") as server, process_on(live):
        told = await server.json("/api/runs")
    expected = [live.run.name, "new", "old", "live"]
    assert expected == [each["name"] for each in told["runs"]]
    assert ["running", "unfinished"] == [each["state"] for each in told["runs"][:2]]


async def test_a_running_run_is_told_by_its_process(tmp_path: Path) -> None:
    """State, counts, calls and what holds it; not what the files of an earlier process say."""
    made = unfinished(tmp_path, "an earlier end")
    told = {**STATUS, "state": "holding", "held": {"ctl": "until resume"}}
    async with served(tmp_path / "runs") as server, process_on(made, lambda: told):
        (entry,) = (await server.json("/api/runs"))["runs"]
    for name in ("state", "held", "rows", "settled", "statuses", "calls", "planned_calls"):
        assert told[name] == entry[name], name
    assert ("", None, None, True) == tuple(
        entry[name] for name in ("stopped_because", "exit", "ended_at", "counted")
    )


async def test_the_list_comes_in_parts(tmp_path: Path) -> None:
    """`next` is where the rest begins; wrong numbers are named."""
    for number in range(5):
        (tmp_path / f"run-{number}").mkdir()
        (tmp_path / f"run-{number}" / "run.json").write_text("{}")
    async with served(tmp_path) as server:
        names: list[str] = []
        after: int | None = 0
        while after is not None:
            told = await server.json(f"/api/runs?limit=2&after={after}")
            assert (1, 5, {"unreadable": 5}) == (told["v"], told["total"], told["states"])
            names += [each["name"] for each in told["runs"]]
            after = told["next"]
        assert [f"run-{number}" for number in range(5)] == sorted(names)
        for wrong in ("limit=0", "limit=x", "after=-1", "limit=1e3", "limit=99999999999999999999"):
            got = await server.get(f"/api/runs?{wrong}")
            assert (400, 1) == (got.status, (await got.json())["v"])
        assert [] == (await server.json("/api/runs?after=99"))["runs"]


async def test_a_pause_file_of_all_runs_is_told(tmp_path: Path) -> None:
    """It holds what is begun later, too."""
    async with served(tmp_path) as server:
        assert False is (await server.json("/api/runs"))["all_held"]
    (tmp_path / "pause").touch()
    async with served(tmp_path) as server:
        assert True is (await server.json("/api/runs"))["all_held"]
        assert "All runs are held" in await server.text("/")


async def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    """Programs are told why, as people are; here its name is too long for the system."""
    async with served(tmp_path / ("runs" * 100)) as server:
        told = await server.json("/api/runs")
        assert ([], 0) == (told["runs"], told["total"])
        assert "the folder of runs cannot be read" in told["problem"]
        assert "The folder of runs cannot be read" in await server.text("/")
