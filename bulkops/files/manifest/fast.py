"""
The fast reading: DuckDB parses the file strictly, and is believed if the file's count agrees.

Makes a table of the records in the order of the file, and refuses none by itself. JSON lines that
DuckDB would read otherwise than they stand are set aside for the exact reading, while they are few
(see `aside.py`). Elsewhere it gives up, and leaves nothing, wherever it would have to refuse, or
would read what is not there. The file is counted while DuckDB reads it, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from threading import Event

import duckdb

from bulkops.files.manifest import alike, aside
from bulkops.files.manifest.layout import Heard, Layout
from bulkops.files.manifest.shape import (
    csv_columns,
    jsonl_columns,
    odd_json,
    pointers,
)
from bulkops.files.manifest.source import LONGEST_FIELD, LONGEST_LINE, Format, Source
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stored import forget, path_of, store
from bulkops.files.manifest.stream import chunks
from bulkops.files.manifest.survey import Survey, survey

_COMPRESSIONS = {"": "none", "gz": "gzip", "zst": "zstd"}
#: So many lines may be set aside in any file, and one more for so many bytes of it: the exact
#: reading of a line takes as long as the fast one of some twenty.
_ALWAYS_ASIDE, _BYTES_ASIDE = 1_000, 2_000
_READER_ERRORS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.InvalidTypeException,
    duckdb.IOException,
)


@dataclass(frozen=True, slots=True)
class Found:
    """
    Records that were accepted and refused, and the file's own columns.

    `exact` tells whether the exact reader was asked about some of them.
    """

    accepted: int
    refused: int
    own_columns: tuple[str, ...]
    exact: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be read, and where to; as `read` has it."""

    source: Source
    layout: Layout
    table: str
    file: Path | None
    place: str
    heard: Heard | None


def read(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    layout: Layout,
    table: str,
    file: Path | None = None,
    place: str = "",
    heard: Heard | None = None,
) -> Found | None:
    """
    Make `table` and return what it holds, or nothing.

    Row number n of `table` (its `rowid` is n - 1) is record n of the file. `file` is where it is
    kept; `place` comes before the words of a refusal; `heard` is told how far reading has come.
    """
    if source.encoding == "utf-16":
        return None
    asked = _Asked(source, layout, table, file, place, heard)
    readers = [_read_csv] if source.format is Format.CSV else [_read_alike, _read_jsonl]
    for read_so in readers:
        try:
            found = read_so(connection, asked)
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


def _read_csv(connection: duckdb.DuckDBPyConnection, asked: _Asked) -> Found | None:
    source, layout = asked.source, asked.layout
    width = len(source.header)
    names = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(width))
    columns = csv_columns(layout, header=source.header, cell="c{}".format)
    with _counting(source, asked.heard) as counting:
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
            table=asked.table,
            ids=layout.ids,
            file=asked.file,
        )
    fits = counting.result().fits_csv(rows=rows, width=width)
    return Found(rows, 0, source.header) if fits else None


def _read_alike(connection: duckdb.DuckDBPyConnection, asked: _Asked) -> Found | None:
    source = asked.source
    found = alike.alike(source)
    if found is None:
        return None
    columns = csv_columns(asked.layout, header=found.keys, cell=alike.cell)
    origin = alike.origin(source, found, compression=_COMPRESSIONS[source.compression])
    return _read_lines(connection, asked, columns, origin, header=found.keys)


def _read_jsonl(connection: duckdb.DuckDBPyConnection, asked: _Asked) -> Found | None:
    source, layout = asked.source, asked.layout
    if source.encoding != "utf-8":
        return None
    lines = aside.lines(source, compression=_COMPRESSIONS[source.compression])
    first = connection.execute(
        f"SELECT json_keys(line) FROM {lines}"
        " WHERE CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' END LIMIT 1"
    ).fetchone()
    usual: list[str] = first[0] if first else []
    if len(set(usual)) < len(usual):
        return None
    # Most objects have the keys of the first: of the others alone the keys are kept.
    unusual = f"keys IS DISTINCT FROM {_text_list(usual)}"
    columns = jsonl_columns(layout)
    if layout.used.issuperset(usual):
        columns["extra"] = f"CASE WHEN {unusual} THEN {columns['extra']} END"
    columns["keys"] = f"CASE WHEN {aside.COLUMN} IS NULL AND {unusual} THEN keys END"
    # The exact reader counts the end of the line too.
    fits = (
        f"json IS NOT NULL AND NOT {odd_json('json', 'keys')} AND strlen(json) < {LONGEST_LINE - 1}"
        f" AND CASE WHEN {unusual} THEN len(list_distinct(keys)) = len(keys) ELSE true END"
    )
    origin = (
        f"(SELECT *, {aside.unless(fits, line='line')} FROM"
        f" (SELECT *, json_extract_string(json, {pointers(layout)}) AS cells,"
        " json_keys(json) AS keys FROM"
        f" (SELECT line, CASE WHEN json_valid(line) THEN line END AS json FROM {lines})))"
    )
    return _read_lines(connection, asked, columns, origin, header=tuple(usual))


def _read_lines(
    connection: duckdb.DuckDBPyConnection,
    asked: _Asked,
    columns: Mapping[str, str],
    origin: str,
    *,
    header: tuple[str, ...],
) -> Found | None:
    """Keep `columns` of the lines of `origin`, and put back those that were set aside."""
    source, layout = asked.source, asked.layout
    most = _ALWAYS_ASIDE + source.size // _BYTES_ASIDE
    with (
        _counting(source, asked.heard) as counting,
        aside.setting_aside(connection, layout, most=most) as odd,
    ):
        rows = store(
            connection,
            {**columns, aside.COLUMN: aside.COLUMN},
            origin,
            table=asked.table,
            ids=layout.ids,
            file=asked.file,
        )
    told = counting.result()
    cut = "keys" not in columns
    if not (told.fits_alike(rows=rows) if cut else told.fits_lines(rows=rows)):
        return None
    if odd.lines:
        accepted, refused, own = aside.put_back(
            connection,
            odd,
            layout=layout,
            header=header,
            table=asked.table,
            file=asked.file,
            place=asked.place,
        )
        return Found(accepted, refused, own, exact=True)
    kept = path_of(connection, asked.table)
    own = header if cut else aside.own_columns(connection, kept, layout=layout, header=header)
    return Found(rows, 0, own)


def _text_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]::VARCHAR[]"
