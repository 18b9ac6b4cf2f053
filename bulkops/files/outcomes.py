"""
Join the log with the rows of the manifest: what became of every line, in manifest order.

Derived from `rows.parquet` and `checkpoint.jsonl` alone, so that everything here may be deleted
and made again. Works while the run goes on; lines that have no state yet are left out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.files.database import connect, fetched, room_of
from bulkops.files.inputs import parts_in
from bulkops.files.manifest.apostrophes import guarded_sql
from bulkops.files.manifest.places import file_line_sql, file_sql
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.planner.rows import rows_sql
from bulkops.files.rundir import RunDirectory
from bulkops.model import TERMINAL, WANTED, Status

#: The columns of an outcome, in the order they are printed.
COLUMNS = (
    "line",
    "op",
    "module",
    "record_id",
    "related_list",
    "related_id",
    "territory_id",
    "transfer_to_id",
    "status",
    "code",
    "message",
    "raw",
    "http_status",
    "attempts",
    "batch",
    "job_id",
    "of_line",
    "learnt",
    "finished_at",
)
#: Those of them that hold text of a manifest or a server, which a CSV file must guard.
_TEXTS = frozenset({*COLUMNS, "file"}) - {
    *("line", "http_status", "attempts", "batch", "of_line", "finished_at")
}
#: Statuses whose rows belong into another try. A duplicate is tried with the line it repeats.
UNFINISHED = tuple(sorted(TERMINAL - WANTED - {Status.DUPLICATE}))
#: Where a line stands, told where the manifest is several files.
PLACE = ("file", "file_line")

#: Relation fields and carried columns as one JSON object, in which a carried column wins. They are
#: joined as text: merging takes a null inside of `extra` for a wish to remove.
_EXTRA = r"""
    CASE WHEN fields IS NULL THEN extra WHEN extra IS NULL THEN fields
    ELSE regexp_replace(left(CASE WHEN len(list_intersect(json_keys(fields), json_keys(extra))) = 0
        THEN fields ELSE CAST(json_merge_patch(fields, '{' || array_to_string(list_transform(
            json_keys(extra), lambda each: CAST(to_json(each) AS VARCHAR) || ':null'), ',') || '}')
            AS VARCHAR) END, -1) || ',' || substr(extra, 2), '^\{,', '{') END
"""
_LOG = """
    SELECT * FROM read_json({log}, format = 'newline_delimited', ignore_errors = true, columns = {{
        type: 'VARCHAR', line: 'BIGINT', status: 'VARCHAR', code: 'VARCHAR', message: 'VARCHAR',
        http_status: 'INTEGER', attempts: 'INTEGER', batch: 'BIGINT', job_id: 'VARCHAR',
        of_line: 'BIGINT', learnt: 'VARCHAR', aborted: 'BOOLEAN', t: 'DOUBLE'}})
"""


#: Log and rows of about a million lines, for which little memory and one thread are enough.
_SMALL_BYTES = 192 << 20


@contextmanager
def opened(
    run: RunDirectory, *, memory: str = "512MB", modest: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    Open a connection with the view `told`: the rows that have a state, with it.

    A `modest` one takes a fifth of the memory where the run is small enough for that, and half as
    long again. `file` and `file_line` are NULL unless the manifest is several files.
    """
    parts = parts_in(run.read_description() or {})
    several = len(parts) > 1
    threads = 0
    if modest and sum(each.stat().st_size for each in (run.checkpoint, run.rows)) <= _SMALL_BYTES:
        memory, threads = "96MB", 1
    with connect(room_of(run), memory=memory, threads=threads) as connection:
        connection.execute(f"""
            CREATE TEMP VIEW log AS {_LOG.format(log=literal(pattern(run.checkpoint)))};
            CREATE TEMP VIEW told AS
            WITH outcomes AS (
                SELECT *, status = 'unknown' OR status = 'skipped' OR (status = 'failed'
                    AND coalesce(aborted, false)) AS may_change
                FROM log WHERE type = 'outcome'
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
            jobs AS (SELECT *, row_number() OVER () AS place FROM log WHERE type = 'job'),
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
            FROM {rows_sql(connection, run.rows)} AS rows
            LEFT JOIN settled USING (line)
            LEFT JOIN scheduled USING (line)
            WHERE settled.line IS NOT NULL OR scheduled.line IS NOT NULL
        """)
        yield connection


def columns_of(run: RunDirectory) -> tuple[str, ...]:
    """Return the columns of the outcomes of `run`; where a line stands if that is a question."""
    if len(parts_in(run.read_description() or {})) < 2:
        return COLUMNS
    return ("line", *PLACE, *COLUMNS[1:])


def read_outcomes(
    run: RunDirectory,
    statuses: Collection[str] = (),
    *,
    after: int = 0,
    most: int | None = None,
) -> Iterator[dict[str, Any]]:
    """
    Yield the outcome of each line in manifest order; absent values are left out.

    `statuses` filters; no more than `most` are told, of the lines behind `after`. Carried columns
    and relation fields stand under `extra`.
    """
    columns = columns_of(run)
    where = where_sql(statuses) or "WHERE true"
    limit = "" if most is None else f"LIMIT {most}"
    with opened(run) as connection:
        result = connection.execute(
            f"SELECT {', '.join(columns)}, fields, extra FROM told {where} "
            f"AND told.line > {after} ORDER BY told.line {limit}"
        )
        for row in fetched(result, at_once=5000):
            found = {
                name: value for name, value in zip(columns, row, strict=False) if value is not None
            }
            if row[-1] is not None or row[-2] is not None:
                found["extra"] = {**members_of(row[-2]), **members_of(row[-1])}
            yield found


def copy_outcomes(
    run: RunDirectory, target: Path, statuses: Collection[str] = (), *, parquet: bool = False
) -> None:
    """Write outcomes to a CSV file, whose cells are no formulas, or to a Parquet one."""
    shape = "(FORMAT parquet)" if parquet else "(FORMAT csv, HEADER)"
    columns = [
        each if parquet or each not in _TEXTS else f"{guarded_sql(each)} AS {each}"
        for each in columns_of(run)
    ]
    with opened(run, modest=True) as connection:
        connection.execute(
            f"COPY (SELECT {', '.join(columns)}, {_EXTRA} AS extra FROM told "
            f"{where_sql(statuses)} ORDER BY told.line) "
            f"TO {literal(str(target))} {shape}"
        )


def members_of(content: str | None) -> dict[str, Any]:
    """Return the JSON object of a cell, its numbers as they stand; none is an empty one."""
    return _DECODER.decode(content) if content else {}


def _whole(digits: str) -> Any:
    """Return a whole number, or its digits for what no 64 bits hold."""
    number = int(digits)
    return number if -(2**63) <= number < 2**63 else orjson.Fragment(digits)


def _decimal(digits: str) -> Any:
    """Return a number with a decimal point, or its digits where it would be written otherwise."""
    number = float(digits)
    return number if orjson.dumps(number).decode() == digits else orjson.Fragment(digits)


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_decimal)


def where_sql(statuses: Collection[str]) -> str:
    """Return SQL that leaves rows of these statuses, or all if there are none."""
    return f"WHERE status IN ({', '.join(literal(each) for each in statuses)})" if statuses else ""


def count_outcomes(run: RunDirectory) -> list[dict[str, Any]]:
    """Count the lines by operation, module, status and code, the most frequent first."""
    with opened(run, modest=True) as connection:
        rows = connection.execute("""
            SELECT coalesce(op, ''), CASE WHEN status = 'invalid' THEN '' ELSE coalesce(module, '')
                END, status, coalesce(code, ''), any_value(message), count(*)
            FROM told GROUP BY ALL ORDER BY count(*) DESC, 1, 2, 3, 4
        """).fetchall()
    names = ("op", "module", "status", "code", "message", "lines")
    return [dict(zip(names, row, strict=True)) for row in rows]


def to_line(outcome: dict[str, Any]) -> bytes:
    """Return one outcome as a line of JSON."""
    return orjson.dumps(outcome) + b"\n"
