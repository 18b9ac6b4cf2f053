"""
What an edition allows: calls in flight and credits in a rolling day.

https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

DAY_S = 86_400.0
BUCKET_S = 60.0
#: Credits of reading records of a custom view; other calls cost one.
VIEW_PRICE = 3


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits of one edition; `credits_most` 0 means without end."""

    concurrency: int
    credits_base: int
    credits_per_user: int
    credits_most: int

    def credits(self, users: int) -> int:
        """Credits of a rolling 24 hours for so many users."""
        earned = self.credits_base + self.credits_per_user * users
        return min(earned, self.credits_most) if self.credits_most else earned


_STANDARD = Allowance(10, 50_000, 250, 100_000)
_ENTERPRISE = Allowance(20, 50_000, 1_000, 5_000_000)
_ULTIMATE = Allowance(25, 50_000, 2_000, 0)
_BIGIN = Allowance(5, 50_000, 250, 100_000)

#: The edition table of the page above. "bigin-*" has documented credits and assumed concurrency.
ALLOWANCES = {
    "free": Allowance(5, 5_000, 0, 5_000),
    "starter": _STANDARD,
    "standard": _STANDARD,
    "professional": Allowance(15, 50_000, 500, 3_000_000),
    "enterprise": _ENTERPRISE,
    "zoho-one": _ENTERPRISE,
    "ultimate": _ULTIMATE,
    "crm-plus": _ULTIMATE,
    "bigin-free": Allowance(5, 5_000, 0, 5_000),
    "bigin-express": _BIGIN,
    "bigin-premier": _BIGIN,
    "bigin-zoho-one": _BIGIN,
}


class CreditWindow:
    """Credits used in the last 24 hours, kept in buckets of a minute."""

    __slots__ = ("_buckets", "used")

    def __init__(self) -> None:
        self._buckets: deque[tuple[float, int]] = deque()
        self.used = 0

    def spend(self, credits_: int, now: float) -> None:
        """Count credits as used at `now`."""
        start = now - now % BUCKET_S
        if self._buckets and self._buckets[-1][0] >= start:
            at, held = self._buckets[-1]
            self._buckets[-1] = (at, held + credits_)
        else:
            self._buckets.append((start, credits_))
        self.used += credits_

    def spent(self) -> list[tuple[float, int]]:
        """When how many were used, to the minute."""
        return list(self._buckets)

    def used_at(self, now: float) -> int:
        """Credits used in the 24 hours before `now`."""
        buckets = self._buckets
        while buckets and buckets[0][0] <= now - DAY_S:
            self.used -= buckets.popleft()[1]
        return self.used


class InFlight:
    """How many calls are being served now, and the most there ever were."""

    __slots__ = ("now", "peak")

    def __init__(self) -> None:
        self.now = 0
        self.peak = 0

    def enter(self) -> None:
        """One more call is served."""
        self.now += 1
        if self.now > self.peak:  # noqa: PLR1730 - half the time of max(), on every call
            self.peak = self.now

    def visit(self) -> None:
        """One call is served now, from beginning to end."""
        if self.now >= self.peak:
            self.peak = self.now + 1

    def leave(self) -> None:
        """One call less is served."""
        self.now -= 1
