"""
What became of every line, as the view `told`: the log of a run joined with the manifest's rows.

`opened` asks the log itself, which is right for one question. `telling` is for several: it reads a
long log once, into a table of a file in the run's room, and shows the lines a part after the other,
so that no more than a part is joined or sorted at a time. Not for what a line means.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb

from bulkops.files.database import connect, fetched, room_of
from bulkops.files.inputs import parts_in
from bulkops.files.manifest.places import file_line_sql, file_sql
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.planner.rows import rows_sql
from bulkops.files.rundir import RunDirectory

_LOG = """
    SELECT * FROM read_json({log}, format = 'newline_delimited', ignore_errors = true, columns = {{
        type: 'VARCHAR', line: 'BIGINT', status: 'VARCHAR', code: 'VARCHAR', message: 'VARCHAR',
        http_status: 'INTEGER', attempts: 'INTEGER', batch: 'BIGINT', job_id: 'VARCHAR',
        of_line: 'BIGINT', learnt: 'VARCHAR', aborted: 'BOOLEAN', t: 'DOUBLE'}})
"""
#: Log and rows of about a million lines, for which little memory and one thread are enough.
_SMALL_BYTES: Final = 192 << 20
#: From this size of the log on its lines are told in parts.
LONG_BYTES: Final = 8_000_000
#: Lines that are joined and sorted at a time: half of what a row group of the rows holds.
PART: Final = 61_440
#: Parts whose lines stand together in the table of a log.
_PARTS: Final = 32
#: What a part takes, and reading the log; and what it may take if its rows are long.
_PART_MEMORY: Final = "48MB"
_LONG_ROWS_MEMORY: Final = "512MB"
#: The lines that are shown now, and their places among the rows.
_SHOWN: Final = "line BETWEEN getvariable('first') AND getvariable('last')"
_PLACES: Final = "rowid BETWEEN getvariable('first') - 1 AND getvariable('last') - 1"
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Told:
    """
    A connection with the view `told`: of all lines, or of those of `rows` that it shows just now.
    """

    connection: duckdb.DuckDBPyConnection
    rows: int | None = None
    #: How many lines it shows at a time.
    part: int = PART

    def parts(self) -> Iterator[int]:
        """Show the lines, in manifest order, a part after the other; yield the number of each."""
        if self.rows is None:
            yield 0
            return
        for number, first in enumerate(range(1, max(self.rows, 1) + 1, self.part)):
            last = first + self.part - 1
            self.connection.execute(f"SET VARIABLE first = {first}; SET VARIABLE last = {last}")
            yield number

    def ask(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield what a query says of every part in turn."""
        for _ in self.parts():
            yield from fetched(self.connection.execute(query), at_once=5_000)

    def answer(self, made: Callable[[], _Made]) -> _Made:
        """Return what `made` returns; where rows are too long for it, it is called once more."""
        try:
            return made()
        except duckdb.OutOfMemoryException:
            self.connection.execute(f"SET memory_limit = '{_LONG_ROWS_MEMORY}'")
            return made()


@contextmanager
def opened(
    run: RunDirectory, *, memory: str = "512MB", modest: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    Open a connection with the view `told`: the rows that have a state, with it.

    A `modest` one takes a fifth of the memory where the run is small enough for that, and half as
    long again. `file` and `file_line` are NULL unless the manifest is several files.
    """
    threads = 0
    if modest and sum(each.stat().st_size for each in (run.checkpoint, run.rows)) <= _SMALL_BYTES:
        memory, threads = "96MB", 1
    with connect(room_of(run), memory=memory, threads=threads) as connection:
        connection.execute(f"CREATE TEMP VIEW log AS {_log_sql(run)}")
        _tell(connection, run)
        yield connection


@contextmanager
def told_of(run: RunDirectory, told: Told | None) -> Iterator[Told]:
    """Yield `told`, or else what shows all lines of `run` at once."""
    if told is not None:
        yield told
        return
    with opened(run, modest=True) as connection:
        yield Told(connection)


@contextmanager
def telling(
    run: RunDirectory, rows: int, *, long_bytes: int = LONG_BYTES, part: int = PART
) -> Iterator[Told]:
    """
    Open what tells of `run`, whose manifest has `rows`, for several questions.

    A log from `long_bytes` on is told `part` lines at a time. Where there is no room for its table,
    a few hundredths of it, the log is asked itself.
    """
    with ExitStack() as stack:
        told = None
        if run.checkpoint.stat().st_size >= long_bytes:
            with suppress(OSError, duckdb.Error):
                told = stack.enter_context(_in_parts(run, rows, part))
        yield told or stack.enter_context(told_of(run, None))


@contextmanager
def _in_parts(run: RunDirectory, rows: int, part: int) -> Iterator[Told]:
    room = room_of(run)
    # DuckDB takes what follows a question mark in a path for options.
    named = None if "?" in str(room) else room
    with (
        tempfile.TemporaryDirectory(
            prefix="bulkops-", dir=named, ignore_cleanup_errors=True
        ) as scratch,
        connect(Path(scratch), memory=_PART_MEMORY, threads=1) as connection,
    ):
        told = Told(connection, rows, part)
        file = literal(str(Path(scratch).absolute() / "log.duckdb"))
        connection.execute(f"ATTACH {file} AS gathered")
        told.answer(partial(_gather, connection, run, rows, stretch=part * _PARTS))
        connection.execute("CREATE TEMP VIEW log AS FROM gathered.log")
        _tell(connection, run, in_parts=True)
        yield told


def _gather(
    connection: duckdb.DuckDBPyConnection, run: RunDirectory, rows: int, *, stretch: int
) -> None:
    """
    Make the table `gathered.log`: a stretch of lines after the other, each in the log's own order.

    Whoever looks for a few lines passes over what holds none of them.
    """
    found = f"{_log_sql(run)} WHERE type IN ('outcome', 'job')"
    if rows <= stretch:
        connection.execute(f"CREATE OR REPLACE TABLE gathered.log AS {found}")
        return
    connection.execute(f"CREATE OR REPLACE TABLE gathered.unsorted AS {found}")
    connection.execute("CREATE OR REPLACE TABLE gathered.log AS FROM gathered.unsorted LIMIT 0")
    for first in range(1, rows + 1, stretch):
        connection.execute(
            "INSERT INTO gathered.log FROM gathered.unsorted "
            f"WHERE line BETWEEN {first} AND {first + stretch - 1}"
        )
    connection.execute("DROP TABLE gathered.unsorted")


def _log_sql(run: RunDirectory) -> str:
    return _LOG.format(log=literal(pattern(run.checkpoint)))


def _tell(
    connection: duckdb.DuckDBPyConnection, run: RunDirectory, *, in_parts: bool = False
) -> None:
    """Make the view `told` of the view `log` and the rows of `run`."""
    parts = parts_in(run.read_description() or {})
    several = len(parts) > 1
    # What a query needs of a table is read for each use of it; a file would be read each time.
    once, where, places = (
        ("NOT MATERIALIZED", _SHOWN, _PLACES) if in_parts else ("", "true", "true")
    )
    connection.execute(f"""
        CREATE TEMP VIEW told AS
        WITH outcomes AS {once} (
            SELECT *, status = 'unknown' OR status = 'skipped' OR (status = 'failed'
                AND coalesce(aborted, false)) AS may_change
            FROM log WHERE type = 'outcome' AND {where}
        ),
        final AS (FROM outcomes WHERE NOT may_change),
        -- What is unknown, or was not sent for its group's sake, may be tried by a later run.
        -- Which is the latest its place in the log says: the clock may have been put back.
        changing AS (SELECT *, row_number() OVER () AS place FROM outcomes WHERE may_change),
        settled AS (
            FROM final UNION ALL BY NAME
            SELECT * FROM changing ANTI JOIN final USING (line)
            QUALIFY row_number() OVER (PARTITION BY line ORDER BY place DESC) = 1
        ),
        jobs AS (
            SELECT *, row_number() OVER () AS place FROM log WHERE type = 'job' AND {where}
        ),
        scheduled AS (
            SELECT line, arg_max(job_id, place) AS job_id, max(batch) AS batch FROM jobs
            GROUP BY line
        )
        SELECT rows.*,
            coalesce(settled.status, 'scheduled') AS status, settled.code, settled.message,
            settled.http_status, settled.attempts,
            coalesce(settled.batch, scheduled.batch) AS batch,
            coalesce(settled.job_id, scheduled.job_id) AS job_id, settled.of_line,
            coalesce(settled.learnt, CASE WHEN settled.batch IS NOT NULL
                AND settled.status <> 'skipped' THEN 'answered' END) AS learnt,
            strftime(epoch_ms(CAST(settled.t * 1000 AS BIGINT)), '%Y-%m-%dT%H:%M:%S.%gZ')
                AS finished_at,
            {file_sql(parts, "line") if several else "NULL"} AS file,
            {file_line_sql(parts, "line") if several else "NULL"} AS file_line
        FROM {rows_sql(connection, run.rows, where=places)} AS rows
        LEFT JOIN settled USING (line)
        LEFT JOIN scheduled USING (line)
        WHERE settled.line IS NOT NULL OR scheduled.line IS NOT NULL
    """)
