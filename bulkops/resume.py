"""
Read a checkpoint log back: what is settled, what is pending, what is in doubt.

A crash may tear the last line; it is cut off. A line that cannot be read anywhere else is damage
that nobody should guess about, and is refused with its byte offset.

A short log is read line by line. A long one is mostly outcomes, which DuckDB counts and turns
into a bit for each line; only the other records are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.checkpoint import SCHEMA_VERSION
from bulkops.errors import CheckpointError
from bulkops.manifest.sql import literal, pattern
from bulkops.model import Status
from bulkops.progress import LineSet, Progress

#: From this size on a log is read by DuckDB, which takes a moment to start.
LONG_BYTES = 8_000_000
_TAIL_BYTES = 1 << 20
_OUTCOME = b'{"type":"outcome"'


def read_progress(path: Path, *, mend: bool, long_bytes: int = LONG_BYTES) -> Progress:
    """
    Replay the log at `path`; an absent one is an empty run.

    With `mend`, a torn last line is cut off the file, so that appending can go on; without it
    the file is left alone. Raises `CheckpointError` for damage elsewhere or a schema that this
    version cannot read.
    """
    if not path.exists():
        return Progress()
    size = path.stat().st_size
    good = _end_of_whole_lines(path, size)
    if mend and good < size:
        with path.open("r+b") as file:
            file.truncate(good)
        size = good
    progress = _read_long(path) if size == good >= long_bytes else None
    return progress or _read_exactly(path, good)


def _end_of_whole_lines(path: Path, size: int) -> int:
    """Return where the last line that can be read ends; only the very last may be torn."""
    with path.open("rb") as file:
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        tail = file.read()
        if b"\n" not in tail and start:
            start = 0
            file.seek(0)
            tail = file.read()
    end = tail.rfind(b"\n") + 1
    last = tail[tail.rfind(b"\n", 0, max(end - 1, 0)) + 1 : end]
    if end == len(tail) and last and _parse(last) is None:
        end -= len(last)
    return start + end


def first_damage(path: Path) -> int | None:
    """Return the byte offset of the first line that cannot be read; `None` for a good log."""
    try:
        _read_exactly(path, path.stat().st_size)
    except DamageError as error:
        return error.offset
    return None


class DamageError(CheckpointError):
    """A line of the log, not the last, cannot be read."""

    def __init__(self, path: Path, offset: int, line: bytes) -> None:
        super().__init__(
            f"{path}: the line at byte {offset} cannot be read ({line[:60]!r}); expected a record "
            f"of a run. Only the last line may be torn by a crash. `bulkops repair "
            f"{path.parent}` keeps what stands before it and says what is lost."
        )
        self.offset = offset


def _read_exactly(path: Path, good: int) -> Progress:
    """Replay line by line, and say exactly where a line is damaged."""
    progress = Progress()
    for offset, line in _lines(path, good):
        record = _parse(line)
        if record is None:
            raise DamageError(path, offset, line)
        if offset == 0:
            _check_header(path, record)
        try:
            progress.take(record)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise DamageError(path, offset, line) from error
    return progress


def _check_header(path: Path, record: dict[str, Any]) -> None:
    if record["type"] != "run" or record.get("v") != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path}: found a log of schema {record.get('v')!r}; this version of bulkops reads "
            f"{SCHEMA_VERSION}"
        )


def _read_long(path: Path) -> Progress | None:
    """Replay with DuckDB; `None` if it stumbles, and the exact reading should say over what."""
    with path.open("rb") as file:
        first = _parse(file.readline())
    if first is None:
        return None
    _check_header(path, first)
    progress = Progress()
    try:
        progress.take(first)
        with duckdb.connect(config={"memory_limit": "200MB"}) as connection:
            counted = _take_outcomes(connection, path, progress)
            # Once every line is settled, nobody asks what the calls in between were.
            done = progress.finished and not progress.unknown
            others = done or _take_others(connection, path, progress)
    except (duckdb.Error, IndexError, KeyError, TypeError, ValueError):
        return None
    progress.jobs = {
        line: job
        for line, job in progress.jobs.items()
        if line not in progress.settled and line not in progress.unknown
    }
    progress.doubtful = {line for line in progress.doubtful if line not in progress.settled}
    return progress if counted and others else None


def _take_outcomes(connection: duckdb.DuckDBPyConnection, path: Path, progress: Progress) -> bool:
    """Take all outcomes at once; return whether each line has but one that is not `unknown`."""
    rows = connection.execute(f"""
        SELECT type, status, event, count(*),
            bitstring_agg(line, 0, {progress.rows}) FILTER (type = 'outcome')
        FROM read_json({literal(pattern(path))}, format = 'newline_delimited',
            columns = {{type: 'VARCHAR', line: 'BIGINT', status: 'VARCHAR', event: 'VARCHAR'}})
        GROUP BY type, status, event
    """).fetchall()
    bits, unknown, count = 0, 0, 0
    for kind, status, event, number, digits in rows:
        if kind != "outcome":
            progress.reads += number if event == "call.read" else 0
            progress.calls.count += number if kind == "sent" else 0
            continue
        found = int(digits[::-1], 2)
        if status == Status.UNKNOWN:
            unknown = found
        else:
            bits |= found
            count += number
            progress.statuses[Status(status)] = number
    length = progress.rows // 8 + 1
    progress.settled = LineSet(bits.to_bytes(length, "little"))
    still = unknown & ~bits
    while still:
        line = still.bit_length() - 1
        still ^= 1 << line
        progress.unknown.add(line)
    progress.doubtful |= progress.unknown
    if progress.unknown:
        progress.statuses[Status.UNKNOWN] = len(progress.unknown)
    return len(progress.settled) == count


def _take_others(connection: duckdb.DuckDBPyConnection, path: Path, progress: Progress) -> bool:
    """Take every record that is no outcome, in the order of the log."""
    result = connection.execute(f"""
        SELECT raw FROM read_csv({literal(pattern(path))}, columns = {{raw: 'VARCHAR'}},
            delim = '\x01', quote = '', escape = '', header = false, auto_detect = false)
        WHERE NOT starts_with(raw, {literal(_OUTCOME.decode())})
    """)
    progress.reads = progress.calls.count = 0
    result.fetchmany(1)
    while rows := result.fetchmany(5000):
        for (raw,) in rows:
            record = orjson.loads(raw)
            if record["type"] == "outcome":
                return False
            progress.take(record)
    return True


def _lines(path: Path, good: int) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if offset >= good:
                return
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
