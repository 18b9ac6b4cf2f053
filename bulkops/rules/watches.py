"""
What waits for remote jobs, record by record, and when to look: values and rules, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from bulkops.model import Batch, Operation


@dataclass(frozen=True, slots=True)
class Awaited:
    """
    An operation that waits for a remote job: its own (`job_id`), or another's on its record.
    """

    batch: Batch
    operation: Operation
    job_id: str | None
    attempts: int
    doubtful: bool = False
    resent: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether what the record shows may be the work of a call of ours."""
        return self.job_id is not None or self.doubtful


@dataclass(frozen=True, slots=True)
class Intervals:
    """
    When to ask: after `first_s`, then twice as long each time up to `longest_s`.

    A record whose job is still listed `give_up_s` after it was seen first is left to a later
    run.
    """

    first_s: float
    longest_s: float
    give_up_s: float

    def after(self, interval: float) -> float:
        """Return the interval that follows `interval`."""
        return min(interval * 2, self.longest_s)


@dataclass(slots=True)
class Watch:
    """One record with pending work."""

    module: str
    record_id: str
    since: float
    due: float
    interval: float
    awaited: list[Awaited] = field(default_factory=list)


class Watches:
    """
    The records that are watched, each with the lines that wait for it.
    """

    def __init__(self, intervals: Intervals) -> None:
        self._intervals = intervals
        self._watches: dict[tuple[str, str], Watch] = {}
        self._busy: dict[tuple[str, str], tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    @property
    def next_due(self) -> float:
        """When to look next, as a time of the loop; infinity if nothing is watched."""
        return min((watch.due for watch in self._watches.values()), default=math.inf)

    def add(self, awaited: Awaited, now: float) -> None:
        """Watch the record of one more operation."""
        key = (awaited.batch.route.module, awaited.operation.item)
        # A record that is busy time and again is asked about ever more rarely.
        since, interval = self._busy.get(key, (now, self._intervals.first_s))
        # Whole ticks let records that were scheduled at about the same time share a call.
        due = math.ceil((now + interval) / interval) * interval
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch(*key, since=since, due=due, interval=interval)
        watch.due, watch.interval = min(watch.due, due), min(watch.interval, interval)
        watch.awaited.append(awaited)

    def due(self, now: float) -> dict[str, list[Watch]]:
        """Return the records to look at now, by module."""
        by_module: dict[str, list[Watch]] = {}
        for watch in self._watches.values():
            if watch.due <= now:
                by_module.setdefault(watch.module, []).append(watch)
        return by_module

    def look_later(self, watch: Watch, now: float) -> int:
        """
        Set the time of the next look at a record that was looked at.

        Return how many lines are left to a later run, because it has been watched for too long.
        """
        if watch.awaited and now - watch.since < self._intervals.give_up_s:
            watch.interval = self._intervals.after(watch.interval)
            watch.due = now + watch.interval
            return 0
        del self._watches[watch.module, watch.record_id]
        return len(watch.awaited)

    def is_late(self, watch: Watch, awaited: Awaited, now: float) -> bool:
        """Whether a record that others keep busy has been waited for long enough."""
        return awaited.job_id is None and now - watch.since >= self._intervals.give_up_s

    def sent_again(self, watch: Watch, awaited: Awaited) -> Awaited:
        """Return what is sent again; a mere waiter's record is remembered as busy."""
        if awaited.job_id is None:
            interval = self._intervals.after(watch.interval)
            self._busy[watch.module, watch.record_id] = (watch.since, interval)
        return replace(awaited, resent=awaited.resent or awaited.job_id is not None)


def is_pending(awaited: Sequence[Awaited], jobs: Collection[str]) -> bool:
    """Whether a job that these lines of one record wait for is among those listed for it."""
    return any(bool(jobs) if not each.job_id else each.job_id in jobs for each in awaited)


def by_batch(again: Iterable[Awaited]) -> list[list[Awaited]]:
    """Group what is sent again by the batch it came from, and by whether it had its chance."""
    groups: dict[tuple[int, bool], list[Awaited]] = {}
    for each in again:
        groups.setdefault((each.batch.number, each.resent), []).append(each)
    return list(groups.values())
