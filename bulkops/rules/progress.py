"""
Where a run stands by its log: compact enough for ten million lines, each with a call of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkops.model import Status
from bulkops.rules.calls import Calls
from bulkops.rules.line_set import LineSet


@dataclass(slots=True)
class Progress:
    """
    Where a run stands, by its log alone.

    `unknown` lines have an outcome, but one that a later run asks about again. `stopped` are the
    settled lines of aborted groups, by their status: `reopen` makes them open again. `reopened`
    keeps those that were, each time, and how many calls had been sent then.
    """

    rows: int = 0
    plan: str = ""
    settled: LineSet = field(default_factory=LineSet)
    stopped: dict[Status, LineSet] = field(default_factory=dict)
    reopened: list[tuple[LineSet, int]] = field(default_factory=list)
    unknown: set[int] = field(default_factory=set)
    statuses: Counter[Status] = field(default_factory=Counter)
    jobs: dict[int, str] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    #: By call, the lines that its answer left in doubt.
    left: dict[int, frozenset[int]] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)
    capacities: dict[str, int] = field(default_factory=dict)
    reads: int = 0
    stop: str = ""
    repaired: bool = False

    @property
    def finished(self) -> bool:
        """Whether every line of the manifest has an outcome."""
        return len(self.settled) + len(self.unknown) >= self.rows

    def doubts(self, batch: int, line: int) -> bool:
        """Whether an earlier try of `line`, which travels in `batch`, met silence."""
        # What a repair cut off may have said that the line was sent.
        return self.repaired or line in self.doubtful or bool(self._in_flight(batch, line))

    def doubted(self, batch: int, lines: Collection[int]) -> frozenset[int]:
        """Return those of `lines`, which travel in `batch`, that `doubts` holds for."""
        if not (self.repaired or self.doubtful or self.calls.of(batch)):
            return frozenset()
        return frozenset(line for line in lines if self.doubts(batch, line))

    def _in_flight(self, batch: int, line: int) -> list[int]:
        # A line that was settled, and is open again, had the answer to what was sent before.
        after = max((calls for lines, calls in self.reopened if line in lines), default=0)
        return self.calls.in_flight(batch, line, after=after)

    def silences(self, batch: int, lines: Collection[int]) -> frozenset[frozenset[int]]:
        """
        Return which of `lines`, all doubtful, each call of `batch` may have changed unheard.

        A line stands alone where the log does not name its call: only its own answer tells.
        """
        wanted = frozenset(lines)
        calls = {each: set(wanted & self.left.get(each, set())) for each in self.calls.of(batch)}
        for line in wanted:
            for call in self._in_flight(batch, line):
                calls[call].add(line)
        named = set[int]().union(*calls.values()) if not self.repaired else set[int]()
        alone = (frozenset({line}) for line in wanted - named)
        return frozenset({*map(frozenset, filter(None, calls.values())), *alone})

    def settle(
        self, lines: Collection[int], status: Status, *, aborted: bool = False
    ) -> Sequence[int]:
        """
        Take note of the outcome of some lines; return those for which it is news.

        Only `unknown` may be replaced.
        """
        if status is Status.UNKNOWN:
            known = self.settled, self.unknown
            news: Sequence[int] = [
                line for line in lines if not any(line in each for each in known)
            ]
            self.unknown.update(news)
            self.doubtful.update(news)
        else:
            news = self.settled.update(lines)
            if self.unknown:
                self.statuses[Status.UNKNOWN] -= len(self.unknown.intersection(news))
                self.unknown.difference_update(news)
            if self.doubtful:
                self.doubtful.difference_update(news)
            if status is Status.SKIPPED or (aborted and status is Status.FAILED):
                self.stopped.setdefault(status, LineSet()).update(news)
        self.statuses[status] += len(news)
        if self.jobs:
            for line in news:
                self.jobs.pop(line, None)
        return news

    def reopen(self) -> int:
        """Make the lines of aborted groups open, as if they had no outcome; return how many."""
        for status, lines in self.stopped.items():
            self.settled.discard(lines)
            self.statuses[status] -= len(lines)
            self.open_again(lines, self.calls.count)
        count = sum(map(len, self.stopped.values()))
        self.stopped = {}
        return count

    def open_again(self, lines: LineSet, calls: int) -> None:
        """Forget the doubts about lines that were settled: `calls` of the run had their answer."""
        self.reopened.append((lines, calls))
        if self.left and lines:
            kept = {
                call: frozenset(line for line in left if line not in lines)
                for call, left in self.left.items()
            }
            self.left = {call: left for call, left in kept.items() if left}

    def take(self, record: Mapping[str, Any]) -> None:
        """
        Apply one record of the log.

        Raises `KeyError`, `TypeError` or `ValueError` for one that is not a record of ours.
        """
        match record["type"]:
            case "outcome":
                aborted = record.get("aborted", False)
                self.settle((record["line"],), Status(record["status"]), aborted=aborted)
            case "sent":
                lines = record.get("lines")
                carried = None if lines is None else frozenset(lines)
                self.calls.send(record["batch"], record["call"], carried)
                self.stop = ""
            case "answer":
                self.calls.answer(record["call"])
                doubtful = [line for line in record.get("doubtful", ()) if line not in self.settled]
                self.doubtful.update(doubtful)
                if doubtful:
                    before = self.left.get(record["call"], frozenset())
                    self.left[record["call"]] = before.union(doubtful)
            case "job":
                if record["line"] not in self.settled and record["line"] not in self.unknown:
                    self.jobs[record["line"]] = record["job_id"]
            case "note":
                self._take_note(record)
            case "run":
                self.rows, self.plan = record["rows"], record["plan"]
            case _:
                # A later version may add types; the schema guards the known ones.
                pass

    def _take_note(self, record: Mapping[str, Any]) -> None:
        match record["event"]:
            case "capacity.learnt":
                self.capacities[record["spec"]] = record["limit"]
            case "run.stopped":
                self.stop = record.get("reason", "")
            case "call.read":
                self.reads += 1
            case "run.reopened":
                self.reopen()
            case "log.repaired":
                self.repaired = True
