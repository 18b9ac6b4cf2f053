"""
Pack the operations into as few calls as their limits allow.

Operations of one route are cut into calls of the spec's capacity. Calls are numbered so that
the first calls of all routes come before the second ones: neighbours then rarely share a parent,
whose lock they would contend for. The same manifest and configuration give the same plan.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stored import PLAIN_DIGITS
from bulkops.files.planner.sound import Edges

#: The columns that name a call.
CALL = "route, step, record, chunk"


def pack(
    connection: duckdb.DuckDBPyConnection, edges: Edges, *, rows: str, steps: bool, folder: Path
) -> int:
    """
    Make `placed`: the rows of the view `rows` in calls, and return how many there are.

    `rows` has the columns of `edges`, of which it may be a part, or the same relations from
    another side. A row of `placed` has its call (`CALL`), its `item` (a number, or text if there
    are odd ones) and the item's `place` there, members and fields. `calls` has a row for each
    call, with its number `batch`, from 1. A file in `folder` holds `placed`. With `steps`, rows
    have those of the table `steps`.
    """
    file = folder / "placed.parquet"
    size, needed = _size(connection, edges)
    route = "route, record, step" if steps else "route, record"
    item = edges.id_text("item") if edges.odd else "item"
    also = [*needed, *(["CAST(coalesce(step, 0) AS INTEGER) AS step"] if steps else [])]
    made = connection.execute(f"""
        COPY (
            WITH sendable AS (
                SELECT line, route, CASE WHEN by_record THEN record ELSE 0 END AS record,
                    {item} AS item, {payload(edges)} {", ".join(also)}
                FROM {rows} JOIN traits USING (kind) {edges.join_odd("item")}
                {"LEFT JOIN steps USING (line)" if steps else ""}
            ),
            ranked AS ({_ranked(edges, route)}),
            sized AS (SELECT *, {size.format(route=route)} AS most FROM ranked)
            SELECT route, record, {"step" if steps else "CAST(0 AS INTEGER) AS step"}, line, item,
                {payload(edges)} CAST(nth // most AS INTEGER) AS chunk,
                CAST(nth % most AS INTEGER) AS place
            FROM sized
        ) TO {literal(str(file))} (FORMAT parquet, COMPRESSION lz4)
    """).fetchone()
    connection.execute(
        f"CREATE TEMP VIEW placed AS FROM read_parquet({literal(pattern(file))},"
        " hive_partitioning = false)"
    )
    first, grouped = ("min(line)", "GROUP BY ALL") if edges.members else ("line", "")
    connection.execute(f"""
        CREATE TABLE calls AS
        SELECT {CALL}, row_number() OVER (ORDER BY step, chunk, first_line) AS batch
        FROM (SELECT {CALL}, {first} AS first_line FROM placed WHERE place = 0 {grouped})
    """)
    assert made is not None
    return int(made[0])


def payload(edges: Edges) -> str:
    """Return the columns of `edges` that are no numbers and that any row has, each with a comma."""
    return ("members, " if edges.members else "") + ("fields, " if edges.fields else "")


def _ranked(edges: Edges, route: str) -> str:
    """Return SQL for `sendable` with the number of each row's item on its route, from 0."""
    by_line = f"row_number() OVER (PARTITION BY {route} ORDER BY line) - 1 AS nth FROM sendable"
    if not edges.members:
        return f"SELECT *, {by_line}"
    # All rows of a record are one item, which stands where the first of them does.
    return f"""
        SELECT *, {by_line} WHERE members IS NULL
        UNION ALL
        SELECT * EXCLUDE (first_line),
            dense_rank() OVER (PARTITION BY {route} ORDER BY first_line) - 1 AS nth
        FROM (
            SELECT *, min(line) OVER (PARTITION BY {route}, item) AS first_line
            FROM sendable WHERE members IS NOT NULL
        )
    """


def _size(connection: duckdb.DuckDBPyConnection, edges: Edges) -> tuple[str, list[str]]:
    """
    Return SQL for the most items of a call, and the columns it needs.

    A call takes fewer items, where a row of its `{route}` has a longer id.
    """
    if edges.odd:
        longest = "max(digits) OVER (PARTITION BY {route})"
        fitting = f"(characters + 1) // (greatest({PLAIN_DIGITS}, {longest}) + 1)"
        return (
            f"CASE WHEN characters IS NULL THEN capacity ELSE least(capacity, {fitting}) END",
            ["capacity", "characters", "coalesce(length(odd.id), 0) AS digits"],
        )
    sizes = connection.execute("SELECT DISTINCT size FROM traits").fetchall()
    return (str(sizes[0][0]), []) if len(sizes) == 1 else ("size", ["size"])
