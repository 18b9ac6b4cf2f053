"""
Loading a manifest: the fast reading where it can be believed, the exact one elsewhere.

Both make the same view. It says of each record what stands there, not whether that is an
operation. Of several files it is one view, whose lines go on from file to file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import duckdb

from bulkops.errors import ManifestError
from bulkops.files.manifest import exact, fast, parquet
from bulkops.files.manifest.layout import Heard, Layout, check_columns, lay_out
from bulkops.files.manifest.places import parts_of, say_place_sql
from bulkops.files.manifest.source import Format, Manifest, Source
from bulkops.files.manifest.sql import name
from bulkops.files.manifest.stored import append, forget, kept_sql, path_of
from bulkops.files.manifest.stream import readable

_NOTHING: Mapping[str, str] = MappingProxyType({})


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
    ids: Collection[str] = (),
    file: Path | None = None,
    heard: Heard | None = None,
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

    Each of `ids`, which are of `known`, has a column `..._number` (UBIGINT) too: what the text
    says, or NULL where a number does not print as that text.

    It is a view upon a Parquet file: `file`, which stays when `drop` removes the view and what is
    beneath it, or a temporary one. `heard` is told how many records have been read. Call this
    outside a transaction. The caller limits memory, threads and temp directory. Raise
    `ManifestError` if nothing can be read, or if a column is mapped from one that a file does not
    have.
    """
    layout = lay_out(
        manifest.path, known=known, fields=fields, columns=columns, fixed=fixed, ids=ids
    )
    for source in manifest.sources:
        if source.format is not Format.JSONL:
            check_columns(source.path, columns=columns, own=source.header)
    drop(connection, table)
    rows = table + "_rows"
    with _in_file_order(connection):
        if len(manifest.sources) == 1:
            (source,) = manifest.sources
            loaded = _read(
                connection,
                source,
                layout=layout,
                columns=columns,
                table=rows,
                file=file,
                heard=heard,
            )
        else:
            loaded = _read_all(
                connection,
                manifest,
                layout=layout,
                columns=columns,
                table=rows,
                file=file,
                heard=heard,
            )
    kept = kept_sql(connection, path_of(connection, rows), _columns(layout), ids=layout.ids)
    connection.execute(
        f"CREATE VIEW {name(table)} AS SELECT rowid + 1 AS line, * EXCLUDE (rowid) FROM ({kept})"
    )
    parts = parts_of([source.name for source in manifest.sources], loaded.counts)
    connection.execute(
        f"CREATE OR REPLACE TEMP MACRO say_line(line) AS {say_place_sql(parts, 'line')}"
    )
    return loaded


def some(connection: duckdb.DuckDBPyConnection, table: str, *, lines: str) -> str:
    """
    Return SQL for those rows of `table`, made by `load`, whose `line` the SELECT `lines` gives.

    That is several times faster than a join, where they are few.
    """
    found = connection.execute(f"DESCRIBE {name(table)}").fetchall()
    names = [column for column, *_ in found]
    ids = [column for column in names if f"{column}_number" in names]
    made = {"line", *(f"{column}_number" for column in ids)}
    kept = kept_sql(
        connection,
        path_of(connection, table + "_rows"),
        [column for column in names if column not in made],
        ids=ids,
        only=f"SELECT line - 1 FROM ({lines})",
    )
    return f"SELECT rowid + 1 AS line, * EXCLUDE (rowid) FROM ({kept})"


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


def _columns(layout: Layout) -> list[str]:
    """Return the columns that each record has."""
    return [*layout.known, "fields", "extra", *exact.REFUSED]


def _read(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    columns: Mapping[str, str],
    table: str,
    file: Path | None,
    place: str = "",
    heard: Heard | None = None,
) -> Loaded:
    """Make `table` of the records of one file; `place` comes before the words of a refusal."""
    found: fast.Found | None
    try:
        if source.format is Format.PARQUET:
            made = parquet.read(connection, source, layout=layout, table=table, file=file)
            found = fast.Found(made, 0, source.header)
        else:
            found = fast.read(
                connection,
                source,
                layout=layout,
                table=table,
                file=file,
                place=place,
                heard=heard,
            )
        if found is None:
            accepted, refused, own = exact.read(
                connection,
                source,
                layout=layout,
                table=table,
                file=file,
                place=place,
                heard=heard,
            )
            found = fast.Found(accepted, refused, own, exact=True)
        loaded = Loaded(
            found.accepted,
            found.refused,
            found.own_columns,
            exact=found.exact,
            counts=(found.accepted + found.refused,),
        )
        if source.format is Format.JSONL and loaded.rows:
            check_columns(source.path, columns=columns, own=loaded.own_columns)
        _check_size(source)
    except BaseException:
        forget(connection, table)
        raise
    return loaded


def _read_all(
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    *,
    layout: Layout,
    columns: Mapping[str, str],
    table: str,
    file: Path | None,
    heard: Heard | None,
) -> Loaded:
    """Make `table` of several files: each is read as if alone, and then put behind the last."""
    found: dict[str, Loaded] = {}

    def so_far(number: int) -> None:
        if heard:
            heard(number + sum(each.rows + each.refused for each in found.values()))

    try:
        for number, source in enumerate(manifest.sources):
            part = f"{table}_{number}"
            found[part] = _read(
                connection,
                source,
                layout=layout,
                columns=columns,
                table=part,
                file=None,
                place=f"{source.name}, ",
                heard=so_far,
            )
        append(connection, list(found), _columns(layout), table=table, ids=layout.ids, file=file)
    finally:
        for part in found:
            forget(connection, part)
    return Loaded(
        sum(each.rows for each in found.values()),
        sum(each.refused for each in found.values()),
        tuple(dict.fromkeys(own for each in found.values() for own in each.own_columns)),
        exact=any(each.exact for each in found.values()),
        counts=tuple(each.rows + each.refused for each in found.values()),
    )


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
