"""
Where calls wait for their turn: a line before a gate that counts, drips, and can be held shut.

It only does as it is told (so many at once, so many a second, not before such a time); how many
and why is decided elsewhere. Whoever waits longest goes first, and a call that gives up waiting
passes its turn on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

#: Calls that are made ready while all slots are taken: a few, or a part of the slots.
_READY = 2
_READY_PART = 5


@dataclass(frozen=True, slots=True)
class Hold:
    """
    Why no call leaves now. `until` is in seconds since the epoch, `None` if nobody knows.
    """

    name: str
    until: float | None = None


class Gate:
    """
    Lets calls through: at most `slots` at once, `calls_per_second` if not zero, none while held.

    Once closed it lets nothing through, and nobody waits.
    """

    def __init__(self, *, slots: int, calls_per_second: float = 0.0) -> None:
        self._slots = slots
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[bool]] = deque()
        self._coming: deque[asyncio.Future[bool]] = deque()
        self._called = 0
        self._holds: dict[str, None] = {}
        self._pause: Hold | None = None
        self._paused_until = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._rate = _bucket(calls_per_second)
        self._dripping: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Calls under way now."""
        return self._in_flight

    @property
    def busy(self) -> bool:
        """Whether all slots are taken."""
        return self._in_flight >= self._slots

    @property
    def holding(self) -> Hold | None:
        """What keeps every call back now: holds by name first, the oldest of them; then a pause."""
        for name in self._holds:
            return Hold(name)
        return self._pause

    def resize(self, slots: int) -> None:
        """Let so many through at once from now on; what is under way is not called back."""
        if slots != self._slots:
            self._slots = slots
            self._pump()

    def drip(self, calls_per_second: float) -> None:
        """Let so many through a second from now on; 0 is as many as there are."""
        self._rate = _bucket(calls_per_second)
        self._stop_dripping()
        self._pump()

    def hold(self, name: str) -> bool:
        """Shut until `release(name)`, whatever happens to other holds; whether that is news."""
        news = name not in self._holds
        self._holds[name] = None
        return news

    def release(self, name: str) -> bool:
        """Take a hold away; calls leave again if nothing else holds. Return whether there was."""
        if name not in self._holds:
            return False
        del self._holds[name]
        self._pump()
        return True

    def pause(self, name: str, wait_s: float) -> None:
        """Shut for so many seconds; of two pauses the longer counts."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        if self._closed or until <= self._paused_until:
            return
        self._paused_until = until
        self._pause = Hold(name, time.time() + wait_s)
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(until, self._resume)

    def close(self) -> None:
        """Let nothing through any more, and wake everybody who waits."""
        self._closed = True
        self._stop_dripping()
        if self._alarm is not None:
            self._alarm.cancel()
        for line in (self._waiters, self._coming):
            while line:
                waiter = line.popleft()
                if not waiter.done():
                    waiter.set_result(False)

    async def approach(self) -> bool:
        """
        Wait until a call that is made ready now would soon have its turn; false if closed.

        What is made ready is written down as leaving, so there should be no more of it than it
        takes to keep the slots full. Whoever approaches enters afterwards, or turns back.
        """
        if self._closed:
            return False
        if not self._coming and self._has_room():
            self._called += 1
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._coming.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                if waiter.result():
                    self.turn_back()
            else:
                with contextlib.suppress(ValueError):
                    self._coming.remove(waiter)
            raise

    def turn_back(self) -> None:
        """Leave room again for another: what approached is not going to enter."""
        self._called = max(0, self._called - 1)
        self._pump()

    async def enter(self) -> bool:
        """Wait for a turn and take a slot; false, and no slot, if the gate is closed."""
        self._called = max(0, self._called - 1)
        if self._closed:
            return False
        if self._rate is None and not self._waiters and self._is_open():
            self._in_flight += 1
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._pump()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                # Handed over in the moment of giving up: the next in line has it.
                if waiter.result():
                    self.leave()
            else:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
                self._pump()
            raise

    def leave(self) -> None:
        """Give a slot back."""
        self._in_flight -= 1
        self._pump()

    def _is_open(self) -> bool:
        """Say whether a call may leave now, but for the rate."""
        # The alarm that ends a pause may ring a moment after it.
        return not (self.busy or self._holds or self._pause)

    def _has_room(self) -> bool:
        """Say whether the slots and those who are ready for them leave room for one more."""
        near = self._in_flight + len(self._waiters) + self._called
        ready = max(_READY, self._slots // _READY_PART)
        return near < self._slots + ready and not (self._holds or self._pause)

    def _pump(self) -> None:
        """Let go whom there is room for; those who wait longest first."""
        if self._closed:
            return
        while self._coming and self._has_room():
            waiter = self._coming.popleft()
            if not waiter.done():
                self._called += 1
                waiter.set_result(True)
        if not self._waiters:
            return
        if self._rate is None:
            while self._waiters and self._is_open():
                self._hand_over()
        elif self._dripping is None:
            self._dripping = asyncio.get_running_loop().create_task(self._drip(self._rate))
        elif self._opened is not None and not self._opened.done() and self._is_open():
            self._opened.set_result(None)

    def _hand_over(self) -> None:
        """Give a slot to whoever waits longest; it counts as taken from here on."""
        waiter = self._waiters.popleft()
        if not waiter.done():
            self._in_flight += 1
            waiter.set_result(True)

    async def _drip(self, rate: AsyncLimiter) -> None:
        """Let waiting calls go at the rate, one at a time; ends when nobody waits."""
        while self._waiters:
            if not self._is_open():
                self._opened = asyncio.get_running_loop().create_future()
                await self._opened
                continue
            await rate.acquire(1)
            # What began to hold meanwhile wins, and the drop is lost: no burst afterwards.
            if self._waiters and self._is_open():
                self._hand_over()
        self._dripping = None

    def _stop_dripping(self) -> None:
        if self._dripping is not None:
            self._dripping.cancel()
            self._dripping = None

    def _resume(self) -> None:
        self._pause = self._alarm = None
        self._pump()


def _bucket(calls_per_second: float) -> AsyncLimiter | None:
    # A bucket of one: a bucket of `rate` would let nearly twice the rate through at first.
    return AsyncLimiter(1, 1 / calls_per_second) if calls_per_second else None
