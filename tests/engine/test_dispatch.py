"""Handing work to workers: nobody waits longer than needed, and nobody for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest

from bulkops.engine.dispatch import Dispatch
from bulkops.errors import PausedError
from bulkops.model import Batch, Exchange, NoReply, Operation, Reply, Route
from bulkops.rules.pacing import Waits
from bulkops.rules.parcel import Parcel
from bulkops.rules.parking import Load
from bulkops.rules.ration import FULL
from bulkops.rules.retrying import Policy
from bulkops.wire.stop import Stop
from tests.wire.test_limiter import in_no_time, now, settle_down

POLICY = Policy(attempts=6, waits=Waits(retry_s=1.0, locked_s=30.0, longest_s=120.0))
DONE, DOWN = Reply(200, {}), Reply(503)


def load(number: int, parent: str = "") -> Load:
    operations = (Operation(number, "1"),)
    return Load(Batch(number, "unlink", Route("Products", parent or str(number)), operations, 1))


def parked(seconds: float) -> tuple[Parcel, ...]:
    due = asyncio.get_running_loop().time() + seconds
    return (Parcel((Operation(1, "1"),), due=due),)


class Bench:
    """Workers over a dispatch; what becomes of a load is up to the test."""

    def __init__(self, *, workers: int = 2, most: int = 1000) -> None:
        self.stop = Stop()
        self.dispatch = Dispatch(workers=workers, policy=POLICY, stop=self.stop, most=most)
        self.workers = workers
        #: When which batch was sent.
        self.sent: list[tuple[float, int]] = []

    def fate(self, _load: Load) -> tuple[Exchange, tuple[Parcel, ...]]:
        """How a call ends, and what is left of its load; a test puts its own here."""
        return DONE, ()

    async def work(self, lasting: float = 0.1) -> None:
        while (taken := await self.dispatch.take()) is not None:
            self.sent.append((round(now(), 3), taken.batch.number))
            await asyncio.sleep(lasting)
            exchange, left = self.fate(taken)
            self.dispatch.heard(exchange)
            self.dispatch.give_back(taken, left)

    async def run(self, *loads: Load) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.workers):
                group.create_task(self.work())
            for each in loads:
                await self.dispatch.put(each)
            self.dispatch.close()


def test_a_locked_batch_holds_no_worker_and_no_other_parent() -> None:
    """With one worker the others go on; what is behind the locked one follows it."""

    async def scene() -> None:
        bench = Bench(workers=1)

        def fate(taken: Load) -> tuple[Exchange, tuple[Parcel, ...]]:
            locked = taken.batch.number == 1 and not taken.parcels
            return DONE, parked(30) if locked else ()

        bench.fate = fate  # type: ignore[method-assign]
        await bench.run(load(1, "a"), load(2, "b"), load(3, "a"), load(4, "c"))
        assert bench.sent == [(0, 1), (0.1, 2), (0.2, 4), (30.1, 1), (30.2, 3)]

    in_no_time(scene)


def test_workers_wait_for_what_is_parked_and_leave_together() -> None:
    """Nobody leaves while something can come back, and nobody stays when nothing can."""

    async def scene() -> None:
        bench = Bench(workers=5)
        first = [True]

        def fate(_taken: Load) -> tuple[Exchange, tuple[Parcel, ...]]:
            return (DONE, parked(60)) if first and first.pop() else (DONE, ())

        bench.fate = fate  # type: ignore[method-assign]
        await bench.run(load(1), load(2))
        assert [number for _, number in bench.sent] == [1, 2, 1]
        assert now() == pytest.approx(60.2, abs=0.01)

    in_no_time(scene)


def test_no_more_of_the_plan_is_read_than_there_is_room_for() -> None:
    """Behind a parent that never comes back the plan waits, and a stop ends that at once."""

    async def scene() -> None:
        bench = Bench(workers=1, most=10)
        read = 0

        async def feed() -> None:
            nonlocal read
            for number in count(1):
                if bench.stop.asked:
                    return
                await bench.dispatch.put(load(number, "a"))
                read += 1

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            assert await bench.dispatch.take() is not None
            await settle_down()
            assert read == 10
            worker = group.create_task(bench.dispatch.take())
            await asyncio.sleep(1000)
            assert not worker.done()
            bench.stop.ask(PausedError("enough"))
        assert worker.result() is None

    in_no_time(scene)


def test_an_outage_is_asked_about_by_single_calls_and_then_ends_the_run() -> None:
    """Some tens of calls in all, however many workers and batches there are."""

    async def scene() -> None:
        bench = Bench(workers=20)

        def fate(_taken: Load) -> tuple[Exchange, tuple[Parcel, ...]]:
            return NoReply(sent=False, reason="refused"), parked(1)

        bench.fate = fate  # type: ignore[method-assign]
        await bench.run(*(load(number) for number in range(1, 2000)))
        assert isinstance(bench.stop.reason, PausedError)
        assert "does not answer (refused)" in str(bench.stop.reason)
        assert len(bench.sent) < FULL + 20 + POLICY.attempts
        # Between a tenth and the whole of 1 + 2 + 4 + 8 + 16 s, and the calls themselves.
        assert 3 < now() < 40

    in_no_time(scene)


def test_a_server_that_comes_back_is_at_work_again_at_once() -> None:
    """The first answer lets new work go at will; retries follow one at a time, then at will."""

    async def scene() -> None:
        bench = Bench(workers=10)
        failed: dict[int, int] = {}

        def fate(taken: Load) -> tuple[Exchange, tuple[Parcel, ...]]:
            if now() < 3:
                failed[taken.batch.number] = 1
                return DOWN, parked(0.5)
            return DONE, ()

        bench.fate = fate  # type: ignore[method-assign]
        await bench.run(*(load(number) for number in range(1, 401)))
        assert bench.stop.reason is None
        assert {number for _, number in bench.sent} == set(range(1, 401))
        # 400 calls of 0.1 s by ten workers take 4 s; they had 3 s of outage, and a rest after it.
        assert now() < 3 + 4 + 8 + len(failed) * 0.1

    in_no_time(scene)


def test_being_refused_for_too_many_calls_is_no_trouble_of_the_server() -> None:
    """The limiter slows down for that; the ration is not touched."""

    async def scene() -> None:
        bench = Bench()
        for _ in range(1000):
            bench.dispatch.heard(Reply(429))
        await bench.dispatch.put(load(1))
        await bench.dispatch.put(load(2))
        assert await bench.dispatch.take() is not None
        assert await bench.dispatch.take() is not None

    in_no_time(scene)


def test_a_batch_that_always_fails_ends_by_its_own_count_and_the_others_go_through() -> None:
    """One bad batch among many that are served is no outage."""

    async def scene() -> None:
        bench = Bench(workers=1)
        tries = 0

        def fate(taken: Load) -> tuple[Exchange, tuple[Parcel, ...]]:
            nonlocal tries
            if taken.batch.number != 3:
                return DONE, ()
            tries += 1
            return DOWN, parked(2.0**tries) if tries < POLICY.attempts else ()

        bench.fate = fate  # type: ignore[method-assign]
        await bench.run(*(load(number) for number in range(1, 101)))
        assert (tries, bench.stop.reason) == (6, None)
        assert now() < 2 * 2.0**6

    in_no_time(scene)


def test_a_later_part_of_a_load_waits_for_its_own_time() -> None:
    """A load comes back for its first parcel, and goes again with all that are due."""

    async def scene() -> None:
        bench = Bench(workers=1)
        await bench.dispatch.put(load(1))
        taken = await bench.dispatch.take()
        assert taken is not None
        left = parked(5) + parked(20)
        bench.dispatch.give_back(taken, left)
        bench.dispatch.close()
        again = await bench.dispatch.take()
        assert again == replace(taken, parcels=left)
        assert now() == pytest.approx(5, abs=0.01)

    in_no_time(scene)


def test_what_a_load_makes_ready_is_taken_by_who_is_idle() -> None:
    """The worker that ended the one before it goes on with a retry, which comes first."""

    async def scene() -> None:
        bench = Bench(workers=2)
        retries = [load(1, "a"), load(2, "b")]
        for each in retries:
            await bench.dispatch.put(each)
            assert await bench.dispatch.take() == each
        await bench.dispatch.put(load(3, "a"))
        for each in retries:
            bench.dispatch.give_back(each, parked(1))
        for _ in range(30):
            bench.dispatch.heard(DOWN)
        first = await bench.dispatch.take()
        assert first is not None
        assert first.batch.number == 1
        # One retry at a time: there is nothing for the other worker now.
        idle = asyncio.create_task(bench.dispatch.take())
        await asyncio.sleep(100)
        assert not idle.done()
        bench.dispatch.give_back(first, ())
        second, third = await bench.dispatch.take(), await asyncio.wait_for(idle, 1)
        assert second is not None
        assert third is not None
        assert (2, 3) == (second.batch.number, third.batch.number)

    in_no_time(scene)


@pytest.mark.parametrize(("faults", "first", "second"), [(24, 0.0, 0.0), (25, 0.0, 5.0)])
def test_repeated_reads_draw_on_the_ration_too(faults: int, first: float, second: float) -> None:
    """They go one at a time as soon as retries do, and as they please before."""

    async def scene() -> None:
        bench = Bench()
        times: list[float] = []

        async def repeat() -> None:
            async with bench.dispatch.again():
                times.append(now())
                await asyncio.sleep(5)

        for _ in range(faults):
            bench.dispatch.heard(DOWN)
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat())
            group.create_task(repeat())
        assert times == pytest.approx([first, second], abs=0.01)

    in_no_time(scene)


def test_repeated_reads_rest_when_everything_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing left of the ration only one call at a time asks, and not before the rest."""
    monkeypatch.setattr("random.random", lambda: 0.5)

    async def scene() -> None:
        bench = Bench()
        for _ in range(int(FULL)):
            bench.dispatch.heard(DOWN)
        rests_until = bench.dispatch._ration.rests_until
        assert rests_until > asyncio.get_running_loop().time()
        async with bench.dispatch.again():
            clock = asyncio.get_running_loop().time
            assert clock() == pytest.approx(rests_until, abs=0.01)
        bench.stop.ask(PausedError("enough"))
        bench.dispatch.heard(DOWN)
        async with asyncio.timeout(0.01), bench.dispatch.again():
            pass

    in_no_time(scene)
