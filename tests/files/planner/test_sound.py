"""Rows that are plainly good are numbers to the planner; to all others they are what they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bulkops.rules.spec import CallLimits

Planner = Callable[..., Any]

#: Ids that no number stands for: printed, it would be another text, or it is too large.
ODD = ("0", "00", "01", "007", "0" * 20, "10000000000000000000", "99999999999999999999")
PLAIN = ("1", "7", "9999999999999999999")


def unlinks(pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return a row for each pair of record and related record."""
    return [
        {
            "op": "unlink",
            "module": "Products",
            "record_id": record,
            "related_list": "Deals",
            "related_id": item,
        }
        for record, item in pairs
    ]


def test_an_id_comes_back_as_the_text_it_was(plan: Planner) -> None:
    """Zeros before, nothing but zeros, 20 digits: on the path, in the call, beside plain ids."""
    pairs = [(record, item) for record in (*ODD, *PLAIN) for item in (*PLAIN, *ODD)]
    made = plan(unlinks(pairs))
    found = {
        each.line: (batch.route.record_id, each.item)
        for batch in made.batches
        for each in batch.operations
    }

    assert dict(enumerate(pairs, 1)) == found
    assert len(ODD) + len(PLAIN) == len(made.batches)
    assert {} == made.refusals


def test_odd_and_plain_ids_share_a_call_in_the_order_of_the_manifest(plan: Planner) -> None:
    """How an id is kept makes no difference to where its row goes."""
    made = plan(unlinks([("7", item) for item in ("3", "03", "2", "02", "1")]))

    assert [[1, 2, 3, 4, 5]] == made.lines


@pytest.mark.parametrize("flipped", [False, True])
def test_repeats_of_odd_ids_are_found_from_both_sides(plan: Planner, flipped: bool) -> None:
    """A repeat is one whatever its id looks like, and whichever side it is written from."""
    (first,) = unlinks([("01", "18446744073709551616")])
    again = first
    if flipped:
        again = first | {
            "module": "Deals",
            "record_id": first["related_id"],
            "related_list": "Products",
            "related_id": first["record_id"],
        }

    assert {2: ("duplicate", 1)} == plan([first, again]).statuses


def test_numbers_that_are_no_ids_are_no_ids(plan: Planner) -> None:
    """What a cast would take for a number is refused as the text it is."""
    cells = ["+5", " 5", "5 ", "5.0", "5e3", "0x5", "1_000", "-5", "٥"]  # noqa: RUF001
    made = plan(unlinks([("7", cell) for cell in cells]))

    assert list(range(1, len(cells) + 1)) == list(made.refusals)
    assert () == made.batches


def test_more_kinds_of_rows_than_are_looked_at_first(plan: Planner) -> None:
    """A manifest of a thousand lists is planned like one of a few."""
    rows = [
        {
            "op": "link",
            "module": f"Module_{number}",
            "record_id": "1",
            "related_list": "Others",
            "related_id": "2",
        }
        for number in range(1200)
    ]
    made = plan(rows)

    assert [f"Module_{number}" for number in range(1200)] == [
        batch.route.module for batch in made.batches
    ]


def test_lists_of_ids_in_either_spelling_are_the_same(plan: Planner) -> None:
    """A plain list, one with spaces and a JSON list are three spellings of one wish."""
    row = {"op": "remove_territories", "module": "Leads", "record_id": "1"}
    made = plan([row | {"territory_id": cell} for cell in ("8;9", "9; 8", '["8","9"]')])

    assert {2: ("duplicate", 1), 3: ("duplicate", 1)} == made.statuses


def test_a_plan_that_is_written_in_parts_is_the_same(
    plan: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How much memory there is decides how a plan is made, not what it is."""
    rows = unlinks([(str(number % 7), str(1000 + number)) for number in range(300)])
    whole = plan(rows, limits=CallLimits(ids_per_call=10))
    monkeypatch.setattr("bulkops.files.planner.batches._ROW", 10_000_000)
    parted = plan(rows, limits=CallLimits(ids_per_call=10))

    assert whole.steps == parted.steps
    assert whole.planned.digest == parted.planned.digest
