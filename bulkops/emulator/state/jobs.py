"""
Territory changes the server runs later.

A job is pending until it is due by the clock, or until it has been looked at often enough; only
then does it change the record, or silently does not. What ends a job is decided here; what it does
to the record is decided by the organisation.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class JobKind(StrEnum):
    """What a job does; the values are the `source` of the feature-info answer."""

    #: takes the record out of the territories
    REMOVAL = "manual_territory_removal"
    #: puts the record into the territories
    ASSIGNMENT = "manual_territory_assignment"
    #: a rule puts a new record into the territories; no call makes these two, only a seed
    CREATION = "creation"
    #: a rule does so with a changed record
    UPDATE = "update"


class JobState(StrEnum):
    """Where a job is."""

    #: scheduled, no effect yet
    PENDING = "pending"
    #: ended, and the record was changed
    DONE = "done"
    #: ended without effect, and nobody is told
    FAILED = "failed"


@dataclass(slots=True)
class Job:
    """One scheduled change of one record; `due` is in clock seconds, `looks` counts down."""

    id: str
    module: str
    record_id: str
    kind: JobKind
    territories: tuple[str, ...]
    due: float
    looks: int
    fails: bool
    stuck: bool
    state: JobState = JobState.PENDING


class JobQueue:
    """Pending jobs by record (one a record), and the ones that ended."""

    __slots__ = ("_by_due", "_pending", "_sequence", "ended")

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], Job] = {}
        self._by_due: list[tuple[float, int, Job]] = []
        self._sequence = 0
        self.ended: list[Job] = []

    def __len__(self) -> int:
        return len(self._pending)

    def pending(self, module: str, record_id: str) -> Job | None:
        """The job a record waits for."""
        return self._pending.get((module, record_id))

    def pending_of(self, module: str) -> Iterator[Job]:
        """All pending jobs of a module."""
        return (job for job in self._pending.values() if job.module == module)

    def all_pending(self) -> list[Job]:
        """Every pending job, oldest first."""
        return list(self._pending.values())

    def add(self, job: Job) -> None:
        """Schedule a job for a record that has none."""
        self._pending[job.module, job.record_id] = job
        self._sequence += 1
        if not job.stuck and job.looks == 0:
            heapq.heappush(self._by_due, (job.due, self._sequence, job))

    def look(self, job: Job) -> bool:
        """Count one look at a job; return whether that look ended it."""
        if job.stuck or job.looks == 0:
            return False
        job.looks -= 1
        return job.looks == 0

    def is_any_due(self, now: float) -> bool:
        """Whether the time of a job has come."""
        return bool(self._by_due) and self._by_due[0][0] <= now

    def due(self, now: float) -> Iterator[Job]:
        """Take out, one by one, the jobs whose time has come."""
        while self._by_due and self._by_due[0][0] <= now:
            yield heapq.heappop(self._by_due)[2]

    def end(self, job: Job) -> None:
        """Move a job from pending to ended; its state says how it ended."""
        del self._pending[job.module, job.record_id]
        job.state = JobState.FAILED if job.fails else JobState.DONE
        self.ended.append(job)
