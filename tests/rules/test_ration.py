"""The ration of retries: who may send what while the server is in trouble."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.rules.pacing import Waits
from bulkops.rules.ration import FULL, GIVEN_BACK, Leave, Ration, faulted, served

WAITS = Waits(retry_s=1.0, locked_s=30.0, longest_s=120.0)


def after(ration: Ration, *, faults: int = 0, answers: int = 0, now: float = 0.0) -> Ration:
    for _ in range(faults):
        ration = faulted(ration, WAITS, now=now, chance=0.0)
    for _ in range(answers):
        ration = served(ration)
    return ration


@pytest.mark.parametrize(
    ("faults", "leave"),
    [
        (0, Leave.ALL),
        (24, Leave.ALL),
        (25, Leave.ONE_RETRY),
        (49, Leave.ONE_RETRY),
        (50, Leave.NOTHING),
        (500, Leave.NOTHING),
    ],
)
def test_faults_narrow_what_may_be_sent(faults: int, leave: Leave) -> None:
    """Half gone: retries one at a time. All gone: a rest."""
    assert after(Ration(), faults=faults).leave(0.0) is leave


def test_one_moment_that_cuts_every_call_changes_nothing() -> None:
    """25 calls in flight is the most that an edition allows."""
    assert after(Ration(), faults=24).leave(0.0) is Leave.ALL


def test_after_the_rest_one_call_asks_and_its_answer_opens_the_way_for_new_work() -> None:
    """Retries stay one at a time until half of the tokens are back."""
    empty = after(Ration(), faults=50)
    assert empty.leave(empty.rests_until) is Leave.ONE_CALL
    assert after(empty, answers=1).leave(0.0) is Leave.ONE_RETRY
    enough = int(FULL / 2 / GIVEN_BACK) + 2
    assert after(empty, answers=enough).leave(0.0) is Leave.ALL
    assert after(empty, answers=10 * enough) == Ration()


def test_calls_that_fail_together_are_one_sign() -> None:
    """While it rests, what fails left before; only a call that was waited for is another probe."""
    empty = after(Ration(), faults=70)
    assert empty.probes == 1
    assert after(empty, faults=30, now=empty.rests_until).probes == 2


def test_rests_grow_and_are_jittered() -> None:
    """A second, two, four, ... up to the longest; between a tenth and the whole of it."""
    ration, rests = after(Ration(), faults=49), []
    now = 0.0
    for _ in range(9):
        ration = faulted(ration, WAITS, now=now, chance=0.999999)
        rests.append(round(ration.rests_until - now, 3))
        now = ration.rests_until
    assert rests == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert faulted(after(Ration(), faults=49), WAITS, now=0.0, chance=0.0).rests_until == 0.1


def test_an_answer_ends_the_count_of_probes() -> None:
    """An outage is nothing but trouble: whoever was served in between was no outage."""
    assert after(after(Ration(), faults=50), answers=1).probes == 0


@settings(max_examples=200)
@given(st.lists(st.booleans(), max_size=400))
def test_in_the_long_run_retries_are_a_fifth_of_what_is_served(fates: list[bool]) -> None:
    """While all goes at will, faults never exceed a fifth of the answers by more than half."""
    ration, faults, answers = Ration(), 0, 0
    for fate in fates:
        ration = served(ration) if fate else faulted(ration, WAITS, now=0.0, chance=0.5)
        answers, faults = answers + fate, faults + (not fate)
        if ration.leave(0.0) is Leave.ALL:
            assert faults < GIVEN_BACK * answers + FULL / 2 + 1e-6
        assert 0 <= ration.tokens <= FULL
