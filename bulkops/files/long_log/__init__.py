"""
Read a long checkpoint log at once, with DuckDB: one pass, whatever the number of its lines.

It is mostly outcomes, which are counted and turned into a bit for each line (`stretches.py`), and
calls, which become numbers in an array (`sent.py`). What the other records say is gathered in the
same pass. That pass knows no order, so what it gathers must not depend on one. Where stopped lines
were opened again, another pass tells what stands before each reopening from what stands after it.
The little else that has an order, which job of a line is the last and whether the run was stopped
since its last call, is looked up apart and only where it matters.

Not for damage, nor for what is unusual: both are left to the exact reading, line by line.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.files.database import connect, fetched
from bulkops.files.long_log.sent import CODE, GAP, PART
from bulkops.files.long_log.stretches import Gathered, UnusualLogError
from bulkops.files.manifest.sql import literal, pattern
from bulkops.rules.progress import Progress

#: DuckDB's share of the 300 MiB that opening a run may take.
_MEMORY = "200MB"
#: Of the text of a record. Ours begin with their type.
_OF_CALLS = """
    starts_with(raw, '{"type":"sent"') OR starts_with(raw, '{"type":"answer"')
    OR starts_with(raw, '{"type":"note","event":"capacity.learnt"')
"""
_OF_JOBS = """
    starts_with(raw, '{"type":"job"')
    AND get_bit(CAST(? AS BIT), CAST(json_extract(raw, '$.line') AS INTEGER)) = 1
"""
#: Which reopenings stand before a record. Counting them keeps the log in its order, on one thread.
_STRETCH = """
    count(CASE WHEN type = 'note' AND event = 'run.reopened' THEN 1 END)
    OVER (ROWS UNBOUNDED PRECEDING)
"""
#: No record of ours is as long, but DuckDB sets room aside for some that are.
_LONGEST = 1 << 20
_SENT = b'\n{"type":"sent"'
_STOPPED = b'\n{"type":"note","event":"run.stopped"'


def read_at_once(path: Path, first: Mapping[str, Any]) -> Progress | None:
    """
    Return what the log at `path` says, whose header is `first`; `None` to have it read exactly.
    """
    progress = Progress()
    try:
        progress.take(first)
        with connect(path.parent, memory=_MEMORY) as connection:
            try:
                gathered = _gathered(connection, path, progress.rows)
                gathered.add_to(progress)
            except duckdb.OutOfMemoryException:
                # Millions of calls in no order: they have a pass of their own, and come one by one.
                progress = Progress()
                progress.take(first)
                gathered = Gathered()
                gathered.take_all(connection.execute(_query(path, progress.rows, calls=False)))
                if gathered.reopened:
                    raise UnusualLogError("calls in no order, and lines opened again") from None
                gathered.add_to(progress)
                for record in _in_order(connection, path, _OF_CALLS):
                    progress.take(record)
            _take_jobs(connection, path, progress, gathered.open_jobs)
        if gathered.stopped:
            progress.stop = _stop_since_last_call(path)
    except (duckdb.Error, IndexError, KeyError, OverflowError, TypeError, ValueError):
        return None
    return progress


def _gathered(connection: duckdb.DuckDBPyConnection, path: Path, rows: int) -> Gathered:
    gathered = Gathered()
    gathered.take_all(connection.execute(_query(path, rows)))
    if not gathered.reopened:
        return gathered
    gathered = Gathered()
    gathered.take_all(connection.execute(_query(path, rows, stretches=True)))
    return gathered


def _query(path: Path, rows: int, *, calls: bool = True, stretches: bool = False) -> str:
    """
    Return SQL for what `Gathered` takes.

    With `stretches` the records are told apart by the reopenings before them.
    """
    of_calls = f"""
        CAST(list({CODE}) FILTER (type = 'sent' AND lines IS NULL) AS VARCHAR),
        list({{type: type, event: event, batch: batch, call: call, lines: lines,
            doubtful: doubtful, spec: spec, "limit": "limit"}})
            FILTER (type = 'answer' OR lines IS NOT NULL OR spec IS NOT NULL)
    """
    return f"""
        SELECT stretch, type, status, event, aborted, count(*),
            bitstring_agg(line, 0, {rows}) FILTER (type IN ('outcome', 'job')),
            part, gap, {of_calls if calls else "NULL, NULL"}
        FROM (
            SELECT *, {_STRETCH if stretches else "0"} AS stretch,
                {PART if calls else "NULL"} AS part, {GAP if calls else "NULL"} AS gap
            FROM read_json({literal(pattern(path))}, format = 'newline_delimited',
                maximum_object_size = {_LONGEST}, columns = {{
                type: 'VARCHAR', line: 'BIGINT', status: 'VARCHAR', event: 'VARCHAR',
                aborted: 'BOOLEAN', batch: 'BIGINT', call: 'BIGINT', lines: 'JSON',
                doubtful: 'BIGINT[]', spec: 'VARCHAR', "limit": 'BIGINT'}})
        )
        GROUP BY stretch, type, status, event, aborted, part, gap
    """


def _in_order(
    connection: duckdb.DuckDBPyConnection, path: Path, condition: str, bits: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the records whose text `raw` fits a condition of SQL, in the order of the log."""
    result = connection.execute(
        f"""
        SELECT raw FROM (
            SELECT CAST(json AS VARCHAR) AS raw
            FROM read_json_objects({literal(pattern(path))}, format = 'newline_delimited'))
        WHERE {condition}
        """,
        [] if bits is None else [bits],
    )
    for (raw,) in fetched(result, 5_000):
        yield orjson.loads(raw)


def _take_jobs(
    connection: duckdb.DuckDBPyConnection, path: Path, progress: Progress, lines: int
) -> None:
    """Take the last job of each of `lines`, by a second pass, if there are any."""
    if not lines:
        return
    bits = f"{lines:0{progress.rows + 1}b}"[::-1]
    for record in _in_order(connection, path, _OF_JOBS, bits):
        progress.jobs[record["line"]] = record["job_id"]
    if len(progress.jobs) != lines.bit_count():
        raise UnusualLogError("a job that is not written as we write it")


def _stop_since_last_call(path: Path) -> str:
    """Return why the run was stopped, unless it has sent a call since."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as log:
        start = log.rfind(_STOPPED, max(log.rfind(_SENT), 0))
        if start < 0:
            return ""
        log.seek(start + 1)
        return str(orjson.loads(log.readline()).get("reason", ""))
