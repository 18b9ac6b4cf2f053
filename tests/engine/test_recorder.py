"""When a run stops for good: too large a share failed, or too many one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.engine.recorder import Recorder, Thresholds
from bulkops.errors import ExitCode
from bulkops.files.checkpoint import Checkpoint
from bulkops.model import Batch, Outcome, Route, Status
from bulkops.rules.progress import Progress
from bulkops.rules.tally import Tally
from bulkops.wire.stop import Stop

BATCH = Batch(1, "unlink", Route("Products", "1", "Deals"), ())
ANY_RATIO = 1.0


@asynccontextmanager
async def recording(path: Path, thresholds: Thresholds) -> AsyncIterator[tuple[Recorder, Stop]]:
    stop = Stop()
    async with Checkpoint(path / "checkpoint.jsonl", fsync=False) as checkpoint:
        recorder = Recorder(
            checkpoint, Progress(rows=10**6), thresholds=thresholds, stop=stop, tally=Tally()
        )
        yield recorder, stop


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([Status.FAILED, Status.SUCCEEDED, Status.UNKNOWN]), max_size=30),
    st.integers(0, 5),
)
async def test_a_run_stops_at_the_given_number_of_failures_in_a_row(
    tmp_path_factory: pytest.TempPathFactory, statuses: list[Status], most: int
) -> None:
    """Neither before nor after; a success in between begins the count anew; 0 is never."""
    thresholds = Thresholds(ANY_RATIO, 0, most)
    folder = tmp_path_factory.mktemp("row")
    rows = [len(list(group)) for good, group in groupby(statuses, _is_good) if not good]
    async with recording(folder, thresholds) as (recorder, stop):
        for line, status in enumerate(statuses, 1):
            recorder.settle(Outcome(line, status), batch=BATCH)
        assert stop.asked == (most > 0 and any(row >= most for row in rows))
        if stop.reason is not None:
            assert stop.reason.exit_code == ExitCode.STOPPED
            assert f"{most} lines have failed one after the other" in str(stop.reason)


def _is_good(status: Status) -> bool:
    return status is Status.SUCCEEDED


async def test_what_was_not_sent_or_went_with_its_group_says_nothing(tmp_path: Path) -> None:
    """Invalid rows and aborted groups stop no run: the others may fare well."""
    async with recording(tmp_path, Thresholds(0.0, 0, 2)) as (recorder, stop):
        for line in range(1, 10):
            recorder.settle(Outcome(line, Status.INVALID))
        for line in range(10, 20):
            recorder.settle(Outcome(line, Status.FAILED), batch=BATCH, aborted=True)
        for line in range(20, 30):
            recorder.settle(Outcome(line, Status.SKIPPED), batch=BATCH, aborted=True)
        assert not stop.asked


async def test_the_ratio_counts_from_a_number_of_lines_on(tmp_path: Path) -> None:
    """So that the first failure of a run is not all of it."""
    async with recording(tmp_path, Thresholds(0.1, 10)) as (recorder, stop):
        for line in range(1, 10):
            recorder.settle(Outcome(line, Status.FAILED), batch=BATCH)
        assert not stop.asked
        recorder.settle(Outcome(10, Status.SUCCEEDED), batch=BATCH)
        assert "9 of 10 lines sent have failed, more than failed_ratio = 0.1" in str(stop.reason)


async def test_the_log_says_what_went_with_an_aborted_group(tmp_path: Path) -> None:
    """Of failed and skipped lines only: what the same call did for others is done."""
    async with recording(tmp_path, Thresholds(ANY_RATIO, 0)) as (recorder, _):
        for line, status in enumerate((Status.FAILED, Status.SKIPPED, Status.SUCCEEDED), 1):
            recorder.settle(Outcome(line, status), batch=BATCH, aborted=True)
        recorder.settle(Outcome(4, Status.FAILED), batch=BATCH)
    lines = (tmp_path / "checkpoint.jsonl").read_bytes().splitlines()
    records = [orjson.loads(line) for line in lines]
    assert [each.get("aborted") for each in records] == [True, True, None, None]
