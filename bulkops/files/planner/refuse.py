"""
Gather the rows that are not sent, each with its reason, and put the others in their order.

Most operations go in any order. Where one must come before another there is a step for each
level, and rows that wait for each other in a circle are refused.
"""

from __future__ import annotations

import duckdb

from bulkops.files.manifest.sql import literal
from bulkops.files.planner.order import levels
from bulkops.files.planner.sound import Edges
from bulkops.rules.operations import SPECS


def find_circles(connection: duckdb.DuckDBPyConnection, edges: Edges) -> bool:
    """
    Make `steps(line, step)` for rows that must go in order, and `circles(line, words)`.

    Everything else has step 0 and goes first. Return whether there are any steps.
    """
    connection.execute("CREATE TABLE steps (line BIGINT, step INTEGER)")
    connection.execute("CREATE TABLE circles (line BIGINT, words VARCHAR)")
    item = edges.id_text("edges.item")
    some = False
    for spec in SPECS.values():
        if spec.ordered_by is None:
            continue
        rows = connection.execute(
            f"SELECT line, {item}, coalesce(target, '') "
            f"FROM edges JOIN kinds USING (kind) {edges.join_odd('edges.item')} "
            "ANTI JOIN conflicts USING (line) ANTI JOIN duplicates USING (line) "
            f"WHERE spec = {literal(spec.name)} ORDER BY line"
        ).fetchall()
        level, circles = levels({item: target for _, item, target in rows})
        line_of = {item: line for line, item, _ in rows}
        connection.execute(
            "INSERT INTO steps SELECT unnest(?::BIGINT[]), unnest(?::INTEGER[])",
            [[line_of[item] for item in level], list(level.values())],
        )
        some = some or bool(level)
        for circle in circles:
            words = " -> ".join([*circle, circle[0]])
            connection.executemany(
                "INSERT INTO circles VALUES (?, ?)",
                [
                    (line_of[item], f"{spec.ordered_by} goes in a circle ({words})")
                    for item in circle
                ],
            )
    return some


def mark(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `refusals(line, status, code, message, of_line)`: every row that is not sent."""
    connection.execute("""
        CREATE TABLE refusals AS
        SELECT line, 'invalid' AS status, code, words AS message, CAST(NULL AS BIGINT) AS of_line
        FROM judged WHERE code IS NOT NULL
        UNION ALL
        SELECT line, 'invalid', 'circular_order', words, NULL FROM circles
        UNION ALL
        SELECT line, 'conflict', 'opposite_wishes',
            say_line(of_line) || ' wishes otherwise of the same relation', of_line
        FROM conflicts
        UNION ALL
        SELECT line, 'duplicate', NULL, NULL, of_line FROM duplicates
    """)
