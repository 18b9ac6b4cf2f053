"""Slots for calls: the ceiling, the rate and the pauses hold, whoever waits or gives up."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from bulkops.rules.pacing import Cause, Evidence
from bulkops.wire.gate import Hold
from bulkops.wire.limiter import Limiter

NOTHING = Evidence()


class _Skipping(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # A moment passes in any case, as for a real loop: who waits for an instant must see it end.
        self.now += max(timeout or 0.0, 1e-6)
        return super().select(0)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time, and the clock starts at 1,000 s."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return 1000.0 + self._skipping.now


def in_no_time(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in a loop whose time is skipped."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(asyncio.wait_for(test(), 10_000))


def now() -> float:
    return asyncio.get_running_loop().time() - 1000.0


async def settle_down() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def hold(limiter: Limiter, until: asyncio.Event | float) -> None:
    """Be a call that lasts until an event, or so many seconds."""
    async with limiter.slot():
        await (until.wait() if isinstance(until, asyncio.Event) else asyncio.sleep(until))


def test_the_ceiling_holds_under_a_crowd() -> None:
    """Of 100 calls no more than the ceiling is under way at once, and all of them get through."""

    async def crowd() -> None:
        limiter = Limiter(ceiling=7, found=20)
        seen: list[int] = []

        async def call(length_s: float) -> None:
            async with limiter.slot():
                seen.append(limiter.in_flight)
                await asyncio.sleep(length_s)

        async with asyncio.TaskGroup() as group:
            for each in range(100):
                group.create_task(call(0.1 + each % 5))
        assert max(seen) == 7
        assert len(seen) == 100
        assert limiter.in_flight == 0

    in_no_time(crowd)


@pytest.mark.parametrize("ceiling", [1, 2, 3])
def test_waiting_calls_go_in_the_order_they_came(ceiling: int) -> None:
    """Nobody is overtaken by who came later, however many calls end at once."""

    async def queue() -> None:
        limiter = Limiter(ceiling=ceiling)
        order: list[int] = []

        async def call(number: int) -> None:
            async with limiter.slot():
                order.append(number)
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(call(number))
        assert order == list(range(10))

    in_no_time(queue)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_a_slot_is_given_back_however_the_call_ends(error: type[BaseException]) -> None:
    """An error or a cancellation inside leaves no call under way."""

    async def call() -> None:
        limiter = Limiter(ceiling=1)
        with pytest.raises(error):
            async with limiter.slot():
                raise error
        assert limiter.in_flight == 0
        async with limiter.slot():
            pass

    in_no_time(call)


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_waiter_that_gives_up_loses_no_slot(victim: int) -> None:
    """Whoever of those in line is cancelled, the others get their turn."""

    async def give_up() -> None:
        limiter = Limiter(ceiling=1)
        end = asyncio.Event()
        first = asyncio.create_task(hold(limiter, end))
        line = [asyncio.create_task(hold(limiter, 1)) for _ in range(3)]
        await settle_down()
        line[victim].cancel()
        end.set()
        await first
        done = await asyncio.gather(*line, return_exceptions=True)
        expected = [asyncio.CancelledError if each == victim else type(None) for each in range(3)]
        assert [type(each) for each in done] == expected
        assert limiter.in_flight == 0

    in_no_time(give_up)


def test_a_waiter_that_gives_up_in_its_very_turn_passes_it_on() -> None:
    """A wake-up that met a cancellation belongs to the next in line."""

    async def give_up() -> None:
        limiter = Limiter(ceiling=1)
        end = asyncio.Event()
        first = asyncio.create_task(hold(limiter, end))
        second = asyncio.create_task(hold(limiter, 1))
        third = asyncio.create_task(hold(limiter, 1))
        await settle_down()
        first.add_done_callback(lambda _: second.cancel())
        end.set()
        await first
        await third
        assert second.cancelled()

    in_no_time(give_up)


def test_a_waiter_that_gives_up_in_a_pause_passes_its_turn_on() -> None:
    """A pause that the server asked for is no place to lose a turn in."""

    async def give_up() -> None:
        limiter = Limiter(ceiling=1)
        end = asyncio.Event()
        first = asyncio.create_task(hold(limiter, end))
        second = asyncio.create_task(hold(limiter, 1))
        third = asyncio.create_task(hold(limiter, 1))
        await settle_down()
        limiter.refused(Evidence(wait_s=60.0))
        end.set()
        await settle_down()
        second.cancel()
        await first
        async with asyncio.timeout(600):
            await third

    in_no_time(give_up)


@pytest.mark.parametrize(("rate", "ceiling"), [(20.0, 100), (0.5, 5), (3.0, 3)])
def test_the_rate_has_no_burst_at_the_start(rate: float, ceiling: int) -> None:
    """In no second, the first included, do more calls leave than are allowed."""

    async def burst() -> None:
        limiter = Limiter(ceiling=ceiling, calls_per_second=rate)
        left: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                left.append(now())

        async with asyncio.TaskGroup() as group:
            for _ in range(60):
                group.create_task(call())
        gaps = [later - earlier for earlier, later in pairwise(left)]
        assert min(gaps) == pytest.approx(1 / rate, rel=0.01)
        assert left[-1] == pytest.approx(59 / rate, rel=0.02)

    in_no_time(burst)


def test_without_a_rate_only_the_ceiling_holds_calls_back() -> None:
    """Calls that take no time leave at once."""

    async def rush() -> None:
        limiter = Limiter(ceiling=2)
        for _ in range(1000):
            async with limiter.slot():
                pass
        assert now() < 0.1

    in_no_time(rush)


def test_a_run_begins_low_and_grows_by_answers() -> None:
    """Not by time, and only while all slots are taken; at once for those who wait."""

    async def grow() -> None:
        limiter = Limiter(ceiling=20)
        end = asyncio.Event()
        calls = [asyncio.create_task(hold(limiter, end)) for _ in range(20)]
        await settle_down()
        assert limiter.in_flight == limiter.slots == 5
        await asyncio.sleep(1000)
        assert limiter.slots == 5
        for _ in range(5 + 6):
            limiter.answered(0)
        await settle_down()
        assert limiter.in_flight == limiter.slots == 7
        end.set()
        await asyncio.gather(*calls)
        for _ in range(100):
            limiter.answered(0)
        assert limiter.slots == 7

    in_no_time(grow)


def test_what_an_earlier_run_found_is_where_it_begins() -> None:
    """Under the ceiling, whatever it is."""
    assert Limiter(ceiling=20, found=12).slots == 12
    assert Limiter(ceiling=20, found=99).slots == 20


def test_refusals_of_one_moment_leave_what_was_served() -> None:
    """Each refused call was one too many; the next waits until there is room again."""

    async def lower() -> None:
        limiter = Limiter(ceiling=10, found=10)
        calls = [asyncio.create_task(hold(limiter, 1 + n)) for n in range(10)]
        later = asyncio.create_task(hold(limiter, 0))
        await settle_down()
        assert limiter.refused(NOTHING, 0) is None
        assert limiter.refused(NOTHING, 0) is None
        assert (limiter.slots, limiter.cause) == (8, Cause.CONCURRENCY)
        await asyncio.sleep(2.5)
        assert (limiter.in_flight, later.done()) == (8, False)
        await asyncio.gather(*calls, later)
        assert limiter.in_flight == 0

    in_no_time(lower)


def test_a_time_out_slows_everybody_down() -> None:
    """A server that takes too long has too much to do."""
    limiter = Limiter(ceiling=20, found=20)
    limiter.timed_out(0)
    limiter.timed_out(0)
    assert limiter.slots == 15


def test_nothing_leaves_before_the_time_the_server_named() -> None:
    """`Retry-After` stops those in line and those that come; of two the longer counts."""

    async def pause() -> None:
        limiter = Limiter(ceiling=2)
        left: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                left.append(now())

        end = asyncio.Event()
        first = [asyncio.create_task(hold(limiter, end)) for _ in range(2)]
        await settle_down()
        line = [asyncio.create_task(call()) for _ in range(3)]
        await settle_down()
        limiter.refused(Evidence(wait_s=60.0), 0)
        limiter.refused(Evidence(wait_s=5.0), 0)
        holding = limiter.holding
        assert holding is not None
        assert holding.name == "concurrency"
        assert holding.until == pytest.approx(time.time() + 60, abs=5)
        end.set()
        await asyncio.gather(*first)
        line += [asyncio.create_task(call()) for _ in range(3)]
        await asyncio.gather(*line)
        assert len(left) == 6
        assert min(left) == pytest.approx(60.0, abs=0.1)
        assert limiter.holding is None

    in_no_time(pause)


def test_a_pause_holds_those_who_wait_for_the_rate_as_well() -> None:
    """A call that waits for the rate has not left yet, and after the pause there is no burst."""

    async def pause() -> None:
        limiter = Limiter(ceiling=5, calls_per_second=1.0)
        left: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                left.append(now())
                if len(left) == 1:
                    await settle_down()
                    limiter.refused(Evidence(wait_s=60.0))

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(call())
        assert left[0] < 0.1
        assert left[1] >= 60.0
        assert min(later - earlier for earlier, later in pairwise(left)) >= 0.99

    in_no_time(pause)


def test_calls_refused_whatever_their_number_are_tried_one_at_a_time() -> None:
    """Everybody waits for one; that it is served lets the others go, and people are told both."""

    async def minute() -> None:
        told: list[tuple[str, bool]] = []
        limiter = Limiter(
            ceiling=4, found=4, told=lambda name, words: told.append((name, bool(words)))
        )
        moments: list[float] = []

        async def call() -> None:
            """Is refused until half a minute has passed."""
            while True:
                async with limiter.slot() as mark:
                    assert mark is not None
                    moments.append(now())
                    await asyncio.sleep(0.1)
                    if now() > 30:
                        limiter.answered(mark)
                        return
                    limiter.refused(NOTHING, mark)

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(call())
        refused = [each for each in moments if each <= 30]
        probes = [each for each in refused if each > 1]
        assert len(refused) <= 25
        assert min(later - earlier for earlier, later in pairwise(probes)) >= 0.1
        assert told == [("refusals", True), ("refusals", False)]
        assert limiter.cause is None

    in_no_time(minute)


def test_credits_that_are_used_up_are_for_the_run_to_end_by() -> None:
    """The limiter says so; it cannot end anything itself."""

    async def used_up() -> None:
        limiter = Limiter(ceiling=4)
        pause = limiter.refused(Evidence(remaining=0), 0)
        assert pause is not None
        assert (pause.cause, pause.final) == (Cause.CREDITS, True)
        assert limiter.slots == 1

    in_no_time(used_up)


def test_any_reason_to_hold_wins() -> None:
    """Only when the last is released do calls leave; whoever holds first is shown."""

    async def holds() -> None:
        limiter = Limiter(ceiling=3)
        limiter.hold("window")
        limiter.hold("pause file")
        limiter.hold("window")
        call = asyncio.create_task(hold(limiter, 0))
        await asyncio.sleep(100)
        assert limiter.holding == Hold("window")
        limiter.release("window")
        limiter.release("never held")
        await asyncio.sleep(100)
        assert (limiter.holding, call.done()) == (Hold("pause file"), False)
        limiter.release("pause file")
        await call
        assert limiter.holding is None

    in_no_time(holds)


def test_a_hold_outlasts_a_pause_and_a_pause_a_hold() -> None:
    """One is no answer to the other."""

    async def both() -> None:
        limiter = Limiter(ceiling=3)
        left: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                left.append(now())

        limiter.refused(Evidence(wait_s=10.0))
        limiter.hold("hand")
        calls = [asyncio.create_task(call()) for _ in range(3)]
        await asyncio.sleep(20)
        assert left == []
        limiter.release("hand")
        await asyncio.gather(*calls)
        limiter.refused(Evidence(wait_s=10.0))
        limiter.hold("hand")
        limiter.release("hand")
        await call()
        assert left[:3] == [pytest.approx(20, abs=0.1)] * 3
        assert left[3] == pytest.approx(30, abs=0.1)

    in_no_time(both)


@pytest.mark.parametrize("rate", [0.0, 2.0])
def test_a_hold_takes_effect_on_the_very_next_call(rate: float) -> None:
    """Those who wait for a slot or a drop wait on; those under way come home."""

    async def next_call() -> None:
        limiter = Limiter(ceiling=2, calls_per_second=rate)
        left: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                left.append(now())
                await asyncio.sleep(1)

        calls = [asyncio.create_task(call()) for _ in range(10)]
        await asyncio.sleep(1.2)
        limiter.hold("hand")
        before = len(left)
        await asyncio.sleep(50)
        assert (len(left), limiter.in_flight) == (before, 0)
        limiter.release("hand")
        await asyncio.gather(*calls)
        assert len(left) == 10

    in_no_time(next_call)


def test_a_lower_ceiling_takes_effect_within_one_call() -> None:
    """What is under way ends; then no more than that are."""

    async def lower() -> None:
        limiter = Limiter(ceiling=10, found=10)
        seen: list[int] = []

        async def call() -> None:
            async with limiter.slot():
                seen.append(limiter.in_flight)
                await asyncio.sleep(1)

        calls = [asyncio.create_task(call()) for _ in range(40)]
        await asyncio.sleep(1.5)
        limiter.set(concurrency=3)
        assert limiter.slots == 3
        count = len(seen)
        await asyncio.gather(*calls)
        assert max(seen[count:]) == 3

    in_no_time(lower)


def test_a_higher_ceiling_is_grown_into() -> None:
    """It is leave to look for more, not a number of calls."""

    async def higher() -> None:
        limiter = Limiter(ceiling=2)
        end = asyncio.Event()
        calls = [asyncio.create_task(hold(limiter, end)) for _ in range(10)]
        await settle_down()
        limiter.set(concurrency=8)
        assert limiter.slots == 2
        limiter.answered(0)
        limiter.answered(0)
        await settle_down()
        assert limiter.in_flight == limiter.slots == 3
        end.set()
        await asyncio.gather(*calls)

    in_no_time(higher)


@pytest.mark.parametrize("before", [0.0, 0.01, 100.0])
def test_another_rate_takes_effect_within_one_call(before: float) -> None:
    """Also for a call that waits for a drop of the old one, which may be minutes away."""

    async def faster() -> None:
        limiter = Limiter(ceiling=50, found=50, calls_per_second=before)
        left: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                left.append(now())
                await asyncio.sleep(0.01)

        limiter.hold("hand")
        calls = [asyncio.create_task(call()) for _ in range(10)]
        await settle_down()
        if before == 0.01:
            limiter.release("hand")
            await settle_down()
        limiter.set(calls_per_second=2.0)
        limiter.release("hand")
        await asyncio.gather(*calls)
        gaps = [later - earlier for earlier, later in pairwise(left)][1:]
        assert min(gaps) == pytest.approx(0.5, abs=0.05)
        assert left[-1] < 6
        limiter.set(calls_per_second=0.0)
        begun = now()
        await asyncio.gather(*(call() for _ in range(10)))
        assert now() - begun < 0.1

    in_no_time(faster)


def test_no_more_is_made_ready_than_will_soon_have_its_turn() -> None:
    """What is ready counts as leaving should the run be killed: a few more than there are slots."""

    async def crowd() -> None:
        limiter = Limiter(ceiling=20, found=10)
        ready = 0

        async def call() -> None:
            nonlocal ready
            assert await limiter.approach()
            ready += 1
            await asyncio.sleep(0.01)
            async with limiter.slot():
                await asyncio.sleep(1)
            ready -= 1

        calls = [asyncio.create_task(call()) for _ in range(30)]
        await asyncio.sleep(0.5)
        assert (ready, limiter.in_flight) == (12, 10)
        limiter.set(concurrency=2)
        await asyncio.sleep(1)
        assert (ready, limiter.in_flight) == (4, 2)
        limiter.hold("hand")
        await asyncio.sleep(5)
        assert (ready, limiter.in_flight) == (2, 0)
        limiter.release("hand")
        await asyncio.gather(*calls)
        assert ready == 0

    in_no_time(crowd)


def test_who_turns_back_or_gives_up_leaves_room_for_another() -> None:
    """Whatever becomes of those who approach, the line moves on."""

    async def turn() -> None:
        limiter = Limiter(ceiling=1)
        for _ in range(10):
            assert await limiter.approach()
            limiter.turn_back()
        assert [await limiter.approach() for _ in range(3)] == [True] * 3
        line = [asyncio.create_task(limiter.approach()) for _ in range(3)]
        await settle_down()
        line[0].cancel()
        limiter.turn_back()
        await settle_down()
        assert [each.done() for each in line] == [True, True, False]
        limiter.close()
        assert await line[2] is False
        assert await limiter.approach() is False

    in_no_time(turn)


def test_nothing_is_made_ready_in_a_pause() -> None:
    """It would wait for minutes, in doubt if the run were killed."""

    async def pause() -> None:
        limiter = Limiter(ceiling=5)
        limiter.refused(Evidence(wait_s=60.0))
        await limiter.approach()
        assert now() >= 60

    in_no_time(pause)


@pytest.mark.parametrize("wait", ["slot", "pause", "hold", "rate"])
def test_closing_wakes_everybody_at_once(wait: str) -> None:
    """A run that ends waits for the calls under way, and for nothing else."""

    async def close() -> None:
        limiter = Limiter(ceiling=1, calls_per_second=0.001 if wait == "rate" else 0.0)
        marks: list[int | None] = []

        async def call() -> None:
            async with limiter.slot() as mark:
                marks.append(mark)

        end = asyncio.Event()
        first = asyncio.create_task(hold(limiter, end))
        await settle_down()
        if wait == "pause":
            limiter.refused(Evidence(wait_s=100.0))
        if wait == "hold":
            limiter.hold("hand")
        if wait != "slot":
            end.set()
            await first
        line = [asyncio.create_task(call()) for _ in range(5)]
        await settle_down()
        begun = now()
        limiter.close()
        await asyncio.gather(*line)
        assert marks == [None] * 5
        await call()
        assert marks == [None] * 6
        end.set()
        await first
        assert now() - begun < 0.1
        assert limiter.in_flight == 0

    in_no_time(close)
