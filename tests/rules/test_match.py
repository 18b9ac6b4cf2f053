"""Matching the items of an answer to those of its request: by name, and never a guess."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.model import Item
from bulkops.rules.match import match_items
from bulkops.rules.verdicts import Answer

ITEMS = tuple(Item(each, ()) for each in ("11", "12", "13"))


def answer(code: str = "SUCCESS", **details: Any) -> Answer:
    return Answer(207, flat=False, ok=code == "SUCCESS", code=code, message="", details=details)


def path(index: int, *, envelope: str = "data") -> dict[str, str]:
    return {"json_path": f"$.{envelope}[{index}].id"}


def matched(*answers: Answer | None, envelope: str = "data") -> list[Answer | None]:
    return match_items(envelope, ITEMS, answers)


@pytest.mark.parametrize("as_type", [str, int])
def test_an_id_goes_before_everything(as_type: type) -> None:
    """An answer belongs to the item it names, as text or number, wherever it stands."""
    first, second, third = (answer(id=as_type(each)) for each in (11, 12, 13))
    assert matched(third, first, second) == [first, second, third]


def test_an_id_goes_before_the_path() -> None:
    """Where both are given the id decides."""
    one = answer(id="13", **path(0))
    assert matched(one) == [None, None, one]


def test_a_path_goes_before_the_position() -> None:
    """The index in the path is one into what was sent."""
    one, two, three = answer(**path(1)), answer(**path(2)), answer(**path(0))
    assert matched(one, two, three) == [three, one, two]


def test_a_leading_space_of_a_path_is_no_part_of_it() -> None:
    """Some samples have one."""
    one = answer(json_path=" $.data[2].id")
    assert matched(one) == [None, None, one]


def test_a_path_into_another_array_names_nothing() -> None:
    """`$.territories[0]` says nothing of `data`."""
    one = answer(**path(2, envelope="territories"))
    assert matched(one) == [None, None, None]
    assert matched(one, envelope="territories") == [None, None, one]


def test_position_is_the_last_resort() -> None:
    """Answers without a name stand in the order sent."""
    answers = [answer(), answer("NOT_ALLOWED"), answer()]
    assert matched(*answers) == answers


def test_named_and_unnamed_answers_may_stand_together_in_order() -> None:
    """A name that stands in its place confirms the order of the others."""
    answers = [answer(id="11"), answer("NOT_ALLOWED"), answer(**path(2))]
    assert matched(*answers) == answers


@pytest.mark.parametrize("count", [1, 2, 4])
def test_position_means_nothing_where_the_counts_differ(count: int) -> None:
    """One answer too few or too many, and nobody knows which."""
    assert matched(*[answer()] * count) == [None, None, None]


def test_position_means_nothing_where_a_name_stands_elsewhere() -> None:
    """One item out of order shows that order is not kept."""
    last = answer(id="13")
    assert matched(last, answer(), answer()) == [None, None, last]


def test_what_is_no_status_object_takes_a_place_and_answers_nothing() -> None:
    """Garbage in the middle does not shift its neighbours."""
    first, last = answer(), answer("NOT_ALLOWED")
    assert matched(first, None, last) == [first, None, last]


def test_claims_that_disagree_settle_nothing() -> None:
    """An item that is both done and refused is neither."""
    done, refused, other = answer(id="11"), answer("NOT_ALLOWED", id="11"), answer(id="12")
    assert matched(done, refused, other) == [None, other, None]


def test_claims_that_agree_are_one() -> None:
    """A repeated answer is believed, as it was first said."""
    done = answer(id="11", job_id="1")
    assert matched(done, answer(id="11", job_id="2")) == [done, None, None]


def test_an_id_that_was_not_sent_fits_nothing() -> None:
    """Not even the item in whose place it stands."""
    assert matched(answer(id="99"), answer(id="12"), answer(id="13"))[0] is None


def test_a_path_past_the_end_fits_nothing() -> None:
    """Not even the item in whose place it stands."""
    assert matched(answer(**path(3)), answer(id="12"), answer(id="13"))[0] is None


@pytest.mark.parametrize("name", [{"id": 12.0}, {"id": 4.15e18}, {"id": ["11"]}], ids=str)
def test_an_id_that_cannot_be_read_is_no_reason_to_go_by_position(name: dict[str, Any]) -> None:
    """A parser rounds what 64 bits do not hold: whose answer that is, its place does not tell."""
    assert matched(answer(**name), answer(id="12"), answer(id="13"))[0] is None
    assert matched(answer(**name), answer(), answer()) == [None, None, None]
    by_path = answer(**name, **path(0))
    assert matched(answer(), answer(), by_path) == [by_path, None, None]


@pytest.mark.parametrize("name", [{"id": "99"}, path(3)], ids=str)
def test_a_stranger_shows_that_order_is_not_kept(name: dict[str, str]) -> None:
    """An answer about what was not sent stands in somebody's place."""
    assert matched(answer(**name), answer(), answer()) == [None, None, None]


NAMES = st.sampled_from(
    [{"id": "11"}, {"id": 12}, {"id": "99"}, {"id": 13.0}, path(0), path(2), path(5), {}]
)
ANSWERS = st.none() | st.builds(
    lambda code, name: answer(code, **name), st.sampled_from(("SUCCESS", "NOT_ALLOWED")), NAMES
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANSWERS, max_size=5))
def test_a_named_answer_is_given_to_no_other_item(answers: list[Answer | None]) -> None:
    """Whatever else stands beside it, an id that was sent goes to its own item or to none."""
    result = matched(*answers)
    assert len(result) == len(ITEMS)
    for item, given_to in zip(ITEMS, result, strict=True):
        if given_to is not None and given_to.id:
            assert given_to.id == item.id
