"""
How long to wait and how many calls to keep in flight: values in, decision out, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import time


@dataclass(frozen=True, slots=True)
class Waits:
    """
    Seconds to wait before sending again. A locked record is left alone much longer.
    """

    retry_s: float = 1.0
    locked_s: float = 30.0
    longest_s: float = 120.0


def backoff(first_s: float, tries: int, *, longest_s: float, chance: float) -> float:
    """
    Return the wait before try `tries + 1`, in seconds: exponential, with full jitter.

    `chance` is uniform in [0, 1). The wait is never under a tenth of the bound, so that a
    passing fault has time to pass.
    """
    bound = min(first_s * 2.0 ** min(tries - 1, 30), longest_s)
    return bound * (0.1 + 0.9 * chance)


@dataclass(frozen=True, slots=True)
class Level:
    """
    The number of calls that may be in flight, and when it last changed (loop seconds).

    Refusals take a tenth off at most once in `_CALM_S`, since the calls of one moment are
    refused together; time without refusals gives one back.
    """

    allowed: float
    ceiling: int
    changed: float = 0.0

    @property
    def slots(self) -> int:
        """Whole calls allowed now; at least one."""
        return max(1, int(self.allowed))


_CALM_S = 0.5
_GROW_AFTER_S = 5.0


def refused(level: Level, now: float) -> Level:
    """Return the level after the server refused a call for there being too many."""
    if now - level.changed < _CALM_S:
        return level
    return replace(level, allowed=max(1.0, level.allowed * 0.9), changed=now)


def served(level: Level, now: float, *, in_flight: int) -> Level:
    """Return the level after an answer: one more if it was the level that held calls back."""
    busy = in_flight >= level.slots
    if not busy or level.allowed >= level.ceiling or now - level.changed < _GROW_AFTER_S:
        return level
    return replace(level, allowed=min(float(level.ceiling), level.allowed + 1), changed=now)


def within(window: tuple[time, time] | None, now: time) -> bool:
    """
    Return whether `now` lies in a window of the day; without a window, always.

    A window that ends before it starts spans midnight.
    """
    if window is None:
        return True
    start, end = window
    return start <= now < end if start <= end else now >= start or now < end
