"""
Lines set aside: the few that a fast reading leaves to the exact one, and puts back in their place.

One line of ten million that is no JSON, or escapes a letter, is no reason to read all of them in
Python. While DuckDB reads the file it hands such a line over, and keeps what comes back in a
column beside the others; `put_back` then writes the rows again, each from where it was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import orjson

from bulkops.files.manifest.layout import Layout
from bulkops.files.manifest.objects import BLANK, cell_reader, read_object
from bulkops.files.manifest.source import LONGEST_LINE, LONGEST_RAW, Source
from bulkops.files.manifest.sql import literal, name, pattern
from bulkops.files.manifest.stored import forget, kept_sql, path_of, store

#: The column of a line that was set aside: its cells, what is wrong with it, and its keys.
COLUMN = "set_aside"
_FUNCTION = "read_line_set_aside"
_BLANK = "blank"


@dataclass(slots=True)
class Aside:
    """How many lines were set aside, of which some may be `blank`."""

    lines: int = 0
    blank: bool = False


class _TooManyError(Exception):
    """More lines are set aside than are worth it, or one is too long to be told from its end."""


@contextmanager
def setting_aside(
    connection: duckdb.DuckDBPyConnection, layout: Layout, *, most: int
) -> Iterator[Aside]:
    """
    Let `unless` be used in the block, and yield what it came to.

    Reading fails if more than `most` lines are set aside.
    """
    found = Aside()
    cells = cell_reader(layout)
    nothing = [None] * len(_names(layout))

    def read(line: str) -> list[str | None]:
        found.lines += 1
        if found.lines > most or len(line) >= LONGEST_LINE - 1:
            raise _TooManyError
        if not line.strip(BLANK):
            found.blank = True
            return [*nothing, None, _BLANK, None, None]
        value = read_object(line)
        if isinstance(value, dict):
            return [*cells(value), None, None, None, orjson.dumps(list(value)).decode()]
        return [*nothing, line[:LONGEST_RAW], *value, None]

    # Neither is done while a result has not been read to its end.
    connection.complete()
    connection.create_function(_FUNCTION, read, ["VARCHAR"], "VARCHAR[]")
    try:
        yield found
    finally:
        connection.complete()
        connection.remove_function(_FUNCTION)


def unless(fits: str, *, line: str) -> str:
    """Return the SQL of `COLUMN`: NULL where `fits` is true, and what `line` is elsewhere."""
    return f"CASE WHEN {fits} THEN NULL ELSE {_FUNCTION}(coalesce({line}, '')) END AS {COLUMN}"


def lines(source: Source, *, compression: str) -> str:
    """Return SQL for the lines of a file as they stand; blank ones are NULL."""
    return (
        f"read_csv({literal(pattern(source.path))}, columns = {{'line': 'VARCHAR'}},"
        # A control character cuts no line that JSON allows.
        f" delim = '\x1f', quote = '', escape = '', compression = '{compression}',"
        " header = false, auto_detect = false, all_varchar = true, strict_mode = true,"
        " null_padding = false, ignore_errors = false, encoding = 'utf-8', comment = '',"
        f" max_line_size = {LONGEST_LINE}, buffer_size = 32000000, hive_partitioning = false)"
    )


def put_back(
    connection: duckdb.DuckDBPyConnection,
    found: Aside,
    *,
    layout: Layout,
    header: tuple[str, ...],
    table: str,
    file: Path | None,
    place: str,
) -> tuple[int, int, tuple[str, ...]]:
    """
    Make `table` again, with the lines that were set aside where they belong.

    Return how many records were accepted and refused, and the own columns of all, as in
    `own_columns`. `place` comes before the words of a refusal.
    """
    names = _names(layout)
    kept = path_of(connection, table)
    read = kept.with_name(f"{kept.name}.read")
    kept.replace(read)
    forget(connection, table)
    try:
        own = own_columns(connection, read, layout=layout, header=header)
        rows = kept_sql(connection, read, [*names, COLUMN], ids=layout.ids)
        number = "row_number() OVER ()" if found.blank else "rowid + 1"
        made = store(
            connection,
            _columns(layout, place=place),
            f"(SELECT *, {number} AS number FROM ({rows})"
            f" WHERE {_said(layout, 'refused_code')} IS DISTINCT FROM {literal(_BLANK)})",
            table=table,
            ids=layout.ids,
            file=file,
        )
    finally:
        read.unlink(missing_ok=True)
    counted = connection.execute(f"SELECT count(refused_code) FROM {name(table)}").fetchone()
    refused = int(counted[0]) if counted else 0
    return made - refused, refused, own


def _names(layout: Layout) -> list[str]:
    return [*layout.known, "fields", "extra"]


def _said(layout: Layout, what: str) -> str:
    """Return SQL for what is said of a line besides its cells."""
    said = ("raw", "refused_code", "refused", "keys")
    return f"{COLUMN}[{len(_names(layout)) + said.index(what) + 1}]"


def _columns(layout: Layout, *, place: str) -> Mapping[str, str]:
    """Return name -> SQL of the rows, over those that were kept with `COLUMN`."""
    cells = {
        ours: f"CASE WHEN {COLUMN} IS NULL THEN {name(ours)} ELSE {COLUMN}[{number}] END"
        for number, ours in enumerate(_names(layout), 1)
    }
    words = f"{literal(place + 'line ')} || number || ': ' || {_said(layout, 'refused')}"
    return {
        **cells,
        "raw": _said(layout, "raw"),
        "refused_code": _said(layout, "refused_code"),
        "refused": words,
    }


def own_columns(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    *,
    layout: Layout,
    header: tuple[str, ...],
) -> tuple[str, ...]:
    """
    Return the keys of all objects kept in `file` in the order of their appearance.

    They are `header`, but where the column `keys` has others, or a line was set aside.
    """
    own: dict[str, None] = {}
    rows = kept_sql(connection, file, ["keys", COLUMN])
    shapes = connection.execute(
        f"SELECT keys, {_said(layout, 'keys')} AS told FROM ({rows})"
        f" WHERE {_said(layout, 'refused_code')} IS NULL GROUP BY ALL ORDER BY min(rowid)"
    )
    while found := shapes.fetchmany(1_000):
        for keys, told in found:
            own.update(dict.fromkeys(orjson.loads(told) if told else keys or header))
    return tuple(own)
