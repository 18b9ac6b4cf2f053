"""
The emulator's time.

Everything that depends on time (token life, the 24-hour credit window, scheduled jobs) asks one
`Clock` that is passed in. Tests use a clock that stands still until it is advanced; rehearsals use
one that runs faster than the wall.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """
    Seconds since the epoch, running at `speed` times the pace of `source`.

    `speed=0` stands still; `advance` moves any clock forward, never back.
    """

    __slots__ = ("_base", "_origin", "_source", "speed")

    def __init__(
        self,
        *,
        start: float | None = None,
        speed: float = 1.0,
        source: Callable[[], float] = time.monotonic,
    ) -> None:
        if speed < 0:
            raise ValueError(f"clock speed {speed}: expected 0 or more")
        self._source = source
        self._origin = source()
        self._base = time.time() if start is None else start
        self.speed = speed

    @classmethod
    def standing(cls, start: float = 1_700_000_000.0) -> Clock:
        """Make a clock that moves only by `advance`."""
        return cls(start=start, speed=0.0)

    def now(self) -> float:
        """Seconds since the epoch, in the emulator's time."""
        return self._base + (self._source() - self._origin) * self.speed

    def advance(self, seconds: float) -> float:
        """Move forward by `seconds` and return the new time."""
        if seconds < 0:
            raise ValueError(f"advance by {seconds}: expected 0 or more seconds")
        self._base += seconds
        return self.now()

    def wall_seconds(self, seconds: float) -> float:
        """Real seconds that `seconds` of emulator time take; a standing clock counts real ones."""
        return seconds / self.speed if self.speed else seconds
