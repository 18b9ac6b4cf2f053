"""
A server with limits and a client that paces itself, as events in simulated time.

Nothing here sleeps, and the same seed gives the same story. The client always has more to send.
The oracle is a client that knows the server at every moment and never leaves a slot empty.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from bulkops.rules.pacing import Cause, Evidence, Pace, Waits, answered, begin, refused

MEDIAN_S, SIGMA = 0.3, 0.5
MEAN_S = MEDIAN_S * math.exp(SIGMA**2 / 2)

#: From when on how many slots are free for us; the first begins at 0.
Slots = Sequence[tuple[float, int]]


@dataclass
class Server:
    """Serves so many calls at once; and of all, so many a minute, and so many in the end."""

    slots: Slots
    a_minute: float = math.inf
    credits: float = math.inf
    #: what a refusal for want of credits shows
    shows_credits: Callable[[float], Evidence] = lambda _: Evidence(remaining=0)
    busy: int = 0
    served: int = 0
    _minute: int = 0
    _in_minute: int = 0

    def admit(self, now: float) -> Evidence | None:
        """Take a call, or return what its refusal shows."""
        if self.served >= self.credits:
            return self.shows_credits(now)
        if now // 60 > self._minute:
            self._minute, self._in_minute = int(now // 60), 0
        free = next(slots for since, slots in reversed(self.slots) if since <= now)
        if self.busy >= free or self._in_minute >= self.a_minute:
            return Evidence()
        self.busy += 1
        self.served += 1
        self._in_minute += 1
        return None

    def oracle(self, seconds: float) -> float:
        """Return how many calls could be served at most, on average."""
        ends = [since for since, _ in self.slots[1:]] + [seconds]
        held = sum(
            slots * max(0.0, min(end, seconds) - since)
            for (since, slots), end in zip(self.slots, ends, strict=True)
        )
        return min(held / MEAN_S, self.a_minute * seconds / 60, self.credits)


@dataclass
class Story:
    """What happened in so many simulated seconds."""

    oracle: float
    answered: int = 0
    refused: int = 0
    #: when the run ended by itself, and why
    ended: float | None = None
    cause: Cause | None = None
    pace: Pace = field(default_factory=lambda: Pace(begin(ceiling=1)))
    #: answers in each whole second
    by_second: list[int] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Return the throughput, as a share of the oracle's."""
        return self.answered / self.oracle

    @property
    def refused_share(self) -> float:
        """Return which part of all calls was refused."""
        return self.refused / max(1, self.answered + self.refused)

    def reaches(self, share: float, rate: float) -> float:
        """Return the second from which ten in a row had `share` of `rate` on average."""
        for second in range(len(self.by_second) - 10):
            if sum(self.by_second[second : second + 10]) >= 10 * share * rate:
                return float(second)
        return math.inf


class Client:
    """Sends as many calls as its pace allows."""

    def __init__(
        self, server: Server, pace: Pace, *, seed: int, network_s: float, fixed: bool
    ) -> None:
        self.server = server
        self.pace = pace
        self.fixed = fixed
        self.network_s = network_s
        self.chance = random.Random(seed)
        self.in_flight = 0
        self.held_until = 0.0
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.count = 0
        self.story = Story(oracle=0.0)

    def run(self, seconds: float) -> Story:
        self.story.oracle = self.server.oracle(seconds)
        self.story.by_second = [0] * math.ceil(seconds)
        self.fill(0.0)
        while self.events and self.story.ended is None:
            now, _, happen = heapq.heappop(self.events)
            if now >= seconds:
                break
            happen(now)
        self.story.pace = self.pace
        return self.story

    def at(self, moment: float, happen: Callable[[float], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (moment, self.count, happen))

    def fill(self, now: float) -> None:
        if now < self.held_until:
            return
        while self.in_flight < self.pace.slots:
            self.in_flight += 1
            mark = self.pace.mark
            self.at(now + self.network_s / 2, partial(self.arrive, mark=mark))

    def arrive(self, now: float, mark: int) -> None:
        evidence = self.server.admit(now)
        if evidence is not None:
            back = now + self.network_s / 2 + 0.001
            self.at(back, lambda then: self.hear_refusal(then, mark, evidence))
            return
        length = self.chance.lognormvariate(math.log(MEDIAN_S), SIGMA)
        self.at(now + length, lambda then: self.leave(then, mark))

    def leave(self, now: float, mark: int) -> None:
        self.server.busy -= 1
        self.at(now + self.network_s / 2, lambda then: self.hear_answer(then, mark))

    def hear_answer(self, now: float, mark: int) -> None:
        self.story.answered += 1
        self.story.by_second[int(now)] += 1
        self.pace = answered(self.pace, mark, busy=self.in_flight >= self.pace.slots)
        self.in_flight -= 1
        self.fill(now)

    def hear_refusal(self, now: float, mark: int, evidence: Evidence) -> None:
        self.story.refused += 1
        pace, pause = refused(
            self.pace,
            mark,
            evidence,
            others=self.in_flight - 1,
            waits=Waits(),
            chance=self.chance.random(),
        )
        self.in_flight -= 1
        if self.fixed:
            return self.fill(now)
        self.pace = pace
        if pause is not None:
            if pause.final:
                self.story.ended, self.story.cause = now, pause.cause
                return None
            assert pause.wait_s is not None
            self.held_until = max(self.held_until, now + pause.wait_s)
            self.at(self.held_until, self.fill)
        return self.fill(now)


def simulate(
    server: Server,
    *,
    seed: int,
    seconds: float = 1200.0,
    ceiling: int = 40,
    network_s: float = 0.0,
    found: int | None = None,
    fixed: bool = False,
) -> Story:
    """
    Let a client at a server, with the waits of the default configuration.

    A `fixed` one keeps as many calls in flight as the ceiling says, whatever it hears.
    """
    pace = Pace(begin(ceiling=ceiling, found=ceiling if fixed else found))
    client = Client(server, pace, seed=seed, network_s=network_s, fixed=fixed)
    return client.run(seconds)


def shared(
    seed: int, *, limit: int = 25, low: int = 10, high: int = 15, every_s: float = 5.0
) -> Slots:
    """Return what others leave of a limit who hold about half, one more or less at a time."""
    chance = random.Random(seed)
    moment, theirs = 0.0, (low + high) // 2
    slots = [(moment, limit - theirs)]
    while moment < 3600:
        moment += chance.expovariate(1 / every_s)
        theirs = min(high, max(low, theirs + chance.choice((-1, 1))))
        slots.append((moment, limit - theirs))
    return slots
