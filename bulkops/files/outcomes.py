"""
Join the log with the rows of the manifest: what became of every line, in manifest order.

Derived from `rows.parquet` and `checkpoint.jsonl` alone, so that everything here may be deleted
and made again. Works while the run goes on; lines that have no state yet are left out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import ne
from pathlib import Path
from typing import Any, TextIO

import duckdb
import orjson

from bulkops.files.inputs import parts_in
from bulkops.files.manifest.apostrophes import MARK, guarded, guarded_sql
from bulkops.files.manifest.places import file_line_sql, file_sql
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.planner import known_columns
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
_TOLD = ("status", "code", "message")
#: Where a line stands, told where the manifest is several files.
_PLACE = ("file", "file_line")

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
_SMALL_BYTES = 256 << 20


@contextmanager
def opened(
    run: RunDirectory, *, memory: str = "512MB", modest: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    Open a connection with the view `told`: the rows that have a state, with it.

    A `modest` one takes a quarter of the memory where the run is small enough for that, and half
    as long again. `file` and `file_line` are NULL unless the manifest is several files.
    """
    parts = parts_in(run.read_description() or {})
    several = len(parts) > 1
    config: dict[str, str | bool | int | float | list[str]] = {"memory_limit": memory}
    if modest and sum(each.stat().st_size for each in (run.checkpoint, run.rows)) <= _SMALL_BYTES:
        config = {"memory_limit": "128MB", "threads": 1}
    with duckdb.connect(config=config) as connection:
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
            SELECT rows.* EXCLUDE (status, code, message, of_line),
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
            FROM read_parquet({literal(pattern(run.rows))}, hive_partitioning = false) AS rows
            LEFT JOIN settled USING (line)
            LEFT JOIN scheduled USING (line)
            WHERE settled.line IS NOT NULL OR scheduled.line IS NOT NULL
        """)
        yield connection


def columns_of(run: RunDirectory) -> tuple[str, ...]:
    """Return the columns of the outcomes of `run`; where a line stands if that is a question."""
    if len(parts_in(run.read_description() or {})) < 2:
        return COLUMNS
    return ("line", *_PLACE, *COLUMNS[1:])


def read_outcomes(run: RunDirectory, statuses: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """
    Yield the outcome of each line in manifest order; absent values are left out.

    `statuses` filters. Carried columns and relation fields stand under `extra`.
    """
    columns = columns_of(run)
    with opened(run) as connection:
        result = connection.execute(
            f"SELECT {', '.join(columns)}, fields, extra FROM told {_where(statuses)} "
            "ORDER BY told.line"
        )
        while rows := result.fetchmany(5000):
            for row in rows:
                found = {
                    name: value
                    for name, value in zip(columns, row, strict=False)
                    if value is not None
                }
                if row[-1] is not None or row[-2] is not None:
                    found["extra"] = {**_object(row[-2]), **_object(row[-1])}
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
            f"{_where(statuses)} ORDER BY told.line) "
            f"TO {literal(str(target))} {shape}"
        )


def write_failed(
    run: RunDirectory,
    description: Mapping[str, Any],
    *,
    name: str = "failed.csv",
    among: Collection[Status] = UNFINISHED,
) -> int:
    """
    Write `failed.csv`: the manifest's own columns first, `status, code, message` last.

    Between them stand `raw`, the text of records that could not be read, where there are such,
    and `file, file_line` where the manifest is several files. It is a manifest again, for the
    same options. Return the number of rows, those in one of the statuses `among`; a file of another
    `name` than `failed.csv` has no places. No cell is a formula: where one had to be guarded, a
    column `MARK` says so to whoever reads the file. With `on_conflict = "last"` a row that a later
    one overruled is not in it: trying it alone would undo the later.
    """
    asked, own = description["asked"]["columns"], description["plan"]["own_columns"]
    last_wins = description["config"]["run"]["on_conflict"] == "last"
    statuses = [each for each in among if not (last_wins and each is Status.CONFLICT)]
    # A column of theirs that means something to us keeps its name, and ours gives way.
    told = [f"outcome_{each}" if each in asked.values() else each for each in _TOLD]
    kept = [each for each in own if each not in told and each != MARK]
    ours = {theirs: name for name, theirs in asked.items()}
    several = len(parts_in(description)) > 1 and name == "failed.csv"
    places = _PLACE if several else ()
    with (
        opened(run, modest=True) as connection,
        (run.path / name).open("w", encoding="utf-8", newline="") as file,
    ):
        known = _known_columns(connection)
        raw = "outcome_raw" if "raw" in asked.values() else "raw"
        between = [_free_name(each, own) for each in places]
        if raw not in own and _has_raw(connection, run):
            between.insert(0, raw)
        picked = [*_TOLD, *_PLACE, "raw", "fields", "extra", *known]

        def records() -> Iterator[list[Any]]:
            result = connection.execute(
                f"SELECT {', '.join(picked)} FROM told {_where(statuses)} ORDER BY told.line"
            )
            while rows := result.fetchmany(5000):
                for row in rows:
                    cells = _own_cells(row[6:], known, kept, ours)
                    if row[5] is not None and raw in kept:
                        cells[kept.index(raw)] = row[5]
                    between_cells = [row[5]] * (raw in between) + list(row[3:5]) * bool(places)
                    yield [*cells, *between_cells, *row[:3]]

        header = [*kept, *between, *told]
        number = _write_records(file, header, records(), marked=False)
        if number is None:
            file.seek(0)
            file.truncate()
            number = _write_records(file, header, records(), marked=True) or 0
    return number


def _write_records(
    file: TextIO, header: list[str], records: Iterable[list[Any]], *, marked: bool
) -> int | None:
    """
    Write a table and return the number of its records, header excluded.

    Guarded cells need the column that tells of them: `None` if there are such and it is not
    `marked`.
    """
    writer = csv.writer(file, lineterminator="\n")
    # The module quotes no lone carriage return by itself, and readers end a line at it.
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    number = 0
    for number, cells in enumerate(chain([header], records)):
        safe = [guarded(cell) if isinstance(cell, str) else cell for cell in cells]
        changed = sum(map(ne, safe, cells))
        if marked:
            safe.insert(-len(_TOLD), (changed or None) if number else MARK)
        elif changed:
            return None
        returns = any(isinstance(cell, str) and "\r" in cell for cell in safe)
        (quoting if returns else writer).writerow(safe)
    return number


def _free_name(name: str, own: Collection[str]) -> str:
    """Return `name`, or another like it that no column of the manifest has."""
    return _free_name(f"outcome_{name}", own) if name in own else name


def _has_raw(connection: duckdb.DuckDBPyConnection, run: RunDirectory) -> bool:
    """Tell whether a record of the manifest could not be read."""
    rows = f"read_parquet({literal(pattern(run.rows))}, hive_partitioning = false)"
    found = connection.execute(f"SELECT 1 FROM {rows} WHERE raw IS NOT NULL LIMIT 1").fetchone()
    return found is not None


def _known_columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the columns of the rows that operations read."""
    described = connection.execute("DESCRIBE told").fetchall()
    return [name for (name, *_) in described if name in set(known_columns())]


def _own_cells(
    row: Sequence[str | None], known: Sequence[str], kept: Sequence[str], ours: Mapping[str, str]
) -> list[str | None]:
    """Return the cells of a row as the manifest had them, in the order of `kept`."""
    fields, extra, *values = row
    cells: dict[str, Any] = {**_object(fields), **dict(zip(known, values, strict=True))}
    carried = _object(extra)
    found: list[str | None] = []
    for name in kept:
        value = carried[name] if name in carried else cells.get(ours.get(name, name))
        found.append(value if isinstance(value, str | None) else orjson.dumps(value).decode())
    return found


def _object(content: str | None) -> dict[str, Any]:
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


def _where(statuses: Collection[str]) -> str:
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
