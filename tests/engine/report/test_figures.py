"""The figures of a report, against the log that they are read from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.engine.report import read_figures, to_json
from bulkops.engine.report.counts import count
from bulkops.errors import UsageError
from bulkops.files.prepare import load
from bulkops.files.rundir import RunDirectory
from bulkops.model import Status
from tests.engine.report.runs import (
    BEGUN,
    HEADER,
    answer,
    job,
    log,
    note,
    outcome,
    planned,
    sent,
    unlinks,
)

_SETTINGS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_outcomes_are_counted_by_operation_module_status_and_reason(tmp_path: Path) -> None:
    """What the log says of each line, under what the manifest wished of it."""
    text = HEADER + (
        "unlink,Leads,1,Campaigns,1\nunlink,Leads,1,Campaigns,2\nunlink,Leads,1,Campaigns,3\n"
        "link,Products,5,Deals,6\nfly,Leads,1,Campaigns,9\n"
    )
    made = log(
        planned(tmp_path, text),
        outcome(0.1, 5, "invalid", code="unknown_op", batch=None),
        outcome(1, 1),
        outcome(1, 2, "failed", code="INVALID_DATA", message="no such id"),
        outcome(1, 3, "failed", code="INVALID_DATA", message="no such id"),
        outcome(1, 4, "unchanged"),
    )
    figures = read_figures(made.run)

    found = {
        (each.op, each.module, each.status.value, each.code): each.lines for each in figures.shares
    }
    assert found == {
        ("unlink", "Leads", "succeeded", ""): 1,
        ("unlink", "Leads", "failed", "INVALID_DATA"): 2,
        ("link", "Products", "unchanged", ""): 1,
        ("", "", "invalid", "unknown_op"): 1,
    }
    assert (5, 2, 3, True) == (
        figures.settled,
        figures.wanted,
        figures.unwanted,
        figures.finished,
    )
    assert figures.reasons[0] == (Status.FAILED, "INVALID_DATA", "no such id", 2)
    assert [2, 3, 5] == [row["line"] for row in figures.failed]


def test_calls_reads_and_batches_are_those_of_the_log(tmp_path: Path) -> None:
    """A call each time that one was logged as sent; a batch once, however often it was sent."""
    made = log(
        unlinks(tmp_path, 3),
        note(0, "run.started"),
        note(0.5, "call.read", path="/crm/v8/x"),
        sent(1, 1),
        answer(2, 1),
        sent(3, 2),
        outcome(4, 1),
        outcome(4, 2),
        outcome(4, 3),
        sent(4, 3, batch=2),
        answer(4.5, 3, batch=2),
        note(5, "run.finished", reason=""),
    )
    figures = read_figures(made.run)

    assert (3, 2, 1) == (figures.calls, figures.batches, figures.reads)
    assert figures.calls_s == pytest.approx(1 + 1 + 0.5)


def test_the_parts_of_the_time_add_up_to_the_log(tmp_path: Path) -> None:
    """Every sent line, call and read is in the part that its moment falls in."""
    made = log(
        unlinks(tmp_path, 4),
        sent(0, 1),
        outcome(10, 1),
        outcome(20, 2, "failed"),
        note(20, "call.read", path="x"),
        outcome(39.9, 3),
        outcome(40, 4),
    )
    timeline = read_figures(made.run).timeline
    assert timeline is not None

    assert (BEGUN, BEGUN + 40, 0.5) == (timeline.begun, timeline.ended, timeline.width)
    assert len(timeline.calls) == 81
    filled = {
        status: {place: number for place, number in enumerate(values) if number}
        for status, values in timeline.settled.items()
    }
    assert filled == {"failed": {40: 1}, "succeeded": {20: 1, 79: 1, 80: 1}}
    assert (1, 1) == (timeline.calls[0], timeline.reads[40])


def test_open_calls_are_those_sent_and_not_over(tmp_path: Path) -> None:
    """A call is open until its answer, or its lines' outcomes if there is none."""
    made = log(
        unlinks(tmp_path, 2),
        sent(0, 1),
        sent(0.25, 2, batch=2),
        outcome(0.5, 1),
        answer(1.0, 2, batch=2),
        note(9, "run.finished", reason=""),
    )
    timeline = read_figures(made.run).timeline
    assert timeline is not None

    assert timeline.width == 0.05
    assert [1.0] * 5 == pytest.approx(timeline.open_mean[:5])
    assert [2.0] * 5 == pytest.approx(timeline.open_mean[5:10])
    assert [1.0] * 10 == pytest.approx(timeline.open_mean[10:20], abs=1e-3)
    assert (2, 0) == (max(timeline.open_most), timeline.open_most[30])


def test_a_killed_process_leaves_no_call_open(tmp_path: Path) -> None:
    """Nobody heard the answer; the call is over with the process that waited for it."""
    made = log(
        unlinks(tmp_path, 1),
        note(0, "run.started"),
        sent(1, 1),
        note(3, "call.read", path="x"),
        note(10, "run.started"),
        sent(11, 2),
        outcome(12, 1),
        note(12, "run.finished", reason=""),
    )
    figures = read_figures(made.run)
    assert figures.timeline is not None

    assert figures.calls_s == pytest.approx(2 + 1)
    (span,) = figures.timeline.breaks
    assert (BEGUN + 3, BEGUN + 10) == (span.begun, span.ended)
    assert 7 == figures.timeline.away_s


def test_holds_have_their_reason_and_their_time(tmp_path: Path) -> None:
    """Two at once count once; one that nobody ended lasts as long as the log."""
    made = log(
        unlinks(tmp_path, 1),
        note(0, "run.started"),
        note(10, "run.held", reason="ctl"),
        note(12, "run.held", reason="window"),
        note(15, "run.released", reason="ctl"),
        note(20, "run.released", reason="window"),
        note(30, "run.held", reason="pause file"),
        note(40, "call.read", path="x"),
    )
    timeline = read_figures(made.run).timeline
    assert timeline is not None

    found = [
        (each.reason, each.begun - BEGUN, each.ended - BEGUN, each.open) for each in timeline.holds
    ]
    assert found == [
        ("ctl", 10, 15, False),
        ("window", 12, 20, False),
        ("pause file", 30, 40, True),
    ]
    assert timeline.held_s == 10 + 10


def test_remote_jobs_last_until_the_last_of_their_lines_is_settled(tmp_path: Path) -> None:
    """From the first line that was scheduled under an id; a job that did not end has no time."""
    made = log(
        unlinks(tmp_path, 4),
        job(0, 1, "7"),
        job(1, 2, "7"),
        job(1, 3, "8"),
        job(1, 4, "9"),
        outcome(10, 1, job_id="7"),
        outcome(20, 2, job_id="7"),
        outcome(3.5, 3, job_id="8"),
    )
    jobs = read_figures(made.run).jobs

    assert (3, 2, 20.0) == (jobs.begun, jobs.ended, jobs.most_s)
    assert 2 == sum(jobs.classes)


def test_a_run_that_stopped_says_why_until_it_goes_on(tmp_path: Path) -> None:
    """The reason is that of the last process, and none while another is at work."""
    stopped = (note(0, "run.started"), note(5, "run.stopped", reason="out of credits"))
    made = log(unlinks(tmp_path, 2), *stopped)
    assert "out of credits" == read_figures(made.run).stopped

    log(made, *stopped, note(9, "run.started"))
    assert "" == read_figures(made.run).stopped


def test_a_planned_run_has_a_plan_alone(tmp_path: Path) -> None:
    """Nothing was sent: there is no log, and no time."""
    told = to_json(read_figures(unlinks(tmp_path, 2).run))

    assert ("planned", 2, 0, 0) == (told["state"], told["rows"], told["settled"], told["calls"])
    assert "timeline" not in told


def test_no_run_is_an_error_that_says_so(tmp_path: Path) -> None:
    """A folder without a run has no figures."""
    with pytest.raises(UsageError, match="there is no run here"):
        read_figures(RunDirectory(tmp_path))


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """The log of a run that is being written may end in the middle of a line."""
    made = log(unlinks(tmp_path, 2), outcome(1, 1))
    with made.run.checkpoint.open("ab") as file:
        file.write(b'{"type":"outcome","line":2,"sta')
    assert 1 == read_figures(made.run).settled


@pytest.mark.parametrize("text", ["[]", "{", '{"checked": "many"}', '{"checked": null}'])
def test_a_strange_verification_does_not_keep_a_report_from_being_made(
    tmp_path: Path, text: str
) -> None:
    """It is said to be there, and nothing of it is told."""
    made = log(unlinks(tmp_path, 1), outcome(1, 1))
    (made.run.path / "verification.json").write_text(text, encoding="utf-8")
    assert {} == read_figures(made.run).verification


_LINES = 12
_CODES = st.sampled_from(["", "INVALID_DATA", "LIMIT_EXCEEDED"])
_OUTCOMES = st.lists(
    st.tuples(st.integers(1, _LINES), st.sampled_from(["succeeded", "failed", "invalid"]), _CODES),
    unique_by=lambda each: each[0],
)
_CHANGING = st.lists(
    st.tuples(st.integers(1, _LINES), st.sampled_from(["unknown", "skipped"]), _CODES)
)


@_SETTINGS
@given(final=_OUTCOMES, changing=_CHANGING, pending=st.sets(st.integers(1, _LINES)))
def test_counting_with_bits_is_counting_by_the_join(
    tmp_path: Path,
    final: list[tuple[int, str, str]],
    changing: list[tuple[int, str, str]],
    pending: set[int],
) -> None:
    """Long logs are counted another way than short ones; nobody can tell which."""
    run = RunDirectory(tmp_path / "runs" / "only")
    if not run.description.exists():
        text = HEADER + "".join(
            f"unlink,{'Leads,1,Campaigns' if each % 3 else 'Products,1,Deals'},{each}\n"
            for each in range(1, _LINES + 1)
        )
        planned(tmp_path, text).run.path.rename(run.path)
    log(
        load(run),
        *(job(0, line, "1") for line in sorted(pending)),
        *(outcome(1, line, status, code=code) for line, status, code in changing),
        *(outcome(2, line, status, code=code) for line, status, code in final),
    )
    by_join = count(run, _LINES, most=3, long_bytes=1 << 40)
    by_bits = count(run, _LINES, most=3, long_bytes=0)

    def told(counts: object) -> Counter[tuple[str, ...]]:
        return Counter(
            {
                (each.op, each.module, each.status, each.code): each.lines
                for each in counts.shares  # type: ignore[attr-defined]
            }
        )

    assert told(by_join) == told(by_bits)
    unfinished = {line for line, status, _ in final if status != "succeeded"} | {
        line for line, _, _ in changing if line not in {each[0] for each in final}
    }
    if len(unfinished) >= 3:
        assert by_bits.until >= sorted(unfinished)[2]
