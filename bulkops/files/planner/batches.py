"""
Write the plan: a row for each call with its operations, in the order that they are sent.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import duckdb

from bulkops.errors import BulkopsError
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.planner.pack import CALL, payload
from bulkops.files.planner.sound import Edges

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

    `items` are numbers, or text if one of them is not what a number prints. Lists are made in
    memory, so as many calls at a time as have room there go into a file in `folder`.
    """
    row = _ROW_WITH_TEXT if edges.members or edges.fields or edges.odd else _ROW
    at_once = int(_memory(connection) * _SHARE) // row
    ranges = [""] if rows <= at_once else _ranges(connection, at_once)
    if len(ranges) == 1:
        _copy(connection, _calls(connection, edges, ranges[0]), plan)
    else:
        parts = [folder / f"calls-{number}.parquet" for number in range(len(ranges))]
        for part, which_calls in zip(parts, ranges, strict=True):
            _copy(connection, _calls(connection, edges, which_calls), part)
        listed = ", ".join(literal(pattern(part)) for part in parts)
        _copy(connection, f"FROM read_parquet([{listed}], hive_partitioning = false)", plan)
    with plan.open("rb") as file:
        os.fsync(file.fileno())


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


def _calls(connection: duckdb.DuckDBPyConnection, edges: Edges, which_calls: str) -> str:
    """Return SQL for calls of the plan, in order."""
    chosen = f"(FROM calls {which_calls})"
    only = f"SEMI JOIN {chosen} USING ({CALL})" if which_calls else ""
    # Within a call, rows of one item stand together; elsewhere the place is that of the line.
    first = "place := place, " if edges.members else ""
    also = "".join(f", {name} := {name}" for name in payload(edges).split(", ") if name)
    names = _names(connection)
    return f"""
        WITH grouped AS (
            SELECT {CALL},
                list(struct_pack({first}line := line, item := item{also})) AS operations
            FROM placed {only} GROUP BY {CALL}
        ),
        -- Numbers alone are sorted here: text takes several times as much memory.
        ordered AS (
            SELECT batch, step, route, record, list_sort(operations) AS operations
            FROM grouped JOIN {chosen} AS calls USING ({CALL})
            ORDER BY batch
        )
        SELECT batch, step, {names["spec"]}[route] AS spec,
            {names["route_module"]}[route] AS module,
            CASE WHEN record = 0 THEN '' ELSE {edges.id_text("record")} END AS record_id,
            {names["route_list"]}[route] AS related_list,
            {_each("line")} AS lines, {_each("item")} AS items,
            {_if_any("members", "coalesce(each.members, [])") if edges.members else "NULL"}
                ::VARCHAR[][] AS members,
            {_if_any("fields", "each.fields") if edges.fields else "NULL"}::VARCHAR[] AS fields
        FROM ordered {edges.join_odd("record")} {"ORDER BY batch" if edges.odd else ""}
    """


def _names(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return SQL lists of what the routes are called, the first of them first."""
    columns = ("spec", "route_module", "route_list")
    routes = connection.execute(
        f"SELECT DISTINCT route, {', '.join(columns)} FROM traits ORDER BY route"
    ).fetchall()
    return {
        column: f"CAST([{', '.join(literal(route[place]) for route in routes)}] AS VARCHAR[])"
        for place, column in enumerate(columns, 1)
    }


def _each(name: str) -> str:
    """Return SQL for the list of what the operations have under a name."""
    return f"list_transform(operations, lambda each: each.{name})"


def _if_any(name: str, value: str) -> str:
    """Return SQL for the list of a value of each operation, NULL where none has `name`."""
    having = f"list_filter(operations, lambda each: each.{name} IS NOT NULL)"
    return (
        f"(CASE WHEN len({having}) > 0 THEN list_transform(operations, lambda each: {value}) END)"
    )


def _copy(connection: duckdb.DuckDBPyConnection, select: str, target: Path) -> None:
    connection.execute(
        f"COPY ({select}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd,"
        " COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 2048)"
    )


def digest(connection: duckdb.DuckDBPyConnection, edges: Edges, plan: Path) -> str:
    """
    Return the digest of a plan that is written: of every call, and of every row not sent.

    It depends on no order of storage, and on nothing that changes between versions of DuckDB.
    Raises `BulkopsError` if the calls are not stored in the order of their numbers.
    """
    told = ["lines", "items", *payload(edges).split(", ")]
    lists = ", ".join(f"CAST({name} AS VARCHAR)" for name in told if name)
    found = connection.execute(f"""
        SELECT coalesce(bit_xor(md5_number(concat_ws('|', batch, step, spec, module, record_id,
                related_list, {lists}))), 0),
            (SELECT coalesce(bit_xor(md5_number(CAST(refusals AS VARCHAR))), 0) FROM refusals),
            count(*) FILTER (batch <> file_row_number + 1)
        FROM read_parquet({literal(pattern(plan))}, file_row_number = true,
            hive_partitioning = false)
    """).fetchone()
    assert found is not None
    calls, refusals, misplaced = found
    if misplaced:
        raise BulkopsError(f"{plan}: {misplaced:,} calls are stored out of order")
    return f"{calls}-{refusals}"
