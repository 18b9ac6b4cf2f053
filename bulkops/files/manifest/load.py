"""
Loading a manifest: the fast reading where it can be believed, the exact one elsewhere.

Both make the same view. It says of each record what stands there, not whether that is an
operation. Of several files it is one view, whose lines go on from file to file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import duckdb

from bulkops.errors import ManifestError
from bulkops.files.manifest import exact, fast, parquet
from bulkops.files.manifest.layout import Layout, check_columns, lay_out
from bulkops.files.manifest.places import parts_of, say_place_sql
from bulkops.files.manifest.source import Format, Manifest, Source
from bulkops.files.manifest.sql import literal, name
from bulkops.files.manifest.stored import forget
from bulkops.files.manifest.stream import readable

_NOTHING: Mapping[str, str] = MappingProxyType({})
_REFUSED = ("raw", "refused_code", "refused")


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    How many records were accepted (`rows`) and `refused`: together all that the manifest has.

    `own_columns` are the manifest's names in order of appearance; `exact` tells whether that
    reading was needed; `counts` are the records of each file.
    """

    rows: int
    refused: int
    own_columns: tuple[str, ...]
    exact: bool
    counts: tuple[int, ...]


def load(
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    *,
    table: str,
    known: Collection[str],
    fields: Collection[str] = (),
    columns: Mapping[str, str] = _NOTHING,
    fixed: Mapping[str, str] = _NOTHING,
) -> Loaded:
    """
    Make `table` of the records of `manifest`, replacing one of that name.

    `known` are our column names, `fields` those of relation fields, `columns` gives their name
    for ours, and `fixed` a value for ours that wins in every record, whatever its column says.

    `table` has `line` (BIGINT, 1-based over all files, blank lines not counted) and VARCHAR
    columns: each of `known` (text as it stands; NULL if absent or empty; for JSON lines the text
    of a string or the JSON of any other value), `fields` (JSON object without absent and empty
    ones, or NULL), `extra` (JSON object of all further columns in the file's order, or NULL). A
    refused record has these empty, and `raw` (its text, cut), `refused_code` and `refused` (words,
    with the file's name where there are several). The macro `say_line(line)` gives a line in words.

    It is a view upon the table `{table}_rows`, which saves a copy of the whole only to number
    it: add no rows to that, and remove both with `drop`. Call this outside a transaction. The
    caller limits memory, threads and temp directory. Raise `ManifestError` if nothing can be
    read, or if a column is mapped from one that a file does not have.
    """
    layout = lay_out(manifest.path, known=known, fields=fields, columns=columns, fixed=fixed)
    for source in manifest.sources:
        if source.format is not Format.JSONL:
            check_columns(source.path, columns=columns, own=source.header)
    drop(connection, table)
    read = _read if len(manifest.sources) == 1 else _read_all
    try:
        with _in_file_order(connection):
            loaded = read(connection, manifest, layout=layout, columns=columns, table=table)
    except BaseException:
        drop(connection, table)
        drop(connection, table + "_part")
        raise
    parts = parts_of([source.name for source in manifest.sources], loaded.counts)
    connection.execute(
        f"CREATE OR REPLACE TEMP MACRO say_line(line) AS {say_place_sql(parts, 'line')}"
    )
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
    forget(connection, table + "_rows")


def _read(
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    *,
    layout: Layout,
    columns: Mapping[str, str],
    table: str,
) -> Loaded:
    """Make the view of the one file that `manifest` has."""
    (source,) = manifest.sources
    rows = table + "_rows"
    quick: tuple[int, tuple[str, ...]] | None
    if source.format is Format.PARQUET:
        made = parquet.read(connection, source, layout=layout, table=rows)
        quick = made, source.header
    else:
        quick = fast.read(connection, source, layout=layout, table=rows)
    ours = ", ".join(name(column) for column in [*layout.known, "fields", "extra"])
    if quick is not None:
        accepted, own = quick
        # `rowid` is the place in the file: the rows were inserted in its order, none removed.
        line = "rowid + 1 AS line"
        refused = ", ".join(f"NULL::VARCHAR AS {column}" for column in _REFUSED)
        loaded = Loaded(accepted, 0, own, exact=False, counts=(accepted,))
    else:
        accepted, bad, own = exact.read(connection, source, layout=layout, table=rows)
        loaded = Loaded(accepted, bad, own, exact=True, counts=(accepted + bad,))
        line, refused = "line", ", ".join(_REFUSED)
    connection.execute(
        f"CREATE VIEW {name(table)} AS SELECT {line}, {ours}, {refused} FROM {name(rows)}"
    )
    if source.format is Format.JSONL and loaded.rows:
        check_columns(source.path, columns=columns, own=loaded.own_columns)
    _check_size(source)
    return loaded


def _read_all(
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    *,
    layout: Layout,
    columns: Mapping[str, str],
    table: str,
) -> Loaded:
    """Make the view of several files: each is read as if alone, and then moved behind the last."""
    part, rows = table + "_part", name(table + "_rows")
    before, refused, needed, own = 0, 0, False, dict[str, None]()
    counts: list[int] = []
    for source in manifest.sources:
        found = _read(connection, source, layout=layout, columns=columns, table=part)
        select = (
            f"SELECT * REPLACE (line + {before} AS line,"
            f" {literal(f'{source.name}, ')} || refused AS refused) FROM {name(part)}"
        )
        into = f"INSERT INTO {rows}" if counts else f"CREATE TABLE {rows} AS"
        connection.execute(f"{into} {select}")
        drop(connection, part)
        counts.append(found.rows + found.refused)
        before += counts[-1]
        refused += found.refused
        needed = needed or found.exact
        own.update(dict.fromkeys(found.own_columns))
    connection.execute(f"CREATE VIEW {name(table)} AS FROM {rows}")
    return Loaded(before - refused, refused, tuple(own), exact=needed, counts=tuple(counts))


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
