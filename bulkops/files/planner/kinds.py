"""
The kinds of rows of a manifest: operation, module and related list, of which there are few.

What depends on these alone is worked out once for each kind, not once for each row: the route of
its calls, how many items they take, and under which name both sides of a relation go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import duckdb

from bulkops.files.manifest.sql import literal
from bulkops.files.manifest.stored import PLAIN_DIGITS
from bulkops.files.planner.judge import cases
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import CallLimits, Spec


def number_kinds(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `kinds(kind, spec, module, related_list)` from the table `names`."""
    connection.execute("""
        CREATE TABLE kinds AS
        SELECT CAST(row_number() OVER (ORDER BY spec, module, related_list) AS INTEGER) AS kind, *
        FROM (SELECT DISTINCT spec, own_module AS module, own_list AS related_list FROM names)
    """)


def add_kinds(connection: duckdb.DuckDBPyConnection) -> None:
    """Add to `kinds` what the rows of `judged` have and it has not."""
    connection.execute("""
        INSERT INTO kinds
        SELECT (SELECT count(*) FROM kinds)
            + row_number() OVER (ORDER BY spec, module, related_list), *
        FROM (
            SELECT DISTINCT spec, module, related_list FROM judged WHERE code IS NULL
            EXCEPT SELECT spec, module, related_list FROM kinds
        )
    """)


def describe_kinds(
    connection: duckdb.DuckDBPyConnection,
    *,
    mirrors: Mapping[tuple[str, str], tuple[str, str]],
    limits: CallLimits,
) -> None:
    """
    Make `traits`, one row for each of `kinds`: what its rows have in common.

    `op`, `family` and `wish` are the spec's. `pair` numbers what a row can be about: with
    `flip`, a row is about the relation that is called from the other side, so that its record and
    item change places. `route` numbers calls but for their record, which counts if `by_record`;
    `route_module` and `route_list` are empty where the call has none. A call takes `capacity`
    items of together `characters` (NULL: any); that is `size` of them, if no id is longer than
    `PLAIN_DIGITS`.
    """
    specs = tuple(SPECS.values())

    def told(value: Callable[[Spec], str]) -> str:
        return f"CASE {cases(specs, value)} END"

    def on_route(column: str) -> str:
        return told(lambda spec: column if column in spec.route else "''")

    flips = " ".join(
        f"WHEN family = 'relation' AND module = {literal(module)} AND "
        f"related_list = {literal(related_list)} "
        f"THEN {{'module': {literal(other[0])}, 'list': {literal(other[1])}}}"
        for (module, related_list), other in sorted(mirrors.items())
        if other < (module, related_list)
    )
    sizes = f"least(capacity, (characters + 1) // {PLAIN_DIGITS + 1})"
    connection.execute(f"""
        CREATE TABLE traits AS
        WITH known AS (
            SELECT *, {told(lambda spec: literal(spec.op))} AS op,
                {told(lambda spec: literal(spec.family))} AS family,
                {told(lambda spec: literal(spec.wish.value))} AS wish,
                {on_route("module")} AS route_module, {on_route("related_list")} AS route_list,
                {told(lambda spec: str("record_id" in spec.route))} AS by_record,
                {told(lambda spec: str(spec.capacity(limits)))} AS capacity,
                CAST({told(lambda spec: str(spec.id_characters or "NULL"))} AS INTEGER)
                    AS characters
            FROM kinds
        ),
        turned AS (SELECT *, {f"CASE {flips} END" if flips else "NULL"} AS other FROM known)
        SELECT * EXCLUDE (other), other IS NOT NULL AS flip,
            CAST(CASE WHEN characters IS NULL THEN capacity ELSE {sizes} END AS INTEGER) AS size,
            CAST(dense_rank() OVER (ORDER BY concat_ws('|', family, coalesce(other.module, module),
                coalesce(other.list, related_list))) AS INTEGER) AS pair,
            CAST(dense_rank() OVER (ORDER BY spec, route_module, route_list) AS INTEGER) AS route
        FROM turned
    """)
