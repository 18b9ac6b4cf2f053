"""A long log, read by DuckDB, says what the same log says read line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.checkpoint import header
from bulkops.errors import CheckpointError
from bulkops.progress import Progress
from bulkops.repair import repair
from bulkops.resume import read_progress
from bulkops.rundir import RunDirectory

_ROWS = 40
_LINES = st.integers(1, _ROWS)
_STATUSES = st.sampled_from(["succeeded", "unchanged", "failed", "invalid", "unknown"])
_CALLS = st.integers(1, 30)
_RECORDS = st.lists(
    st.one_of(
        st.builds(
            lambda line, status: {"type": "outcome", "line": line, "status": status},
            _LINES,
            _STATUSES,
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
        # A finished run asks for no doubts, and its long log is not searched for them.
        "doubts": []
        if progress.finished and not progress.unknown
        else [
            (batch, line)
            for batch in range(6)
            for line in lines
            if line not in progress.settled and progress.doubts(batch, line)
        ],
        "calls": progress.calls.count,
        "reads": progress.reads,
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_RECORDS)
def test_both_readings_agree(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    """Whatever a run wrote, in whatever order, is one state."""
    path = tmp_path / "checkpoint.jsonl"
    write(path, records)
    exact = read_progress(path, mend=True, long_bytes=1 << 40)
    assert shown(exact) == shown(read_progress(path, mend=True, long_bytes=0))


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
