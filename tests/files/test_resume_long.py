"""A long log, read by DuckDB, says what the same log says read line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.errors import CheckpointError
from bulkops.files import long_log
from bulkops.files.checkpoint import header
from bulkops.files.long_log import read_at_once
from bulkops.files.repair import repair
from bulkops.files.resume import read_progress
from bulkops.files.rundir import RunDirectory
from bulkops.rules.progress import Progress

_ROWS = 40
_LINES = st.integers(1, _ROWS)
_STATUSES = st.sampled_from(["succeeded", "unchanged", "failed", "invalid", "skipped", "unknown"])
_CALLS = st.integers(1, 30)
_RECORDS = st.lists(
    st.one_of(
        st.builds(
            lambda line, status, more: {"type": "outcome", "line": line, "status": status, **more},
            _LINES,
            _STATUSES,
            st.sampled_from([{}, {}, {"aborted": True}]),
        ),
        st.builds(
            lambda batch, call, lines: {
                "type": "sent",
                "batch": batch,
                "call": call,
                **({"lines": lines} if lines else {}),
            },
            st.integers(1, 5),
            _CALLS,
            st.lists(_LINES, max_size=3),
        ),
        st.builds(
            lambda call, lines: {"type": "answer", "batch": 1, "call": call, "doubtful": lines},
            _CALLS,
            st.lists(_LINES, max_size=3),
        ),
        st.builds(lambda line: {"type": "job", "line": line, "job_id": "9"}, _LINES),
        st.sampled_from(
            [
                {"type": "note", "event": "call.read", "path": "/crm"},
                {"type": "note", "event": "run.stopped", "reason": "a 'quoted' reason"},
                {"type": "note", "event": "capacity.learnt", "spec": "x", "limit": 10},
                {"type": "note", "event": "run.reopened", "lines": 3},
                {"type": "note", "event": "log.repaired", "lost_bytes": 7},
                {"type": "later", "what": "a record of a later version"},
            ]
        ),
    ),
    max_size=60,
)


def write(path: Path, records: list[dict[str, Any]], rows: int = _ROWS) -> None:
    """Write a log as `Checkpoint` does."""
    everything = [dict(header("r", "p", rows)), *records]
    path.write_bytes(b"".join(orjson.dumps({**each, "t": 1.5}) + b"\n" for each in everything))


def shown(progress: Progress) -> dict[str, Any]:
    """Everything that a resumed run goes by."""
    lines = range(_ROWS + 1)
    return {
        "settled": [line for line in lines if line in progress.settled],
        "unknown": progress.unknown,
        "statuses": dict(+progress.statuses),
        "jobs": progress.jobs,
        "doubts": [
            (batch, line)
            for batch in range(6)
            for line in lines
            if line not in progress.settled and progress.doubts(batch, line)
        ],
        "silences": [
            progress.silences(
                batch,
                [
                    line
                    for line in lines
                    if line not in progress.settled and progress.doubts(batch, line)
                ],
            )
            for batch in range(6)
        ],
        "sent": [sorted(progress.calls.of(batch)) for batch in range(6)],
        "calls": progress.calls.count,
        "reads": progress.reads,
        "stop": progress.stop,
        "capacities": progress.capacities,
        "stopped": {
            status: [line for line in lines if line in stopped]
            for status, stopped in progress.stopped.items()
        },
    }


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_RECORDS)
def test_both_readings_agree(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    """Whatever a run wrote, in whatever order, is one state."""
    agree(tmp_path / "checkpoint.jsonl", records)


def agree(path: Path, records: list[dict[str, Any]]) -> Progress:
    """Read a log both ways, compare, and return the exact state."""
    write(path, records)
    exact = read_progress(path, mend=True, long_bytes=1 << 40)
    assert shown(exact) == shown(read_progress(path, mend=True, long_bytes=0))
    return exact


def taken_at_once(path: Path, records: list[dict[str, Any]]) -> bool:
    """Whether a log that both readings agree on needs no exact reading."""
    agree(path, records)
    return read_at_once(path, dict(header("r", "p", _ROWS))) is not None


def as_a_run_writes(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records without outcomes and jobs of lines that are settled, and calls counted."""
    progress, kept = Progress(rows=_ROWS), []
    for record in records:
        line = record.get("line", 0)
        if line in progress.settled or (line in progress.unknown and record["type"] == "job"):
            continue
        if line in progress.unknown and record.get("status") == "unknown":
            continue
        if record["type"] == "sent":
            record = {**record, "call": progress.calls.count + 1}
        progress.take(record)
        kept.append(record)
    return kept


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_RECORDS)
def test_whatever_a_run_writes_is_read_at_once(
    tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    """However often lines were opened again: only damage and other writers need more."""
    assert taken_at_once(tmp_path / "checkpoint.jsonl", as_a_run_writes(records))


_SENT = {"type": "sent", "batch": 1, "attempt": 1, "call": 1}
_JOBS = [{"type": "job", "batch": 1, "line": 1, "job_id": each} for each in ("8", "9")]
_STOP = {"type": "note", "event": "run.stopped", "reason": "the first"}
_SKIP = {"type": "outcome", "line": 1, "status": "skipped", "aborted": True}
_REOPEN = {"type": "note", "event": "run.reopened", "lines": 1}


@pytest.mark.parametrize(
    "records",
    [
        [_SENT, *_JOBS],
        [_SENT, *reversed(_JOBS), {"type": "outcome", "line": 2, "status": "unknown"}],
        [_STOP, _SENT],
        [_SENT, _STOP, {**_STOP, "reason": "the last"}],
        [_SENT, {"type": "answer", "batch": 1, "call": 1, "doubtful": [3]}, _STOP],
        [{**_SENT, "lines": [4, 5]}, {**_SENT, "call": 2, "lines": [4]}],
        [
            {"type": "note", "event": "capacity.learnt", "spec": "x", "limit": limit}
            for limit in (50, 25, 10)
        ],
        [_SKIP, _REOPEN],
        [_SENT, _SKIP, _REOPEN, {**_SENT, "call": 2}, _SKIP],
        [_SENT, _SKIP, _REOPEN, _SKIP, {**_SKIP, "line": 2}, _REOPEN, *_JOBS],
        [{**_SENT, "batch": batch, "call": call} for call, batch in enumerate((3, 1, 3, 900), 1)],
    ],
    ids=[
        *("jobs", "jobs turned", "sent since", "stopped twice", "doubt", "parts", "capacity"),
        *("reopened", "skipped again", "reopened twice", "batches in no order"),
    ],
)
def test_what_has_an_order_is_read_at_once_too(
    tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    """The last job, the last stop and the last limit count, and need no exact reading."""
    assert taken_at_once(tmp_path / "checkpoint.jsonl", records)


@pytest.mark.parametrize(
    "records",
    [
        [{"type": "outcome", "line": 1, "status": "failed"}] * 2,
        [_SKIP, {**_SKIP, "status": "failed"}, _REOPEN],
        [{**_SENT, "lines": [1]}, {**_SENT, "batch": 2, "lines": [2]}],
    ],
    ids=["settled twice", "settled twice, then reopened", "a number twice"],
)
def test_what_only_its_order_explains_is_read_exactly(
    tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    """Rare as it is, it costs time rather than a wrong state."""
    assert not taken_at_once(tmp_path / "checkpoint.jsonl", records)


@pytest.mark.parametrize(
    "record",
    [
        {"type": "sent", "attempt": 1, "call": 1},
        {"type": "sent", "batch": 1, "attempt": 1},
        {"type": "answer", "batch": 1, "doubtful": [1]},
        {"type": "job", "line": 1},
        {"type": "note", "reason": "no event"},
        {"type": "note", "event": "capacity.learnt", "spec": "x"},
        {"type": "outcome", "line": "x", "status": "failed"},
        {"type": "outcome", "status": "failed"},
        {"type": "outcome", "line": 1},
        {"t": 1},
    ],
    ids=orjson.dumps,
)
def test_a_record_that_lacks_something_is_refused_at_once_too(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    """A long log is held to what a short one is, and the place is named."""
    path = tmp_path / "checkpoint.jsonl"
    write(path, [record, _SENT])
    offset = path.read_bytes().index(b"\n") + 1
    with pytest.raises(CheckpointError, match=f"byte {offset} "):
        read_progress(path, mend=True, long_bytes=0)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_RECORDS)
def test_more_calls_than_there_is_memory_for_come_one_by_one(
    tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    """Where they cannot be gathered with the outcomes, they are read after them."""
    query = long_log._query

    def exhausted(path: Path, rows: int, *, calls: bool = True, stretches: bool = False) -> str:
        if calls:
            raise duckdb.OutOfMemoryException("as if there were millions of calls")
        return query(path, rows, calls=False, stretches=stretches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_log, "_query", exhausted)
        agree(tmp_path / "checkpoint.jsonl", records)


def test_a_finished_long_log_needs_its_outcomes_alone(tmp_path: Path) -> None:
    """Counts of calls and reads are there, too."""
    path = tmp_path / "checkpoint.jsonl"
    records: list[dict[str, Any]] = [{"type": "sent", "batch": 1, "call": 1}]
    records += [{"type": "outcome", "line": line, "status": "succeeded"} for line in (1, 2, 3)]
    records += [{"type": "note", "event": "call.read"}]
    write(path, records, rows=3)
    progress = read_progress(path, mend=True, long_bytes=0)
    assert progress.finished
    assert (1, 1, 3) == (progress.calls.count, progress.reads, len(progress.settled))


@pytest.mark.parametrize("long_bytes", [0, 1 << 40])
def test_damage_is_refused_with_its_place_and_repaired(tmp_path: Path, long_bytes: int) -> None:
    """A bad line elsewhere than at the end stops the run; a repair keeps what stands before it."""
    run = RunDirectory(tmp_path)
    write(run.checkpoint, [{"type": "outcome", "line": n, "status": "failed"} for n in (1, 2, 3)])
    content = run.checkpoint.read_bytes()
    lines = content.splitlines(keepends=True)
    damaged = b"".join([*lines[:2], lines[2].replace(b'"line":2', b'"line":x'), *lines[3:]])
    run.checkpoint.write_bytes(damaged)
    offset = len(lines[0]) + len(lines[1])
    with pytest.raises(CheckpointError, match=f"byte {offset} "):
        read_progress(run.checkpoint, mend=True, long_bytes=long_bytes)

    done = repair(run)

    assert (offset, len(lines[2]) + len(lines[3]), 2) == (
        done.kept_bytes,
        done.lost_bytes,
        done.lost_lines,
    )
    assert done.aside is not None
    assert damaged == done.aside.read_bytes()
    progress = read_progress(run.checkpoint, mend=True, long_bytes=long_bytes)
    assert [1] == [line for line in range(5) if line in progress.settled]
    assert progress.doubts(7, 2)


def test_a_good_log_needs_no_repair(tmp_path: Path) -> None:
    """Nothing is written where nothing is wrong."""
    run = RunDirectory(tmp_path)
    write(run.checkpoint, [])
    before = run.checkpoint.read_bytes()
    assert repair(run).aside is None
    assert before == run.checkpoint.read_bytes()
