"""
Choose the side of more relations than memory holds: each goes to its end that has more of them.

Works in DuckDB, which spills. It sees no neighbours, so that it saves less than `stars` where
both ends have many relations (measured in `tests/bench/bench_stars.py` under `cheap`); it is
compared with the manifest's own sides and with either side alone, and never worse than those.
"""

from __future__ import annotations

import duckdb

#: Each choice in SQL: whether the right end is called.
_CHOICES = {
    "given": "given",
    "left": "false",
    "right": "true",
    "degrees": "coalesce(degrees_two.degree, 1) > coalesce(degrees_one.degree, 1)",
}


def turn_by_degrees(
    connection: duckdb.DuckDBPyConnection, relation: str, *, cap_left: int, cap_right: int
) -> tuple[int, int]:
    """
    Insert the lines that change sides into `turns`; return the calls as given and as chosen.

    `relation` is SQL with the columns `line`, `one`, `two` and `given`.
    """
    for end in ("one", "two"):
        # Most ends of a large manifest have one relation, and need no row here.
        connection.execute(
            f"CREATE TEMP TABLE degrees_{end} AS SELECT {end}, count(*) AS degree "
            f"FROM ({relation}) GROUP BY {end} HAVING count(*) > 1"
        )
    joined = (
        f"({relation}) AS edges LEFT JOIN degrees_one USING (one) LEFT JOIN degrees_two USING (two)"
    )
    cost = {
        name: _calls(connection, joined, choice, cap_left=cap_left, cap_right=cap_right)
        for name, choice in _CHOICES.items()
    }
    # The manifest's own sides come first, and so win where nothing is better.
    best = min(cost, key=lambda name: cost[name])
    if best != "given":
        connection.execute(
            f"INSERT INTO turns SELECT line FROM {joined} WHERE ({_CHOICES[best]}) <> given"
        )
    connection.execute("DROP TABLE degrees_one; DROP TABLE degrees_two")
    return cost["given"], cost[best]


def _calls(
    connection: duckdb.DuckDBPyConnection,
    joined: str,
    choice: str,
    *,
    cap_left: int,
    cap_right: int,
) -> int:
    """Return how many calls a choice takes."""
    row = connection.execute(f"""
        SELECT coalesce(sum(CAST(ceil(load / CASE WHEN turned THEN {cap_right} ELSE {cap_left} END)
            AS BIGINT)), 0)
        FROM (
            SELECT {choice} AS turned, CASE WHEN {choice} THEN two ELSE one END AS centre,
                count(*) AS load
            FROM {joined} GROUP BY ALL
        )
    """).fetchone()
    assert row is not None
    return int(row[0])
