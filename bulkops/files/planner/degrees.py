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
    joined = (
        f"({relation}) AS edges LEFT JOIN degrees_one USING (one) LEFT JOIN degrees_two USING (two)"
    )
    rows, turned = _counted(connection, relation)
    left, repeated_left = _from_one_side(connection, relation, "one", rows=rows, cap=cap_left)
    right, repeated_right = _from_one_side(connection, relation, "two", rows=rows, cap=cap_right)

    def calls(choice: str) -> int:
        return _calls(connection, joined, choice, cap_left=cap_left, cap_right=cap_right)

    # The manifest's own sides come first, and so win where nothing is better.
    given = {0: left, rows: right}.get(turned)
    cost = {
        "given": calls(_CHOICES["given"]) if given is None else given,
        "left": left,
        "right": right,
    }
    # Where all ends of one side differ, the choice by degrees is that of the other side.
    if repeated_left and repeated_right:
        cost["degrees"] = calls(_CHOICES["degrees"])
    best = min(cost, key=lambda name: cost[name])
    if cost[best] < cost["given"]:
        connection.execute(
            f"INSERT INTO turns SELECT line FROM {joined} WHERE ({_CHOICES[best]}) <> given"
        )
    connection.execute("DROP TABLE degrees_one; DROP TABLE degrees_two")
    return cost["given"], cost[best]


def _counted(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[int, int]:
    """Return how many rows there are, and how many of them stand at the right end."""
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER (given) FROM ({relation})"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _from_one_side(
    connection: duckdb.DuckDBPyConnection, relation: str, end: str, *, rows: int, cap: int
) -> tuple[int, bool]:
    """
    Make `degrees_{end}`: the ends that have more than one row, with their number.

    Return the calls from this side alone, and whether there are such ends.
    """
    # Most ends of a large manifest have one relation, and need no row here.
    connection.execute(
        f"CREATE TEMP TABLE degrees_{end} AS SELECT {end}, count(*) AS degree "
        f"FROM ({relation}) GROUP BY {end} HAVING count(*) > 1"
    )
    row = connection.execute(
        "SELECT count(*), coalesce(sum(degree), 0),"
        f" coalesce(sum((degree + {cap - 1}) // {cap}), 0) FROM degrees_{end}"
    ).fetchone()
    assert row is not None
    repeated, held, calls = map(int, row)
    return rows - held + calls, repeated > 0


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
