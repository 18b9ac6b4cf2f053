"""Slots for calls: the ceiling, the rate and the pauses hold, whoever waits or gives up."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from bulkops.limiter import Limiter


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
        limiter = Limiter(ceiling=7)
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
        limiter.refused(60.0)
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


def test_a_refusal_slows_everybody_and_quiet_time_gives_back() -> None:
    """The level falls by a tenth, and rises by one in five seconds of being the bound."""

    async def levels() -> None:
        limiter = Limiter(ceiling=20)
        for _ in range(20):
            limiter.refused(None)
        assert limiter.slots == 18
        await asyncio.sleep(1)
        limiter.refused(None)
        assert limiter.slots == 16
        await asyncio.sleep(6)
        limiter.served()
        assert limiter.slots == 16
        end = asyncio.Event()
        calls = [asyncio.create_task(hold(limiter, end)) for _ in range(20)]
        await settle_down()
        assert limiter.in_flight == 16
        limiter.served()
        await settle_down()
        assert limiter.in_flight == limiter.slots == 17
        end.set()
        await asyncio.gather(*calls)

    in_no_time(levels)


def test_a_lower_level_lets_calls_end_before_others_begin() -> None:
    """What is under way is not called back; the next wait until there is room again."""

    async def lower() -> None:
        limiter = Limiter(ceiling=10)
        calls = [asyncio.create_task(hold(limiter, 1 + n)) for n in range(10)]
        later = asyncio.create_task(hold(limiter, 0))
        await settle_down()
        limiter.refused(None)
        limiter.refused(None)
        await asyncio.sleep(1.5)
        assert (limiter.slots, limiter.in_flight, later.done()) == (9, 9, False)
        await asyncio.gather(*calls, later)
        assert limiter.in_flight == 0

    in_no_time(lower)


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
        limiter.refused(60.0)
        limiter.refused(5.0)
        end.set()
        await asyncio.gather(*first)
        line += [asyncio.create_task(call()) for _ in range(3)]
        await asyncio.gather(*line)
        assert len(left) == 6
        assert min(left) == pytest.approx(60.0, abs=0.1)

    in_no_time(pause)


def test_a_pause_holds_those_who_wait_for_the_rate_as_well() -> None:
    """A call that has its slot and waits for the rate has not left yet."""

    async def pause() -> None:
        limiter = Limiter(ceiling=5, calls_per_second=1.0)
        left: list[float] = []

        async def call() -> None:
            async with limiter.slot():
                left.append(now())
                if len(left) == 1:
                    await settle_down()
                    limiter.refused(60.0)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(call())
        assert left[0] < 0.1
        assert left[1] >= 60.0

    in_no_time(pause)
