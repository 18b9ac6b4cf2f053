"""
What must be asked to know the actual side: as few calls as give the whole answer.

Where something may be taken away, all that a record of the scope holds must be known, and only
its own side tells that. Where nothing is, what DESIRED names is enough: then a relation is asked
for by its ids, many in a call, from whichever side takes fewer calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from bulkops.engine.reconcile.asking import listed
from bulkops.engine.reconcile.tables import number
from bulkops.files.database import fetched
from bulkops.files.manifest.sql import literal
from bulkops.rules.operations import SPECS
from bulkops.rules.reads import Listing, Question
from bulkops.rules.spec import Spec


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A question, of which spec, and its part if a record's answer takes several questions.
    """

    spec: Spec
    question: Question
    part: int = 0

    @property
    def listing(self) -> Listing:
        """How to ask."""
        assert self.spec.listing is not None
        return self.spec.listing


def make_questions(connection: duckdb.DuckDBPyConnection, *, prune: bool) -> None:
    """
    Make `questions(spec, module, list, holder, part, ids)` from `holders` and `wished`.

    With `ids` a question is about these alone, which is `part` of what is asked of that record.
    """
    connection.execute(
        "CREATE TABLE questions "
        "(spec VARCHAR, module VARCHAR, list VARCHAR, holder VARCHAR, part INTEGER, ids VARCHAR[])"
    )
    for name, spec in listed():
        assert spec.listing is not None
        if prune or not spec.listing.only:
            connection.execute(
                "INSERT INTO questions SELECT spec, module, list, holder, 0, [] FROM holders "
                "WHERE spec = ?",
                [name],
            )
        else:
            _ask_by_ids(connection, name, spec.listing.only)


def _ask_by_ids(connection: duckdb.DuckDBPyConnection, name: str, most: int) -> None:
    """Ask for what is wished alone, from the cheaper side of each relation."""
    spec = SPECS[name]
    # Another spec that knows better what the other side's list is called reads that otherwise.
    taken = [literal(each.related_list) for _, each in listed() if each.related_list]
    either = f"their_list NOT IN ({', '.join(taken)})" if not spec.related_list else "false"
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW sides AS
        SELECT spec, module, list, holder, held, module AS of_module, list AS of_list, 0 AS side
        FROM wished WHERE spec = {literal(name)}
        UNION ALL
        SELECT spec, their_module, their_list, held, holder, module, list, 1
        FROM wished WHERE spec = {literal(name)} AND coalesce({either}, false)
    """)
    connection.execute(f"""
        INSERT INTO questions
        WITH costs AS (
            SELECT of_module, of_list, side, sum(calls) AS calls FROM (
                SELECT of_module, of_list, side, ceil(count(*) / {most}) AS calls
                FROM sides GROUP BY of_module, of_list, side, holder
            ) GROUP BY of_module, of_list, side
        ),
        chosen AS (
            SELECT of_module, of_list, arg_min(side, (calls, side)) AS side
            FROM costs GROUP BY of_module, of_list
        ),
        pairs AS (
            SELECT DISTINCT spec, module, list, holder, held
            FROM sides JOIN chosen USING (of_module, of_list, side)
        ),
        parts AS (
            SELECT *, (row_number() OVER (
                PARTITION BY module, list, holder ORDER BY held) - 1) // {most} + 1 AS part
            FROM pairs
        )
        SELECT spec, module, list, holder, part, list(held ORDER BY held) FROM parts
        GROUP BY spec, module, list, holder, part
    """)
    connection.execute("DROP VIEW sides")


def count_calls(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return how many calls the questions of `table` take at least."""
    calls = 0
    for name, spec in listed():
        assert spec.listing is not None
        calls += number(
            connection,
            f"SELECT sum(calls) FROM (SELECT ceil(count(*) / {spec.listing.holders_per_call}) "
            f"AS calls FROM {table} WHERE spec = {literal(name)} GROUP BY module, list)",
        )
    return calls


def left_to_ask(connection: duckdb.DuckDBPyConnection) -> Iterator[Asked]:
    """Yield the questions of `asking`, records together that one call may ask about."""
    fields = _fields(connection)
    rows = fetched(
        connection.cursor().execute(
            "SELECT spec, module, list, holder, part, ids FROM asking "
            "ORDER BY spec, module, list, length(holder), holder, part"
        )
    )
    together: list[str] = []
    kind: tuple[str, str, str] | None = None
    for name, module, related_list, holder, part, ids in rows:
        if together and (kind != (name, module, related_list) or len(together) == _most(name)):
            yield _several(kind, together, fields)
            together = []
        kind = (name, module, related_list)
        if _most(name) > 1:
            together.append(holder)
            continue
        columns = fields.get(kind, ())
        question = Question(module, related_list, (holder,), columns, tuple(ids))
        yield Asked(SPECS[name], question, part)
    if together:
        yield _several(kind, together, fields)


def _most(name: str) -> int:
    listing = SPECS[name].listing
    assert listing is not None
    return listing.holders_per_call


def _several(
    kind: tuple[str, str, str] | None,
    holders: list[str],
    fields: dict[tuple[str, str, str], tuple[str, ...]],
) -> Asked:
    assert kind is not None
    name, module, related_list = kind
    columns = fields.get(kind, ())
    return Asked(SPECS[name], Question(module, related_list, tuple(holders), columns))


def _fields(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """Return the relation fields that matter, by spec and list, from whichever side it is read."""
    found: dict[tuple[str, str, str], set[str]] = {}
    rows = connection.execute(
        "SELECT DISTINCT spec, module, list, their_module, their_list, json_keys(fields) "
        "FROM wished WHERE fields IS NOT NULL"
    ).fetchall()
    for name, module, related_list, their_module, their_list, keys in rows:
        for side in ((module, related_list), (their_module, their_list)):
            found.setdefault((name, *side), set()).update(keys)
    return {kind: tuple(sorted(names)) for kind, names in found.items()}
