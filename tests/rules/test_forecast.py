"""How fast a run goes and when it ends: rates of the last minutes, and the tightest bound."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.rules.forecast import Ahead, End, Meter, Rates, Window, end_of

_AHEAD = Ahead(lines=1000, calls=10, credits_left=5000, credits_a_day=4000)
_TEN = Rates(lines=10.0, calls=0.1, over_s=60.0)
_HOUR = 3600.0


def test_rates_are_those_of_the_last_minutes() -> None:
    """What was long ago says nothing of now."""
    meter = Meter(look_back_s=10.0)
    for second in range(100):
        # A line a second at first, then a hundred a second.
        meter.sample(float(second), min(second, 50) + 100 * max(0, second - 50), second)
    assert Rates(100.0, 1.0, 10.0) == meter.rates(100.0, 50 + 5000, 100)


def test_nothing_is_said_before_there_is_something_to_compare() -> None:
    """One sample, taken now, is no rate."""
    meter = Meter()
    assert Rates() == meter.rates(5.0, 3, 1)
    meter.sample(5.0, 3, 1)
    assert Rates() == meter.rates(5.0, 3, 1)


@given(st.lists(st.floats(0.01, 5.0), max_size=300))
def test_the_memory_of_a_meter_is_bounded(waits: list[float]) -> None:
    """However often it is asked to remember, and however long a run goes on."""
    meter, now = Meter(look_back_s=30.0), 0.0
    for wait in waits:
        now += wait
        meter.sample(now, int(now * 10), 0)
    assert len(meter._samples) <= 31
    rates = meter.rates(now, int(now * 10), 0)
    assert rates.over_s <= 30.0


def test_the_end_is_the_rest_at_the_rate_of_the_last_minutes() -> None:
    """And says so."""
    assert End(100.0, "10 lines/s of the last 60 s") == end_of(_AHEAD, _TEN)


def test_credits_bound_the_end_where_there_are_too_few() -> None:
    """Calls beyond what is left of the day wait for days to come."""
    end = end_of(replace(_AHEAD, calls=14_000), _TEN)
    assert 3 * 86_400.0 == end.seconds
    assert "about 14,000 calls to go, 5,000 credits left today, 4,000 a day" in end.basis


def test_the_window_bounds_the_end_where_it_closes_before() -> None:
    """Six hours of work, of which two fit today and four a night, take two nights."""
    six_hours = replace(_AHEAD, lines=int(6 * _HOUR * 10), window=Window(2 * _HOUR, 4 * _HOUR))
    end = end_of(six_hours, _TEN)
    assert 6 * _HOUR + 20 * _HOUR == end.seconds
    assert "the window, which is open 4.0 h a day" == end.basis
    assert "10 lines/s of the last 60 s" == end_of(replace(six_hours, lines=100), _TEN).basis


@pytest.mark.parametrize(
    ("ahead", "rates", "basis"),
    [
        (replace(_AHEAD, held=True), _TEN, "held"),
        (_AHEAD, Rates(10.0, 1.0, 1.0), "too early"),
        (_AHEAD, Rates(0.0, 1.0, 60.0), "no line"),
    ],
)
def test_where_nobody_can_say_nothing_is_said(ahead: Ahead, rates: Rates, basis: str) -> None:
    """No number is better than a wrong one; the basis says why there is none."""
    end = end_of(ahead, rates)
    assert end.seconds is None
    assert basis in end.basis


def test_what_is_done_takes_no_time() -> None:
    """Whatever the rates, and held or not."""
    assert 0.0 == end_of(replace(_AHEAD, lines=0, held=True), Rates()).seconds


@pytest.mark.parametrize(
    ("at", "left_h"),
    [((22, 0), 8), ((23, 30), 6.5), ((2, 0), 4), ((6, 0), 0), ((12, 0), 0), ((21, 59), 0)],
)
def test_a_window_over_midnight(at: tuple[int, int], left_h: float) -> None:
    """What is left of it runs down to zero when it closes, and begins whole when it opens."""
    now = datetime(2026, 11, 22, *at, tzinfo=UTC)
    window = Window.at(now, time(22), time(6))
    assert (left_h * _HOUR, 8 * _HOUR) == (window.left_s, window.of_day_s)


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0.0, 1e5))
def test_no_bound_brings_the_end_nearer(lines: int, calls: int, left: int, rate: float) -> None:
    """Credits and windows only make it later."""
    rates = Rates(rate, 1.0, 60.0)
    free = end_of(Ahead(lines=lines, calls=0, credits_left=0, credits_a_day=0), rates)
    bound = end_of(
        Ahead(
            lines=lines,
            calls=calls,
            credits_left=left,
            credits_a_day=100,
            window=Window(60.0, _HOUR),
        ),
        rates,
    )
    assert (free.seconds is None) == (bound.seconds is None)
    assert (free.seconds or 0) <= (bound.seconds or 0)
