"""
How close the pace comes to an oracle that knows the limit, with real calls in scaled time.

    python tests/bench/bench_pacing.py --speed 6 --seconds 300

Runs `bulkops emulator` with a lognormal time of service (median 0.3 s, mean 0.34 s) and a limit of
calls in flight that nobody tells, and sends to it through the real wire, limiter and transport.
Each scenario is played twice at the same time, at two emulators: at our pace, and as the oracle,
which has the same wire but is told every change of the limit. Prints calls a second, as a share of
the oracle's and of the most that the server could serve; the share of calls answered 429; and the
seconds until ten in a row had 90 % of the oracle's rate. Times are the emulator's. What the machine
takes for itself grows with the speed: at x10 a millisecond of ours is 3 % of a call. The emulator
answers the calls beyond a minute's number only after their time of service, when all others in
flight are to be refused as well; a server that refuses them at once is asked half as often in vain.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from bulkops.errors import BulkopsError
from bulkops.files.config import Config
from bulkops.files.credits import budget_of, ledger_of
from bulkops.files.token_cache import Token
from bulkops.model import Exchange, Reply, Request
from bulkops.rules.pacing import Waits
from bulkops.rules.tally import Tally
from bulkops.wire.auth import TokenSource
from bulkops.wire.call import Wire
from bulkops.wire.holds import Holds
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import Stop
from bulkops.wire.transport import Transport

_MEDIAN_S, _SIGMA = 0.3, 0.5
_MEAN_S = _MEDIAN_S * math.exp(_SIGMA**2 / 2)
_CALL = Request("DELETE", "/crm/v8/Leads/101/Campaigns", {"ids": "301"})
_WINDOW_S = 10

#: From when on (as a part of the whole time) so many calls may be in flight.
Changes = Sequence[tuple[float, int]]


def jittering(limit: int, theirs: Sequence[int], *, every: float, seed: int = 7) -> Changes:
    """What others leave of a limit, who take one more or less at a time."""
    chance, moment, held = random.Random(seed), 0.0, sum(theirs) // len(theirs)
    changes = [(0.0, limit - held)]
    while (moment := moment + chance.expovariate(1 / every)) < 1:
        held = min(max(theirs), max(min(theirs), held + chance.choice((-1, 1))))
        changes.append((moment, limit - held))
    return changes


@dataclass(frozen=True)
class Scenario:
    """What the server hides."""

    name: str
    changes: Changes
    ceiling: int = 40
    network_s: float = 0.0
    #: the day's credits, as a part of what the oracle could use in the whole time
    credits: float | None = None
    a_minute: int | None = None


SCENARIOS = (
    Scenario("limit 5", [(0, 5)]),
    Scenario("limit 10", [(0, 10)]),
    Scenario("limit 25", [(0, 25)]),
    Scenario("limit 25, 10, 25", [(0, 25), (1 / 3, 10), (2 / 3, 25)]),
    Scenario("limit 25, half taken", jittering(25, range(10, 16), every=1 / 60)),
    Scenario("limit 25, network 60 ms", [(0, 25)], network_s=0.06),
    Scenario("limit 30, network 60 ms", [(0, 30)], network_s=0.06),
    Scenario("limit 25, credits run out", [(0, 25)], credits=0.5),
    Scenario("limit 25, 600 a minute", [(0, 25)], a_minute=600),
)


@dataclass
class Met:
    """What a client met; moments in seconds of the emulator."""

    seconds: float
    answered: list[float] = field(default_factory=list)
    refused: int = 0
    ended: float = math.inf
    reason: str = ""
    slots: int = 0

    @property
    def rate(self) -> float:
        return len(self.answered) / min(self.seconds, self.ended)

    @property
    def refused_share(self) -> float:
        return self.refused / max(1, self.refused + len(self.answered))

    def reaches(self, rate: float) -> float:
        """From when on a window had such a rate."""
        counts = [0] * (math.ceil(self.seconds) + 1)
        for moment in self.answered:
            counts[min(int(moment), len(counts) - 1)] += 1
        for second in range(len(counts) - _WINDOW_S):
            if sum(counts[second : second + _WINDOW_S]) >= rate * _WINDOW_S:
                return second
        return math.inf


class Distant(Transport):
    """A transport with a network before and behind it."""

    network_s = 0.0

    async def call(self, request: Request, token: Token) -> Exchange:
        if not self.network_s:
            return await super().call(request, token)
        await asyncio.sleep(self.network_s / 2)
        exchange = await super().call(request, token)
        await asyncio.sleep(self.network_s / 2)
        return exchange


@contextmanager
def emulator(folder: Path, speed: float) -> Iterator[str]:
    """The address of an emulator in a process of its own."""
    world = folder / "world.json"
    world.write_text('{"relations": {"Leads/101/Campaigns": ["300"]}}')
    words = [sys.executable, "-m", "bulkops", "emulator", "--port", "0", "--seed", str(world)]
    words += ["--speed", f"x{speed:g}", "--knob", f"latency_median_s={_MEDIAN_S}"]
    words += ["--knob", f"latency_sigma={_SIGMA}"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Stage:
    """Plays a scenario at an emulator, and lets one client at it."""

    def __init__(
        self, scenario: Scenario, *, url: str, folder: Path, speed: float, seconds: float
    ) -> None:
        self.scenario = scenario
        self.url = url
        self.folder = folder
        self.speed = speed
        self.seconds = seconds
        self.begun = time.perf_counter()

    @property
    def now(self) -> float:
        return (time.perf_counter() - self.begun) * self.speed

    @property
    def most(self) -> float:
        """Calls a second that the server could serve, if no slot were ever empty."""
        ends = [*(since for since, _ in self.scenario.changes[1:]), 1.0]
        held = sum(
            slots * (end - since)
            for (since, slots), end in zip(self.scenario.changes, ends, strict=True)
        )
        a_minute = self.scenario.a_minute
        return min(held / _MEAN_S, math.inf if a_minute is None else a_minute / 60)

    async def until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, (moment - self.now) / self.speed))

    async def play(self, *, oracle: bool) -> Met:
        """Run from beginning to end."""
        met = Met(self.seconds)
        async with AsyncExitStack() as stack:
            control = await stack.enter_async_context(aiohttp.ClientSession(self.url))
            await self.ask(control, "DELETE", "faults")
            # The clock goes on a day, so that the credits of the last run are back.
            await self.ask(control, "POST", "clock/advance", {"seconds": 100_000})
            knobs: dict[str, Any] = {"concurrency": self.scenario.changes[0][1]}
            part = self.scenario.credits
            knobs["credits_per_day"] = (
                10**9 if part is None else int(part * self.most * self.seconds)
            )
            await self.ask(control, "POST", "behaviour", knobs)
            wire, limiter, stop = await self.client(stack, oracle=oracle)
            self.begun = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(self.change(control, limiter if oracle else None)),
                    group.create_task(self.count_minutes(control)),
                    group.create_task(self.end(stop)),
                ]
                workers = [
                    group.create_task(self.send(wire, stop, met))
                    for _ in range(self.scenario.ceiling + 5)
                ]
                await asyncio.wait(workers)
                for helper in helpers:
                    helper.cancel()
            met.slots = limiter.level.slots
            if (reason := str(stop.reason)) != "time is up":
                met.ended, met.reason = self.now, reason
        return met

    async def client(self, stack: AsyncExitStack, *, oracle: bool) -> tuple[Wire, Limiter, Stop]:
        ledger = tempfile.mkdtemp(dir=self.folder)
        config = Config(
            api={"base_url": self.url},
            auth={"access_token": "emulator-access"},
            limits={"credits_per_day": 10**9, "leave_credits": "0", "ledger": ledger},
        )
        stop, tally = Stop(), Tally()
        limit = self.scenario.changes[0][1]
        limiter = Limiter(
            ceiling=limit if oracle else self.scenario.ceiling,
            found=limit if oracle else None,
            waits=Waits(retry_s=1 / self.speed, longest_s=15 / self.speed),
        )
        holds = Holds(limiter, changed=lambda _name, _words: None)
        transport = await stack.enter_async_context(
            Distant(self.url, connections=0, timeout_s=60.0)
        )
        transport.network_s = self.scenario.network_s / self.speed
        session = await stack.enter_async_context(aiohttp.ClientSession())
        wire = Wire(
            transport=transport,
            tokens=TokenSource(config=config, session=session, remember_secret=lambda _: None),
            limiter=limiter,
            purse=Purse(ledger_of(config), budget=budget_of(config), stop=stop, holds=holds),
            stop=stop,
            tally=tally,
        )
        return wire, limiter, stop

    async def send(self, wire: Wire, stop: Stop, met: Met) -> None:
        """Be a worker that always has more to send."""
        try:
            while not stop.asked:
                exchange = await wire.call(_CALL, await wire.token())
                if isinstance(exchange, Reply) and exchange.status == 429:
                    met.refused += 1
                elif isinstance(exchange, Reply):
                    met.answered.append(self.now)
        except BulkopsError as error:
            stop.ask(error)

    async def change(self, control: aiohttp.ClientSession, limiter: Limiter | None) -> None:
        """Change the limit in time; an oracle is told."""
        for since, slots in self.scenario.changes[1:]:
            await self.until(since * self.seconds)
            if limiter is not None and slots < limiter.slots:
                limiter.set(concurrency=slots)
            await self.ask(control, "POST", "behaviour", {"concurrency": slots})
            if limiter is not None:
                # An oracle does not climb, it knows.
                known = Limiter(ceiling=slots, found=slots)
                limiter._turn(known._pace)

    async def count_minutes(self, control: aiohttp.ClientSession) -> None:
        """Refuse all but so many calls of each minute."""
        if self.scenario.a_minute is None:
            return
        fault = {
            "kind": "status",
            "status": 429,
            "nth": self.scenario.a_minute + 1,
            "run": 10**9,
        }
        for minute in range(math.ceil(self.seconds / 60)):
            await self.until(60.0 * minute)
            await self.ask(control, "DELETE", "faults")
            await self.ask(control, "POST", "faults", fault)

    async def end(self, stop: Stop) -> None:
        await self.until(self.seconds)
        stop.ask(BulkopsError("time is up"))

    async def ask(
        self, control: aiohttp.ClientSession, method: str, path: str, body: object = None
    ) -> None:
        async with control.request(method, f"/_emulator/{path}", json=body) as reply:
            if reply.status >= 400:
                raise RuntimeError(f"{path}: {reply.status} {await reply.text()}")


async def play_both(stages: Sequence[Stage]) -> tuple[Met, Met]:
    """Play a scenario as the oracle and at our pace, at the same time."""
    oracle, ours = stages
    async with asyncio.TaskGroup() as group:
        known = group.create_task(oracle.play(oracle=True))
        found = group.create_task(ours.play(oracle=False))
    return known.result(), found.result()


def compare(stages: Sequence[Stage]) -> str:
    """Play a scenario; return a row of the table."""
    oracle, ours = asyncio.run(play_both(stages))
    scenario, most = stages[0].scenario, stages[0].most
    begins = min(oracle.rate, scenario.changes[0][1] / _MEAN_S)
    row = (
        f"{scenario.name:<26} {ours.rate:7.1f} {oracle.rate:7.1f} {ours.rate / oracle.rate:7.1%}"
        f" {ours.rate / most:7.1%} {ours.refused_share:8.2%} {oracle.refused_share:8.2%}"
        f" {ours.reaches(0.9 * begins):5.0f} s"
    )
    return row + (f"   ended after {ours.ended:.0f} s: {ours.reason}" if ours.reason else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--speed", type=float, default=6.0, help="emulated seconds a second")
    parser.add_argument("--seconds", type=float, default=300.0, help="emulated, a scenario")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    words = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    print(f"{'':<26} {'calls/s':>15} {'share of':>15} {'answered 429':>17} {'to 90 %':>7}")
    print(f"{'':<26} {'ours':>7} {'oracle':>7} {'oracle':>7} {'most':>7} {'ours':>8} {'oracle':>8}")
    with (
        tempfile.TemporaryDirectory() as name,
        emulator(Path(name), words.speed) as one,
        emulator(Path(name), words.speed) as other,
    ):
        for scenario in SCENARIOS:
            if words.only in scenario.name:
                stages = [
                    Stage(
                        scenario,
                        url=url,
                        folder=Path(name),
                        speed=words.speed,
                        seconds=words.seconds,
                    )
                    for url in (one, other)
                ]
                print(compare(stages), flush=True)


if __name__ == "__main__":
    main()
