"""
Read a checkpoint log back: what is settled, what is pending, what is in doubt.

A crash may tear the last line; it is cut off. A line that cannot be read anywhere else is damage
that nobody should guess about, and is refused with its byte offset.

A short log is read line by line here, a long one at once (see `long_log`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from bulkops.errors import CheckpointError
from bulkops.files.checkpoint import SCHEMA_VERSION
from bulkops.files.long_log import read_at_once
from bulkops.rules.progress import Progress

#: From this size on a log is read by DuckDB, which takes a moment to start.
LONG_BYTES = 8_000_000
_TAIL_BYTES = 1 << 20


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
        except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
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
    return read_at_once(path, first)


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
