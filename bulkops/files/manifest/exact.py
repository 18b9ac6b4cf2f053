"""
The exact reading: record by record in Python, with line and reason for each refused one.

What it finds is spooled to a file of its own in the connection's temp directory, which DuckDB
then reads back in one statement: rows pass through memory one at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import orjson

from bulkops.errors import ManifestError
from bulkops.files.manifest.layout import Layout
from bulkops.files.manifest.objects import cell_reader, objects
from bulkops.files.manifest.records import Refusal, records
from bulkops.files.manifest.shape import ABSENT, csv_columns
from bulkops.files.manifest.source import Format, Source
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stored import store, temp_directory
from bulkops.files.manifest.stream import chunks, lines, texts

_REFUSED = ("raw", "refused_code", "refused")


def read(
    connection: duckdb.DuckDBPyConnection, source: Source, *, layout: Layout, table: str
) -> tuple[int, int, tuple[str, ...]]:
    """
    Make `table` and return how many records were accepted and refused, and the own columns.
    """
    own: dict[str, None] = dict.fromkeys(source.header)
    if source.format is Format.CSV:
        columns = csv_columns(layout, header=source.header, cell=_cell)
    else:
        columns = {ours: _cell(place) for place, ours in enumerate(_names(layout))}
    accepted = refused = 0
    with tempfile.NamedTemporaryFile(
        dir=temp_directory(connection), prefix="bulkops-", suffix=".ndjson"
    ) as spool:
        for line, found in _rows(source, layout=layout, own=own):
            if isinstance(found, Refusal):
                refused += 1
                row = {
                    "line": line,
                    "raw": found.raw,
                    "refused_code": found.code,
                    "refused": found.words,
                }
            else:
                accepted += 1
                row = {"line": line, "cells": found}
            spool.write(orjson.dumps(row) + b"\n")
        spool.flush()
        made = _create(connection, Path(spool.name), columns=columns, table=table)
    if made != accepted + refused:
        raise ManifestError(
            f"{source.path}: found {accepted + refused:,} records, of which {made:,} could be kept"
        )
    return accepted, refused, tuple(own)


def _cell(place: int) -> str:
    return f"cells[{place + 1}]"


def _names(layout: Layout) -> list[str]:
    return [*layout.known, "fields", "extra"]


def _rows(
    source: Source, *, layout: Layout, own: dict[str, None]
) -> Iterator[tuple[int, list[str] | list[str | None] | Refusal]]:
    """Yield number and cells, or number and refusal; `own` learns the columns of JSON lines."""
    pieces = chunks(source.path, compression=source.compression)
    text = texts(source.path, pieces=pieces, encoding=source.encoding)
    if source.format is Format.CSV:
        found = records(
            lines(text, universal=True),
            delimiter=source.delimiter,
            quote=source.quote,
            header=source.header,
        )
        yield from (row for row in found if row[0])
        return
    cells = cell_reader(layout)
    for number, value in objects(lines(text, universal=False)):
        if isinstance(value, Refusal):
            yield number, value
        else:
            own.update(dict.fromkeys(value))
            yield number, cells(value)


def _create(
    connection: duckdb.DuckDBPyConnection, spool: Path, *, columns: dict[str, str], table: str
) -> int:
    """Make `table` of the spooled rows; a refused row has nothing but its line and why."""
    columns = {
        ours: value if value == ABSENT else f"CASE WHEN refused_code IS NULL THEN {value} END"
        for ours, value in columns.items()
    }
    types = ", ".join(f"'{column}': 'VARCHAR'" for column in _REFUSED)
    return store(
        connection,
        {"line": "line", **columns, **{column: column for column in _REFUSED}},
        f"read_json({literal(pattern(spool))}, format = 'newline_delimited',"
        " compression = 'none', hive_partitioning = false,"
        f" columns = {{'line': 'BIGINT', 'cells': 'VARCHAR[]', {types}}})",
        table=table,
    )
