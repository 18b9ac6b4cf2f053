"""
How long to wait before sending again, and whether it is the time of day for it.
"""

from __future__ import annotations

from dataclasses import dataclass
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


def within(window: tuple[time, time] | None, now: time) -> bool:
    """
    Return whether `now` lies in a window of the day; without a window, always.

    A window that ends before it starts spans midnight.
    """
    if window is None:
        return True
    start, end = window
    return start <= now < end if start <= end else now >= start or now < end
