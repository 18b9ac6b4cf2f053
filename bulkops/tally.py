"""
The running counts of a run, for its display, its thresholds and its summary.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bulkops.model import WANTED, Outcome, Status


@dataclass(slots=True)
class Tally:
    """
    What is done so far. `fresh_*` count since this process began, the others since the run did.
    """

    rows: int = 0
    planned_calls: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    pending: int = 0
    calls: int = 0
    fresh_calls: int = 0
    fresh_settled: int = 0
    fresh_failed: int = 0
    failed_in_a_row: int = 0
    retries: int = 0
    throttled: int = 0
    reads: int = 0
    #: Why no call leaves now, in words; empty while they do.
    held: tuple[str, ...] = ()

    @property
    def settled(self) -> int:
        """Lines that have their terminal outcome."""
        return self.statuses.total()

    @property
    def wanted(self) -> bool:
        """Whether every settled line is in its wanted state. Duplicates share another's fate."""
        return all(
            status in WANTED or status is Status.DUPLICATE
            for status, count in self.statuses.items()
            if count
        )

    def add(self, outcome: Outcome, *, sent: bool) -> None:
        """Count one settled line; `sent` ones count towards the thresholds of `[stop]`."""
        self.statuses[outcome.status] += 1
        if sent:
            self.fresh_settled += 1
            failed = outcome.status in {Status.FAILED, Status.UNKNOWN}
            self.fresh_failed += failed
            self.failed_in_a_row = self.failed_in_a_row + 1 if failed else 0
