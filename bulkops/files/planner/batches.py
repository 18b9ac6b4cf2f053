"""
Write the plan: a row for each call with its operations, in the order that they are sent.

Beside it stand the rows of the manifest, each with why it is not sent, if it is not.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import duckdb

from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.planner.judge import which
from bulkops.files.planner.pack import CALL, payload
from bulkops.files.planner.sound import Edges
from bulkops.rules.operations import SPECS

_OPERATIONS = "STRUCT(line BIGINT, item VARCHAR, members VARCHAR[], fields VARCHAR)[]"
#: Bytes of memory that a row takes while lists are made of rows, and with text in it.
_ROW, _ROW_WITH_TEXT = 40, 160
#: The part of the memory limit that the lists may take.
_SHARE = 0.8
#: Of how many slices the parts are made, where the plan is made in parts.
_SLICES = 500
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def write_plan(
    connection: duckdb.DuckDBPyConnection, edges: Edges, *, rows: int, plan: Path, folder: Path
) -> None:
    """
    Write `plan.parquet`, one row a call, of the `rows` rows of `placed`, in order.

    Lists are made in memory, so as many calls at a time as have room there go into a file in
    `folder`. Ids become text in a second step: sorting them as text would take several times as
    much memory.
    """
    row = _ROW_WITH_TEXT if edges.members or edges.fields else _ROW
    at_once = int(_memory(connection) * _SHARE) // row
    written: list[str] = []
    ranges = [""] if rows <= at_once else _ranges(connection, at_once)
    for number, which_calls in enumerate(ranges):
        part = folder / f"calls-{number}.parquet"
        _copy(connection, _batches(edges, which_calls), part)
        written.append(literal(pattern(part)))
    # The join keeps the order of the files: it looks each row up in a table of a few.
    _copy(
        connection,
        f"""
        SELECT batch, step, spec, route_module AS module,
            CASE WHEN record = 0 THEN '' ELSE {edges.id_text("record", "odd")} END AS record_id,
            route_list AS related_list,
            CAST(list_sort(operations) AS {_OPERATIONS}) AS operations
        FROM read_parquet([{", ".join(written)}], hive_partitioning = false)
        JOIN (SELECT DISTINCT route, spec, route_module, route_list FROM traits) USING (route)
        {edges.join_odd("record", "odd")}
        {"ORDER BY batch" if edges.odd else ""}
        """,
        plan,
    )
    _sync(plan)


def _memory(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the connection's memory limit in bytes."""
    found = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert found is not None
    number, unit = str(found[0]).split()
    return int(float(number) * _UNITS[unit])


def _ranges(connection: duckdb.DuckDBPyConnection, at_once: int) -> list[str]:
    """Return SQL for parts of the calls, in order, of about `at_once` rows each."""
    found = connection.execute(f"""
        SELECT max(batch), count(*)
        FROM placed JOIN calls USING ({CALL}), (SELECT count(*) AS number FROM calls)
        GROUP BY (batch - 1) * {_SLICES} // number ORDER BY 1
    """).fetchall()
    ends, held = [0], 0
    for (last, rows), (_, following) in pairwise([*found, (0, at_once)]):
        held += rows
        if held + following > at_once:
            ends.append(last)
            held = 0
    return [f"WHERE batch BETWEEN {first + 1} AND {last}" for first, last in pairwise(ends)]


def _batches(edges: Edges, which_calls: str) -> str:
    """Return SQL for calls of the plan, in order."""
    chosen = f"(FROM calls {which_calls})"
    only = f"SEMI JOIN {chosen} USING ({CALL})" if which_calls else ""
    # Within a call, rows of one item stand together; elsewhere the place is that of the line.
    first = "place := place, " if edges.members else ""
    also = "".join(f", {name} := {name}" for name in payload(edges).split(", ") if name)
    return f"""
        WITH grouped AS (
            SELECT {CALL},
                list(struct_pack({first}line := line, item := item{also})) AS operations
            FROM placed {only} GROUP BY {CALL}
        )
        SELECT batch, step, route, record, operations
        FROM grouped JOIN {chosen} AS calls USING ({CALL})
        ORDER BY batch
    """


def write_rows(connection: duckdb.DuckDBPyConnection, rows: Path) -> None:
    """Write `rows.parquet`: every row as it was read, and why it is not sent, if it is not."""
    _copy(
        connection,
        f"SELECT manifest.*, {which(SPECS.values())} AS spec, refusals.status, refusals.code, "
        "refusals.message, refusals.of_line FROM manifest LEFT JOIN refusals USING (line)",
        rows,
    )
    _sync(rows)


def _copy(connection: duckdb.DuckDBPyConnection, select: str, target: Path) -> None:
    groups = ", ROW_GROUP_SIZE 2048" if "operations" in select else ""
    connection.execute(
        f"COPY ({select}) TO {literal(str(target))} "
        f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1{groups})"
    )


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def digest(connection: duckdb.DuckDBPyConnection, edges: Edges, plan: Path) -> str:
    """
    Return the digest of a plan that is written: of every call, and of every row not sent.

    It depends on no order of storage, and on nothing that changes between versions of DuckDB.
    """
    told = ["line", "item", *(["members"] if edges.members else [])]
    told += ["fields"] if edges.fields else []
    lists = ", ".join(
        f"CAST(list_transform(operations, lambda each: each.{name}) AS VARCHAR)" for name in told
    )
    found = connection.execute(f"""
        SELECT concat_ws('-',
            (SELECT coalesce(bit_xor(md5_number(concat_ws('|', batch, step, spec, module,
                record_id, related_list, {lists}))), 0)
                FROM read_parquet({literal(pattern(plan))}, hive_partitioning = false)),
            (SELECT coalesce(bit_xor(md5_number(CAST(refusals AS VARCHAR))), 0) FROM refusals))
    """).fetchone()
    assert found is not None
    return str(found[0])
