"""
Where a run stands by its log: compact enough for ten million lines and half a million calls.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
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
        index, bit = line >> 3, 1 << (line & 7)
        if index >= len(self._bits):
            self._bits.extend(bytes(max(index + 1 - len(self._bits), 4096)))
        if self._bits[index] & bit:
            return False
        self._bits[index] |= bit
        self._count += 1
        return True

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
        """Return the numbers of a batch's calls."""
        if batch >= len(self._first) or not self._first[batch]:
            return []
        return [self._first[batch], *self._others.get(batch, ())]

    def in_flight(self, batch: int, line: int) -> bool:
        """
        Return whether a call that carried `line` has no answer.

        Meant for lines that are not settled: a call that settled all of its lines needs no
        answer in the log.
        """
        for call in self.of(batch):
            if call not in self._answered:
                carried = self._carried.get(call)
                if carried is None or line in carried:
                    return True
        return False


@dataclass(slots=True)
class Progress:
    """
    Where a run stands, by its log alone.

    `unknown` lines have an outcome, but one that a later run asks about again.
    """

    rows: int = 0
    plan: str = ""
    settled: LineSet = field(default_factory=LineSet)
    unknown: set[int] = field(default_factory=set)
    statuses: Counter[Status] = field(default_factory=Counter)
    jobs: dict[int, str] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
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
        return self.repaired or line in self.doubtful or self.calls.in_flight(batch, line)

    def settle(self, line: int, status: Status) -> bool:
        """Take note of an outcome; return whether it is news. Only `unknown` may be replaced."""
        if line in self.settled or (status is Status.UNKNOWN and line in self.unknown):
            return False
        if line in self.unknown:
            self.unknown.discard(line)
            self.statuses[Status.UNKNOWN] -= 1
        if status is Status.UNKNOWN:
            self.unknown.add(line)
            self.doubtful.add(line)
        else:
            self.settled.add(line)
            self.doubtful.discard(line)
        self.statuses[status] += 1
        self.jobs.pop(line, None)
        return True

    def take(self, record: Mapping[str, Any]) -> None:
        """
        Apply one record of the log.

        Raises `KeyError`, `TypeError` or `ValueError` for one that is not a record of ours.
        """
        match record["type"]:
            case "outcome":
                self.settle(record["line"], Status(record["status"]))
            case "sent":
                lines = record.get("lines")
                carried = None if lines is None else frozenset(lines)
                self.calls.send(record["batch"], record["call"], carried)
                self.stop = ""
            case "answer":
                self.calls.answer(record["call"])
                doubtful = (line for line in record.get("doubtful", ()) if line not in self.settled)
                self.doubtful.update(doubtful)
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
            case "log.repaired":
                self.repaired = True
