"""
Where a line of the manifest stands: in which of its files, and which record there.

`line` counts the records of all files in their order; this translates it for people.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bulkops.files.manifest.sql import literal


@dataclass(frozen=True, slots=True)
class Part:
    """
    A file of a manifest as people know it, the line of its first record, and its records.
    """

    name: str
    first_line: int
    rows: int


def parts_of(names: Sequence[str], rows: Sequence[int]) -> tuple[Part, ...]:
    """Return the files of a manifest from their names and records, in order."""
    found, first = [], 1
    for name, number in zip(names, rows, strict=True):
        found.append(Part(name, first, number))
        first += number
    return tuple(found)


def place_of(parts: Sequence[Part], line: int) -> tuple[str, int]:
    """Return the file that holds `line`, and the record's number in it."""
    held = [part for part in parts if part.rows]
    part = held[bisect_right(held, line, key=lambda each: each.first_line) - 1]
    return part.name, line - part.first_line + 1


def say_place(parts: Sequence[Part], line: int) -> str:
    """Return `line` in words: with its file, where there are several."""
    if len(parts) < 2:
        return f"line {line}"
    name, number = place_of(parts, line)
    return f"{name}, line {number}"


def file_sql(parts: Sequence[Part], line: str) -> str:
    """Return SQL for the name of the file that holds `line`."""
    return _chosen(parts, line, lambda part: literal(part.name))


def file_line_sql(parts: Sequence[Part], line: str) -> str:
    """Return SQL for the number that `line` has in its file."""
    return f"({line} - {_chosen(parts, line, lambda part: str(part.first_line - 1))})"


def say_place_sql(parts: Sequence[Part], line: str) -> str:
    """Return SQL for what `say_place` says."""
    if len(parts) < 2:
        return f"('line ' || {line})"
    return f"({file_sql(parts, line)} || ', line ' || {file_line_sql(parts, line)})"


def _chosen(parts: Sequence[Part], line: str, value: Callable[[Part], str]) -> str:
    """
    Return SQL that chooses among files by halves, however many there are.

    A join would have to sort the lines, which come in their order already.
    """
    held = [part for part in parts if part.rows]
    if not held:
        return "NULL"
    if len(held) == 1:
        return value(held[0])
    middle = len(held) // 2
    before, after = (_chosen(half, line, value) for half in (held[:middle], held[middle:]))
    return f"CASE WHEN {line} < {held[middle].first_line} THEN {before} ELSE {after} END"
