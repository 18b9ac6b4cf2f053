"""Rows that wish the same, and rows that wish opposite things of one relation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from bulkops.model import Outcome, Status
from bulkops.rules.operations.related_records import MIRRORS

Statuses = Mapping[int, tuple[str, int | None]]
#: What the rows are -> the rows, and what becomes of those that are not sent.
Cases = Mapping[str, tuple[Sequence[Mapping[str, str]], Statuses]]


def edge(op: str, path: str, **columns: str) -> dict[str, str]:
    """Return the row of a path such as `Leads/1/Campaigns/2`."""
    names = ("module", "record_id", "related_list", "related_id")
    return {"op": op, **dict(zip(names, path.split("/"), strict=True)), **columns}


def territories(op: str, ids: str, record: str = "1", **columns: str) -> dict[str, str]:
    return {"op": op, "module": "Leads", "record_id": record, "territory_id": ids, **columns}


def deletion(territory: str, target: str = "", **columns: str) -> dict[str, str]:
    return {"op": "delete_territory", "territory_id": territory, "transfer_to_id": target} | columns


def conflicts(*pairs: tuple[int, int]) -> Statuses:
    return {line: ("conflict", of_line) for line, of_line in pairs}


def duplicates(*pairs: tuple[int, int]) -> Statuses:
    return {line: ("duplicate", of_line) for line, of_line in pairs}


LEAD = "Leads/1/Campaigns/2"
CAMPAIGN = "Campaigns/2/Leads/1"
ROLE = "Deals/1/Contact_Roles/2"

COMPARED: Cases = {
    "the same row three times": (
        [edge("unlink", LEAD)] * 3,
        duplicates((2, 1), (3, 1)),
    ),
    "the same relation from its two sides": (
        [edge("unlink", LEAD), edge("unlink", CAMPAIGN)],
        duplicates((2, 1)),
    ),
    "a contact role and the same from the contact": (
        [edge("unlink", ROLE), edge("unlink", "Contacts/2/Deals/1")],
        duplicates((2, 1)),
    ),
    "another record": (
        [edge("unlink", LEAD), edge("unlink", "Leads/2/Campaigns/1")],
        {},
    ),
    "another list": (
        [edge("unlink", LEAD), edge("unlink", "Leads/1/Products/2")],
        {},
    ),
    "a relation and a list with no other side": (
        [edge("link", "Custom/1/Others/2"), edge("link", "Others/2/Custom/1")],
        {},
    ),
    "links with the same fields": (
        [edge("link", LEAD, Member_Status="Active"), edge("link", LEAD, Member_Status="Active")],
        duplicates((2, 1)),
    ),
    "unlinks with different fields, which nobody sends": (
        [edge("unlink", LEAD, Status="A"), edge("unlink", LEAD, Status="B")],
        duplicates((2, 1)),
    ),
    "rows with different carried columns": (
        [edge("unlink", LEAD, note="A"), edge("unlink", LEAD, note="B")],
        duplicates((2, 1)),
    ),
    "contact roles of the same role": (
        [edge("link", ROLE, role_id="7"), edge("link", ROLE, role_id="7")],
        duplicates((2, 1)),
    ),
    "territories in another order": (
        [
            territories("remove_territories", "9;8"),
            territories("remove_territories", '["8", "9"]'),
            territories("remove_territories", "8;9;8"),
        ],
        duplicates((2, 1), (3, 1)),
    ),
    "a part of the same territories is no repeat": (
        [territories("remove_territories", "9;8"), territories("remove_territories", "9")],
        {},
    ),
    "the same territories of another record": (
        [territories("remove_territories", "9"), territories("remove_territories", "9", "2")],
        {},
    ),
    "territory deletions with flags spelled otherwise": (
        [
            deletion("5", "6", delete_previous_forecasts="yes"),
            deletion("5", "6", delete_previous_forecasts="TRUE"),
        ],
        duplicates((2, 1)),
    ),
    "link and unlink": (
        [edge("link", LEAD), edge("unlink", LEAD)],
        conflicts((1, 2), (2, 1)),
    ),
    "link and unlink from two sides": (
        [edge("unlink", LEAD), edge("link", CAMPAIGN)],
        conflicts((1, 2), (2, 1)),
    ),
    "links with different fields": (
        [edge("link", LEAD, Member_Status="A"), edge("link", LEAD, Member_Status="B")],
        conflicts((1, 2), (2, 1)),
    ),
    "links with different fields from two sides": (
        [edge("link", LEAD, Member_Status="A"), edge("link", CAMPAIGN, Member_Status="B")],
        conflicts((1, 2), (2, 1)),
    ),
    "different roles of one contact": (
        [edge("link", ROLE, role_id="7"), edge("link", ROLE, role_id="8")],
        conflicts((1, 2), (2, 1)),
    ),
    "a role given and taken": (
        [edge("link", ROLE, role_name="Buyer"), edge("unlink", ROLE)],
        conflicts((1, 2), (2, 1)),
    ),
    "a role given, and the relation taken from the contact": (
        [edge("link", ROLE, role_id="7"), edge("unlink", "Contacts/2/Deals/1")],
        conflicts((1, 2), (2, 1)),
    ),
    "two that agree and one that does not": (
        [edge("link", LEAD), edge("link", CAMPAIGN), edge("unlink", LEAD)],
        conflicts((1, 3), (2, 3), (3, 1)),
    ),
    "three that all differ name the first other one": (
        [edge("link", LEAD, Status=each) for each in "ABC"],
        conflicts((1, 2), (2, 1), (3, 1)),
    ),
    "territories taken and given": (
        [territories("remove_territories", "9"), territories("assign_territories", "9")],
        conflicts((1, 2), (2, 1)),
    ),
    "lists of which one territory is disputed": (
        [
            territories("remove_territories", "7;8"),
            territories("assign_territories", "8;9"),
            territories("remove_territories", "7"),
            territories("assign_territories", "9"),
        ],
        conflicts((1, 2), (2, 1)),
    ),
    "other territories of one record": (
        [territories("remove_territories", "7"), territories("assign_territories", "8")],
        {},
    ),
    "a territory handed to two others": (
        [deletion("5", "6"), deletion("5", "7")],
        conflicts((1, 2), (2, 1)),
    ),
    "a territory deleted with and without its forecasts": (
        [deletion("5", "6"), deletion("5", "6", delete_previous_forecasts="true")],
        conflicts((1, 2), (2, 1)),
    ),
    "a bad row disputes nothing": (
        [edge("link", LEAD), edge("delete", LEAD)],
        {2: ("invalid", None)},
    ),
    "a territory deleted and taken off a record": (
        [deletion("9"), territories("remove_territories", "9")],
        {},
    ),
}


def plan_together(plan: Callable[..., Any], cases: Cases, **wanted: Any) -> dict[str, Statuses]:
    """
    Return what becomes of each case, its lines counted from 1, `("sent", None)` included.

    One plan for all: each case has ids of its own, begun with its number.
    """
    rows: list[Mapping[str, str]] = []
    begins: dict[str, int] = {}
    for number, (name, (case, _)) in enumerate(cases.items(), 1):
        begins[name] = len(rows)
        rows += [_renumbered(row, number) for row in case]
    made = plan(rows, **wanted)
    found = made.statuses | {each.line: ("sent", None) for each in made.operations}
    return {
        name: {
            line: (found[begin + line][0], of_line and of_line - begin)
            for line in range(1, len(cases[name][0]) + 1)
            for of_line in [found[begin + line][1]]
        }
        for name, begin in begins.items()
    }


def _renumbered(row: Mapping[str, str], number: int) -> dict[str, str]:
    ids = {"record_id", "related_id", "territory_id", "transfer_to_id"}
    return {
        name: re.sub(r"\d+", rf"{number}000\g<0>", cell) if name in ids else cell
        for name, cell in row.items()
    }


def whole(case: tuple[Sequence[Mapping[str, str]], Statuses]) -> Statuses:
    """Return what is to become of every line of a case: those not named are sent."""
    rows, expected = case
    return dict.fromkeys(range(1, len(rows) + 1), ("sent", None)) | dict(expected)


@pytest.fixture(scope="module")
def compared(plan: Callable[..., Any]) -> dict[str, Statuses]:
    return plan_together(plan, COMPARED)


@pytest.mark.parametrize("name", COMPARED)
def test_rows_are_compared_by_what_they_are_about(
    compared: Mapping[str, Statuses], name: str
) -> None:
    """A repeat names the first line of its wish; of opposite wishes neither is sent."""
    assert whole(COMPARED[name]) == compared[name]


def test_ids_are_compared_as_text(plan: Callable[..., Any]) -> None:
    """A zero before makes another id, as it does in a URL."""
    assert {} == plan([edge("unlink", LEAD), edge("unlink", "Leads/01/Campaigns/2")]).refusals


def test_every_documented_relation_is_one_from_both_sides(plan: Callable[..., Any]) -> None:
    """Whichever side a row is written from, and whichever comes first, it is the same wish."""
    rows: list[dict[str, str]] = []
    for number, ((module, related), (other, back)) in enumerate(MIRRORS.items(), 1):
        rows.append(edge("unlink", f"{module}/{number}1/{related}/{number}2"))
        rows.append(edge("unlink", f"{other}/{number}2/{back}/{number}1"))

    repeats = range(2, len(rows) + 1, 2)
    assert duplicates(*((line, line - 1) for line in repeats)) == plan(rows).statuses


def test_words_of_a_conflict(plan: Callable[..., Any]) -> None:
    """A conflict names the line that it disagrees with, a repeat only the line it repeats."""
    made = plan(
        [edge("link", LEAD), edge("unlink", CAMPAIGN), *[edge("link", ROLE, role_id="7")] * 2]
    )

    assert {
        1: Outcome(
            1,
            Status.CONFLICT,
            "opposite_wishes",
            "line 2 wishes otherwise of the same relation",
            of_line=2,
        ),
        2: Outcome(
            2,
            Status.CONFLICT,
            "opposite_wishes",
            "line 1 wishes otherwise of the same relation",
            of_line=1,
        ),
        4: Outcome(4, Status.DUPLICATE, of_line=3),
    } == made.refusals


@pytest.mark.parametrize("declared", ["Bugs.Fixes", "Fixes.Bugs"])
def test_a_declared_relation_is_one_from_both_sides(
    plan: Callable[..., Any], declared: str
) -> None:
    """`[relations]` says which lists are the two sides of one relation."""
    other = {"Bugs.Fixes": "Fixes.Bugs", "Fixes.Bugs": "Bugs.Fixes"}[declared]
    rows = [edge("link", "Bugs/1/Fixes/2"), edge("unlink", "Fixes/2/Bugs/1")]
    made = plan(rows, relations={declared: other})

    assert conflicts((1, 2), (2, 1)) == made.statuses


LAST: Cases = {
    "the later of two": (
        [edge("link", LEAD), edge("unlink", LEAD)],
        conflicts((1, 2)),
    ),
    "the later of two sides": (
        [edge("unlink", CAMPAIGN), edge("link", LEAD)],
        conflicts((1, 2)),
    ),
    "the last of three, and the one that agrees with it": (
        [edge("link", LEAD), edge("unlink", LEAD), edge("link", LEAD)],
        {**conflicts((2, 3)), **duplicates((3, 1))},
    ),
    "the last fields": (
        [edge("link", LEAD, Status=each) for each in "ABC"],
        conflicts((1, 3), (2, 3)),
    ),
    "territory by territory": (
        [
            territories("remove_territories", "7;8"),
            territories("assign_territories", "8"),
            territories("remove_territories", "7"),
        ],
        conflicts((1, 2)),
    ),
    "the last target": (
        [deletion("5", "6"), deletion("5", "7")],
        conflicts((1, 2)),
    ),
    "only a row that is sent beats another": (
        [
            territories("remove_territories", "8"),
            territories("assign_territories", "8;9"),
            territories("remove_territories", "9"),
        ],
        conflicts((2, 3)),
    ),
    "the first of several that beat a row": (
        [
            territories("remove_territories", "7;8"),
            territories("assign_territories", "8"),
            territories("assign_territories", "7"),
        ],
        conflicts((1, 2)),
    ),
}


@pytest.fixture(scope="module")
def last_wins(plan: Callable[..., Any]) -> dict[str, Statuses]:
    return plan_together(plan, LAST, last_wins=True)


@pytest.mark.parametrize("name", LAST)
def test_the_later_wish_may_win(last_wins: Mapping[str, Statuses], name: str) -> None:
    """
    With `on_conflict = "last"` a row loses to a later one that is sent, and names it.

    So every relation that the manifest speaks of is wished by a row of the plan.
    """
    assert whole(LAST[name]) == last_wins[name]


FOREIGN: Cases = {
    "a territory taken and given, with a related list": (
        [
            territories("remove_territories", "9", related_list="Campaigns"),
            territories("assign_territories", "9"),
        ],
        conflicts((1, 2), (2, 1)),
    ),
    "a territory deleted twice, with a module": (
        [deletion("5", "6", module="Leads"), deletion("5", "7", module="Deals")],
        conflicts((1, 2), (2, 1)),
    ),
    "the same deletion, with a record": (
        [deletion("5", "6", record_id="1"), deletion("5", "6", record_id="2")],
        duplicates((2, 1)),
    ),
}


def test_columns_of_other_operations_do_not_hide_a_dispute(plan: Callable[..., Any]) -> None:
    """A wish is about what its operation reads; what else stands in the row makes no difference."""
    found = plan_together(plan, FOREIGN)

    assert {name: whole(case) for name, case in FOREIGN.items()} == found


#: Two values of a field -> whether one call says both.
SENT_ALIKE: dict[tuple[str, Any, Any], bool] = {
    ("list_price", 10, "10"): True,
    ("list_price", 10, 10.0): True,
    ("list_price", "9.50", 9.5): True,
    ("list_price", "1e1", "10"): True,
    ("list_price", 10, 11): False,
    ("list_price", 10, "10 "): False,
    ("list_price", "10", "10 EUR"): False,
    ("list_price", "true", True): False,
    ("list_price", 9007199254740993, "9007199254740992"): False,
    # What the server makes of a number where it expects a text nobody knows.
    ("Member_Status", 10, "10"): False,
}


@pytest.mark.parametrize(("field", "one", "other"), SENT_ALIKE)
def test_fields_that_are_sent_alike_are_alike(
    plan: Callable[..., Any], field: str, one: Any, other: Any
) -> None:
    """A price as a JSON number and the same as text make one call, so they are no conflict."""
    rows = [{**edge("link", "Price_Books/1/Products/2"), field: value} for value in (one, other)]
    made = plan(rows, name="manifest.jsonl")

    alike = SENT_ALIKE[field, one, other]
    assert (duplicates((2, 1)) if alike else conflicts((1, 2), (2, 1))) == made.statuses


def test_other_fields_are_compared_beside_a_price(plan: Callable[..., Any]) -> None:
    """One price does not hide that something else differs."""
    row = edge("link", "Price_Books/1/Products/2")
    rows = [
        {**row, "list_price": price, "Status": status}
        for price, status in ((10, "Active"), ("10", "Planned"))
    ]

    assert conflicts((1, 2), (2, 1)) == plan(rows, name="manifest.jsonl").statuses


def test_fields_are_compared_by_value(plan: Callable[..., Any]) -> None:
    """How the JSON of a field is spelled makes no difference."""
    row = (
        '{"op":"link","module":"Leads","record_id":"1","related_list":"Campaigns",'
        '"related_id":"2","Member_Status":"%s"}\n'
    )
    made = plan(row % "Gro\u00df" + row % "Gro\\u00df", name="manifest.jsonl")

    assert duplicates((2, 1)) == made.statuses
