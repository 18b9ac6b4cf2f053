"""
Call each relation from the side that takes the fewest calls.

A row about a relation that reads from either side may be sent from either: as `Campaigns/7/Leads`
with a hundred leads, or as a hundred times `Leads/…/Campaigns` with the campaign. Rows change
sides here, and keep their line and their fields; what becomes of them is told in the words of the
manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from bulkops.files.planner.degrees import turn_by_degrees
from bulkops.files.planner.summary import Relation
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import Spec

_Ids = npt.NDArray[np.uint64]

#: Relations of more rows than these are not held in memory: beside DuckDB's own, some 200 bytes a
#: row, and a CPU second or several for each 100,000.
EDGES_WHOLE = 1_000_000


#: (spec, module, related list) -> the module and list of the same relation from its other side.
Sides = Mapping[tuple[str, str, str], tuple[str, str]]


def add_other_sides(connection: duckdb.DuckDBPyConnection, sides: Sides) -> None:
    """Add to `kinds` the other side of each kind that has one, for rows that will change to it."""
    known = connection.execute("SELECT spec, module, related_list, kind FROM kinds").fetchall()
    present = {(spec, module, related_list) for spec, module, related_list, _ in known}
    number = max((kind for *_, kind in known), default=0)
    for spec, module, related_list in sorted(present & set(sides)):
        other = (spec, *sides[spec, module, related_list])
        if other not in present:
            number += 1
            present.add(other)
            connection.execute("INSERT INTO kinds VALUES (?, ?, ?, ?)", [number, *other])


def either_side(
    mirrors: Mapping[tuple[str, str], tuple[str, str]], relations: Mapping[str, str]
) -> Sides:
    """
    Return the relations that rows may change sides of.

    Those of `mirrors`, where both sides are calls of one spec, but for what `relations` (of the
    configuration) turns off with an empty name.
    """
    off = {tuple(name.split(".", 1)) for name, other in relations.items() if not other}
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for side, other in mirrors.items():
        if side in off or other in off:
            continue
        for spec in SPECS.values():
            if _serves(spec, *side) and _serves(spec, *other):
                found[spec.name, side[0], side[1]] = other
    return found


def _serves(spec: Spec, module: str, related_list: str) -> bool:
    """Return whether calls of a related list are this spec's."""
    if spec.family != "relation" or spec.related_list is not None:
        return False
    own = {each.related_list for each in SPECS.values() if each.op == spec.op}
    return related_list not in own and (spec.modules is None or module in spec.modules)


def choose_sides(
    connection: duckdb.DuckDBPyConnection, sides: Sides, *, edges_whole: int = EDGES_WHOLE
) -> tuple[Relation, ...]:
    """
    Make the view `turned` of the view `sendable`, in which each row stands on its best side.

    Return what it came to, one for each relation with rows. A relation of more than
    `edges_whole` rows is not held in memory, and saves less.
    """
    connection.execute("CREATE TABLE turns (line BIGINT)")
    found: list[Relation] = []
    pairs: list[tuple[int, int]] = []
    for left, right in _pairs(connection, sides):
        edges = _edges(left["kind"], right["kind"])
        row = connection.execute(f"SELECT count(*) FROM ({edges})").fetchone()
        count = row[0] if row else 0
        if count:
            pairs += [(left["kind"], right["kind"]), (right["kind"], left["kind"])]
            turn = _turn if count <= edges_whole else _turn_many
            found.append(turn(connection, left, right, edges, count))
    connection.execute("CREATE TABLE others (kind INTEGER, other INTEGER)")
    if pairs:
        connection.executemany("INSERT INTO others VALUES (?, ?)", pairs)
    if connection.execute("SELECT 1 FROM turns LIMIT 1").fetchone() is None:
        connection.execute("CREATE TEMP VIEW turned AS FROM sendable")
        return tuple(found)
    connection.execute("""
        CREATE TEMP VIEW turned AS
        SELECT sendable.* REPLACE (
            CASE WHEN turns.line IS NULL THEN sendable.kind ELSE other END AS kind,
            CASE WHEN turns.line IS NULL THEN record ELSE item END AS record,
            CASE WHEN turns.line IS NULL THEN item ELSE record END AS item)
        FROM sendable LEFT JOIN turns USING (line) LEFT JOIN others USING (kind)
    """)
    return tuple(found)


def _pairs(
    connection: duckdb.DuckDBPyConnection, sides: Sides
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the kinds that are two sides of one relation, each pair once."""
    names = ("kind", "spec", "op", "module", "related_list", "size")
    rows = connection.execute(f"SELECT {', '.join(names)} FROM traits").fetchall()
    kinds = {(row[1], row[3], row[4]): dict(zip(names, row, strict=True)) for row in rows}
    found = []
    for key in sorted(set(kinds) & set(sides)):
        other = (key[0], *sides[key])
        if key < other and other in kinds:
            found.append((kinds[key], kinds[other]))
    return found


def _edges(left: int, right: int) -> str:
    """Return SQL for a relation's rows: line, the ids at its ends, if it stands at the right."""
    return (
        f"SELECT line, CASE WHEN kind = {left} THEN record ELSE item END AS one, "
        f"CASE WHEN kind = {left} THEN item ELSE record END AS two, kind = {right} AS given "
        f"FROM sendable WHERE kind IN ({left}, {right})"
    )


def _turn(
    connection: duckdb.DuckDBPyConnection,
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    edges: str,
    count: int,
) -> Relation:
    """Choose the sides of one relation, note the lines that change theirs, say what it saves."""
    from bulkops.files.planner import stars

    found = connection.execute(f"{edges} ORDER BY line").fetchnumpy()
    one, two, given = _codes(found["one"]), _codes(found["two"]), found["given"]
    caps = {"cap_left": left["size"], "cap_right": right["size"]}
    fewest = stars.fewest(one, two, given=given, **caps)
    changed = found["line"][fewest.centre_right != given]
    if len(changed):
        connection.execute("INSERT INTO turns SELECT unnest(?::BIGINT[])", [changed])
    return Relation(
        op=left["op"],
        relation=f"{left['module']}.{left['related_list']}",
        rows=count,
        calls=stars.calls(one, two, fewest.centre_right, **caps),
        as_given=stars.calls(one, two, given, **caps),
        at_least=fewest.bound.calls,
        argument=fewest.bound.argument.value,
    )


def _turn_many(
    connection: duckdb.DuckDBPyConnection,
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    edges: str,
    count: int,
) -> Relation:
    """Do the same for a relation of more rows than are held in memory."""
    caps = {"cap_left": left["size"], "cap_right": right["size"]}
    as_given, calls = turn_by_degrees(connection, edges, **caps)
    return Relation(
        op=left["op"],
        relation=f"{left['module']}.{left['related_list']}",
        rows=count,
        calls=calls,
        as_given=as_given,
        at_least=-(-count // max(caps.values())),
        argument="size",
    )


def _codes(ids: _Ids) -> npt.NDArray[np.int32]:
    """Return small numbers for ids, the same for the same."""
    return np.unique(ids, return_inverse=True)[1].astype(np.int32)
