"""
Book the day's API credits of an organisation: values in, values out; times are passed in.

Credits count over a rolling 24 hours, so they are booked by the minute and come back by the
minute. They are reserved before a call leaves, and what was not used is given back. The books may
know of more use than there was, never of less: whatever is not certain counts as used.
https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html

Where the books are kept is `credits.py`'s business, who spends what `purse.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

BUCKET_S: Final = 60.0
#: Later than a day after its minute began: a credit may leave some time after it was reserved.
WINDOW_S: Final = 86_400.0 + 300.0
#: Expired minutes are kept this long, in case a clock that ran ahead is set back.
_KEPT_S: Final = 2 * WINDOW_S
#: A process that has not been heard of for so long has no calls on their way any more.
_SILENT_S: Final = 2 * 3600.0


@dataclass(frozen=True, slots=True)
class Budget:
    """
    The credits of a day, and how many of them are never to be used.
    """

    credits: int
    leave: int

    @property
    def own(self) -> int:
        """What all runs together may use in a day."""
        return self.credits - self.leave


@dataclass(slots=True)
class Books:
    """
    What the ledger of one organisation holds. Times are wall-clock seconds, passed in.

    `reserved` counts the credits ever reserved and not given back, `answered` those of them whose
    call has its answer. What lies between the two, the server may not have counted yet.
    `others` is what somebody else used, by what the server told `others_at`.
    """

    buckets: dict[int, int] = field(default_factory=dict)
    others: int = 0
    others_at: float = 0.0
    reserved: int = 0
    answered: int = 0
    holders: dict[str, tuple[int, float]] = field(default_factory=dict)

    def turn_to(self, now: float) -> None:
        """
        Bring the books to `now`, which everything else is asked after.

        A clock that was set back frees nothing: what seems to lie ahead is booked as of now.
        """
        minute = int(now // BUCKET_S)
        for each in [each for each in self.buckets if each > minute]:
            self.buckets[minute] = self.buckets.get(minute, 0) + self.buckets.pop(each)
        for each in [each for each in self.buckets if each * BUCKET_S + _KEPT_S <= now]:
            del self.buckets[each]
        self.others_at = min(self.others_at, now)
        for holder, (held, at) in list(self.holders.items()):
            if not held or now - at > _SILENT_S:
                self.answered += held
                del self.holders[holder]
            elif at > now:
                self.holders[holder] = (held, now)

    def used(self, now: float) -> int:
        """Return the credits that our runs have reserved in the window that ends `now`."""
        begin = now - WINDOW_S
        return sum(each for minute, each in self.buckets.items() if minute * BUCKET_S > begin)

    def available(self, budget: Budget, now: float) -> int:
        """Return how many may be reserved now; below zero if others took more than is left."""
        others = self.others if self.others_at + WINDOW_S > now else 0
        return budget.own - self.used(now) - others

    def reserve(self, holder: str, wanted: int, budget: Budget, now: float) -> int:
        """Book up to `wanted` credits for `holder`; return how many it got."""
        granted = max(0, min(wanted, self.available(budget, now)))
        minute = int(now // BUCKET_S)
        if granted:
            self.buckets[minute] = self.buckets.get(minute, 0) + granted
        self.reserved += granted
        held, _ = self.holders.get(holder, (0, now))
        self.holders[holder] = (held + granted, now)
        return granted

    def give_back(self, holder: str, minute: int, count: int, now: float) -> None:
        """Return credits that were reserved in `minute` and not used."""
        # After a change of the clock they may stand under another minute: then they stay used.
        booked = self.buckets.get(minute, 0)
        self.buckets[minute] = max(0, booked - count)
        if not self.buckets[minute]:
            del self.buckets[minute]
        self.reserved -= self._let_go(holder, count, now)

    def rebook(self, minute: int, now: float) -> None:
        """Book one credit of `minute` as of now: its call leaves later than it was to."""
        if self.buckets.get(minute, 0):
            self.buckets[minute] -= 1
        current = int(now // BUCKET_S)
        self.buckets[current] = self.buckets.get(current, 0) + 1

    def answer(self, holder: str, count: int, now: float) -> None:
        """Take note of calls of `holder` that have their answers."""
        self.answered += self._let_go(holder, count, now)

    def observe(self, remaining: int, answered_before: int, budget: Budget, now: float) -> None:
        """
        Take over what the server says is left of the day.

        `answered_before` is `answered` when the call that heard it left: whatever was reserved
        and not answered then, the server may not have counted, and it is taken as not counted.
        """
        uncounted = max(0, self.reserved - answered_before)
        self.others = max(0, budget.credits - remaining - (self.used(now) - uncounted))
        self.others_at = now

    def frees_at(self, budget: Budget, now: float) -> float | None:
        """Return when a credit will be available by itself; `None` if never."""
        missing = 1 - self.available(budget, now)
        if missing <= 0:
            return now
        leaving = [(minute * BUCKET_S, each) for minute, each in self.buckets.items()]
        if self.others:
            leaving.append((self.others_at, self.others))
        for at, count in sorted(leaving):
            if at + WINDOW_S <= now:
                continue
            missing -= count
            if missing <= 0:
                return at + WINDOW_S
        return None

    def _let_go(self, holder: str, count: int, now: float) -> int:
        """
        Take `count` credits off what a holder holds; return how many of them it still held.

        The others count as answered since it was not heard of for so long, and must not twice.
        """
        held, _ = self.holders.get(holder, (0, now))
        let_go = min(count, held)
        self.holders[holder] = (held - let_go, now)
        return let_go
