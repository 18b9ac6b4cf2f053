"""
The fast reading: DuckDB parses the file strictly, and is believed if the file's count agrees.

Makes a table of accepted records only, in the order of the file; it never refuses one. It
gives up (and leaves nothing) wherever it would have to, or would read what is not there.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from bulkops.manifest.layout import Layout
from bulkops.manifest.shape import (
    ODD_JSON,
    csv_columns,
    jsonl_columns,
    known_pointers,
    select_list,
)
from bulkops.manifest.source import LONGEST_FIELD, LONGEST_LINE, Format, Source
from bulkops.manifest.sql import literal, name, pattern
from bulkops.manifest.stream import chunks
from bulkops.manifest.survey import survey

_COMPRESSIONS = {"": "none", "gz": "gzip", "zst": "zstd"}
_READER_ERRORS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.InvalidTypeException,
    duckdb.IOException,
)


def read(
    connection: duckdb.DuckDBPyConnection, source: Source, *, layout: Layout, table: str
) -> tuple[int, tuple[str, ...]] | None:
    """
    Make `table` and return its number of rows and the file's own columns, or nothing.

    Row number n of `table` (its `rowid` is n - 1) is record n of the file.
    """
    if source.encoding == "utf-16":
        return None
    try:
        if source.format is Format.CSV:
            found = _read_csv(connection, source, layout=layout, table=table)
        else:
            found = _read_jsonl(connection, source, layout=layout, table=table)
    except _READER_ERRORS:
        found = None
    if found is None:
        connection.execute(f"DROP TABLE IF EXISTS {name(table)}")
    return found


def _read_csv(
    connection: duckdb.DuckDBPyConnection, source: Source, *, layout: Layout, table: str
) -> tuple[int, tuple[str, ...]] | None:
    width = len(source.header)
    names = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(width))
    columns = csv_columns(layout, header=source.header, cell="c{}".format)
    # A row of at most as many bytes as a field may have characters has no field too long.
    rows = _create(
        connection,
        f"CREATE TABLE {name(table)} AS SELECT {select_list(columns)}"
        f" FROM read_csv({literal(pattern(source.path))}, columns = {{{names}}},"
        f" delim = {literal(source.delimiter)}, quote = {literal(source.quote)},"
        f" escape = {literal(source.quote)}, compression = '{_COMPRESSIONS[source.compression]}',"
        " header = true, auto_detect = false, all_varchar = true, strict_mode = true,"
        " null_padding = false, ignore_errors = false, encoding = 'utf-8', comment = '',"
        f" max_line_size = {LONGEST_FIELD}, buffer_size = 32000000, hive_partitioning = false)",
    )
    counted = survey(
        chunks(source.path, compression=source.compression),
        delimiter=source.delimiter,
        quote=source.quote,
    )
    return (rows, source.header) if counted.fits_csv(rows=rows, width=width) else None


def _read_jsonl(
    connection: duckdb.DuckDBPyConnection, source: Source, *, layout: Layout, table: str
) -> tuple[int, tuple[str, ...]] | None:
    objects = (
        f"read_json_objects({literal(pattern(source.path))}, format = 'newline_delimited',"
        f" compression = '{_COMPRESSIONS[source.compression]}', ignore_errors = false,"
        " hive_partitioning = false)"
    )
    first = connection.execute(f"SELECT json_keys(json) FROM {objects} LIMIT 1").fetchone()
    usual: list[str] = first[0] if first else []
    # Most objects have the keys of the first: of the others alone the keys are kept.
    unusual = f"keys IS DISTINCT FROM {_text_list(usual)}"
    columns = jsonl_columns(layout)
    if layout.used.issuperset(usual):
        columns["extra"] = f"CASE WHEN {unusual} THEN {columns['extra']} END"
    rows = _create(
        connection,
        f"CREATE TABLE {name(table)} AS SELECT {select_list(columns)},"
        f" regexp_matches(json::VARCHAR, {literal(ODD_JSON)})"
        f" OR strlen(json::VARCHAR) > {LONGEST_LINE} AS odd,"
        f" CASE WHEN {unusual} THEN keys END AS keys"
        f" FROM (SELECT json, json_extract_string(json, {known_pointers(layout)}) AS cells,"
        f" json_keys(json) AS keys FROM {objects})",
    )
    counted = survey(chunks(source.path, compression=source.compression))
    odd = connection.execute(f"SELECT count(*) FROM {name(table)} WHERE odd").fetchone()
    if not counted.fits_jsonl(rows=rows) or odd != (0,) or len(set(usual)) < len(usual):
        return None
    own = dict.fromkeys(usual)
    shapes = connection.execute(
        f"SELECT keys FROM {name(table)} WHERE keys IS NOT NULL GROUP BY keys ORDER BY min(rowid)"
    )
    while found := shapes.fetchmany(1_000):
        for (keys,) in found:
            if len(set(keys)) < len(keys):
                return None
            own.update(dict.fromkeys(keys))
    return rows, tuple(own)


def _create(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    """Run a CREATE TABLE AS and return the number of rows it made."""
    made = connection.execute(statement).fetchone()
    assert made is not None
    return int(made[0])


def _text_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]::VARCHAR[]"
