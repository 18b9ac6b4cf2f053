"""
Reasons to hold a run: while there is one, no call leaves, and everybody can see its name.

A hold ends nothing (`stop.py` does): calls under way come home, workers keep their batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from bulkops.wire.stop import EndingError, Stop


class Gate(Protocol):
    """
    What keeps calls from leaving that are past everything else.
    """

    def hold(self, name: str) -> None:
        """Let nothing leave until `name` is released."""

    def release(self, name: str) -> None:
        """Take a reason back."""


class Holds:
    """
    The reasons to hold, by name, each with words for people.
    """

    def __init__(self, gate: Gate, *, changed: Callable[[str, str], None]) -> None:
        """`changed` is told the name and the words of every new hold; no words: it is over."""
        self._gate = gate
        self._changed = changed
        self._reasons: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._free = asyncio.Event()
        self._free.set()

    @property
    def reasons(self) -> Mapping[str, str]:
        """The words of every hold, by its name; also of what a single call waits for."""
        return {**self._reasons, **self._told}

    @property
    def any(self) -> bool:
        """Whether something holds the run, and not a single call alone."""
        return bool(self._reasons)

    def hold(self, name: str, words: str) -> None:
        """Let no further call leave. Nothing happens if that name holds already."""
        if name in self._reasons:
            return
        self._reasons[name] = words
        self._free.clear()
        self._gate.hold(name)
        self._changed(name, words)

    def release(self, name: str) -> None:
        """Take a reason back; calls leave when none is left."""
        if self._reasons.pop(name, None) is None:
            return
        self._gate.release(name)
        if not self._reasons:
            self._free.set()
        self._changed(name, "")

    def tell(self, name: str, words: str) -> None:
        """Show that calls wait for something of their own; empty words: no longer."""
        if words == self._told.get(name, ""):
            return
        if words:
            self._told[name] = words
        else:
            del self._told[name]
        self._changed(name, words)

    async def free(self, stop: Stop) -> None:
        """Return when nothing holds. Raises `EndingError` if the run ends before."""
        while self._reasons and not stop.asked:
            await stop.first(self._free.wait())
        if stop.asked:
            raise EndingError("the run is ending")
