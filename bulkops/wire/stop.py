"""
The one way to end a run early: whoever has a reason asks, everybody else notices.

Asking never cancels anything. Workers finish the call they are on, write down what came of it,
and take no other; waits end at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bulkops.errors import BulkopsError


class EndingError(BulkopsError):
    """Something was given up because the run is ending; `Stop.reason` says why."""


class Stop:
    """
    Whether the run is to end, and the first reason given.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._told: list[Callable[[], None]] = []
        self.reason: BulkopsError | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def ask(self, reason: BulkopsError) -> None:
        """Ask for the run to end. The first reason stands."""
        if self.reason is None:
            self.reason = reason
        if self.asked:
            return
        self._event.set()
        for tell in self._told:
            tell()

    def tell(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when a stop is asked for, once; at once if it was already."""
        if self.asked:
            tell()
        else:
            self._told.append(tell)

    async def sleep(self, seconds: float) -> bool:
        """Wait, but not past a stop. Return whether the run goes on."""
        if seconds > 0:
            await self.first(asyncio.sleep(seconds))
        return not self.asked

    async def first(self, other: Coroutine[Any, Any, object]) -> None:
        """Wait for `other` to end, or for a stop, and drop whichever is left."""
        waits = [asyncio.create_task(other), asyncio.create_task(self._event.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
