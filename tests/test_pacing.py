"""Waits, levels and windows: decisions of values, without a clock."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.pacing import Level, backoff, refused, served, within

MINUTES = st.times().map(lambda each: each.replace(second=0, microsecond=0))


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_grows_to_its_bound_and_is_never_nothing(tries: int, chance: float) -> None:
    """The wait doubles with each try up to the longest, with jitter above a tenth of it."""
    bound = min(2.0 ** min(tries - 1, 60), 120.0)
    wait = backoff(1.0, tries, longest_s=120.0, chance=chance)
    assert bound * 0.1 <= wait <= bound


def test_chance_spreads_the_wait_over_its_bound() -> None:
    """Workers that failed together do not come back together."""
    waits = [backoff(2.0, 3, longest_s=120.0, chance=each / 10) for each in range(10)]
    assert sorted(set(waits)) == waits
    assert waits[0] == pytest.approx(0.8)
    assert waits[-1] > 7.0


def test_refusals_of_one_moment_count_once() -> None:
    """Twenty calls refused together take a tenth off, not nine tenths."""
    level = Level(20.0, 20)
    for _ in range(20):
        level = refused(level, 100.0)
    assert level == Level(18.0, 20, 100.0)
    assert refused(level, 100.6).slots == 16


def test_the_level_never_falls_below_one_call() -> None:
    """However long the server refuses, somebody must ask."""
    level = Level(5.0, 5)
    for moment in range(100):
        level = refused(level, 1.0 + moment)
    assert (level.allowed, level.slots) == (1.0, 1)


def test_a_quiet_time_gives_a_call_back_only_if_it_was_missed() -> None:
    """The level grows by one after five seconds, if all of it was in use, up to the ceiling."""
    low = Level(10.0, 12, 100.0)
    assert served(low, 104.9, in_flight=10) is low
    assert served(low, 105.0, in_flight=9) is low
    once = served(low, 105.0, in_flight=10)
    assert once == Level(11.0, 12, 105.0)
    assert served(once, 106.0, in_flight=11) is once
    top = served(served(once, 110.0, in_flight=11), 115.0, in_flight=12)
    assert top == Level(12.0, 12, 110.0)


def test_the_last_step_does_not_pass_the_ceiling() -> None:
    """A level between two whole numbers ends at the ceiling."""
    assert served(Level(11.5, 12, 0.0), 9.0, in_flight=11) == Level(12.0, 12, 9.0)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 20), st.integers(0, 30)), max_size=60),
    st.integers(1, 25),
)
def test_the_level_stays_between_one_and_the_ceiling(
    events: list[tuple[bool, float, int]], ceiling: int
) -> None:
    """No order of refusals and answers leads outside the bounds."""
    level, now = Level(float(ceiling), ceiling), 0.0
    for refusal, later, in_flight in events:
        now += later
        level = refused(level, now) if refusal else served(level, now, in_flight=in_flight)
        assert 1 <= level.slots <= level.allowed <= ceiling


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        (("22:00", "06:00"), "23:30", True),
        (("22:00", "06:00"), "22:00", True),
        (("22:00", "06:00"), "05:59", True),
        (("22:00", "06:00"), "06:00", False),
        (("22:00", "06:00"), "12:00", False),
        (("09:00", "17:00"), "09:00", True),
        (("09:00", "17:00"), "16:59", True),
        (("09:00", "17:00"), "17:00", False),
        (("09:00", "17:00"), "03:00", False),
    ],
)
def test_a_window_begins_with_its_start_and_ends_before_its_end(
    window: tuple[str, str], now: str, expected: bool
) -> None:
    """One that ends before it starts spans midnight."""
    start, end = (time.fromisoformat(each) for each in window)
    assert within((start, end), time.fromisoformat(now)) is expected


@given(MINUTES, MINUTES, MINUTES)
def test_a_window_and_its_rest_make_the_day(start: time, end: time, now: time) -> None:
    """Any moment is in the window from start to end or in the one from end to start."""
    if start != end:
        assert within((start, end), now) is not within((end, start), now)


@given(MINUTES)
def test_without_a_window_it_is_always_time(now: time) -> None:
    """No window is no limit."""
    assert within(None, now)
