"""
The engine of a run without a plan, for tests that say themselves what is carried.

Everything is as in a run, the sockets too; only the waits are short.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson
from aiohttp import web

from bulkops.engine.carrier import Carrier
from bulkops.engine.follow import Follower
from bulkops.engine.reader import Reader
from bulkops.engine.recorder import Recorder, Thresholds
from bulkops.files.checkpoint import Checkpoint
from bulkops.files.config import Config
from bulkops.files.credits import Ledger
from bulkops.files.resume import Progress
from bulkops.model import Api, Batch
from bulkops.rules.books import Budget
from bulkops.rules.pacing import Waits
from bulkops.rules.retrying import Policy
from bulkops.rules.tally import Tally
from bulkops.rules.watches import Awaited, Intervals
from bulkops.wire.auth import TokenSource
from bulkops.wire.call import Wire
from bulkops.wire.holds import Holds
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import Stop
from bulkops.wire.transport import Transport

V8 = Api("crm", "v8")
#: How long anything here may take before it is called endless.
LONG_S = 5.0
SOON = Intervals(first_s=0.01, longest_s=0.04, give_up_s=LONG_S)
QUICK = Waits(retry_s=0.001, locked_s=0.001, longest_s=0.01)


class Answering(Protocol):
    """A server of a few lines: what it answers is up to the test."""

    async def answer(self, request: web.Request) -> web.Response: ...


@dataclass
class Run:
    """The engine of a run, without a plan: batches are carried as the tests say."""

    follower: Follower
    carrier: Carrier
    reader: Reader
    wire: Wire
    limiter: Limiter
    stop: Stop
    tally: Tally
    log: Path

    async def carry(self, *batches: Batch, adopted: Sequence[Awaited] = ()) -> None:
        """Carry batches, with jobs of an earlier run, and follow them to their end."""
        async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group:
            group.create_task(self.follower.run())
            for each in adopted:
                self.follower.add(each)
            for batch in batches:
                await self.carrier.carry_through(batch)
            self.follower.close()

    async def send_again(self, group: Sequence[Awaited]) -> None:
        """Do as the runner does."""
        await self.carrier.send_again(group)

    def records(self, kind: str) -> list[dict[str, Any]]:
        found = [orjson.loads(line) for line in self.log.read_bytes().splitlines()]
        return [each for each in found if each["type"] == kind]

    @property
    def outcomes(self) -> dict[int, tuple[str, str]]:
        """Status and code by line; no line may have two. The log must be closed."""
        records = self.records("outcome")
        assert len({each["line"] for each in records}) == len(records)
        return {each["line"]: (each["status"], each.get("code", "")) for each in records}

    @property
    def notes(self) -> list[str]:
        return [each["event"] for each in self.records("note")]


@asynccontextmanager
async def running(
    url: str,
    log: Path,
    *,
    token: str = "1000.any",
    intervals: Intervals = SOON,
    waits: Waits = QUICK,
    read_many: bool = True,
) -> AsyncIterator[Run]:
    config = Config(api={"base_url": url}, auth={"access_token": token})
    stop, tally, progress = Stop(), Tally(), Progress()
    policy = Policy(3, waits)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        transport = await stack.enter_async_context(Transport(url, connections=5, timeout_s=LONG_S))
        limiter = Limiter(ceiling=5, waits=waits)
        wire = Wire(
            transport=transport,
            tokens=TokenSource(config=config, session=session, remember_secret=lambda _: None),
            limiter=limiter,
            purse=Purse(
                Ledger(log.parent / "credits.json"),
                budget=Budget(10**9, 0),
                stop=stop,
                holds=Holds(limiter, changed=lambda _name, _words: None),
            ),
            stop=stop,
            tally=tally,
        )
        checkpoint = await stack.enter_async_context(Checkpoint(log))
        reader = Reader(wire, checkpoint, waits=policy.waits, attempts=3, stop=stop, tally=tally)
        recorder = Recorder(
            checkpoint, progress, thresholds=Thresholds(1.0, 10**9), stop=stop, tally=tally
        )
        run: Run

        async def send_again(group: Sequence[Awaited]) -> None:
            await run.send_again(group)

        follower = Follower(
            api=V8,
            reader=reader,
            recorder=recorder,
            intervals=intervals,
            read_many=read_many,
            stop=stop,
            tally=tally,
            send_again=send_again,
        )
        carrier = Carrier(
            api=V8,
            wire=wire,
            reader=reader,
            recorder=recorder,
            progress=progress,
            policy=policy,
            stop=stop,
            tally=tally,
            follow=follower.add,
            heard=lambda _: None,
        )
        run = Run(follower, carrier, reader, wire, limiter, stop, tally, log)
        yield run


@asynccontextmanager
async def serving(server: Answering, log: Path, **settings: Any) -> AsyncIterator[Run]:
    """A run against such a server."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with running(f"http://127.0.0.1:{port}", log, **settings) as run:
            yield run
    finally:
        await runner.cleanup()
