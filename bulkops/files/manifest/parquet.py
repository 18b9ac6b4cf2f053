"""
Parquet files: what their columns are, and their rows as the other formats have them.

Integers become their digits and nested values JSON; an absent value is an absent cell. Every row
of a Parquet file is a record, so none is refused here; what is no text where an id should stand
is for the floors above to say. Only DuckDB reads the format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import orjson

from bulkops.errors import ManifestError
from bulkops.files.database import connect
from bulkops.files.manifest.layout import Layout, check_names
from bulkops.files.manifest.source import Source
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stored import store
from bulkops.files.manifest.stream import readable

MAGIC = b"PAR1"
_WHOLE = "expected a whole Parquet file"
_DECIMAL_POINT = re.compile(r"\b(DOUBLE|FLOAT)\b")
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|UINTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)")
_NESTED = re.compile(r".*\[\d*\]|(STRUCT|MAP|UNION|VARIANT)\b.*|JSON", re.DOTALL)


def columns(path: Path) -> tuple[str, ...]:
    """
    Return the trimmed names of the columns of a Parquet file.

    Raise `ManifestError` if the file is cut off or damaged, or if two columns have one name.
    """
    with readable(path), path.open("rb") as file:
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(0, size - len(MAGIC)))
        if size < 2 * len(MAGIC) or file.read() != MAGIC:
            raise ManifestError(
                f"{path}: found a truncated Parquet file (it does not end with PAR1), {_WHOLE}"
            )
    with _undamaged(path), connect(None, threads=1) as connection:
        nodes = connection.execute(
            f"SELECT name, coalesce(num_children, 0) FROM parquet_schema({literal(pattern(path))})"
        ).fetchall()
    names, inside = [], 0
    for column, children in nodes[1:]:
        if not inside:
            names.append(column.strip())
        inside = max(inside - 1, 0) + children
    check_names(path, names)
    return tuple(names)


def read(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    table: str,
    file: Path | None = None,
) -> int:
    """
    Make `table` and return its number of rows; `rowid` is the place in the file.

    `file` is where it is kept.

    Raise `ManifestError` where a known column holds numbers with a decimal point: an id of 19
    digits has lost its last ones in them, and nobody can tell which rows are meant.
    """
    cells = ", ".join(f"c{place}" for place in range(len(source.header)))
    origin = (
        f"read_parquet({literal(pattern(source.path))}, hive_partitioning = false,"
        f" union_by_name = false) AS found({cells})"
    )
    with _undamaged(source.path):
        described = connection.execute(f"DESCRIBE SELECT * FROM {origin}").fetchall()
        types = tuple(str(each[1]) for each in described)
        _refuse_rounded(connection, source, origin, layout=layout, types=types)
        selected = _columns(layout, header=source.header, types=types)
        made = store(connection, selected, origin, table=table, ids=layout.ids, file=file)
        told = connection.execute(
            "SELECT coalesce(sum(num_rows), 0)"
            f" FROM parquet_file_metadata({literal(pattern(source.path))})"
        ).fetchone()
    if told != (made,):
        raise ManifestError(
            f"{source.path}: found {made:,} rows, but the file says that it has {told}"
        )
    return made


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Turn what DuckDB says of a file that it cannot read into a `ManifestError`."""
    try:
        with readable(path):
            yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.InternalException) as error:
        first = str(error).partition("\n")[0]
        raise ManifestError(f"{path}: found a damaged Parquet file ({first}), {_WHOLE}") from None


def _refuse_rounded(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    origin: str,
    *,
    layout: Layout,
    types: tuple[str, ...],
) -> None:
    """Refuse floating-point numbers in known columns, unless there are none but absent ones."""
    for ours, theirs in layout.known.items():
        if ours in layout.fixed or theirs not in source.header:
            continue
        place = source.header.index(theirs)
        if not _DECIMAL_POINT.search(types[place]):
            continue
        there = f"c{place} IS NOT NULL"
        if types[place] in ("DOUBLE", "FLOAT"):
            there += f" AND NOT isnan(c{place})"
        if connection.execute(f"SELECT 1 FROM {origin} WHERE {there} LIMIT 1").fetchone():
            called = f"{theirs!r}, read as {ours}," if theirs != ours else repr(theirs)
            raise ManifestError(
                f"{source.path}: column {called} has the type {types[place]}, a number with a"
                " decimal point, in which the last digits of a long id are lost; expected text"
                " or whole numbers. Export the column as text or as INT64"
            )


def _columns(layout: Layout, *, header: tuple[str, ...], types: tuple[str, ...]) -> dict[str, str]:
    """Return our name -> SQL over the cells `c0`, `c1`, ... of these types."""
    places = {column: place for place, column in enumerate(header)}
    known = {}
    for ours, theirs in layout.known.items():
        value = "NULL::VARCHAR"
        if ours in layout.fixed:
            value = literal(layout.fixed[ours])
        elif theirs in places:
            value = _text(f"c{places[theirs]}", types[places[theirs]])
        known[ours] = f"nullif({value}, '')"
    fields = []
    for ours, theirs in layout.fields.items():
        if ours in layout.fixed:
            value = f"to_json({literal(layout.fixed[ours])})::VARCHAR"
        elif theirs in places:
            value = _json(f"c{places[theirs]}", types[places[theirs]])
        else:
            continue
        fields.append(_member(ours, f"nullif({value}, '\"\"')"))
    extra = [
        _member(column, _json(f"c{place}", types[place]))
        for place, column in enumerate(header)
        if column not in layout.used
    ]
    return {**known, "fields": _object(fields), "extra": _object(extra)}


def _text(cell: str, kind: str) -> str:
    """Return the SQL of a cell as text: digits of numbers, JSON of nested values."""
    if _NESTED.fullmatch(kind):
        return f"to_json({cell})::VARCHAR"
    if kind == "BLOB":
        # Old writers leave out that their bytes are text.
        return f"coalesce(TRY(decode({cell})), 'x' || hex({cell}))"
    if kind == "TIMESTAMP WITH TIME ZONE":
        # Not by the time zone of this machine: the same file gives the same rows anywhere.
        return f"make_timestamp(epoch_us({cell}))::VARCHAR || '+00'"
    if kind in ("DOUBLE", "FLOAT"):
        return f"CASE WHEN NOT isnan({cell}) THEN {cell}::VARCHAR END"
    return f"{cell}::VARCHAR"


def _json(cell: str, kind: str) -> str:
    """Return the SQL of a cell as JSON, NULL where it is absent."""
    text = _text(cell, kind)
    if kind in ("DOUBLE", "FLOAT"):
        return f"CASE WHEN isfinite({cell}) THEN {text} ELSE to_json({text})::VARCHAR END"
    if _NUMBER.fullmatch(kind) or kind == "BOOLEAN":
        return text
    if not _NESTED.fullmatch(kind):
        return f"to_json({text})::VARCHAR"
    if _DECIMAL_POINT.search(kind):
        # JSON has neither NaN nor infinity; what holds them is carried as text.
        return (
            f"CASE WHEN {text} ~ '.*(NaN|Infinity).*' THEN to_json({text})::VARCHAR ELSE {text} END"
        )
    return text


def _member(key: str, value: str) -> str:
    return f"{literal(orjson.dumps(key).decode() + ':')} || {value}"


def _object(members: list[str]) -> str:
    """Return the SQL of the text of an object of those members that are not NULL."""
    if not members:
        return "NULL::VARCHAR"
    return f"nullif('{{' || concat_ws(',', {', '.join(members)}) || '}}', '{{}}')"
