"""
How well the pace does against servers that hide their limits, in simulated time.

Shares are of an oracle that knows the server at every moment and never leaves a slot empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from bulkops.rules.pacing import Cause, Evidence
from tests.rules.simulated import MEAN_S, Server, Slots, shared, simulate

SEEDS = (1, 2)
#: 25 calls in flight are so many calls a second.
RATE_OF_25 = 25 / MEAN_S


@pytest.mark.parametrize("limit", [5, 10, 25])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_fixed_limit_is_found_and_kept(limit: int, seed: int) -> None:
    """At least 98 % of the oracle with at most 0.2 % of calls refused, climbing included."""
    story = simulate(Server([(0, limit)]), seed=seed)
    assert story.share >= 0.98
    assert story.refused_share <= 0.002
    assert story.reaches(0.9, limit / MEAN_S) <= 15


@pytest.mark.parametrize(
    "slots",
    [[(0, 25), (400, 10), (800, 25)], [(0, 10), (400, 25), (800, 10)]],
    ids=["25, 10, 25", "10, 25, 10"],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_limit_that_changes_is_followed(slots: Slots, seed: int) -> None:
    """At least 97 % of the oracle with at most 0.5 % refused, down and up again."""
    story = simulate(Server(slots), seed=seed)
    assert story.share >= 0.97
    assert story.refused_share <= 0.005


@pytest.mark.parametrize("every_s", [5.0, 20.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_others_leave_is_used(every_s: float, seed: int) -> None:
    """With half of the limit taken, and jittering: at least 90 % and at most 0.5 % refused."""
    story = simulate(Server(shared(seed, every_s=every_s)), seed=seed)
    assert story.share >= 0.90
    assert story.refused_share <= 0.005


@pytest.mark.parametrize("seed", SEEDS)
def test_behind_a_network_it_does_what_can_be_done_without_refusals(seed: int) -> None:
    """
    A round trip of 60 ms leaves each slot of the server empty for so long between two calls.

    That is 15 % of the oracle, and the level finds all the rest.
    """
    story = simulate(Server([(0, 25)]), seed=seed, network_s=0.06)
    best = MEAN_S / (MEAN_S + 0.06)
    assert story.share >= 0.98 * best
    assert story.refused_share <= 0.005


@pytest.mark.parametrize("seed", SEEDS)
def test_behind_a_network_the_ceiling_may_lie_above_the_editions_number(seed: int) -> None:
    """
    Where the server takes 30, a ceiling of 40 makes more than 95 % of what 25 without network do.

    A ceiling of 25, the edition's number, is not passed and makes 85 % of it.
    """
    high = simulate(Server([(0, 30)]), seed=seed, network_s=0.06, ceiling=40, seconds=600)
    low = simulate(Server([(0, 30)]), seed=seed, network_s=0.06, ceiling=25, seconds=600)
    assert high.answered >= 0.95 * 600 * RATE_OF_25
    assert high.refused_share <= 0.005
    assert low.answered <= 0.87 * 600 * RATE_OF_25
    assert low.refused == 0


@pytest.mark.parametrize(
    ("in_flight", "share", "refused"), [(25, 0.85, 0.0), (27, 0.91, 0.067), (30, 0.952, 0.315)]
)
def test_to_fill_the_network_costs_refusals_whoever_decides(
    in_flight: int, share: float, refused: float
) -> None:
    """
    Why the level does not try to: 95 % of the oracle cost a third of all calls.

    Nobody knows which calls end while a new one is on its way; on average four of 25 do, and
    often none does. Fixed numbers in flight, that no refusal lowers, show the price.
    """
    story = simulate(
        Server([(0, 25)]), seed=1, network_s=0.06, ceiling=in_flight, fixed=True, seconds=600
    )
    assert story.share == pytest.approx(share, abs=0.01)
    assert story.refused_share == pytest.approx(refused, abs=0.01)


@pytest.mark.parametrize("found", [5, 25, 40])
def test_what_an_earlier_run_found_is_a_hint_and_no_more(found: int) -> None:
    """Too low, right or too high: the bounds of a fixed limit hold all the same."""
    story = simulate(Server([(0, 25)]), seed=1, found=found)
    assert story.share >= 0.98
    assert story.refused_share <= 0.002
    if found >= 25:
        assert story.reaches(0.9, RATE_OF_25) <= 1


@pytest.mark.parametrize(
    ("shows", "cause", "most"),
    [
        (lambda _: Evidence(remaining=0), Cause.CREDITS, 25),
        (lambda _: Evidence(credits_left=0), Cause.CREDITS, 25),
        (lambda _: Evidence(), Cause.RATE, 50),
    ],
    ids=["the header says it", "our ledger says it", "nothing says it"],
)
def test_credits_that_run_out_end_the_run(
    shows: Callable[[float], Evidence], cause: Cause, most: int
) -> None:
    """Soon after, and for the few calls that were on their way; even if nothing names the cause."""
    server = Server([(0, 25)], credits=20_000, shows_credits=shows)
    story = simulate(server, seed=1, network_s=0.06)
    assert story.cause is cause
    assert story.answered >= 20_000 - 25
    before = simulate(Server([(0, 25)]), seed=1, network_s=0.06, seconds=story.ended or 0.0)
    assert story.refused - before.refused <= most
    assert story.ended is not None
    assert story.ended <= 20_000 / (0.84 * RATE_OF_25) + 300


def test_credits_that_come_back_soon_are_waited_for() -> None:
    """The run goes on by itself, and asks with one call first."""

    def shows(now: float) -> Evidence:
        if now >= 100:
            server.credits = math.inf
        return Evidence(remaining=0, wait_s=max(0.0, 100 - now))

    server = Server([(0, 25)], credits=5_000, shows_credits=shows)
    story = simulate(server, seed=1, seconds=200)
    assert story.ended is None
    assert sum(story.by_second[73:99]) == 0
    assert sum(story.by_second[110:120]) >= 0.9 * 10 * RATE_OF_25


@pytest.mark.parametrize(("a_minute", "most"), [(600, 0.03), (3000, 0.006)])
def test_a_limit_of_a_minute_is_lived_with(a_minute: int, most: float) -> None:
    """All of it is used, and between the minutes one call at a time asks, ever more rarely."""
    story = simulate(Server([(0, 25)], a_minute=a_minute), seed=1)
    assert story.share >= 0.97
    assert story.refused_share <= most


def test_the_same_seed_tells_the_same_story() -> None:
    """What fails here can be looked at."""
    first, second = (simulate(Server(shared(5)), seed=5, seconds=100) for _ in range(2))
    assert first == second
