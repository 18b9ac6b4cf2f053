"""
The exact reading: record by record in Python, with line and reason for each refused one.

What it finds is spooled to a file of its own in the connection's temp directory, which DuckDB
then reads back in one statement: rows pass through memory one at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import orjson

from bulkops.errors import ManifestError
from bulkops.files.manifest.layout import Heard, Layout
from bulkops.files.manifest.objects import cell_reader, objects
from bulkops.files.manifest.records import Refusal, records
from bulkops.files.manifest.shape import ABSENT, csv_columns
from bulkops.files.manifest.source import Format, Source
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stored import store, temp_directory
from bulkops.files.manifest.stream import chunks, lines, texts

#: The columns that say what is wrong with a record: its text, a code, and words.
REFUSED = ("raw", "refused_code", "refused")
#: Records after which it is told how many they are.
_OFTEN = 10_000


def read(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    table: str,
    file: Path | None = None,
    place: str = "",
    heard: Heard | None = None,
) -> tuple[int, int, tuple[str, ...]]:
    """
    Make `table` and return how many records were accepted and refused, and the own columns.

    Row number n of `table` (its `rowid` is n - 1) is record n of the file. `file` is where it is
    kept; `place` comes before the words of a refusal; `heard` is told how far reading has come.
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
        for found in _rows(source, layout=layout, own=own):
            if isinstance(found, Refusal):
                refused += 1
                row: dict[str, object] = {
                    "raw": found.raw,
                    "refused_code": found.code,
                    "refused": place + found.words,
                }
            else:
                accepted += 1
                row = {"cells": found}
            spool.write(orjson.dumps(row) + b"\n")
            if heard and (accepted + refused) % _OFTEN == 0:
                heard(accepted + refused)
        spool.flush()
        made = store(
            connection,
            _unless_refused(columns),
            _spooled(Path(spool.name)),
            table=table,
            ids=layout.ids,
            file=file,
        )
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
) -> Iterator[list[str] | list[str | None] | Refusal]:
    """Yield the cells of each record, or its refusal; `own` learns the columns of JSON lines."""
    pieces = chunks(source.path, compression=source.compression)
    text = texts(source.path, pieces=pieces, encoding=source.encoding)
    if source.format is Format.CSV:
        found = records(
            lines(text, universal=True),
            delimiter=source.delimiter,
            quote=source.quote,
            header=source.header,
        )
        yield from (record for number, record in found if number)
        return
    cells = cell_reader(layout)
    for _, value in objects(lines(text, universal=False)):
        if isinstance(value, Refusal):
            yield value
        else:
            own.update(dict.fromkeys(value))
            yield cells(value)


def _unless_refused(columns: Mapping[str, str]) -> dict[str, str]:
    """Return `columns` and what is said of a refused record, which has nothing in the others."""
    accepted = {
        ours: value if value == ABSENT else f"CASE WHEN refused_code IS NULL THEN {value} END"
        for ours, value in columns.items()
    }
    return {**accepted, **{column: column for column in REFUSED}}


def _spooled(spool: Path) -> str:
    """Return SQL for the rows of the spool."""
    types = ", ".join(f"'{column}': 'VARCHAR'" for column in REFUSED)
    return (
        f"read_json({literal(pattern(spool))}, format = 'newline_delimited',"
        " compression = 'none', hive_partitioning = false,"
        f" columns = {{'cells': 'VARCHAR[]', {types}}})"
    )
