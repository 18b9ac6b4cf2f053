"""The order of operations that depend on each other, as a function of values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkops.files.planner.order import levels

_ITEMS = st.sampled_from("abcdefgh")


def test_a_target_goes_after_its_sources() -> None:
    """A chain has a level for each link, from 1."""
    assert ({"a": 1, "b": 2, "c": 3}, []) == levels({"c": "", "b": "c", "a": "b"})


def test_a_target_of_several_goes_after_the_highest() -> None:
    """The longest way decides."""
    assert ({"a": 1, "d": 1, "b": 2, "c": 3}, []) == levels(
        {"a": "b", "b": "c", "c": "out", "d": "c"}
    )


def test_an_item_alone_goes_first() -> None:
    """What points at nothing in the list, and is pointed at by nobody, has the first level."""
    assert ({"a": 1, "b": 1}, []) == levels({"a": "", "b": "elsewhere"})


def test_a_circle_has_no_level_and_what_leads_into_it_has() -> None:
    """Items of a circle are told; the ones beside it are ordered as if it were not there."""
    assert ({"x": 1, "y": 2}, [["a", "b"]]) == levels({"x": "y", "y": "a", "a": "b", "b": "a"})


def test_an_item_that_points_at_itself_is_a_circle() -> None:
    """The shortest circle has one item."""
    assert ({}, [["a"]]) == levels({"a": "a"})


def test_a_long_chain_needs_no_recursion() -> None:
    """Ten thousand territories, each handed to the next one."""
    chain = {str(number): str(number + 1) for number in range(10_000)}
    level, circles = levels(chain)

    assert ({str(number): number + 1 for number in range(10_000)}, []) == (level, circles)


@given(st.dictionaries(_ITEMS, _ITEMS))
def test_every_item_has_a_level_or_a_circle(targets: dict[str, str]) -> None:
    """
    Each item is in exactly one of levels and circles; a level is one more than the highest of
    those that point at it, and a circle is a way of `targets` that leads back to its begin.
    """
    level, circles = levels(targets)
    round_trips = [item for circle in circles for item in circle]

    assert sorted(targets) == sorted([*level, *round_trips])
    for circle in circles:
        assert [*circle[1:], circle[0]] == [targets[item] for item in circle]
    for item, height in level.items():
        below = [level[each] for each in level if targets[each] == item]
        assert height == 1 + max(below, default=0)
