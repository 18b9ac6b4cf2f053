"""
What happens during a run, for whoever iterates over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkops.errors import ExitCode
from bulkops.model import Outcome, Status


@dataclass(frozen=True, slots=True)
class Settled:
    """
    Lines that have their outcome. It is in the log, safe from a power cut, before it is told.

    In the order of the log. A line that an earlier run left `unknown`, or whose group was aborted,
    may be told a second time; the last word counts.
    """

    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Where the run stands, as the live display draws it.

    `state` is `running`, `holding` or `ending`; `held` are the reasons why no call leaves, with
    words. `seconds_left` is `None` while the end is not in sight. `status` is all of it, in the
    shape of `bulkops status --json`.
    """

    state: str
    rows: int
    settled: int
    statuses: Mapping[Status, int]
    calls: int
    planned_calls: int
    in_flight: int
    lines_per_second: float
    seconds_left: float | None
    held: Mapping[str, str]
    status: Mapping[str, Any]

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> Progress:
        """Return what a status of a running process says."""
        return cls(
            state=status["state"],
            rows=status["rows"],
            settled=status["settled"],
            statuses={Status(name): each for name, each in status["statuses"].items()},
            calls=status["calls"],
            planned_calls=status["planned_calls"],
            in_flight=status["in_flight"],
            lines_per_second=status["rates"]["lines_per_second"],
            seconds_left=status["end"]["seconds"],
            held=status["held"],
            status=status,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """
    How it ended: always the last event.

    `code` is what the program would exit with. `reason` is empty unless the run ended before every
    line was settled; then the same plan, run again, goes on. `statuses` and `calls` are those of
    the whole run, `reads`, `retries` and `throttled` those of this process.
    """

    code: ExitCode
    reason: str = ""
    run: Path
    rows: int
    statuses: Mapping[Status, int]
    calls: int = 0
    reads: int = 0
    retries: int = 0
    throttled: int = 0


Event = Settled | Progress | Finished
