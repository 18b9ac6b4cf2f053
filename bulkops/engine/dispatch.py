"""
Hand work to the workers: from the plan as far as there is room, and from the parking in its time.

Wraps the rules of `parking.py` and `ration.py` with what they lack: the clock, and waiting. Reads
no more of the plan than the workers need next, whatever its size.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from bulkops.model import Exchange, NoReply, Reply
from bulkops.rules.parcel import Parcel
from bulkops.rules.parking import MOST, Load, Parking
from bulkops.rules.ration import Leave, Ration, faulted, served
from bulkops.rules.retrying import Policy, outage
from bulkops.wire.stop import Stop


class Dispatch:
    """
    The queue between the plan and the workers of a run.

    `put` waits for room, `take` for work; each ends at once when the run does.
    """

    def __init__(self, *, workers: int, policy: Policy, stop: Stop, most: int = MOST) -> None:
        self._parking = Parking(ahead=workers, most=most)
        self._policy = policy
        self._stop = stop
        self._ration = Ration()
        self._closed = False
        self._repeating = asyncio.Lock()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        stop.tell(self._wake)

    @property
    def parked(self) -> int:
        """Batches that wait for their time."""
        return self._parking.parked

    async def put(self, load: Load) -> None:
        """Take in a load from the plan, once there is room for it."""
        while not self._parking.has_room and not self._stop.asked:
            self._room.clear()
            await self._room.wait()
        if self._parking.admit(load):
            self._work.set()

    def close(self) -> None:
        """Say that the plan has no more."""
        self._closed = True
        self._work.set()

    async def take(self) -> Load | None:
        """Return a load as soon as one may go; `None` when no more will come or the run ends."""
        while not self._stop.asked:
            now = asyncio.get_running_loop().time()
            load = self._parking.take(now, self._ration.leave(now))
            if load is not None:
                if self._parking.runs_low:
                    self._room.set()
                if self._parking.ready:
                    # Whoever took a retry leaves to others what its last load made ready.
                    self._work.set()
                return load
            if self._closed and self._parking.is_empty:
                return None
            await self._wait(now)
        return None

    def give_back(self, load: Load, left: Sequence[Parcel]) -> None:
        """
        Take back a load; `left` of it is parked until it is due.

        Whoever gives back takes next, and so is the first to see what became possible by it.
        """
        if left:
            self._parking.park(load, tuple(left))
        else:
            self._parking.end(load)
        if self._parking.runs_low:
            self._room.set()
        if self._closed and self._parking.is_empty:
            self._work.set()

    def sweep(self, left_of: Callable[[Load], tuple[Parcel, ...] | None]) -> None:
        """Drop what need not be waited for any more, see `Parking.sweep`."""
        self._parking.sweep(left_of)
        if self._parking.runs_low:
            self._room.set()
        self._work.set()

    @asynccontextmanager
    async def again(self) -> AsyncIterator[None]:
        """
        Wait for leave to repeat a read, and keep it while the read is under way.

        Repeated reads go one at a time as soon as retries do, and rest when everything rests. They
        take turns among themselves alone: a load that is out may itself be what waits for one.
        """
        if self._leave() is Leave.ALL:
            yield
            return
        async with self._repeating:
            while self._leave() is Leave.NOTHING and not self._stop.asked:
                rest = self._ration.rests_until - asyncio.get_running_loop().time()
                await self._stop.sleep(rest)
            yield

    def _leave(self) -> Leave:
        return self._ration.leave(asyncio.get_running_loop().time())

    def heard(self, exchange: Exchange) -> None:
        """Take note of how a call ended; ask for a stop when nothing but trouble is left."""
        if isinstance(exchange, Reply) and exchange.status == 429:
            return
        well = isinstance(exchange, Reply) and exchange.status < 500
        if well and served(self._ration) is self._ration:
            return
        now = asyncio.get_running_loop().time()
        before = self._ration.leave(now)
        if well:
            self._ration = served(self._ration)
        else:
            chance = random.random()  # noqa: S311  (jitter, not a secret)
            self._ration = faulted(self._ration, self._policy.waits, now=now, chance=chance)
        if self._ration.probes >= self._policy.attempts:
            self._stop.ask(outage(_words(exchange)))
        if self._ration.leave(now) is not before:
            self._work.set()

    async def _wait(self, now: float) -> None:
        """Wait until something changes, or it is time for something."""
        times = [each for each in (self._parking.next_due, self._ration.rests_until) if each > now]
        delay = min(times, default=math.inf) - now
        self._work.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if delay == math.inf else delay):
                await self._work.wait()

    def _wake(self) -> None:
        """Let whoever waits for room or work see that the run ends."""
        self._room.set()
        self._work.set()


def _words(exchange: Exchange) -> str:
    return exchange.reason if isinstance(exchange, NoReply) else f"HTTP {exchange.status}"
