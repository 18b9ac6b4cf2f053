"""
The credits a run has in hand: taken from the ledger a few at a time, one for every call.

A credit is taken before the log says that a call is about to leave, so that a call without one
leaves no doubt behind. Each answer may tell what the organisation has left; what it tells counts
at once here, and in the ledger with the next visit.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final

from bulkops.errors import PausedError
from bulkops.files.credits import Ledger
from bulkops.rules.books import BUCKET_S, Budget
from bulkops.wire.holds import Holds
from bulkops.wire.stop import EndingError, Stop

#: Credits taken at once, where there are plenty: a visit to the ledger costs a write to the disk.
_LOT: Final = 64
#: Where few are left, one run takes no more than this part of them.
_PART: Final = 8
_LOOK_AGAIN_S: Final = 30.0
_WAITING: Final = "credits"


@dataclass(frozen=True, slots=True)
class Visited:
    """
    What a visit to the ledger brought, and what stood there `now`.

    Of the calls that are `answered` there, `told` are this run's.
    """

    granted: int = 0
    available: int = 0
    reserved: int = 0
    answered: int = 0
    told: int = 0
    now: float = 0.0
    frees_at: float | None = None


class Purse:
    """
    Gives out credits, one a call: `take`, then `leave` as the call leaves, then `answered`.

    `most` is the most this process may spend; `wait` says to wait for credits to come back
    rather than to end. `clock` is the wall clock.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        budget: Budget,
        stop: Stop,
        holds: Holds,
        most: int | None = None,
        wait: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._budget = budget
        self.spent = 0
        self._ledger = ledger
        self._stop = stop
        self._holds = holds
        self._most = most
        self._wait = wait
        self._clock = clock
        self._name = uuid.uuid4().hex
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()
        self._taken = 0
        self._lot = 0
        self._minute = 0
        #: The minutes of the credits that were taken and whose calls have not left.
        self._ready: deque[int] = deque()
        self._unused: list[int] = []
        self._answered = self._told = 0
        self._seen = Visited()
        self._heard: tuple[int, int] | None = None
        self._room = inf
        self._stale = False

    @property
    def budget(self) -> Budget:
        """The credits of a day. Another one counts from the next call on, whatever is in hand."""
        return self._budget

    @budget.setter
    def budget(self, budget: Budget) -> None:
        self._budget = budget
        self._stale = True

    async def take(self) -> None:
        """
        Take the credit of one call that is about to be logged, once nothing holds the run.

        Raises `PausedError` when the day's credits or those of this run are used up, and
        `EndingError` if the run ends while it waits.
        """
        if not (self._stop.asked or self._holds.any or self._turn.locked()) and self._at_hand():
            return self._hand_out()
        await self._holds.free(self._stop)
        async with self._turn:
            if self._most is not None and self._taken >= self._most:
                await self._all_gone()
                raise PausedError(
                    f"this run has spent the {self._most} API credits of --max-credits. Run the "
                    "same command again to go on."
                )
            try:
                while not await self._refilled():
                    self._holds.tell(_WAITING, self._words())
                    if not await self._stop.sleep(_LOOK_AGAIN_S):
                        raise EndingError("the run is ending")
            finally:
                self._holds.tell(_WAITING, "")
            return self._hand_out()

    def _at_hand(self) -> bool:
        """Whether there is a credit in hand that may be used without a look at the ledger."""
        old = self._clock() - self._minute * BUCKET_S > 2 * BUCKET_S
        spent = self._most is not None and self._taken >= self._most
        return self._lot > 0 and not (old or self._stale or spent)

    def _hand_out(self) -> None:
        self._lot -= 1
        self._taken += 1
        self._ready.append(self._minute)

    async def leave(self) -> int | None:
        """
        Spend a credit on the call that leaves now; return its ticket, for `answered`.

        `None` if the server has told meanwhile that nothing is left for us: do not send.
        """
        minute = self._ready.popleft()
        self._left.set()
        if self._room < 1:
            self._unused.append(minute)
            self._taken -= 1
            return None
        if self._clock() - minute * BUCKET_S > 2 * BUCKET_S:
            # It was held on its way: the server counts it from now on, so must we.
            await asyncio.to_thread(self._rebook, minute)
        self._room -= 1
        self.spent += 1
        return self._seen.answered + self._answered - self._seen.told

    def answered(self, ticket: int, remaining: int | None) -> None:
        """Take note that a call has ended, and of what it was told is left of the day."""
        self._answered += 1
        if remaining is None:
            return
        if self._heard is None or remaining + ticket < sum(self._heard):
            self._heard = (remaining, ticket)
        self._narrow(remaining, ticket)

    @property
    def left(self) -> int:
        """What our runs may still use of the day, as of the last visit to the ledger."""
        return self._seen.available + len(self._ready) + self._lot

    @property
    def back_s(self) -> float | None:
        """The seconds until credits come back by themselves; `None` if there are some, or never."""
        frees_at = self._seen.frees_at
        return None if self.left > 0 or frees_at is None else max(0.0, frees_at - self._clock())

    def status(self) -> dict[str, int]:
        """Return the numbers for people, as JSON values."""
        day, leave = self.budget.credits, self.budget.leave
        return {"spent": self.spent, "left": max(0, self.left), "day": day, "leave": leave}

    async def close(self) -> None:
        """Give back what was not used. Call it once, when no call is under way."""
        self._unused += self._ready
        self._ready.clear()
        await self._visit(0)

    async def _refilled(self) -> bool:
        """See to it that there is a credit in hand; whether there is."""
        if self._stop.asked:
            raise EndingError("the run is ending")
        if self._at_hand():
            return True
        left = inf if self._most is None else self._most - self._taken
        await self._visit(int(min(_LOT, left)))
        if not self._lot and not self._wait:
            await self._all_gone()
            raise PausedError(f"{self._words()}. Run the same command again then.")
        return self._lot > 0

    async def _all_gone(self) -> None:
        """Wait for the calls that have their credit: the end of the run would keep them back."""
        while self._ready and not self._stop.asked:
            self._left.clear()
            await self._stop.first(self._left.wait())

    async def _visit(self, wanted: int) -> None:
        """Give back what is in hand, tell the ledger what happened, take `wanted` credits."""
        answered, heard, self._heard = self._answered, self._heard, None
        unused, self._unused = self._unused, []
        lot, self._lot, before = self._lot, 0, self._minute

        def visit() -> Visited:
            now = self._clock()
            with self._ledger.opened() as books:
                books.turn_to(now)
                # Counted here, under the lock: whoever waits may be cancelled, and come again.
                news = max(0, answered - self._told)
                self._told += news
                books.answer(self._name, news, now)
                for minute in unused:
                    books.give_back(self._name, minute, 1, now)
                books.give_back(self._name, before, lot, now)
                if heard is not None:
                    books.observe(*heard, self.budget, now)
                available = books.available(self.budget, now)
                fair = min(wanted, max(1, available // _PART))
                granted = books.reserve(self._name, fair, self.budget, now)
                available -= granted
                frees_at = None if available > 0 else books.frees_at(self.budget, now)
            return Visited(
                granted, available, books.reserved, books.answered, self._told, now, frees_at
            )

        self._seen = seen = await asyncio.to_thread(visit)
        self._lot, self._minute = seen.granted, int(seen.now // BUCKET_S)
        # Credits that are taken already, and that the server says are not there.
        enough = seen.available >= 0
        self._room = inf if enough else max(0, len(self._ready) + seen.available)
        self._stale = False
        if self._heard is not None:
            self._narrow(*self._heard)

    def _narrow(self, remaining: int, ticket: int) -> None:
        """Let no more leave than what is left for us, if the server counts all else besides."""
        in_hand = self._lot + len(self._ready)
        allowed = remaining - self.budget.leave - max(0, self._seen.reserved - ticket)
        self._room = min(self._room, max(0, allowed + in_hand))
        self._stale = self._stale or self._room < in_hand

    def _rebook(self, minute: int) -> None:
        now = self._clock()
        with self._ledger.opened() as books:
            books.turn_to(now)
            books.rebook(minute, now)

    def _words(self) -> str:
        at = self._seen.frees_at
        back = "" if at is None else f"; the next come back at {_at(at)}"
        return (
            f"the day's API credits are used up: of {self.budget.credits:,}, {self.budget.leave:,} "
            f"are to be left for others (leave_credits){back}"
        )


def _at(seconds: float) -> str:
    """Return a time for people, in local time and rounded up to the minute."""
    return datetime.fromtimestamp(-(-seconds // 60) * 60).astimezone().strftime("%Y-%m-%d %H:%M %z")
