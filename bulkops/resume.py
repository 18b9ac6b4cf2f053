"""
Read a checkpoint log back: what is settled, what is pending, what is in doubt.

A crash may tear the last line; it is cut off. A line that cannot be read anywhere else is damage
that nobody should guess about, and is refused with its byte offset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bulkops.checkpoint import SCHEMA_VERSION
from bulkops.errors import CheckpointError
from bulkops.model import Status


class LineSet:
    """
    A set of line numbers, one bit each.
    """

    __slots__ = ("_bits", "_count")

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

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


@dataclass(slots=True)
class Progress:
    """
    Where a run stands, by its log alone.

    `in_flight` holds, by batch, the calls without an answer and the lines that each carried, or
    `None` for all that the batch had left. A call whose lines are all settled may stay in it.
    """

    rows: int = 0
    plan: str = ""
    settled: LineSet = field(default_factory=LineSet)
    statuses: Counter[Status] = field(default_factory=Counter)
    codes: Counter[tuple[Status, str]] = field(default_factory=Counter)
    jobs: dict[int, str] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    in_flight: dict[int, dict[int, frozenset[int] | None]] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    capacities: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    stop: str = ""

    @property
    def finished(self) -> bool:
        """Whether every line of the manifest is settled."""
        return len(self.settled) >= self.rows

    def doubts(self, batch: int, line: int) -> bool:
        """Whether an earlier try of `line`, which travels in `batch`, met silence."""
        if line in self.doubtful:
            return True
        return any(
            carried is None or line in carried for carried in self.in_flight.get(batch, {}).values()
        )

    def take(self, record: dict[str, Any]) -> None:
        """Apply one record of the log."""
        match record["type"]:
            case "outcome":
                if self.settled.add(record["line"]):
                    status = Status(record["status"])
                    self.statuses[status] += 1
                    self.codes[status, record.get("code", "")] += 1
                self.jobs.pop(record["line"], None)
                self.doubtful.discard(record["line"])
            case "sent":
                lines = record.get("lines")
                carried = None if lines is None else frozenset(lines)
                self.in_flight.setdefault(record["batch"], {})[record["call"]] = carried
                self.attempts[record["batch"]] += 1
                self.calls += 1
                self.stop = ""
            case "answer":
                self.in_flight.get(record["batch"], {}).pop(record["call"], None)
                self.doubtful.update(record.get("doubtful", ()))
            case "job":
                self.jobs[record["line"]] = record.get("job_id", "")
            case "note":
                self._take_note(record)
            case "run":
                self.rows, self.plan = record["rows"], record["plan"]
            case _:
                # A later schema may add types; the version in the header guards the known ones.
                pass

    def _take_note(self, record: dict[str, Any]) -> None:
        match record.get("event"):
            case "capacity.learnt":
                self.capacities[record["spec"]] = record["limit"]
            case "run.stopped":
                self.stop = record.get("reason", "")
            case "call.read":
                self.calls += 1


def read_progress(path: Path, *, mend: bool) -> Progress:
    """
    Replay the log at `path`; an absent one is an empty run.

    With `mend`, a torn last line is cut off the file, so that appending can go on; without it
    the file is left alone. Raises `CheckpointError` for damage elsewhere or a schema that this
    version cannot read.
    """
    progress = Progress()
    good = 0
    for offset, line in _lines(path):
        record = _parse(line)
        if record is None:
            if line.endswith(b"\n") and offset + len(line) < path.stat().st_size:
                raise _damaged(path, offset, line)
            break
        if offset == 0 and (record["type"] != "run" or record.get("v") != SCHEMA_VERSION):
            raise CheckpointError(
                f"{path}: found a log of schema {record.get('v')!r}; this version of bulkops reads "
                f"{SCHEMA_VERSION}"
            )
        try:
            progress.take(record)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, offset, line) from error
        good = offset + len(line)
    if mend and path.exists() and path.stat().st_size > good:
        with path.open("r+b") as file:
            file.truncate(good)
    return progress


def _damaged(path: Path, offset: int, line: bytes) -> CheckpointError:
    return CheckpointError(
        f"{path}: the line at byte {offset} cannot be read ({line[:60]!r}); expected a record of a "
        "run. Only the last line may be torn by a crash. Restore the file from a copy, or keep its "
        f"first {offset} bytes and lose the rest."
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.exists():
        return
    offset = 0
    with path.open("rb") as file:
        for line in file:
            yield offset, line
            offset += len(line)


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record, or `None` for a line that is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "type" in record else None
