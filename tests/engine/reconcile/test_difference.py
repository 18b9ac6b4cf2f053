"""
The law of the difference: apply it, and within the scope there is what is wished, nothing else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.engine.reconcile.asking import Asking
from bulkops.engine.reconcile.desired import load_desired
from bulkops.engine.reconcile.difference import compare, note_unread, write_changes
from bulkops.engine.reconcile.reading import Unread
from bulkops.engine.reconcile.snapshot import load_snapshot
from bulkops.engine.reconcile.tables import lay_out
from bulkops.engine.reconcile.values import agree, same
from bulkops.files.manifest import gather
from tests.engine.reconcile.desk import write_jsonl

#: (campaign, lead) -> Member_Status
Members = dict[tuple[str, str], str]

_IDS = st.sampled_from(["1", "2", "3", "4150868000000000001", "4150868000000000002"])
_PAIRS = st.tuples(_IDS, _IDS)
_SAID = st.sampled_from(["Active", "Planning", "7", "007", 'say "x"', "ü"])
_SIDES = st.sampled_from(["Campaigns", "Leads"])
_WISHES = st.lists(
    st.tuples(_SIDES, _PAIRS, st.just("") | _SAID),
    min_size=1,
)


def _row(side: str, pair: tuple[str, str], said: str) -> dict[str, Any]:
    """A relation, from either side."""
    campaign, lead = pair
    first, other, record, related = (
        ("Campaigns", "Leads", campaign, lead)
        if side == "Campaigns"
        else ("Leads", "Campaigns", lead, campaign)
    )
    row = {"module": first, "record_id": record, "related_list": other, "related_id": related}
    return {**row, "Member_Status": said} if said else row


def _difference(
    desired: list[dict[str, Any]],
    actual: list[dict[str, Any]],
    *,
    prune: bool,
    unread: list[Unread],
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        home = Path(folder)
        write_jsonl(home / "desired.jsonl", desired)
        write_jsonl(home / "actual.jsonl", actual)
        asking = Asking(desired=(home / "desired.jsonl",))
        lay_out(connection, {})
        load_desired(connection, gather(asking.desired), asking, product="crm")
        load_snapshot(connection, home / "actual.jsonl", asking, product="crm")
        note_unread(connection, unread)
        numbers = compare(connection, prune=prune, territories=())
        write_changes(connection, home / "changes.jsonl")
        rows = [orjson.loads(row) for row in (home / "changes.jsonl").read_bytes().splitlines()]
        assert numbers.changes == len(rows)
        return rows


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    ends = {row["module"]: row["record_id"], row["related_list"]: row["related_id"]}
    return ends["Campaigns"], ends["Leads"]


def _applied(before: Members, rows: list[dict[str, Any]]) -> Members:
    after = dict(before)
    for row in rows:
        if row["op"] == "unlink":
            # Whoever takes away what is not there has planned a row too many.
            del after[_pair(row)]
        else:
            after[_pair(row)] = row.get("Member_Status", "")
    return after


def _expected(
    before: Members,
    wishes: list[tuple[str, tuple[str, str], str]],
    *,
    prune: bool,
    broken: list[tuple[str, str]],
    unread: list[tuple[str, str]],
) -> Members:
    """The same law in sets: what each pair of records is to each other afterwards."""
    said: dict[tuple[str, str], set[str]] = {}
    for _, pair, status in wishes:
        said.setdefault(pair, set()).add(status)
    scope = {
        (side, pair[0] if side == "Campaigns" else pair[1])
        for side, pair, _ in wishes
        if len(said[pair]) == 1
    }
    blocked = set(broken) | {
        (side, pair[0] if side == "Campaigns" else pair[1])
        for side, pair, _ in wishes
        if len(said[pair]) > 1
    }
    after = dict(before)
    for pair in {*before, *said}:
        ends = {("Campaigns", pair[0]), ("Leads", pair[1])}
        if ends & set(unread) or len(said.get(pair, ())) > 1:
            continue
        if pair in said:
            (status,) = said[pair]
            after[pair] = status or before.get(pair, "")
        elif prune and ends & scope and not ends & blocked:
            del after[pair]
    return after


_ELSEWHERE = ("99", "99")
_ENDS = st.lists(st.tuples(_SIDES, _IDS), max_size=2)


@settings(max_examples=25, deadline=None)
@given(
    before=st.dictionaries(_PAIRS, _SAID, max_size=12),
    wishes=_WISHES,
    prune=st.booleans(),
    broken=_ENDS,
    unread=_ENDS,
)
def test_the_world_after_is_what_is_wished_within_the_scope(
    before: Members,
    wishes: list[tuple[str, tuple[str, str], str]],
    prune: bool,
    broken: list[tuple[str, str]],
    unread: list[tuple[str, str]],
) -> None:
    """
    From either side: wished is there, unwished is gone if asked for, all else is untouched.

    Untouched are what is unread, what rows contradict each other about, and, as for taking away,
    the records about which a row could not be read.
    """
    bad = [{**_row(side, (one, one), ""), "related_id": "4.1E+18"} for side, one in broken]
    rows = _difference(
        [*(_row(*wish) for wish in wishes), *bad],
        # A file without any row is refused, as a snapshot too.
        [_row("Campaigns", pair, said) for pair, said in {**before, _ELSEWHERE: "Active"}.items()],
        prune=prune,
        unread=[
            Unread(side, "Leads" if side == "Campaigns" else "Campaigns", one, "why")
            for side, one in unread
        ],
    )

    expected = _expected(before, wishes, prune=prune, broken=broken, unread=unread)
    assert expected == _applied(before, rows)


def test_a_row_that_does_not_tell_its_record_keeps_everything(tmp_path: Path) -> None:
    """It meant something, and nobody knows of what: nothing at all is taken away."""
    actual = [_row("Campaigns", ("1", lead), "Active") for lead in "123"]
    lost = {"record_id": "1.0E18", "module": "Campaigns", "related_list": "Leads"}

    wished = _row("Campaigns", ("1", "1"), "")
    rows = _difference([wished, {**lost, "related_id": "2"}], actual, prune=True, unread=[])
    assert [] == rows
    rows = _difference([wished], actual, prune=True, unread=[])
    assert ["2", "3"] == [row["related_id"] for row in rows]


@pytest.mark.parametrize(
    ("wished", "held", "expected"),
    [
        ("10", 10, True),
        ("10.50", 10.5, True),
        ("Active", "Active", True),
        ("Active", "active", False),
        ("true", True, True),
        ("1", True, False),
        (1, True, False),
        ("", None, True),
        ("0", None, False),
        ("1e1", 10, True),
        ("-0", 0, True),
        ("10.0", "10", True),
        # No numbers for JSON, whatever Python thinks of them.
        ("007", "7", False),
        ("1_0", "10", False),
        ("\u0661\u0660", "10", False),
        ("Infinity", "inf", False),
        (" 10", 10, False),
        # As floating point these two are one.
        ("4150868000000000001", "4150868000000000002", False),
        ("4150868000000000001", 4150868000000000002, False),
    ],
)
def test_values_are_compared_as_text_and_exactly_as_numbers(
    wished: Any, held: Any, expected: bool
) -> None:
    """A cell is text and the server's value may be a number; ids are never rounded."""
    assert expected is same(wished, held)


def test_only_what_is_wished_is_compared() -> None:
    """Other values do not matter, a decisive one stands for its like, a hidden one is named."""
    held = {"role_id": "90", "role_name": "Buyer", "list_price": None}
    assert agree({"role_id": "90", "role_name": "Old"}, held, decisive=("role_id", "role_name"))
    assert agree({"role_name": "Buyer"}, held, decisive=("role_id", "role_name")) is True
    assert agree({"list_price": "", "role_id": "90"}, held) is True
    assert agree({"list_price": "5"}, held) is False
    assert agree({"Member_Status": "Active"}, held) == "Member_Status"
