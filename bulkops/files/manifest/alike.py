"""
JSON lines that are all alike: the same keys in the same order, and every value a plain string.

Most programs write such files. Quotes cut such a line into pieces of which every fourth is a value
and all others are the same in every line, so that DuckDB can read it as it reads CSV, several
times faster than as JSON. That holds as long as nothing is escaped: the file's own count looks
for backslashes and control characters. A file that is otherwise anywhere is not read here at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from bulkops.files.manifest.apostrophes import MARK
from bulkops.files.manifest.source import LONGEST_LINE, Source
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stream import chunks

#: Lines of the beginning that are looked at before the whole file is.
_SAMPLE = 1_000


def pieces_of(source: Source) -> list[str] | None:
    """
    Return what quotes cut the first line into, if the file begins with lines that are alike.

    Its keys are every fourth piece from the second on, and `cell` names the columns of its values.
    """
    if source.encoding != "utf-8":
        return None
    lines = _first_lines(source)
    first = next(lines, None)
    if first is None:
        return None
    pieces = first.split('"')
    keys, values = pieces[1::4], pieces[3::4]
    if len(pieces) % 4 != 1 or "\\" in first or not all(keys) or MARK in keys:
        return None
    try:
        found = orjson.loads(first)
    except orjson.JSONDecodeError:
        return None
    # Every string of the line is a key or a value here, and no value is anything else.
    if not keys or len(set(keys)) < len(keys) or found != dict(zip(keys, values, strict=True)):
        return None
    return pieces if all(_is_alike(line.split('"'), pieces) for line in lines) else None


def _first_lines(source: Source) -> Iterator[str]:
    """Yield the first whole lines without their ends; none if they are not text."""
    reading = chunks(source.path, compression=source.compression)
    piece = next(reading, b"")
    reading.close()
    try:
        text = piece[: piece.rfind(b"\n") + 1].decode()
    except UnicodeDecodeError:
        return
    for line in text.split("\n", _SAMPLE)[:-1]:
        yield line.removesuffix("\r")


def _is_alike(line: Sequence[str], pieces: Sequence[str]) -> bool:
    return len(line) == len(pieces) and all(
        place % 4 == 3 or piece == other
        for place, (piece, other) in enumerate(zip(line, pieces, strict=True))
    )


def cell(place: int) -> str:
    """Return the SQL of a line's value number `place`, from 0."""
    return f"c{4 * place + 3}"


def origin(source: Source, pieces: Sequence[str], *, compression: str) -> str:
    """Return SQL for the lines of a file; reading fails at one that is not alike."""
    names = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(pieces)))
    same = " AND ".join(
        f"c{place} = {literal(piece)}" for place, piece in enumerate(pieces) if place % 4 != 3
    )
    return (
        f"(FROM read_csv({literal(pattern(source.path))}, columns = {{{names}}}, delim = '\"',"
        f" quote = '', escape = '', compression = '{compression}', header = false,"
        " auto_detect = false, all_varchar = true, strict_mode = true, null_padding = false,"
        f" ignore_errors = false, encoding = 'utf-8', comment = '', max_line_size = {LONGEST_LINE},"
        " buffer_size = 32000000, hive_partitioning = false)"
        f" WHERE CASE WHEN {same} THEN true ELSE CAST(error('odd') AS BOOLEAN) END)"
    )
