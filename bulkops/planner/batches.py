"""
Pack the operations into as few calls as their limits allow, and write the plan.

Operations of one route are cut into calls of the spec's capacity. Calls are numbered so that
the first calls of all routes come before the second ones: neighbours then rarely share a parent,
whose lock they would contend for. The same manifest and configuration give the same plan.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from bulkops.manifest.sql import literal
from bulkops.operations import SPECS
from bulkops.planner.judge import which
from bulkops.planner.order import levels
from bulkops.spec import CallLimits


def find_circles(connection: duckdb.DuckDBPyConnection) -> None:
    """
    Make `steps(line, step)` for rows that must go in order, and `circles(line, words)`.

    Everything else has step 0 and goes first.
    """
    connection.execute("CREATE TABLE steps (line BIGINT, step INTEGER)")
    connection.execute("CREATE TABLE circles (line BIGINT, words VARCHAR)")
    for spec in SPECS.values():
        if spec.ordered_by is None:
            continue
        rows = connection.execute(
            "SELECT line, item, coalesce(target, '') FROM judged "
            "ANTI JOIN conflicts USING (line) ANTI JOIN duplicates USING (line) "
            f"WHERE code IS NULL AND spec = {literal(spec.name)} ORDER BY line"
        ).fetchall()
        level, circles = levels({item: target for _, item, target in rows})
        line_of = {item: line for line, item, _ in rows}
        connection.execute(
            "INSERT INTO steps SELECT unnest(?::BIGINT[]), unnest(?::INTEGER[])",
            [[line_of[item] for item in level], list(level.values())],
        )
        for circle in circles:
            words = " -> ".join([*circle, circle[0]])
            connection.executemany(
                "INSERT INTO circles VALUES (?, ?)",
                [
                    (line_of[item], f"{spec.ordered_by} goes in a circle ({words})")
                    for item in circle
                ],
            )


def mark(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `refusals(line, status, code, message, of_line)`: every row that is not sent."""
    connection.execute("""
        CREATE TABLE refusals AS
        SELECT judged.line,
            CASE WHEN judged.code IS NOT NULL OR circles.line IS NOT NULL THEN 'invalid'
                 WHEN conflicts.line IS NOT NULL THEN 'conflict'
                 ELSE 'duplicate' END AS status,
            CASE WHEN circles.line IS NOT NULL THEN 'circular_order'
                 WHEN conflicts.line IS NOT NULL THEN 'opposite_wishes'
                 ELSE judged.code END AS code,
            CASE WHEN circles.line IS NOT NULL THEN circles.words
                 WHEN conflicts.line IS NOT NULL
                     THEN 'line ' || conflicts.of_line || ' wishes otherwise of the same relation'
                 ELSE judged.words END AS message,
            coalesce(conflicts.of_line, duplicates.of_line) AS of_line
        FROM judged
        LEFT JOIN circles USING (line)
        LEFT JOIN conflicts USING (line)
        LEFT JOIN duplicates USING (line)
        WHERE judged.code IS NOT NULL OR circles.line IS NOT NULL OR conflicts.line IS NOT NULL
            OR duplicates.line IS NOT NULL
    """)


def pack(connection: duckdb.DuckDBPyConnection, *, limits: CallLimits) -> None:
    """
    Make the table `batches`, one row a call, from `judged` and `refusals`.

    Aggregates sort their lists after they are made: sorting within them holds all at once.
    """
    connection.execute(
        "CREATE TABLE capacities (spec VARCHAR, capacity INTEGER, characters INTEGER)"
    )
    connection.executemany(
        "INSERT INTO capacities VALUES (?, ?, ?)",
        [(spec.name, spec.capacity(limits), spec.id_characters) for spec in SPECS.values()],
    )
    route = "spec, step, route_module, route_record, route_list"
    on_route = {column: _by_spec_uses(column) for column in ("module", "record_id", "related_list")}
    connection.execute(f"""
        CREATE TABLE batches AS
        WITH sendable AS (
            SELECT judged.line, spec, item, members, fields, coalesce(step, 0) AS step,
                {on_route["module"]} AS route_module, {on_route["record_id"]} AS route_record,
                {on_route["related_list"]} AS route_list
            FROM judged ANTI JOIN refusals USING (line) LEFT JOIN steps USING (line)
        ),
        ranked AS (
            SELECT *, line AS first_line,
                row_number() OVER (PARTITION BY {route} ORDER BY line) - 1 AS nth
            FROM sendable WHERE members IS NULL
            UNION ALL
            SELECT *, dense_rank() OVER (PARTITION BY {route} ORDER BY first_line) - 1 AS nth
            FROM (
                SELECT *, min(line) OVER (PARTITION BY {route}, item) AS first_line
                FROM sendable WHERE members IS NOT NULL
            )
        ),
        cut AS (
            SELECT ranked.*, nth // CASE WHEN characters IS NULL THEN capacity
                ELSE least(capacity, (characters + 1) // ({_longest(connection, route)} + 1)) END
                AS chunk
            FROM ranked JOIN capacities USING (spec)
        ),
        calls AS (
            SELECT {route}, chunk, min(first_line) AS first_line,
                list_sort(list(struct_pack(first_line := first_line, line := line, item := item,
                    members := members, fields := fields))) AS operations
            FROM cut GROUP BY {route}, chunk
        )
        SELECT row_number() OVER (ORDER BY step, chunk, first_line) AS batch, step, spec,
            route_module AS module, route_record AS record_id, route_list AS related_list,
            list_transform(operations, lambda each: struct_pack(line := each.line,
                item := each.item, members := each.members, fields := each.fields)) AS operations
        FROM calls
    """)


def _longest(connection: duckdb.DuckDBPyConnection, route: str) -> str:
    """Return SQL for the longest id of a call's route; ids of 19 digits need no look."""
    row = connection.execute("SELECT max(length(item)) FROM judged WHERE code IS NULL").fetchone()
    longest = (row[0] if row else None) or 0
    return "19" if longest <= 19 else f"max(length(item)) OVER (PARTITION BY {route})"


def _by_spec_uses(column: str) -> str:
    """Return SQL for a column where it is part of the spec's route, and '' elsewhere."""
    users = [literal(spec.name) for spec in SPECS.values() if column in spec.route]
    return f"CASE WHEN spec IN ({', '.join(users)}) THEN {column} ELSE '' END"


def write(connection: duckdb.DuckDBPyConnection, *, plan: Path, rows: Path) -> str:
    """
    Write `plan.parquet` and `rows.parquet`; return the plan's digest.

    The digest covers every batch and every row that is not sent, in any order of storage.
    """
    connection.execute(
        f"COPY (SELECT * FROM batches ORDER BY batch) TO {literal(str(plan))} "
        "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20000)"
    )
    connection.execute(
        f"COPY (SELECT manifest.*, {which(SPECS.values())} AS spec, refusals.status, "
        "refusals.code, refusals.message, refusals.of_line FROM manifest LEFT JOIN refusals "
        f"USING (line)) TO {literal(str(rows))} (FORMAT parquet, COMPRESSION zstd)"
    )
    for written in (plan, rows):
        with written.open("rb") as file:
            os.fsync(file.fileno())
    digest = connection.execute("""
        SELECT concat_ws('-',
            (SELECT coalesce(bit_xor(md5_number(CAST(batches AS VARCHAR))), 0) FROM batches),
            (SELECT coalesce(bit_xor(md5_number(CAST(refusals AS VARCHAR))), 0) FROM refusals))
    """).fetchone()
    assert digest is not None
    return str(digest[0])
