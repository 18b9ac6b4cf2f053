"""A credit for every call: taken before it is logged, spent as it leaves, corrected by answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bulkops.errors import PausedError
from bulkops.files.credits import Ledger
from bulkops.rules.books import WINDOW_S, Budget
from bulkops.wire.holds import Holds
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import EndingError, Stop

NOON = 1_795_000_020.0


class Clock:
    """A wall clock that is set by hand."""

    now = NOON

    def __call__(self) -> float:
        return self.now


class Made:
    """Purses on one ledger, as several processes have them."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self.path, self.budget, self.clock = path / "credits.json", budget, Clock()
        self.stop = Stop()
        self.seen: list[tuple[str, str]] = []

    def purse(self, *, most: int | None = None, wait: bool = False) -> Purse:
        holds = Holds(Limiter(ceiling=5), changed=lambda *seen: self.seen.append(seen))
        return Purse(
            Ledger(self.path),
            budget=self.budget,
            stop=self.stop,
            holds=holds,
            most=most,
            wait=wait,
            clock=self.clock,
        )

    @property
    def used(self) -> int:
        return Ledger(self.path).read().used(self.clock.now)


async def call(purse: Purse, remaining: int | None = None) -> bool:
    """Make a call; return whether it left."""
    await purse.take()
    ticket = await purse.leave()
    if ticket is None:
        return False
    purse.answered(ticket, remaining)
    return True


async def calls_until_paused(purse: Purse) -> int:
    count = 0
    try:
        while True:
            count += await call(purse)
    except PausedError:
        return count


async def test_every_credit_of_ours_can_be_spent_and_no_other(tmp_path: Path) -> None:
    """The last one too; and then the words say when the next come back."""
    made = Made(tmp_path, Budget(100, 30))
    purse = made.purse()
    assert await calls_until_paused(purse) == 70
    with pytest.raises(PausedError, match="come back at 20"):
        await purse.take()
    made.clock.now += WINDOW_S
    assert await call(purse)


async def test_purses_share_what_there_is(tmp_path: Path) -> None:
    """Taking turns, they spend exactly our part between them."""
    made = Made(tmp_path, Budget(100, 30))
    purses = [made.purse() for _ in range(3)]
    spent = 0
    for _ in range(15):
        for each in purses:
            spent += await call(each)
    assert spent == 45
    for each in purses:
        spent += await calls_until_paused(each)
        await each.close()
    spent += await calls_until_paused(made.purse())
    assert spent == 70


async def test_what_is_not_used_is_given_back(tmp_path: Path) -> None:
    """Credits in hand and credits of calls that never left, at the end of the run."""
    made = Made(tmp_path, Budget(1000, 0))
    purse = made.purse()
    for _ in range(5):
        assert await call(purse)
    await purse.take()
    assert made.used == 64
    await purse.close()
    assert made.used == 5


async def test_the_most_of_one_run_is_exact(tmp_path: Path) -> None:
    """Not one more, however many there are, and none kept from others."""
    made = Made(tmp_path, Budget(1000, 0))
    purse = made.purse(most=7)
    assert await calls_until_paused(purse) == 7
    assert made.used == 7


async def test_an_answer_that_little_is_left_counts_at_once(tmp_path: Path) -> None:
    """Even for credits in hand: the floor is the organisation's, not our count's."""
    made = Made(tmp_path, Budget(1000, 100))
    purse = made.purse()
    assert await call(purse, remaining=105)
    spent = await calls_until_paused(purse)
    assert 3 <= spent <= 5


async def test_a_call_whose_credit_is_gone_meanwhile_does_not_leave(tmp_path: Path) -> None:
    """It was logged already, so the wire says that it was not sent."""
    made = Made(tmp_path, Budget(1000, 100))
    purse = made.purse()
    await purse.take()
    await purse.take()
    ticket = await purse.leave()
    assert ticket is not None
    purse.answered(ticket, 100)
    assert await purse.leave() is None
    with pytest.raises(PausedError):
        await purse.take()


async def test_a_credit_held_for_long_counts_from_when_its_call_leaves(tmp_path: Path) -> None:
    """The server counts it then, and so it comes back a day after that."""
    made = Made(tmp_path, Budget(10, 9))
    purse = made.purse()
    await purse.take()
    made.clock.now += 7200
    assert await purse.leave() is not None
    later = Ledger(made.path).read().frees_at(made.budget, made.clock.now)
    assert later is not None
    assert later > NOON + 7100 + WINDOW_S


async def test_who_waits_for_credits_is_seen_and_goes_on(tmp_path: Path) -> None:
    """With `wait` the purse does not end the run, and a stop ends the wait at once."""
    made = Made(tmp_path, Budget(1, 0))
    purse = made.purse(wait=True)
    assert await call(purse)
    waiting = asyncio.create_task(purse.take())
    await asyncio.sleep(0.05)
    ((name, words),) = made.seen
    assert name == "credits"
    assert "come back at" in words
    made.stop.ask(PausedError("enough"))
    with pytest.raises(EndingError):
        await waiting
    assert made.seen[-1] == ("credits", "")


async def test_nothing_is_taken_while_something_holds(tmp_path: Path) -> None:
    """A held run takes no credits, and goes on when the last reason is gone."""
    made = Made(tmp_path, Budget(10, 0))
    limiter = Limiter(ceiling=1)
    holds = Holds(limiter, changed=lambda *_seen: None)
    purse = Purse(
        Ledger(made.path), budget=made.budget, stop=made.stop, holds=holds, clock=made.clock
    )
    holds.hold("ctl", "by hand")
    holds.hold("window", "outside")
    waiting = asyncio.create_task(purse.take())
    holds.release("ctl")
    await asyncio.sleep(0.02)
    assert not waiting.done()
    assert made.used == 0
    holds.release("window")
    await waiting
    assert made.used > 0
