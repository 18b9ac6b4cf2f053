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

from bulkops.operations import SPECS
from bulkops.planner import stars
from bulkops.planner.summary import Relation
from bulkops.spec import Spec

_Ids = npt.NDArray[np.uint64]


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


def choose_sides(connection: duckdb.DuckDBPyConnection, sides: Sides) -> tuple[Relation, ...]:
    """
    Make the view `turned` of the view `sendable`, in which each row stands on its best side.

    Return what it came to, one for each relation with rows.
    """
    connection.execute("CREATE TABLE turns (line BIGINT)")
    found: list[Relation] = []
    pairs: list[tuple[int, int]] = []
    for left, right in _pairs(connection, sides):
        edges = _edges(connection, left["kind"], right["kind"])
        if not len(edges["line"]):
            continue
        pairs += [(left["kind"], right["kind"]), (right["kind"], left["kind"])]
        found.append(_turn(connection, left, right, edges))
    connection.execute("CREATE TABLE others (kind INTEGER, other INTEGER)")
    if pairs:
        connection.executemany("INSERT INTO others VALUES (?, ?)", pairs)
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


def _edges(
    connection: duckdb.DuckDBPyConnection, left: int, right: int
) -> dict[str, npt.NDArray[Any]]:
    """Return the rows of a relation: line, the ids at its left and right end, and its own side."""
    return connection.execute(
        "SELECT line, CASE WHEN kind = $left THEN record ELSE item END AS one, "
        "CASE WHEN kind = $left THEN item ELSE record END AS two, kind = $right AS given "
        "FROM sendable WHERE kind IN ($left, $right) ORDER BY line",
        {"left": left, "right": right},
    ).fetchnumpy()


def _turn(
    connection: duckdb.DuckDBPyConnection,
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    edges: Mapping[str, npt.NDArray[Any]],
) -> Relation:
    """Choose the sides of one relation, note the lines that change theirs, say what it saves."""
    one, two, given = _codes(edges["one"]), _codes(edges["two"]), edges["given"]
    caps = {"cap_left": left["size"], "cap_right": right["size"]}
    found = stars.fewest(one, two, given=given, **caps)
    changed = edges["line"][found.centre_right != given]
    if len(changed):
        connection.execute("INSERT INTO turns SELECT unnest(?::BIGINT[])", [changed])
    return Relation(
        op=left["op"],
        relation=f"{left['module']}.{left['related_list']}",
        rows=len(given),
        calls=stars.calls(one, two, found.centre_right, **caps),
        as_given=stars.calls(one, two, given, **caps),
        at_least=found.bound.calls,
        argument=found.bound.argument.value,
    )


def _codes(ids: _Ids) -> npt.NDArray[np.int32]:
    """Return small numbers for ids, the same for the same."""
    return np.unique(ids, return_inverse=True)[1].astype(np.int32)
