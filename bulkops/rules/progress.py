"""
Where a run stands by its log: compact enough for ten million lines and half a million calls.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkops.model import Status


class LineSet:
    """
    A set of line numbers, one bit each.
    """

    __slots__ = ("_bits", "_count")

    def __init__(self, bits: bytes = b"") -> None:
        """Begin with the lines whose bit is set in `bits`, the lowest of the first byte being 0."""
        self._bits = bytearray(bits)
        self._count = int.from_bytes(bits, "little").bit_count()

    def add(self, line: int) -> bool:
        """Add a line; return whether it is new."""
        return bool(self.update((line,)))

    def update(self, lines: Collection[int]) -> list[int]:
        """Add lines; return those that are new."""
        bits, news = self._bits, []
        end = (max(lines, default=0) >> 3) + 1
        if end > len(bits):
            bits.extend(bytes(max(end - len(bits), 4096)))
        for line in lines:
            index, bit = line >> 3, 1 << (line & 7)
            if not bits[index] & bit:
                bits[index] |= bit
                news.append(line)
        self._count += len(news)
        return news

    def discard(self, lines: LineSet) -> None:
        """Take out those of `lines` that are in it."""
        kept = int.from_bytes(self._bits, "little") & ~int.from_bytes(lines._bits, "little")
        self._bits = bytearray(kept.to_bytes(len(self._bits), "little"))
        self._count = kept.bit_count()

    def __contains__(self, line: int) -> bool:
        index = line >> 3
        return index < len(self._bits) and bool(self._bits[index] & (1 << (line & 7)))

    def __len__(self) -> int:
        return self._count

    def to_text(self, length: int) -> str:
        """Return the first `length` bits as digits, line 0 first."""
        number = int.from_bytes(self._bits, "little")
        return f"{number:0{length}b}"[::-1][:length]


class Calls:
    """
    The calls that were sent, by batch, and which of them were answered.
    """

    def __init__(self) -> None:
        # Most batches take one call, so the first lies in an array and only others in a dict.
        self._first = array("q")
        self._others: dict[int, list[int]] = {}
        self._answered = LineSet()
        self._carried: dict[int, frozenset[int]] = {}
        self.count = 0

    def send(self, batch: int, call: int, lines: frozenset[int] | None) -> None:
        """Take note of a call; `lines` if it carried fewer than its batch had."""
        if batch >= len(self._first):
            self._first.extend([0] * (batch + 1024 - len(self._first)))
        if self._first[batch]:
            self._others.setdefault(batch, []).append(call)
        else:
            self._first[batch] = call
        if lines is not None:
            self._carried[call] = lines
        self.count += 1

    def answer(self, call: int) -> None:
        """Take note that a call ended with an answer."""
        self._answered.add(call)
        self._carried.pop(call, None)

    def of(self, batch: int) -> list[int]:
        """Return the numbers of a batch's calls, in no certain order."""
        if batch >= len(self._first) or not self._first[batch]:
            return []
        return [self._first[batch], *self._others.get(batch, ())]

    def in_flight(self, batch: int, line: int, *, after: int = 0) -> list[int]:
        """
        Return the calls that carried `line`, numbered above `after`, and have no answer.

        Meant for lines that are not settled: a call that settled all of its lines needs no
        answer in the log.
        """
        found = []
        for call in self.of(batch):
            if call > after and call not in self._answered:
                carried = self._carried.get(call)
                if carried is None or line in carried:
                    found.append(call)
        return found


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

    def settle(self, lines: Collection[int], status: Status, *, aborted: bool = False) -> list[int]:
        """
        Take note of the outcome of some lines; return those for which it is news.

        Only `unknown` may be replaced.
        """
        if status is Status.UNKNOWN:
            known = self.settled, self.unknown
            news = [line for line in lines if not any(line in each for each in known)]
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
            self.reopened.append((lines, self.calls.count))
        count = sum(map(len, self.stopped.values()))
        self.stopped = {}
        return count

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
