"""
What takes an operation back: the rows that each spec gives, by what was captured before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Operation, Route
from bulkops.rules.operations import SPECS
from bulkops.rules.reads import Before

CAMPAIGN = Route("Campaigns", "1", "Leads")
DEAL = Route("Deals", "1", "Contact_Roles")
LEADS = Route("Leads")


def test_every_operation_says_how_it_is_undone() -> None:
    """Each spec gives rows or words, with and without a capture; none is forgotten."""
    operation = Operation(1, "2", ("7",))
    for spec in SPECS.values():
        for before in (None, Before(None)):
            found = spec.undo(Route("Leads", "1", "Campaigns"), operation, before)
            assert isinstance(found, str | tuple)


@pytest.mark.parametrize(
    ("name", "route", "before", "expected"),
    [
        ("unlink", CAMPAIGN, None, {"op": "link"}),
        (
            "unlink",
            CAMPAIGN,
            {"Member_Status": "Active"},
            {"op": "link", "Member_Status": "Active"},
        ),
        ("unlink", CAMPAIGN, "absent", None),
        ("link", CAMPAIGN, "absent", {"op": "unlink"}),
        ("link", CAMPAIGN, {"Member_Status": "Active"}, {"op": "link", "Member_Status": "Active"}),
        ("unlink_contact_role", DEAL, {"role_id": "9"}, {"op": "link", "role_id": "9"}),
        ("unlink_contact_role", DEAL, "absent", None),
        ("link_contact_role", DEAL, "absent", {"op": "unlink"}),
        ("link_contact_role", DEAL, {"role_id": "9"}, {"op": "link", "role_id": "9"}),
    ],
)
def test_relations_go_back_to_what_was_captured(
    name: str, route: Route, before: Any, expected: Mapping[str, str] | None
) -> None:
    """A relation that was there comes back with its fields; one that was not goes away."""
    captured = None if before is None else Before(None if before == "absent" else before)
    operation = Operation(1, "2", fields={"Member_Status": "Planning"})
    place = {
        "module": route.module,
        "record_id": route.record_id,
        "related_list": route.related_list,
        "related_id": "2",
    }
    wanted = () if expected is None else ({**place, **expected},)
    assert wanted == tuple(SPECS[name].undo(route, operation, captured))


@pytest.mark.parametrize("name", ["link", "link_contact_role", "unlink_contact_role"])
def test_what_was_not_captured_is_not_guessed(name: str) -> None:
    """Where the server's answer does not tell what was there before, words say so."""
    words = SPECS[name].undo(DEAL, Operation(1, "2"), None)
    assert isinstance(words, str)
    assert "capture" in words


def test_a_deleted_territory_stays_deleted() -> None:
    """The API has no way back, and the words say so."""
    words = SPECS["delete_territory"].undo(Route(), Operation(1, "2"), None)
    assert words == "a deleted territory cannot be brought back"


IDS = st.sampled_from(["1", "2", "3", "4"])


@given(held=st.sets(IDS), members=st.sets(IDS, min_size=1))
def test_territories_go_back_to_the_set_they_were(held: set[str], members: set[str]) -> None:
    """For any sets: what was held, changed and taken back, is what was held."""
    operation = Operation(1, "5", tuple(sorted(members)))
    before = Before({"territory_id": sorted(held)})
    for name, after in (
        ("remove_territories", held - members),
        ("assign_territories", held | members),
    ):
        rows = SPECS[name].undo(LEADS, operation, before)
        assert not isinstance(rows, str)
        for row in rows:
            named = set(str(row["territory_id"]).split(";"))
            assert (row["module"], row["record_id"]) == ("Leads", "5")
            after = after | named if row["op"] == "assign_territories" else after - named
        assert held == after


def test_territories_given_by_a_rule_are_not_captured() -> None:
    """Only what a person assigned can be assigned again."""
    body = {
        "data": [
            {
                "id": "5",
                "Territories": [
                    {"id": "1", "$assigned": "manually"},
                    {"id": "2", "$assigned": "automatically"},
                ],
            }
        ]
    }
    capture = SPECS["remove_territories"].capture
    assert capture is not None
    assert capture.held(body) == {"5": {"territory_id": ["1"]}}


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.capture])
def test_an_answer_that_tells_nothing_is_not_taken_for_an_empty_one(name: str) -> None:
    """A body of another shape captures nothing; an empty answer captures an absence."""
    capture = SPECS[name].capture
    assert capture is not None
    assert capture.held({"data": "?"}) is None
    assert capture.held(None) == {}
