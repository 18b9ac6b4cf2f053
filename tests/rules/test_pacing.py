"""Waits and windows, levels and causes: decisions of values, without a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Reply
from bulkops.rules.pacing import (
    START,
    Cause,
    Evidence,
    Level,
    Pace,
    Pause,
    Waits,
    answered,
    backoff,
    begin,
    cause_of,
    evidence_of,
    refused,
    timed_out,
    under,
    within,
)
from bulkops.rules.pacing import level as levels

MINUTES = st.times().map(lambda each: each.replace(second=0, microsecond=0))
WAITS = Waits(retry_s=1.0, longest_s=120.0)
NOTHING = Evidence()
TWO_CAUSES = (
    "Number of API requests for the 24 hour period is exceeded or the concurrency limit of the "
    "user for the app is exceeded"
)
#: 2026-11-22 00:00:00 UTC
NOW = 1_795_305_600.0


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


def heard(level: Level, answers: int, *, busy: bool = True) -> Level:
    for _ in range(answers):
        level = levels.answered(level, busy=busy)
    return level


@pytest.mark.parametrize(("ceiling", "expected"), [(1, 1), (5, 5), (25, START)])
def test_a_run_begins_low(ceiling: int, expected: int) -> None:
    """Nothing is known of the organisation, and its limit may be low."""
    assert begin(ceiling=ceiling).slots == expected


@pytest.mark.parametrize(
    ("found", "expected"), [(None, 5), (0, 5), (-3, 5), (1, 1), (12, 12), (20, 20), (400, 20)]
)
def test_what_was_found_before_is_never_trusted_above_the_ceiling(
    found: int | None, expected: int
) -> None:
    """A ceiling that was lowered since, or a file that was tampered with, changes nothing."""
    assert begin(ceiling=20, found=found).slots == expected


def test_the_level_climbs_by_one_a_round_until_it_is_refused() -> None:
    """A round is as many answers as there are slots; then it settles one below."""
    level = begin(ceiling=25)
    for slots in range(START, 12):
        assert level.slots == slots
        level = heard(level, slots)
    level = levels.refused(level)
    assert (level.slots, level.settled) == (11, True)
    assert heard(level, 249) == replace(level, quiet=249)


def test_a_level_that_is_not_used_up_does_not_grow() -> None:
    """Something else limits, and how many more the server takes is not learnt."""
    level = begin(ceiling=25)
    assert heard(level, 10_000, busy=False) == level


def test_a_probe_is_by_one_and_the_rarer_the_more_often_it_fails() -> None:
    """What a probe costs is one refused call: it is paid once in 250, 500, then 1,000 answers."""
    level = levels.refused(heard(begin(ceiling=25), sum(range(START, 10))))
    found = level.slots
    intervals = []
    for _ in range(4):
        count = 0
        while level.slots == found:
            level, count = heard(level, 1), count + 1
        assert level.slots == found + 1
        level = levels.refused(level)
        intervals.append(count)
    assert intervals == [250, 500, 1000, 1000]


def test_a_probe_that_goes_through_climbs_on() -> None:
    """A limit that was raised is reached round by round, and later probes are frequent again."""
    level = levels.refused(heard(begin(ceiling=25), 5))
    level = levels.refused(heard(level, 250))
    climbed = heard(level, 500 + level.slots + 1)
    assert climbed.slots == level.slots + 2
    assert levels.refused(climbed).patience == 250


def test_each_refused_call_was_one_too_many() -> None:
    """Of 20 calls that leave together 5 are served: the level is 5 when the others are told."""
    level = begin(ceiling=25, found=20)
    for _ in range(15):
        level = levels.refused(level)
    assert level.slots == 5


def test_a_time_out_takes_a_quarter_off_once_for_all_calls_of_its_moment() -> None:
    """Twenty calls that time out together say no more than one of them."""
    pace = Pace(begin(ceiling=25, found=20))
    for _ in range(20):
        pace = timed_out(pace, 0)
    assert pace.slots == 15
    assert timed_out(pace, pace.mark).slots == 11


def test_another_ceiling_holds_at_once() -> None:
    """A lower one takes effect now; under a higher one a level that stood at it climbs."""
    level = begin(ceiling=20, found=20)
    low = under(level, 8)
    assert (low.slots, low.ceiling) == (8, 8)
    assert heard(low, 100).slots == 8
    assert heard(under(low, 20), 8).slots == 9


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["answer", "refusal", "credits", "time-out", "ceiling"]),
            st.integers(0, 40),
            st.booleans(),
        ),
        max_size=200,
    ),
    st.integers(1, 30),
)
def test_the_level_stays_between_one_and_the_ceiling(
    events: list[tuple[str, int, bool]], ceiling: int
) -> None:
    """No order of answers, refusals, time-outs and wishes leads outside the bounds."""
    pace = Pace(begin(ceiling=ceiling))
    for event, number, flag in events:
        mark = max(0, pace.mark - number)
        match event:
            case "answer":
                pace = answered(pace, mark, busy=flag)
            case "time-out":
                pace = timed_out(pace, mark)
            case "ceiling":
                ceiling = max(1, number)
                pace = replace(pace, level=under(pace.level, ceiling))
            case _:
                evidence = Evidence(remaining=0) if event == "credits" else NOTHING
                pace, pause = refused(pace, mark, evidence, others=number, waits=WAITS, chance=0.5)
                assert pause is None or pause.final or pause.wait_s is not None
        assert 1 <= pace.slots <= pace.level.slots <= ceiling == pace.level.ceiling


def all_refused(pace: Pace, count: int, evidence: Evidence = NOTHING) -> tuple[Pace, Pause | None]:
    """Refuse calls that leave one after the other, while those under way are answered."""
    pause = None
    for _ in range(count):
        others = pace.slots - 1
        pace, pause = refused(pace, pace.mark, evidence, others=others, waits=WAITS, chance=0.99)
    return pace, pause


def test_a_refusal_is_about_concurrency_until_half_of_the_calls_are_refused_too() -> None:
    """Fewer calls in flight will do: shrink and go on, without a pause."""
    pace, pause = all_refused(Pace(begin(ceiling=25, found=20)), 9)
    assert (pace.cause, pace.slots, pause) == (Cause.CONCURRENCY, 11, None)


def test_refusals_that_persist_with_half_of_the_calls_are_about_something_else() -> None:
    """From then on one call at a time asks, and before it there is a pause."""
    pace, pause = all_refused(Pace(begin(ceiling=25, found=20)), 10)
    assert (pace.cause, pace.slots) == (Cause.RATE, 1)
    assert pause is not None
    assert (pause.final, pause.cause) == (False, Cause.RATE)


def test_a_call_that_left_before_the_first_refusal_is_no_sign_of_persistence() -> None:
    """A crowd that is refused together left together: none of them has seen fewer calls."""
    pace = Pace(begin(ceiling=25, found=20))
    for others in range(19, 0, -1):
        pace, pause = refused(pace, 0, NOTHING, others=others, waits=WAITS, chance=0.5)
        assert (pace.cause, pause) == (Cause.CONCURRENCY, None)
    assert pace.slots == 1


def test_a_call_refused_although_it_is_the_only_one_is_not_about_concurrency() -> None:
    """With one call in flight there is nothing to halve."""
    pace, _ = all_refused(Pace(begin(ceiling=1)), 2)
    assert pace.cause is Cause.RATE


def test_probes_become_rare_and_end_when_one_is_served() -> None:
    """The pauses double up to 15 s; an answer to a probe lets the level climb again."""
    pace, pause = all_refused(Pace(begin(ceiling=25, found=8)), 4)
    waits = []
    for _ in range(6):
        assert pause is not None
        waits.append(pause.wait_s)
        pace, pause = all_refused(pace, 1)
    assert waits == [pytest.approx(0.991 * each) for each in (1, 2, 4, 8, 15, 15)]
    served = answered(pace, pace.mark, busy=True)
    assert (served.cause, served.alone_since, served.level.climbing) == (None, None, True)
    assert served.slots == pace.level.slots == 4


def test_answers_to_calls_from_before_the_refusals_end_no_streak() -> None:
    """They were admitted when there still was room."""
    pace, _ = all_refused(Pace(begin(ceiling=25, found=8)), 4)
    late = answered(pace, 0, busy=True)
    assert (late.cause, late.slots) == (Cause.RATE, 1)


def test_once_bitten_twice_shy() -> None:
    """After a limit that was not about concurrency the second refusal in a row is enough."""
    pace, _ = all_refused(Pace(begin(ceiling=25, found=20)), 12)
    pace = answered(pace, pace.mark, busy=True)
    assert all_refused(pace, 1)[0].cause is Cause.CONCURRENCY
    assert all_refused(pace, 2)[0].cause is Cause.RATE


def test_a_run_gives_up_after_sixteen_probes() -> None:
    """Some two minutes of nothing but refusals are no limit of a minute."""
    pace, pause = all_refused(Pace(begin(ceiling=1)), 17)
    assert pause is not None
    assert not pause.final
    pace, pause = all_refused(pace, 1)
    assert pause == Pause(Cause.RATE, None, final=True)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence(remaining=0), Pause(Cause.CREDITS, None, final=True)),
        (Evidence(remaining=0, wait_s=30.0), Pause(Cause.CREDITS, 30.0)),
        (Evidence(remaining=0, wait_s=3000.0), Pause(Cause.CREDITS, 3000.0, final=True)),
        (Evidence(remaining=0, credits_back_s=60.0), Pause(Cause.CREDITS, 60.0)),
        (Evidence(credits_left=0, credits_back_s=900.0), Pause(Cause.CREDITS, 900.0, final=True)),
        (Evidence(named=Cause.RATE, wait_s=45.0), Pause(Cause.RATE, 45.0)),
        (Evidence(wait_s=5.0), Pause(Cause.CONCURRENCY, 5.0)),
        (Evidence(wait_s=500.0), Pause(Cause.CONCURRENCY, 500.0, final=True)),
        (NOTHING, None),
    ],
)
def test_what_a_first_refusal_leads_to(evidence: Evidence, expected: Pause | None) -> None:
    """Credits that come back soon are waited for, and a time that the server names is kept."""
    pace = Pace(begin(ceiling=25, found=20))
    assert refused(pace, 0, evidence, others=19, waits=WAITS, chance=0.5)[1] == expected


@pytest.mark.parametrize(
    ("evidence", "persists", "expected"),
    [
        (NOTHING, False, Cause.CONCURRENCY),
        (NOTHING, True, Cause.RATE),
        (Evidence(remaining=0), False, Cause.CREDITS),
        (Evidence(remaining=0, named=Cause.RATE, credits_left=900), True, Cause.CREDITS),
        (Evidence(remaining=7, credits_left=0), False, Cause.CONCURRENCY),
        (Evidence(remaining=7, named=Cause.CREDITS), True, Cause.RATE),
        (Evidence(remaining=7, named=Cause.RATE), False, Cause.RATE),
        (Evidence(named=Cause.CREDITS), False, Cause.CREDITS),
        (Evidence(credits_left=0), False, Cause.CREDITS),
        (Evidence(credits_left=-2), True, Cause.CREDITS),
        (Evidence(credits_left=3), False, Cause.CONCURRENCY),
        (Evidence(credits_left=3), True, Cause.RATE),
        (Evidence(named=Cause.RATE, credits_left=0), False, Cause.RATE),
    ],
)
def test_the_servers_count_goes_before_its_words_and_these_before_our_ledger(
    evidence: Evidence, persists: bool, expected: Cause
) -> None:
    """Without any of them only persistence tells causes apart."""
    assert cause_of(evidence, persists=persists) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": "TOO_MANY_REQUESTS", "message": TWO_CAUSES, "details": {}}, None),
        ({"error_info": "Many requests fired than the allowed limit for the past 24 hours."},
         Cause.CREDITS),
        ({"message": "Many requests fired than the allowed limit for a minute."}, Cause.RATE),
        ({"details": {"window": 60}}, Cause.RATE),
        ({"details": {"window": "60"}}, Cause.RATE),
        ({"details": {"window": 86400}}, Cause.CREDITS),
        ({"details": {"window": "1 minute"}, "message": TWO_CAUSES}, Cause.RATE),
        ({"details": {"window": "24 hours"}}, Cause.CREDITS),
        ({"details": []}, None),
        ({"details": {"window": None}, "message": None}, None),
        ([], None),
        (None, None),
    ],
)  # fmt: skip
def test_words_and_windows_give_a_cause_away(body: object, expected: Cause | None) -> None:
    """The usual message names two causes and so tells nothing."""
    assert evidence_of(Reply(429, body), now=NOW).named is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, NOTHING),
        ({"X-API-CREDITS-REMAINING": "0"}, Evidence(remaining=0)),
        ({"X-API-CREDITS-REMAINING": "12"}, Evidence(remaining=12)),
        ({"X-API-CREDITS-REMAINING": "many"}, NOTHING),
        ({"X-API-CREDITS-REMAINING": "nan"}, NOTHING),
        ({"X-RATELIMIT-DAY-REMAINING": "0"}, Evidence(named=Cause.CREDITS)),
        ({"X-RATELIMIT-REMAINING": "0"}, Evidence(named=Cause.RATE)),
        ({"X-RATELIMIT-RESET": "20"}, Evidence(wait_s=20.0)),
        ({"X-RATELIMIT-RESET": str(NOW + 20)}, Evidence(wait_s=20.0)),
        ({"X-RATELIMIT-RESET": str(int(NOW + 20) * 1000)}, Evidence(wait_s=20.0)),
        ({"X-RATELIMIT-RESET": str(NOW - 20)}, Evidence(wait_s=0.0)),
        ({"X-RATELIMIT-RESET": "soon"}, NOTHING),
    ],
)
def test_headers_are_read_if_they_are_there(headers: dict[str, str], expected: Evidence) -> None:
    """What cannot be read is as good as absent. Moments are seconds or milliseconds."""
    assert evidence_of(Reply(429, None, headers), now=NOW) == expected


def test_a_wait_of_hours_is_about_credits() -> None:
    """No limit of calls in flight, and none of a minute, takes so long; `Retry-After` counts."""
    reply = Reply(429, None, {"X-RATELIMIT-RESET": "7"})
    soon = evidence_of(reply, now=NOW, retry_after=40.0, credits_left=5, credits_back_s=1.0)
    assert soon == Evidence(wait_s=40.0, credits_left=5, credits_back_s=1.0)
    assert evidence_of(reply, now=NOW, retry_after=4000.0).named is Cause.CREDITS


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=12),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["details", "window", "message", "error_info", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ),
    st.dictionaries(
        st.sampled_from(["X-API-CREDITS-REMAINING", "X-RATELIMIT-RESET", "X-RATELIMIT-REMAINING"]),
        st.text(max_size=8),
    ),
)
def test_no_refusal_is_too_odd_to_read(body: object, headers: dict[str, str]) -> None:
    """Whatever the server says, there is an answer and no exception."""
    evidence = evidence_of(Reply(429, body, headers), now=NOW)
    assert cause_of(evidence, persists=False) in Cause


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
