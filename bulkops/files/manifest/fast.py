"""
The fast reading: DuckDB parses the file strictly, and is believed if the file's count agrees.

Makes a table of accepted records only, in the order of the file; it never refuses one. It
gives up (and leaves nothing) wherever it would have to, or would read what is not there. The
file is counted while DuckDB reads it, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from threading import Event

import duckdb

from bulkops.files.manifest import alike
from bulkops.files.manifest.layout import Heard, Layout
from bulkops.files.manifest.shape import (
    csv_columns,
    jsonl_columns,
    odd_json,
    pointers,
)
from bulkops.files.manifest.source import LONGEST_FIELD, LONGEST_LINE, Format, Source
from bulkops.files.manifest.sql import literal, name, pattern
from bulkops.files.manifest.stored import forget, store
from bulkops.files.manifest.stream import chunks
from bulkops.files.manifest.survey import Survey, survey

_COMPRESSIONS = {"": "none", "gz": "gzip", "zst": "zstd"}
_READER_ERRORS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.InvalidTypeException,
    duckdb.IOException,
)


def read(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    table: str,
    file: Path | None = None,
    heard: Heard | None = None,
) -> tuple[int, tuple[str, ...]] | None:
    """
    Make `table` and return its number of rows and the file's own columns, or nothing.

    Row number n of `table` (its `rowid` is n - 1) is record n of the file. `file` is where it is
    kept; `heard` is told how far reading has come.
    """
    if source.encoding == "utf-16":
        return None
    readers = [_read_csv] if source.format is Format.CSV else [_read_alike, _read_jsonl]
    for read_so in readers:
        try:
            found = read_so(connection, source, layout=layout, table=table, file=file, heard=heard)
        except _READER_ERRORS:
            found = None
        if found is not None:
            return found
        forget(connection, table)
    return None


@contextmanager
def _counting(source: Source, heard: Heard | None) -> Iterator[Future[Survey]]:
    """Count the records of the file beside the block, and stop if that fails."""
    stopped = Event()
    pieces = takewhile(
        lambda _: not stopped.is_set(), chunks(source.path, compression=source.compression)
    )
    with ThreadPoolExecutor(1, thread_name_prefix="survey") as beside:
        try:
            yield beside.submit(
                survey, pieces, delimiter=source.delimiter, quote=source.quote, heard=heard
            )
        except BaseException:
            stopped.set()
            raise


def _read_csv(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    table: str,
    file: Path | None,
    heard: Heard | None,
) -> tuple[int, tuple[str, ...]] | None:
    width = len(source.header)
    names = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(width))
    columns = csv_columns(layout, header=source.header, cell="c{}".format)
    with _counting(source, heard) as counting:
        # A row of at most as many bytes as a field may have characters has no field too long.
        rows = store(
            connection,
            columns,
            f"read_csv({literal(pattern(source.path))}, columns = {{{names}}},"
            f" delim = {literal(source.delimiter)}, quote = {literal(source.quote)},"
            f" escape = {literal(source.quote)},"
            f" compression = '{_COMPRESSIONS[source.compression]}',"
            " header = true, auto_detect = false, all_varchar = true, strict_mode = true,"
            " null_padding = false, ignore_errors = false, encoding = 'utf-8', comment = '',"
            f" max_line_size = {LONGEST_FIELD}, buffer_size = 32000000, hive_partitioning = false)",
            table=table,
            ids=layout.ids,
            file=file,
        )
    fits = counting.result().fits_csv(rows=rows, width=width)
    return (rows, source.header) if fits else None


def _read_alike(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    table: str,
    file: Path | None,
    heard: Heard | None,
) -> tuple[int, tuple[str, ...]] | None:
    pieces = alike.pieces_of(source)
    if pieces is None:
        return None
    header = tuple(pieces[1::4])
    origin = alike.origin(source, pieces, compression=_COMPRESSIONS[source.compression])
    with _counting(source, heard) as counting:
        rows = store(
            connection,
            csv_columns(layout, header=header, cell=alike.cell),
            origin,
            table=table,
            ids=layout.ids,
            file=file,
        )
    return (rows, header) if counting.result().fits_alike(rows=rows) else None


def _read_jsonl(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    table: str,
    file: Path | None,
    heard: Heard | None,
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
    # The exact reader counts the end of the line too.
    odd = f"({odd_json('json::VARCHAR', 'keys')} OR strlen(json::VARCHAR) > {LONGEST_LINE - 2})"
    with _counting(source, heard) as counting:
        rows = store(
            connection,
            {**columns, "keys": f"CASE WHEN {odd} THEN error('odd') WHEN {unusual} THEN keys END"},
            f"(SELECT json, json_extract_string(json, {pointers(layout)}) AS cells,"
            f" json_keys(json) AS keys FROM {objects})",
            table=table,
            ids=layout.ids,
            file=file,
        )
    if not counting.result().fits_jsonl(rows=rows) or len(set(usual)) < len(usual):
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


def _text_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]::VARCHAR[]"
