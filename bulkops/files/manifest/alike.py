"""
JSON lines that are all alike: the same keys in the same order, and every value a plain string.

Most programs write such files. What stands between two values is then the same in every line, so
that DuckDB can cut lines there, twice as fast as it reads JSON. Each line is looked at: it is cut
only if nothing is escaped in it and all but its values is what it is in the others. One that is
otherwise is set aside (see `aside.py`); where those are more than a few, others read the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import orjson

from bulkops.files.manifest import aside
from bulkops.files.manifest.apostrophes import MARK
from bulkops.files.manifest.source import LONGEST_LINE, Source
from bulkops.files.manifest.sql import literal
from bulkops.files.manifest.stream import chunks

#: Lines of the beginning that are looked at before the whole file is.
_SAMPLE = 1_000
#: Of so many lines one may be otherwise.
ONE_IN = 20
_ENCODINGS = ("utf-8", "utf-8-sig")


@dataclass(frozen=True, slots=True)
class Alike:
    """
    What lines have in common: their `keys`, and all that stands between values.

    `between` cuts a line into pieces of one value each; `before` says what stands in each piece
    before the value, `after` what follows the last one. `usual` are values that most lines have.
    """

    keys: tuple[str, ...]
    between: str
    before: tuple[str, ...]
    after: str
    usual: tuple[str | None, ...] = ()

    def values(self, line: str) -> list[str] | None:
        """Return the values of `line`, or nothing if it is otherwise."""
        pieces = line.split(self.between)
        if len(pieces) != len(self.keys) or "\\" in line or not line.endswith(self.after):
            return None
        pieces[-1] = pieces[-1][: -len(self.after)]
        if not all(map(str.startswith, pieces, self.before)):
            return None
        values = [piece[len(before) :] for piece, before in zip(pieces, self.before, strict=True)]
        return None if any('"' in value for value in values) else values


def alike(source: Source) -> Alike | None:
    """Return what the lines of a file have in common, if it begins with lines that are alike."""
    if source.encoding not in _ENCODINGS:
        return None
    lines = list(_first_lines(source))
    found = next(filter(None, map(_of, lines)), None)
    if found is None:
        return None
    rows = list(filter(None, map(found.values, lines)))
    if (len(lines) - len(rows)) * ONE_IN > len(lines):
        return None
    most = [Counter(column).most_common(1)[0] for column in zip(*rows, strict=True)]
    usual = tuple(value if times * 2 > len(rows) else None for value, times in most)
    return Alike(found.keys, found.between, found.before, found.after, usual)


def _first_lines(source: Source) -> Iterator[str]:
    """Yield the first whole lines without their ends; none if they are not text."""
    reading = chunks(source.path, compression=source.compression)
    piece = next(reading, b"")
    reading.close()
    try:
        text = piece[: piece.rfind(b"\n") + 1].decode(source.encoding)
    except UnicodeDecodeError:
        return
    for line in text.split("\n", _SAMPLE)[:-1]:
        yield line.removesuffix("\r")


def _of(line: str) -> Alike | None:
    """Return what lines like this one have in common, if it is an object of plain strings."""
    # Quotes cut such a line into pieces of which every fourth is a value.
    pieces = line.split('"')
    keys, values, commas = pieces[1::4], pieces[3::4], pieces[4:-1:4]
    if len(pieces) % 4 != 1 or "\\" in line or not all(keys) or MARK in keys:
        return None
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    # Every string of the line is a key or a value here, and no value is anything else.
    if not keys or len(set(keys)) < len(keys) or found != dict(zip(keys, values, strict=True)):
        return None
    if len(set(commas)) > 1:
        return None
    before = [f'{key}"{colon}"' for key, colon in zip(keys, pieces[2::4], strict=True)]
    before[0] = f'{pieces[0]}"{before[0]}'
    between = f'"{commas[0] if commas else ","}"'
    return Alike(tuple(keys), between, tuple(before), f'"{pieces[-1]}')


def cell(place: int) -> str:
    """Return the SQL of a line's value number `place`, from 0."""
    return f"v{place}"


def origin(source: Source, found: Alike, *, compression: str) -> str:
    """Return SQL for the lines of a file: their values, and `aside.COLUMN` for one set aside."""
    places = range(len(found.keys))
    values = ", ".join(f"{_value(found, place)} AS {cell(place)}" for place in places)
    quoted = (f"NOT contains({cell(place)}, '\"')" for place in places)
    plain = (
        f"len(pieces) = {len(found.keys)}",
        *(f"NOT contains(line, {mark})" for mark in ("'\\'", "chr(9)")),
        # The exact reader counts the end of the line too.
        f"strlen(line) < {LONGEST_LINE - 1}",
    )
    return (
        f"(SELECT *, {aside.unless(' AND '.join(chain(plain, quoted)), line='line')}"
        f" FROM (SELECT line, pieces, {values}"
        f" FROM (SELECT line, string_split(line, {literal(found.between)}) AS pieces"
        f" FROM {aside.lines(source, compression=compression)})))"
    )


def _value(found: Alike, place: int) -> str:
    """Return SQL for a value, or NULL if something else stands around it."""
    piece, before = f"pieces[{place + 1}]", found.before[place]
    after = found.after if place == len(found.keys) - 1 else ""
    checks = [f"starts_with({piece}, {literal(before)})"]
    value = f"substr({piece}, {len(before) + 1})"
    if after:
        checks.append(f"ends_with({piece}, {literal(after)})")
        checks.append(f"strlen({piece}) >= {len((before + after).encode())}")
        value = f"left({value}, {-len(after)})"
    # Most values of some columns are the same, which is told faster than they are cut.
    usual = found.usual[place]
    first = (
        ""
        if usual is None
        else f"WHEN {piece} = {literal(before + usual + after)} THEN {literal(usual)} "
    )
    return f"CASE {first}WHEN {' AND '.join(checks)} THEN {value} END"
