"""What follows when operations are left: when, how often, and what they end as."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.errors import AuthError, PausedError
from bulkops.model import Operation, Status, merge_items
from bulkops.rules.pacing import Waits
from bulkops.rules.parcel import Parcel, cut, halve
from bulkops.rules.retrying import Aftermath, Next, Policy, what_next
from bulkops.rules.settlement import Reason, Remainder

POLICY = Policy(attempts=3, waits=Waits(retry_s=1.0, locked_s=30.0, longest_s=120.0))
LINES = tuple(Operation(line, str(item)) for line, item in ((1, 11), (2, 12), (3, 13), (4, 13)))


#: Every reason to send again; what waits for a job is not sent.
SENT_AGAIN = [reason for reason in Reason if reason is not Reason.WAIT]


def left(
    reason: Reason, *, in_doubt: bool = False, lines: tuple[Operation, ...] = LINES
) -> Remainder:
    return Remainder(reason, lines, in_doubt, "CODE", "words", 500)


def then(
    parcel: Parcel,
    rest: Remainder,
    after: Aftermath = Aftermath("token"),  # noqa: B008  (frozen)
    *,
    silent: bool = False,
    chance: float = 0.0,
) -> Next:
    return what_next(parcel, rest, after, POLICY, silent=silent, chance=chance)


def carried(parcels: tuple[Parcel, ...]) -> list[list[int]]:
    return [[each.line for each in parcel.operations] for parcel in parcels]


@pytest.mark.parametrize(
    ("tries", "wait"), [(0, 0.1), (1, 0.2)], ids=["after the first", "after the second"]
)
def test_a_passing_fault_is_sent_again_later(tries: int, wait: float) -> None:
    """Each try counts, and each wait is longer."""
    result = then(Parcel(LINES, sent=tries + 1, faults=tries), left(Reason.RETRY))
    (again,) = result.parcels
    assert (again.faults, again.sent) == (tries + 1, tries + 1)
    assert again.wait_s == pytest.approx(wait)
    assert Next((again,)) == result


def test_a_fault_waits_as_long_as_the_server_asks() -> None:
    """`Retry-After` is the least, not the most."""
    asked = then(Parcel(LINES), left(Reason.RETRY), Aftermath("token", retry_after=60.0))
    longer = then(
        Parcel(LINES), left(Reason.RETRY), Aftermath("token", retry_after=0.5), chance=0.99
    )
    assert asked.parcels[0].wait_s == 60.0
    assert longer.parcels[0].wait_s > 0.5


@pytest.mark.parametrize("reason", [Reason.RETRY, Reason.LOCKED])
def test_attempts_that_run_out_end_lines_as_failed_or_unknown(reason: Reason) -> None:
    """A line that may have been done is unknown; one that surely was not has failed."""
    parcel = Parcel(LINES, frozenset({2}), sent=3, faults=2, locks=2)
    result = then(parcel, left(reason))
    expected = {1: Status.FAILED, 2: Status.UNKNOWN, 3: Status.FAILED, 4: Status.FAILED}
    assert {each.line: each.status for each in result.outcomes} == expected
    assert {("CODE", "given up after 3 tries: words", 500)} == {
        (each.code, each.message, each.http_status) for each in result.outcomes
    }
    assert Next(outcomes=result.outcomes) == result


def test_the_last_silent_try_makes_its_lines_unknown() -> None:
    """Doubt of the try that used up the attempts counts as well."""
    result = then(Parcel(LINES, faults=2), left(Reason.RETRY, in_doubt=True))
    assert {each.status for each in result.outcomes} == {Status.UNKNOWN}


def test_giving_up_without_a_code_says_that_there_was_no_answer() -> None:
    """Ours is in lower case: no server spoke."""
    result = then(Parcel(LINES, unanswered=2), Remainder(Reason.RETRY, LINES, message="reset"))
    assert {(each.code, each.http_status) for each in result.outcomes} == {("no_answer", None)}


def test_an_outage_stops_the_run_and_settles_nothing() -> None:
    """If the server serves nobody it is not the fault of these lines: they wait for another run."""
    result = then(Parcel(LINES, faults=2), left(Reason.RETRY, in_doubt=True), silent=True)
    assert isinstance(result.stop, PausedError)
    assert Next(stop=result.stop) == result


def test_silence_is_no_outage_before_the_attempts_are_used_up() -> None:
    """One silent call says nothing about the server."""
    assert then(Parcel(LINES), left(Reason.RETRY), silent=True).stop is None


def test_a_locked_record_that_stays_locked_is_no_outage() -> None:
    """The server spoke: whoever else was served, the line has failed."""
    result = then(Parcel(LINES, locks=2), left(Reason.LOCKED), silent=True)
    assert result.stop is None
    assert {each.status for each in result.outcomes} == {Status.FAILED}


def test_a_locked_record_waits_much_longer_and_counts_on_its_own() -> None:
    """Locks and faults use up their attempts apart."""
    (again,) = then(Parcel(LINES, faults=2), left(Reason.LOCKED)).parcels
    assert (again.faults, again.locks, again.wait_s) == (2, 1, pytest.approx(3.0))


@pytest.mark.parametrize("throttles", [0, 2, 50])
def test_being_throttled_slows_everybody_and_is_no_attempt(throttles: int) -> None:
    """There is no end to trying again: when it is enough, the limiter says for all of them."""
    result = then(Parcel(LINES, faults=1, throttles=throttles), left(Reason.THROTTLED))
    (again,) = result.parcels
    assert (again.faults, again.throttles) == (1, throttles + 1)
    assert (result.slow_down, result.stop, result.outcomes) == (True, None, ())
    assert 0 < again.wait_s <= 120.0


@pytest.mark.parametrize("refreshes", [0, 1])
def test_a_refused_token_is_refreshed_and_the_call_sent_again_at_once(refreshes: int) -> None:
    """That is no attempt. The second may have been revoked while the call waited for a slot."""
    result = then(Parcel(LINES, faults=1, refreshes=refreshes), left(Reason.REFRESH))
    (again,) = result.parcels
    expected = (1, refreshes + 1, 0.0, True)
    assert expected == (again.faults, again.refreshes, again.wait_s, result.refresh)


def test_fresh_tokens_that_are_refused_as_well_end_the_run() -> None:
    """Another refresh would be refused too, and tokens are rationed."""
    result = then(Parcel(LINES, refreshes=2), left(Reason.REFRESH))
    assert isinstance(result.stop, AuthError)
    assert "CODE: words" in str(result.stop)
    assert (result.parcels, result.refresh) == ((), False)


@pytest.mark.parametrize("between", [Reason.RETRY, Reason.THROTTLED, Reason.LOCKED, Reason.RESEND])
def test_only_refused_tokens_in_a_row_count(between: Reason) -> None:
    """A token that ran out an hour later is refreshed again."""
    (again,) = then(Parcel(LINES, refreshes=1), left(between)).parcels
    assert then(again, left(Reason.REFRESH)).refresh


def test_a_record_with_another_job_is_awaited() -> None:
    """Nothing is sent and nothing is settled: the follower takes it."""
    assert then(Parcel(LINES), left(Reason.WAIT)) == Next(awaiting=LINES)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, [[1, 2, 3, 4]]),
        (5, [[1, 2, 3, 4]]),
        (2, [[1, 2], [3, 4]]),
        (1, [[1], [2], [3, 4]]),
    ],
)
def test_what_is_sent_again_is_cut_by_items(limit: int | None, expected: list[list[int]]) -> None:
    """Lines of one item stay together; nothing waits and nothing counts."""
    result = then(Parcel(LINES, faults=1), left(Reason.RESEND), Aftermath("token", limit=limit))
    assert carried(result.parcels) == expected
    assert {(each.faults, each.wait_s) for each in result.parcels} == {(1, 0.0)}


def test_a_call_refused_for_one_member_is_halved() -> None:
    """The first half has the larger part."""
    assert carried(then(Parcel(LINES), left(Reason.BISECT)).parcels) == [[1, 2], [3, 4]]


@pytest.mark.parametrize("reason", SENT_AGAIN)
def test_doubt_stays_with_a_line_through_every_reason(reason: Reason) -> None:
    """What may have been done once may have been done, however clearly it is refused later."""
    result = then(Parcel(LINES, frozenset({2})), left(reason, in_doubt=False))
    assert [{2}] * len(result.parcels) == [set(each.doubtful) for each in result.parcels]
    fresh = then(Parcel(LINES, frozenset({2})), left(reason, in_doubt=True, lines=LINES[2:]))
    assert {line for each in fresh.parcels for line in each.doubtful} == {2, 3, 4}


@pytest.mark.parametrize("reason", SENT_AGAIN)
def test_history_is_kept(reason: Reason) -> None:
    """How often it was sent, and since when, goes with every part."""
    parts = then(Parcel(LINES, sent=7, since=5.0), left(reason)).parcels
    assert {(each.sent, each.since) for each in parts} == {(7, 5.0)}


@pytest.mark.parametrize("status", [None, 500])
def test_silences_and_faults_of_the_server_count_apart(status: int | None) -> None:
    """Two of one kind leave all attempts of the other."""
    parcel = Parcel(LINES, unanswered=2 if status else 0, faults=0 if status else 2)
    (again,) = then(parcel, replace(left(Reason.RETRY), http_status=status)).parcels
    assert (again.unanswered, again.faults) == ((2, 1) if status else (1, 2))


ITEMS = st.lists(st.integers(11, 20), min_size=1, max_size=30)


def parcel_of(items: list[int]) -> Parcel:
    return Parcel(tuple(Operation(line, str(item)) for line, item in enumerate(items)))


def check_nothing_is_lost_or_doubled(parts: list[Parcel], whole: Parcel) -> None:
    together = [each for part in parts for each in part.operations]
    assert sorted(whole.operations, key=line_of) == sorted(together, key=line_of)


def line_of(operation: Operation) -> int:
    return operation.line


@settings(max_examples=150)
@given(ITEMS, st.integers(1, 31))
def test_cutting_loses_and_doubles_nothing(items: list[int], limit: int) -> None:
    """Every line is in one part, in at most `limit` items, with all lines of its item."""
    parts = cut(parcel_of(items), limit)
    check_nothing_is_lost_or_doubled(parts, parcel_of(items))
    assert sum(len(merge_items(part.operations)) for part in parts) == len(set(items))
    assert all(len(merge_items(part.operations)) <= limit for part in parts)


@settings(max_examples=150)
@given(ITEMS)
def test_halving_goes_by_items_and_then_by_lines(items: list[int]) -> None:
    """The lines of an item are parted only when it is alone; a single line stays."""
    parts = halve(parcel_of(items))
    check_nothing_is_lost_or_doubled(parts, parcel_of(items))
    assert len(parts) == min(2, len(items))
    if len(set(items)) > 1:
        assert sum(len(merge_items(part.operations)) for part in parts) == len(set(items))
