"""
Loading a manifest: the fast reading where it can be believed, the exact one elsewhere.

Both make the same view. It says of each record what stands there, not whether that is an
operation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import duckdb

from bulkops.errors import ManifestError
from bulkops.manifest import exact, fast
from bulkops.manifest.layout import Layout, check_columns, lay_out
from bulkops.manifest.source import Format, Source
from bulkops.manifest.sql import name
from bulkops.manifest.stream import readable

_NOTHING: Mapping[str, str] = MappingProxyType({})
_REFUSED = ("raw", "refused_code", "refused")


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    How many records were accepted (`rows`) and `refused`: together all that the file has.

    `own_columns` are the manifest's names in order of appearance; `exact` tells which reading
    was needed.
    """

    rows: int
    refused: int
    own_columns: tuple[str, ...]
    exact: bool


def load(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    table: str,
    known: Collection[str],
    fields: Collection[str] = (),
    columns: Mapping[str, str] = _NOTHING,
    fixed: Mapping[str, str] = _NOTHING,
) -> Loaded:
    """
    Make `table` of the records of `source`, replacing one of that name.

    `known` are our column names, `fields` those of relation fields, `columns` gives their name
    for ours, and `fixed` a value for ours that wins in every record, whatever its column says.

    `table` has `line` (BIGINT, 1-based, blank lines not counted) and VARCHAR columns: each of
    `known` (text as it stands; NULL if absent or empty; for JSON lines the text of a string or
    the JSON of any other value), `fields` (JSON object without absent and empty ones, or
    NULL), `extra` (JSON object of all further columns in the file's order, or NULL). A refused
    record has these empty, and `raw` (its text, cut), `refused_code` and `refused` (words).

    It is a view upon the table `{table}_rows`, which saves a copy of the whole only to number
    it: add no rows to that, and remove both with `drop`. Call this outside a transaction. The
    caller limits memory, threads and temp directory. Raise `ManifestError` if nothing can be
    read, or if a column is mapped from one that the file does not have.
    """
    layout = lay_out(source.path, known=known, fields=fields, columns=columns, fixed=fixed)
    if source.format is Format.CSV:
        check_columns(source.path, columns=columns, own=source.header)
    drop(connection, table)
    try:
        with _in_file_order(connection):
            loaded = _read(connection, source, layout=layout, table=table)
        if source.format is Format.JSONL and loaded.rows:
            check_columns(source.path, columns=columns, own=loaded.own_columns)
        _check_size(source)
    except BaseException:
        drop(connection, table)
        raise
    return loaded


def _check_size(source: Source) -> None:
    """Raise `ManifestError` if the file is not as long as it was when it was inspected."""
    with readable(source.path):
        size = source.path.stat().st_size
    if size != source.size:
        raise ManifestError(
            f"{source.path}: the file changed while it was read (from {source.size:,} to"
            f" {size:,} bytes), expected it to stay"
        )


def drop(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Remove what `load` made, if it is there."""
    connection.execute(f"DROP VIEW IF EXISTS {name(table)}")
    connection.execute(f"DROP TABLE IF EXISTS {name(table + '_rows')}")


def _read(
    connection: duckdb.DuckDBPyConnection, source: Source, *, layout: Layout, table: str
) -> Loaded:
    rows = table + "_rows"
    quick = fast.read(connection, source, layout=layout, table=rows)
    ours = ", ".join(name(column) for column in [*layout.known, "fields", "extra"])
    if quick is not None:
        accepted, own = quick
        # `rowid` is the place in the file: the rows were inserted in its order, none removed.
        line = "rowid + 1 AS line"
        refused = ", ".join(f"NULL::VARCHAR AS {column}" for column in _REFUSED)
        loaded = Loaded(accepted, 0, own, exact=False)
    else:
        loaded = Loaded(*exact.read(connection, source, layout=layout, table=rows), exact=True)
        line, refused = "line", ", ".join(_REFUSED)
    connection.execute(
        f"CREATE VIEW {name(table)} AS SELECT {line}, {ours}, {refused} FROM {name(rows)}"
    )
    return loaded


@contextmanager
def _in_file_order(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Have DuckDB insert rows in the order of the file, which is its default."""
    found = connection.execute("SELECT current_setting('preserve_insertion_order')").fetchone()
    if found == (True,):
        yield
        return
    connection.execute("SET preserve_insertion_order = true")
    try:
        yield
    finally:
        connection.execute("SET preserve_insertion_order = false")
