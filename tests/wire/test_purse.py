"""A credit for every call: taken before it is logged, spent as it leaves, corrected by answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from bulkops.errors import PausedError
from bulkops.files.credits import Ledger
from bulkops.rules.books import WINDOW_S, Books, Budget
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


def saved_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[threading.Event, threading.Event, threading.Event]:
    """Let ledgers be saved once told to: return what tells of the begin, lets go, and is done."""
    writing, go_on, written = threading.Event(), threading.Event(), threading.Event()
    save = Ledger._save

    def slowly(ledger: Ledger, books: Books) -> None:
        writing.set()
        go_on.wait(5)
        save(ledger, books)
        written.set()

    monkeypatch.setattr(Ledger, "_save", slowly)
    return writing, go_on, written


async def test_an_answer_is_told_once_though_its_telling_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C meets the visit to the ledger: what it wrote there is not written again."""
    made = Made(tmp_path, Budget(1000, 0))
    purse = made.purse()
    for _ in range(3):
        await call(purse)
    writing, go_on, written = saved_slowly(monkeypatch)
    made.clock.now += 180
    visit = asyncio.create_task(purse.take())
    await asyncio.to_thread(writing.wait)
    visit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visit
    go_on.set()
    await asyncio.to_thread(written.wait)
    await purse.close()
    assert Ledger(made.path).read().answered == 3


async def test_a_call_that_leaves_during_a_visit_knows_of_all_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ticket is no lower than before: what it hears would count for less than it is."""
    made = Made(tmp_path, Budget(1000, 0))
    purse = made.purse()
    for _ in range(3):
        await call(purse)
    await purse.take()
    writing, go_on, _ = saved_slowly(monkeypatch)
    made.clock.now += 90
    purse.budget = Budget(1000, 1)
    visit = asyncio.create_task(purse.take())
    await asyncio.to_thread(writing.wait)
    assert await purse.leave() == 3
    go_on.set()
    await visit
    assert await purse.leave() == 3


async def test_another_budget_counts_from_the_next_call_on(tmp_path: Path) -> None:
    """What was taken from the ledger before, and is in hand, goes by it too."""
    made = Made(tmp_path, Budget(100, 0))
    purse = made.purse()
    assert await call(purse)
    purse.budget = Budget(100, 98)
    assert await calls_until_paused(purse) == 1
    assert made.used == 2


@dataclass
class Call:
    """A call of one purse on its way; `remaining` is what the server tells it, once it is there."""

    purse: Purse
    ticket: int
    remaining: int | None = None


class Days:
    """Purses of three processes, a server that counts each call, and time that passes at will."""

    def __init__(self, path: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.made = Made(path, Budget(self.chance.choice([120, 300]), 40))
        self.purses = [self.made.purse() for _ in range(3)]
        self.under_way: list[Call] = []
        # What others had used before; only the answers tell of it.
        before = [self.chance.uniform(0, 80_000) for _ in range(self.chance.randrange(20))]
        self.used = [NOON - each for each in before]
        self.least = self.made.budget.credits

    async def leave(self) -> None:
        """Take a credit and send; the call may be held up on its way out."""
        purse = self.chance.choice(self.purses)
        with contextlib.suppress(PausedError):
            await purse.take()
            if self.chance.random() < 0.1:
                self.made.clock.now += self.chance.uniform(0, 200)
            ticket = await purse.leave()
            if ticket is not None:
                self.under_way.append(Call(purse, ticket))

    def arrive(self, call: Call) -> None:
        now = self.made.clock.now
        self.used = [*(each for each in self.used if each > now - 86_400), now]
        call.remaining = self.made.budget.credits - len(self.used)
        self.least = min(self.least, call.remaining)

    def answer(self, call: Call) -> None:
        self.under_way.remove(call)
        call.purse.answered(call.ticket, call.remaining)

    def sleep(self) -> None:
        """Let a time pass, hours perhaps, in which nothing is under way."""
        for each in [*self.under_way]:
            if each.remaining is None:
                self.arrive(each)
            self.answer(each)
        self.made.clock.now += self.chance.choice([60, 600, 9_000, 10_800, 30_000])

    async def restart(self) -> None:
        """Replace a process that has no calls under way, whether it ended well or was killed."""
        number = self.chance.randrange(3)
        purse = self.purses[number]
        if all(each.purse is not purse for each in self.under_way):
            if self.chance.random() < 0.5:
                await purse.close()
            self.purses[number] = self.made.purse()

    async def step(self) -> None:
        what = self.chance.random()
        going = [each for each in self.under_way if each.remaining is None]
        there = [each for each in self.under_way if each.remaining is not None]
        if what < 0.55 and len(self.under_way) < 12:
            await self.leave()
        elif what < 0.75 and going:
            self.arrive(self.chance.choice(going))
        elif what < 0.93 and there:
            self.answer(self.chance.choice(there))
        elif 0.93 <= what < 0.955:
            self.sleep()
        elif 0.955 <= what < 0.965:
            await self.restart()


@pytest.mark.parametrize("seed", range(24))
async def test_the_floor_holds_over_days_of_pauses_and_kills(tmp_path: Path, seed: int) -> None:
    """Whatever processes hold when they fall silent, no call ever takes what is for others."""
    days = Days(tmp_path, seed)
    for _ in range(400):
        await days.step()
    assert days.least >= days.made.budget.leave
