"""
Rows change sides where that saves calls, and nothing else about them changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.files.planner.degrees import turn_by_degrees
from bulkops.model import Batch
from bulkops.rules.operations.related_records import MIRRORS
from bulkops.rules.spec import CallLimits
from tests.files.planner.conftest import Plan, Planner

LEADS = [f"41508680200000{number:04}" for number in range(250)]
CAMPAIGNS = [f"41508680600000{number:04}" for number in range(3)]


def row(lead: str, campaign: str, *, op: str = "unlink", **more: str) -> dict[str, str]:
    """A row that is written from the lead's side."""
    place = {"module": "Leads", "record_id": lead, "related_list": "Campaigns"}
    return {"op": op, **place, "related_id": campaign, **more}


def other(row: dict[str, str]) -> dict[str, str]:
    """The same wish, written from the campaign's side."""
    turned = {"module": "Campaigns", "related_list": "Leads"}
    return {**row, **turned, "record_id": row["related_id"], "related_id": row["record_id"]}


def wishes(plan: Plan) -> dict[int, tuple[str, frozenset[tuple[str, str]], Any]]:
    """What each sent line asks for, the same from either side."""

    def of(batch: Batch) -> dict[int, tuple[str, frozenset[tuple[str, str]], Any]]:
        route = batch.route
        there = MIRRORS[route.module, route.related_list][0]
        return {
            each.line: (
                batch.spec,
                frozenset({(route.module, route.record_id), (there, each.item)}),
                dict(each.fields),
            )
            for each in batch.operations
        }

    return {line: wish for batch in plan.batches for line, wish in of(batch).items()}


def test_many_records_of_few_are_called_by_the_few(plan: Planner) -> None:
    """250 leads of 3 campaigns, written by lead, are 9 calls by campaign and not 250 by lead."""
    made = plan([row(lead, campaign) for lead in LEADS for campaign in CAMPAIGNS])
    assert {"Campaigns"} == {batch.route.module for batch in made.batches}
    assert 9 == len(made.batches)
    (relation,) = made.planned.summary.relations
    assert (250, 9, 9) == (relation.as_given, relation.calls, relation.at_least)
    (share,) = made.planned.summary.shares
    assert ("Leads", 750, 9) == (share.module, share.rows, share.calls)


def test_a_relation_that_is_turned_off_stays_as_it_is_written(plan: Planner) -> None:
    """An empty name under [relations] says that the list may be unlinked, and not called back."""
    rows = [row(lead, CAMPAIGNS[0]) for lead in LEADS]
    made = plan(rows, relations={"Leads.Campaigns": ""})
    assert {"Leads"} == {batch.route.module for batch in made.batches}
    assert () == made.planned.summary.relations


def test_a_relation_of_the_organisation_is_turned_as_well(plan: Planner) -> None:
    """What [relations] declares is as good as what the API documents."""
    rows = [
        {
            "op": "link",
            "module": "Suppliers",
            "record_id": lead,
            "related_list": "Projects",
            "related_id": CAMPAIGNS[0],
        }
        for lead in LEADS
    ]
    made = plan(rows, relations={"Projects.Suppliers": "Suppliers.Projects"})
    assert 3 == len(made.batches)


def test_a_renamed_column_is_no_field_by_its_own_name(plan: Planner) -> None:
    """`Status` read as `Member_Status` wishes no `Status`, unless somebody asks for both."""
    linked = [row(LEADS[0], CAMPAIGNS[0], op="link", Status="Active")]
    renamed = {"Member_Status": "Status"}
    found = [
        [dict(each.fields) for each in plan(linked, columns=columns, **more).operations]
        for columns, more in (
            (renamed, {}),
            ({}, {}),
            (renamed, {"fields": ("Status",)}),
            (renamed, {"fixed": {"Status": "Planned"}}),
            ({**renamed, "Status": "Status"}, {}),
        )
    ]
    both = {"Member_Status": "Active", "Status": "Active"}
    assert [
        [{"Member_Status": "Active"}],
        [{"Status": "Active"}],
        [both],
        [{**both, "Status": "Planned"}],
        [both],
    ] == found


def test_relation_fields_travel_with_their_row(plan: Planner) -> None:
    """A link keeps its own fields on whichever side it is sent."""
    rows = [row(lead, CAMPAIGNS[0], op="link", Member_Status=lead[-4:]) for lead in LEADS]
    made = plan(rows)
    assert 3 == len(made.batches)
    for line, (_, ends, fields) in wishes(made).items():
        assert {"Member_Status": LEADS[line - 1][-4:]} == fields
        assert ("Leads", LEADS[line - 1]) in ends


def test_contact_roles_are_not_turned(plan: Planner) -> None:
    """Their other side is another call with other fields."""
    rows = [
        {
            "op": "unlink",
            "module": "Deals",
            "record_id": deal,
            "related_list": "Contact_Roles",
            "related_id": CAMPAIGNS[0],
        }
        for deal in LEADS[:20]
    ]
    assert 20 == len(plan(rows).batches)


EDGES = st.lists(
    st.tuples(
        st.sampled_from(LEADS[:12]),
        st.sampled_from(CAMPAIGNS),
        st.sampled_from(["unlink", "link"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=20, deadline=None)
@given(edges=EDGES, ids_per_call=st.sampled_from([1, 2, 5, 100]))
def test_the_union_of_the_calls_is_what_was_wished(
    plan: Planner, edges: list[tuple[str, str, str, bool]], ids_per_call: int
) -> None:
    """Whatever the sides, each sendable line is in one call, asks for the same, and fits in."""
    rows = [
        other(row(lead, campaign, op=op)) if turned else row(lead, campaign, op=op)
        for lead, campaign, op, turned in edges
    ]
    made = plan(rows, limits=CallLimits(ids_per_call=ids_per_call))
    asked = wishes(made)
    assert set(range(1, len(rows) + 1)) == set(asked) | set(made.refusals)
    assert not set(asked) & set(made.refusals)
    for line, (spec, ends, _) in asked.items():
        lead, campaign, op, _ = edges[line - 1]
        assert (op, frozenset({("Leads", lead), ("Campaigns", campaign)})) == (spec, ends)
    assert all(len(batch.operations) <= ids_per_call for batch in made.batches)
    for relation in made.planned.summary.relations:
        assert relation.at_least <= relation.calls <= relation.as_given
    assert made.planned.summary.total.calls == len(made.batches)


PAIRS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1)


@given(pairs=PAIRS, caps=st.tuples(st.integers(1, 4), st.integers(1, 4)), data=st.data())
@settings(max_examples=40, deadline=None)
def test_degrees_never_cost_more_than_the_manifest(
    pairs: set[tuple[int, int]], caps: tuple[int, int], data: st.DataObject
) -> None:
    """The way for relations beyond memory counts its calls right, and is no worse than given."""
    edges = [
        (line, one, two, data.draw(st.booleans()))
        for line, (one, two) in enumerate(sorted(pairs), start=1)
    ]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE edges (line BIGINT, one BIGINT, two BIGINT, given BOOL)")
        connection.executemany("INSERT INTO edges VALUES (?, ?, ?, ?)", edges)
        connection.execute("CREATE TABLE turns (line BIGINT)")
        as_given, chosen = turn_by_degrees(
            connection, "FROM edges", cap_left=caps[0], cap_right=caps[1]
        )
        turned = {line for (line,) in connection.execute("FROM turns").fetchall()}

    def calls(right: Mapping[int, bool]) -> int:
        loads = Counter((right[line], two if right[line] else one) for line, one, two, _ in edges)
        return sum(-(-load // caps[side]) for (side, _), load in loads.items())

    given_sides = {line: right for line, _, _, right in edges}
    chosen_sides = {line: right != (line in turned) for line, right in given_sides.items()}
    assert calls(given_sides) == as_given
    assert calls(chosen_sides) == chosen
    either = [calls(dict.fromkeys(given_sides, side)) for side in (False, True)]
    assert chosen <= min(as_given, *either)


@pytest.mark.parametrize("op", ["unlink", "link"])
def test_planning_twice_gives_the_same_plan(plan: Planner, op: str) -> None:
    """The choice is the same for the same manifest."""
    rows = [row(lead, CAMPAIGNS[len(lead) % 3], op=op) for lead in LEADS]
    assert plan(rows).planned.digest == plan(rows).planned.digest
