"""
The running counts of a run, for its display, its thresholds and its summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bulkops.model import WANTED, Outcome, Status

#: What keeps a line from its wanted state, and is worth an explanation.
REFUSALS: Final = frozenset(
    {Status.FAILED, Status.INVALID, Status.CONFLICT, Status.SKIPPED, Status.UNKNOWN}
)
#: Codes that are told apart; a server that makes up more of them is not remembered by each.
_MOST_CODES: Final = 200
_LONGEST_EXAMPLE: Final = 200
#: Stands for all codes beyond those.
OTHER_CODES: Final = "other_codes"


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    So many lines ended in one status for one reason; `example` is what was said of one of them.
    """

    status: Status
    code: str
    lines: int
    example: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "status": self.status.value,
            "code": self.code,
            "lines": self.lines,
            "example": self.example,
        }


class Refusals:
    """
    Why lines are not in their wanted state, by status and code: counts and one example of each.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[Status, str], Refusal] = {}

    def add(self, status: Status, code: str, example: str, lines: int = 1) -> None:
        """Count lines that were refused; statuses of other lines are left out."""
        if status not in REFUSALS:
            return
        key = (status, code)
        if key not in self._found and len(self._found) >= _MOST_CODES:
            key = (status, OTHER_CODES)
        known = self._found.get(key)
        if known is None:
            self._found[key] = Refusal(*key, lines, example[:_LONGEST_EXAMPLE])
        else:
            self._found[key] = Refusal(*key, known.lines + lines, known.example)

    def most_frequent(self, number: int) -> list[Refusal]:
        """Return the first of them, most lines first. May be called from another thread."""
        found = [*self._found.copy().values()]
        found.sort(key=lambda each: (-each.lines, each.status, each.code))
        return found[:number]


@dataclass(slots=True)
class Tally:
    """
    What is done so far. `fresh_*` count since this process began, the others since the run did.
    """

    rows: int = 0
    planned_calls: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    #: Lines that wait for remote jobs now, and all that ever did since this process began.
    pending: int = 0
    followed: int = 0
    #: Batches that wait for their time, as with a locked record.
    parked: int = 0
    #: Lines that the plan sends.
    planned_lines: int = 0
    calls: int = 0
    fresh_calls: int = 0
    #: Seconds that the fresh calls were under way, all together.
    under_way_s: float = 0.0
    fresh_settled: int = 0
    fresh_failed: int = 0
    failed_in_a_row: int = 0
    retries: int = 0
    throttled: int = 0
    reads: int = 0
    #: Why no call leaves now, in words; empty while they do.
    held: tuple[str, ...] = ()
    refusals: Refusals = field(default_factory=Refusals)

    @property
    def settled(self) -> int:
        """Lines that have their terminal outcome."""
        return self.statuses.total()

    @property
    def latency_s(self) -> float | None:
        """Seconds that a call takes, on average; `None` before the first."""
        return self.under_way_s / self.fresh_calls if self.fresh_calls else None

    @property
    def calls_left(self) -> int:
        """The calls still to be made, by the plan's share of the lines that were not sent."""
        if not self.planned_lines:
            return 0
        left = max(0, min(self.rows - self.settled - self.pending, self.planned_lines))
        return -(-self.planned_calls * left // self.planned_lines)

    @property
    def wanted(self) -> bool:
        """Whether every settled line is in its wanted state. Duplicates share another's fate."""
        return all(
            status in WANTED or status is Status.DUPLICATE
            for status, count in self.statuses.items()
            if count
        )

    def add(self, outcome: Outcome, *, lines: int = 1, sent: bool, found_out: int = 0) -> None:
        """
        Count settled lines of one outcome; `sent` ones count towards the thresholds of `[stop]`.

        `found_out` is how many of them were unknown until now.
        """
        if found_out:
            self.statuses[Status.UNKNOWN] -= found_out
        self.statuses[outcome.status] += lines
        self.refusals.add(outcome.status, outcome.code, outcome.message, lines)
        if sent:
            self.fresh_settled += lines
            failed = lines if outcome.status in {Status.FAILED, Status.UNKNOWN} else 0
            self.fresh_failed += failed
            self.failed_in_a_row = self.failed_in_a_row + failed if failed else 0

    def to_json(self) -> Mapping[str, Any]:
        """Return the counts for people and machines. May be called from another thread."""
        return {
            "rows": self.rows,
            "settled": self.settled,
            "statuses": {
                status.value: count for status, count in self.statuses.copy().items() if count
            },
            "pending": self.pending,
            "followed": self.followed,
            "parked": self.parked,
            "calls": self.calls,
            "planned_calls": self.planned_calls,
            "reads": self.reads,
            "retries": self.retries,
            "throttled": self.throttled,
            "refusals": [each.to_json() for each in self.refusals.most_frequent(3)],
        }
