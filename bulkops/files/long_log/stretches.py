"""
What the one pass over a long log gathers, stretch by stretch: from one reopening to the next.

Within a stretch nothing depends on the order of its records, or it is refused as unusual. Lines
are bits of whole numbers, so that millions of them are settled, or opened again, at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import orjson

from bulkops.files.long_log.sent import Sent
from bulkops.model import Status
from bulkops.rules.line_set import LineSet
from bulkops.rules.progress import Progress


class UnusualLogError(ValueError):
    """Only the exact reading can judge this log."""


@dataclass(slots=True)
class _Stretch:
    """
    What a part of the log says of its lines, without order.
    """

    outcomes: list[tuple[Status, bool, int, int]] = field(default_factory=list)
    unknown: int = 0
    jobs: int = 0
    sent: int = 0
    answers: list[Mapping[str, Any]] = field(default_factory=list)


class Gathered:
    """
    The groups of the one pass. `add_to` makes a run's progress of them, once all are taken.
    """

    def __init__(self) -> None:
        self._stretches: dict[int, _Stretch] = {}
        self._sent = Sent()
        self._headers = self._reads = 0
        self._carrying: dict[int, Mapping[str, Any]] = {}
        self._capacities: dict[str, int] = {}
        self._repaired = False
        self._settled = self._unknown = 0
        self._stopped: dict[Status, int] = {}
        #: The lines that have a job and no outcome.
        self.open_jobs = 0
        #: Whether the log says that the run was stopped, whenever that was.
        self.stopped = False
        #: How often stopped lines were opened again.
        self.reopened = 0

    def take_all(self, result: duckdb.DuckDBPyConnection) -> None:
        """
        Take all groups, one at a time: each may hold many calls.

        Raises `UnusualLogError`, or what `Progress.take` raises, for what is not as we write it.
        """
        while row := result.fetchone():
            self._take(row)
        if self._headers != 1:
            raise UnusualLogError("two headers")

    def _take(self, row: Sequence[Any]) -> None:
        number, kind, status, event, aborted, count, digits, part, gap, calls, others = row
        stretch = self._stretches.setdefault(number, _Stretch())
        match kind:
            case "outcome":
                self._take_outcomes(stretch, Status(status), bool(aborted), count, _bits(digits))
            case "job":
                stretch.jobs |= _bits(digits)
            case "sent":
                stretch.sent += count
            case "run":
                self._headers += count
            case "note":
                self._take_notes(event, count)
            case None:
                raise UnusualLogError("a record without a type")
        if calls:
            self._sent.add(part, gap, calls)
        for record in others or ():
            self._take_other(
                stretch, {key: each for key, each in record.items() if each is not None}
            )

    def _take_outcomes(
        self, stretch: _Stretch, status: Status, aborted: bool, count: int, bits: int
    ) -> None:
        if status is Status.UNKNOWN:
            stretch.unknown |= bits
            return
        may_reopen = status is Status.SKIPPED or (aborted and status is Status.FAILED)
        stretch.outcomes.append((status, may_reopen, count, bits))

    def _take_notes(self, event: str | None, count: int) -> None:
        match event:
            case "call.read":
                self._reads += count
            case "run.stopped":
                self.stopped = True
            case "log.repaired":
                self._repaired = True
            case "run.reopened":
                self.reopened += count
            case None:
                raise UnusualLogError("a note without an event")

    def _take_other(self, stretch: _Stretch, record: Mapping[str, Any]) -> None:
        if record["type"] == "answer":
            stretch.answers.append(record)
        elif record["type"] == "sent":
            # Of two calls of one number the later counts, and which that is nobody knows here.
            if record["call"] in self._carrying:
                raise UnusualLogError("two calls of one number")
            lines = orjson.loads(record["lines"])
            self._carrying[record["call"]] = {**record, "lines": lines}
        elif record.get("event") == "capacity.learnt":
            # Only ever smaller ones are learnt, so the least is the last.
            spec, limit = record["spec"], record["limit"]
            self._capacities[spec] = min(limit, self._capacities.get(spec, limit))

    def add_to(self, progress: Progress) -> None:
        """Make `progress`, which has seen nothing but the header, that of the whole log."""
        self._sent.add_to(progress.calls)
        for record in self._carrying.values():
            progress.take(record)
        progress.capacities.update(self._capacities)
        progress.reads, progress.repaired = self._reads, self._repaired
        calls = 0
        for number, stretch in sorted(self._stretches.items()):
            if number:
                self._reopen(progress, calls)
            self._settle(progress, stretch)
            calls += stretch.sent
        progress.settled = _lines(self._settled)
        progress.stopped = {status: _lines(bits) for status, bits in self._stopped.items()}
        progress.unknown = set(_numbers(self._unknown))
        progress.doubtful |= progress.unknown
        if progress.unknown:
            progress.statuses[Status.UNKNOWN] = len(progress.unknown)

    def _settle(self, progress: Progress, stretch: _Stretch) -> None:
        """Settle the lines of a stretch. What it says else is about those that are left."""
        for status, may_reopen, count, bits in stretch.outcomes:
            if bits & self._settled or bits.bit_count() != count:
                raise UnusualLogError("two outcomes of a line")
            self._settled |= bits
            progress.statuses[status] += count
            if may_reopen:
                self._stopped[status] = self._stopped.get(status, 0) | bits
        self._unknown = (self._unknown | stretch.unknown) & ~self._settled
        self.open_jobs = (self.open_jobs | stretch.jobs) & ~self._settled & ~self._unknown
        settled = progress.settled = _lines(self._settled)
        progress.doubtful -= {line for line in progress.doubtful if line in settled}
        for record in stretch.answers:
            progress.take(record)

    def _reopen(self, progress: Progress, calls: int) -> None:
        """Open the stopped lines again, as `Progress.reopen` does, after so many calls."""
        for status, bits in self._stopped.items():
            self._settled &= ~bits
            progress.statuses[status] -= bits.bit_count()
            progress.open_again(_lines(bits), calls)
        self._stopped = {}


def _bits(digits: str | None) -> int:
    """Return the number whose bits DuckDB writes as `digits`, the lowest first."""
    return int(digits[::-1], 2) if digits else 0


def _lines(bits: int) -> LineSet:
    return LineSet.from_text(f"{bits:b}"[::-1])


def _numbers(bits: int) -> list[int]:
    """Return which bits are set; few of a great many, as a rule."""
    found = []
    while bits:
        found.append(bits.bit_length() - 1)
        bits ^= 1 << found[-1]
    return found
