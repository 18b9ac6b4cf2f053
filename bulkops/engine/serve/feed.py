"""
One reader shared by all who follow: each gets the latest value, and nobody reads it twice.

There is no task behind it. Whoever waits first reads for all, and when that one leaves the next
takes over; when nobody waits, nothing is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Feed(Generic[T]):
    """
    The values that `read` returns, `every_s` seconds apart, or as long as it took to read the last.

    `read` must not fail: what went wrong is part of the value.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        *,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._every_s = every_s
        self._clock = clock
        self._turn = asyncio.Lock()
        self._known: tuple[int, T] | None = None
        self._due = clock()

    async def after(self, number: int) -> tuple[int, T]:
        """
        Return a value read after that of `number`, and its own; 0 stands for none.

        A value that is not old yet answers at once. May be cancelled.
        """
        async with self._turn:
            known = self._known
            if known is None or number >= known[0] or (not number and self._is_old):
                await asyncio.sleep(max(0.0, self._due - self._clock()))
                known = await self._renewed()
            return known

    async def latest(self) -> T:
        """Return a value that is not old."""
        return (await self.after(0))[1]

    @property
    def _is_old(self) -> bool:
        return self._clock() >= self._due

    async def _renewed(self) -> tuple[int, T]:
        begun = self._clock()
        value = await self._read()
        ended = self._clock()
        self._due = ended + max(self._every_s, ended - begun)
        self._known = (self._known[0] + 1 if self._known else 1), value
        return self._known
