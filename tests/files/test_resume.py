"""Reading a log back: any whole prefix is a state, a torn tail is cut, damage is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.errors import CheckpointError
from bulkops.files.checkpoint import Checkpoint, header
from bulkops.files.resume import read_progress
from bulkops.model import Status
from bulkops.rules.line_set import LineSet
from bulkops.rules.progress import Progress

HEADER = dict(header("leads-1", "abc", 6))
#: A run in which everything happens once.
LOG: list[dict[str, Any]] = [
    HEADER,
    {"type": "note", "event": "run.started"},
    {"type": "outcome", "line": 6, "status": "invalid", "code": "not_an_id"},
    {"type": "sent", "batch": 1, "attempt": 1, "call": 1},
    {"type": "sent", "batch": 2, "attempt": 1, "call": 2},
    {"type": "outcome", "line": 1, "status": "succeeded", "code": "SUCCESS", "batch": 1},
    {"type": "job", "batch": 1, "line": 2, "job_id": "500"},
    {"type": "answer", "batch": 1, "call": 1, "doubtful": [3]},
    {"type": "note", "event": "capacity.learnt", "spec": "remove_territories", "limit": 10},
    {"type": "sent", "batch": 1, "attempt": 2, "call": 3, "lines": [3]},
    {"type": "note", "event": "call.read", "path": "/crm/v8/Leads"},
    {"type": "outcome", "line": 3, "status": "unknown", "code": "no_answer", "batch": 1},
    {"type": "note", "event": "run.stopped", "reason": "interrupted"},
]


def written(path: Path, records: list[dict[str, Any]]) -> bytes:
    content = b"".join(orjson.dumps({**each, "t": 1.5}) + b"\n" for each in records)
    path.write_bytes(content)
    return content


def state(progress: Progress, *, lines: int = 10) -> dict[str, Any]:
    """Everything that a resumed run goes by, of the first `lines` lines."""
    asked = range(lines)
    return {
        "rows": progress.rows,
        "plan": progress.plan,
        "settled": {line for line in asked if line in progress.settled},
        "count": len(progress.settled),
        "statuses": +progress.statuses,
        "jobs": progress.jobs,
        "doubts": {(b, line) for b in range(6) for line in asked if progress.doubts(b, line)},
        "sent": {batch: sorted(progress.calls.of(batch)) for batch in range(6)},
        "capacities": progress.capacities,
        "calls": progress.calls.count,
        "reads": progress.reads,
        "unknown": progress.unknown,
        "stop": progress.stop,
        "stopped": {
            status: {line for line in asked if line in found}
            for status, found in progress.stopped.items()
        },
        "finished": progress.finished,
    }


def replayed(records: list[dict[str, Any]], *, lines: int = 10) -> dict[str, Any]:
    progress = Progress()
    for record in records:
        progress.take(record)
    return state(progress, lines=lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.jsonl"


def test_what_a_log_says(path: Path) -> None:
    """Settled, pending, in doubt, learnt and spent: all of it comes from the log alone."""
    written(path, LOG)
    progress = read_progress(path, mend=True)
    assert (progress.rows, progress.plan) == (6, "abc")
    assert (progress.calls.count, progress.reads) == (3, 1)
    assert {line for line in range(8) if line in progress.settled} == {1, 6}
    assert progress.unknown == {3}
    assert progress.statuses == {Status.INVALID: 1, Status.SUCCEEDED: 1, Status.UNKNOWN: 1}
    assert progress.jobs == {2: "500"}
    assert [progress.calls.of(batch) for batch in (1, 2, 3)] == [[1, 3], [2], []]
    assert progress.capacities == {"remove_territories": 10}
    assert progress.stop == "interrupted"
    assert not progress.finished


def test_a_call_without_an_answer_is_in_doubt(path: Path) -> None:
    """After a crash every `sent` that nothing followed may have had its effect."""
    written(path, LOG[:5])
    progress = read_progress(path, mend=True)
    assert [progress.doubts(batch, 4) for batch in (1, 2, 3)] == [True, True, False]
    written(path, LOG)
    progress = read_progress(path, mend=True)
    assert [progress.doubts(1, line) for line in (1, 2, 4)] == [False, False, False]
    assert progress.doubts(2, 4)


def test_a_call_of_some_lines_puts_only_those_in_doubt(path: Path) -> None:
    """`lines` says what travelled when it was not the whole batch."""
    written(path, [HEADER, {"type": "sent", "batch": 1, "attempt": 1, "call": 1, "lines": [4]}])
    progress = read_progress(path, mend=True)
    assert [progress.doubts(1, line) for line in (3, 4, 5)] == [False, True, False]


def test_a_line_that_an_answer_left_in_doubt_stays_so_until_it_is_settled(path: Path) -> None:
    """In whatever batch it goes on."""
    answer = {"type": "answer", "batch": 1, "call": 1, "doubtful": [4]}
    written(path, [HEADER, LOG[3], answer])
    assert read_progress(path, mend=True).doubts(9, 4)
    outcome = {"type": "outcome", "line": 4, "status": "succeeded"}
    written(path, [HEADER, LOG[3], answer, outcome])
    assert not read_progress(path, mend=True).doubts(9, 4)


def test_a_second_outcome_of_a_line_is_not_counted() -> None:
    """A line is settled once, and the first outcome stands."""
    progress = Progress(rows=2)
    for status in ("succeeded", "failed", "unknown"):
        progress.take({"type": "outcome", "line": 1, "status": status})
    assert +progress.statuses == {Status.SUCCEEDED: 1}
    assert not progress.finished


def test_an_unknown_line_may_be_settled_after_all() -> None:
    """It has an outcome, and it is in doubt: a later run that asks again may know better."""
    progress = Progress(rows=1)
    progress.take({"type": "outcome", "line": 1, "status": "unknown"})
    assert (progress.finished, progress.doubts(5, 1)) == (True, True)
    assert not progress.settle((1,), Status.UNKNOWN)
    assert progress.settle((1,), Status.UNCHANGED)
    assert +progress.statuses == {Status.UNCHANGED: 1}
    assert (progress.finished, progress.doubts(5, 1), progress.unknown) == (True, False, set())


def test_after_a_repair_everything_is_in_doubt() -> None:
    """What was cut off may have said that any line was sent."""
    progress = Progress()
    progress.take({"type": "note", "event": "log.repaired"})
    assert progress.doubts(1, 1)


def test_what_went_with_an_aborted_group_can_be_opened_again() -> None:
    """Skipped lines, and those that were refused with the group; nothing else, and once."""
    progress = Progress(rows=4)
    for line, status, aborted in (
        (1, "succeeded", True),
        (2, "failed", True),
        (3, "failed", False),
        (4, "skipped", True),
    ):
        record = {"type": "outcome", "line": line, "status": status}
        progress.take({**record, "aborted": True} if aborted else record)
    assert progress.finished
    assert progress.reopen() == 2
    assert {line for line in range(1, 5) if line in progress.settled} == {1, 3}
    assert +progress.statuses == {Status.SUCCEEDED: 1, Status.FAILED: 1}
    assert progress.reopen() == 0
    assert progress.settle((4,), Status.SUCCEEDED)
    assert not progress.settle((3,), Status.SUCCEEDED)


def test_a_line_that_is_open_again_is_in_doubt_only_for_what_was_sent_since() -> None:
    """The call that was refused had its answer, though the log needed no word of it."""
    progress = Progress(rows=2)
    progress.take({"type": "sent", "batch": 1, "attempt": 1, "call": 1})
    progress.take({"type": "outcome", "line": 1, "status": "failed", "aborted": True})
    progress.take({"type": "note", "event": "run.reopened"})
    assert [progress.doubts(1, line) for line in (1, 2)] == [False, True]
    progress.take({"type": "sent", "batch": 1, "attempt": 1, "call": 2})
    assert progress.doubts(1, 1)
    # Opened again without being settled in between, it stays in doubt.
    progress.take({"type": "note", "event": "run.reopened"})
    assert progress.doubts(1, 1)


def test_a_settled_line_has_no_job_any_more() -> None:
    """Its job ended, one way or another."""
    progress = Progress()
    progress.take({"type": "job", "line": 2, "job_id": "500"})
    progress.take({"type": "outcome", "line": 2, "status": "succeeded"})
    assert progress.jobs == {}


def test_types_of_a_later_version_are_passed_over() -> None:
    """The version in the header guards the known ones."""
    assert replayed([*LOG, {"type": "tomorrow", "line": 4}]) == replayed(LOG)


@pytest.mark.parametrize("mend", [True, False])
def test_no_log_is_an_empty_run(path: Path, mend: bool) -> None:
    """Nothing was sent, and looking makes no file."""
    assert state(read_progress(path, mend=mend)) == state(Progress())
    assert not path.exists()


def test_a_torn_tail_is_cut_off_wherever_it_tore(path: Path) -> None:
    """At every byte, the state is that of the whole lines before it, and so is the file."""
    content = written(path, LOG)
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    states = [replayed(LOG[:whole]) for whole in range(len(starts))]
    for size in range(len(content) + 1):
        whole = max(index for index, start in enumerate(starts) if start <= size)
        path.write_bytes(content[:size])
        assert state(read_progress(path, mend=False)) == states[whole]
        assert path.stat().st_size == size
        assert state(read_progress(path, mend=True)) == states[whole]
        assert path.read_bytes() == content[: starts[whole]]


def tear_and_mend(path: Path) -> None:
    content = written(path, LOG)
    path.write_bytes(content[:-9])
    read_progress(path, mend=True)


async def test_a_mended_log_can_be_gone_on_with(path: Path) -> None:
    """What is appended after the cut is a line of its own."""
    tear_and_mend(path)
    async with Checkpoint(path) as log:
        log.append(type="outcome", line=4, status="succeeded")
    expected = replayed([*LOG[:-1], {"type": "outcome", "line": 4, "status": "succeeded"}])
    assert state(read_progress(path, mend=True)) == expected


@pytest.mark.parametrize(
    "tail", [b"\0" * 40, b"\xff\xfe", b'{"type":"outc', b"{}", b"[1]\n", b"\n"]
)
def test_whatever_a_crash_leaves_at_the_end_is_cut_off(path: Path, tail: bytes) -> None:
    """Some file systems leave zeros, or a line that was never finished."""
    content = written(path, LOG)
    path.write_bytes(content + tail)
    assert state(read_progress(path, mend=True)) == replayed(LOG)
    assert path.read_bytes() == content


@pytest.mark.parametrize("index", range(len(LOG) - 1))
@pytest.mark.parametrize("damage", [b"#", b"\0", b"\xff"])
def test_damage_elsewhere_is_refused_with_its_place(path: Path, index: int, damage: bytes) -> None:
    """The first byte of the damaged line is named, and the file is left alone."""
    lines = written(path, LOG).splitlines(keepends=True)
    offset = sum(len(line) for line in lines[:index])
    lines[index] = damage + lines[index][1:]
    damaged = b"".join(lines)
    path.write_bytes(damaged)
    for mend in (True, False):
        with pytest.raises(CheckpointError, match=f"line at byte {offset} cannot be read"):
            read_progress(path, mend=mend)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "record",
    [
        {"type": "outcome", "status": "succeeded"},
        {"type": "outcome", "line": "4", "status": "succeeded"},
        {"type": "outcome", "line": 4, "status": "splendid"},
        {"type": "outcome", "line": -1, "status": "succeeded"},
        {"type": "sent", "attempt": 1},
        {"type": "answer", "batch": 1},
        {"type": "note", "event": "capacity.learnt"},
    ],
    ids=orjson.dumps,
)
def test_a_record_that_is_not_one_of_ours_is_damage(path: Path, record: dict[str, Any]) -> None:
    """JSON that lacks what its type needs is refused like a line that is no JSON."""
    content = written(path, [HEADER, record, LOG[3]])
    second = len(content.splitlines(keepends=True)[0])
    with pytest.raises(CheckpointError, match=f"byte {second} "):
        read_progress(path, mend=True)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_log_of_another_schema_is_refused(path: Path, version: object) -> None:
    """Guessing at a later version's log could send things twice."""
    content = written(path, [{**HEADER, "v": version}, *LOG[1:]])
    with pytest.raises(CheckpointError, match="schema"):
        read_progress(path, mend=True)
    assert path.read_bytes() == content


def test_a_log_without_its_header_is_refused(path: Path) -> None:
    """The first line says what the rest is."""
    written(path, LOG[1:])
    with pytest.raises(CheckpointError, match="schema"):
        read_progress(path, mend=True)


LINES = st.integers(1, 120)
BATCHES = st.integers(1, 4)
CALLS = st.integers(1, 9)
RECORDS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("outcome"), "line": LINES, "status": st.sampled_from(sorted(Status))},
        optional={
            "code": st.sampled_from(("SUCCESS", "INVALID_DATA")),
            "aborted": st.just(True),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("sent"), "batch": BATCHES, "attempt": st.just(1), "call": CALLS},
        optional={"lines": st.lists(LINES, max_size=4)},
    ),
    st.fixed_dictionaries(
        {"type": st.just("answer"), "batch": BATCHES, "call": CALLS},
        optional={"doubtful": st.lists(LINES, max_size=4)},
    ),
    st.fixed_dictionaries({"type": st.just("job"), "line": LINES, "job_id": st.just("5")}),
    st.fixed_dictionaries(
        {
            "type": st.just("note"),
            "event": st.sampled_from(("run.started", "call.read", "run.reopened")),
        }
    ),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(RECORDS, max_size=25), st.data())
def test_any_prefix_of_a_log_is_the_state_it_was_written_in(
    path: Path, records: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Wherever a run was killed, what it had written is what the next one starts from."""
    log = [HEADER, *records]
    lines = written(path, log).splitlines(keepends=True)
    kept = data.draw(st.integers(0, len(lines)))
    path.write_bytes(b"".join(lines[:kept]))
    assert state(read_progress(path, mend=True), lines=130) == replayed(log[:kept], lines=130)


def as_a_run_writes(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with one outcome a line, of few lines, and none `unknown` that has a job."""
    kept, settled = [], set()
    scheduled = {each["line"] % 12 for each in records if each["type"] == "job"}
    for record in records:
        line = record["line"] % 12 if "line" in record else None
        if record["type"] == "outcome":
            if line in settled or (record["status"] == "unknown" and line in scheduled):
                continue
            settled.add(line)
        kept.append(record if line is None else {**record, "line": line})
    return kept


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(RECORDS, max_size=25))
def test_a_long_log_is_read_as_a_short_one(path: Path, records: list[dict[str, Any]]) -> None:
    """Counting outcomes at once gives the state that reading line by line does."""
    log = [{**HEADER, "rows": 120}, *as_a_run_writes(records)]
    written(path, log)
    long = state(read_progress(path, mend=True, long_bytes=0), lines=130)
    assert long == replayed(log, lines=130)


def test_a_long_log_knows_that_an_unknown_line_has_no_job(path: Path) -> None:
    """Its job ended, and the record could not be read back."""
    log = [HEADER, LOG[6], {"type": "outcome", "line": 2, "status": "unknown"}]
    written(path, log)
    assert state(read_progress(path, mend=True, long_bytes=0)) == replayed(log)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 100_000)))
def test_a_set_of_lines_is_a_set(lines: list[int]) -> None:
    """Adding tells what is new; the size is the number of different lines."""
    kept, plain = LineSet(), set[int]()
    for line in lines:
        assert kept.add(line) is (line not in plain)
        plain.add(line)
    assert len(kept) == len(plain)
    assert all(line in kept for line in plain)
    assert not any(line in kept for line in (*range(50), 100_001, 10**9) if line not in plain)
