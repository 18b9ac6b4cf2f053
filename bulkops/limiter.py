"""
Hold every call to the concurrency, the rate and the pauses that the server asks for.

Zoho's first limit is the number of calls in flight, which no rate can express; so a gate counts
them, and a leaky bucket shapes the optional rate. One object serves a whole run: a refusal that
one worker meets slows all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from bulkops import pacing


class Limiter:
    """
    Gives out slots for calls. At most `ceiling` at once, `calls_per_second` if not zero.
    """

    def __init__(self, *, ceiling: int, calls_per_second: float = 0.0) -> None:
        self._level = pacing.Level(float(ceiling), ceiling)
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._held_until = 0.0
        # A bucket of one: a bucket of `rate` would let nearly twice the rate through at first.
        self._rate = AsyncLimiter(1, 1 / calls_per_second) if calls_per_second else None

    @property
    def in_flight(self) -> int:
        """Calls under way now."""
        return self._in_flight

    @property
    def slots(self) -> int:
        """Calls that may be under way now."""
        return self._level.slots

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it; released when the call ends, however it ends."""
        await self._enter()
        try:
            await self._held()
            if self._rate is not None:
                await self._rate.acquire(1)
                await self._held()
            yield
        finally:
            self._leave()

    async def _enter(self) -> None:
        """Take a slot, or wait in line until one is handed over."""
        if self._in_flight < self._level.slots and not self._waiters:
            self._in_flight += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                # Handed over in the moment of giving up: the next in line has it.
                self._leave()
            else:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
            raise

    def _leave(self) -> None:
        self._in_flight -= 1
        self._hand_over()

    def _hand_over(self) -> None:
        """Give free slots to those who wait longest; they count as taken from here on."""
        while self._waiters and self._in_flight < self._level.slots:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._in_flight += 1
                waiter.set_result(None)

    async def _held(self) -> None:
        """Wait until no pause that the server asked for is left."""
        # A pause may be made longer while it is waited for.
        while (delay := self._held_until - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(delay)

    def refused(self, retry_after: float | None) -> None:
        """Lower the level; if the server named a time, let nothing leave before it is over."""
        now = asyncio.get_running_loop().time()
        self._level = pacing.refused(self._level, now)
        if retry_after is not None:
            self._held_until = max(self._held_until, now + retry_after)

    def served(self) -> None:
        """Take note of an answer that was no refusal; the level may grow."""
        now = asyncio.get_running_loop().time()
        grown = pacing.served(self._level, now, in_flight=self._in_flight)
        if grown is not self._level:
            self._level = grown
            self._hand_over()
