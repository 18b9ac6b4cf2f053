"""What an exchange tells the limiter, the credits and the run; against a server of a few lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bulkops.errors import CheckpointError, ExitCode, PausedError, SignalledError
from bulkops.model import Exchange, NoReply, Reply, Request
from bulkops.rules.pacing import Cause, Waits
from bulkops.wire.purse import Purse
from bulkops.wire.stop import EndingError
from tests.rigging import LONG_S, Run, serving

UNLINK = Request("DELETE", "/crm/v8/Leads/1/Campaigns", {"ids": "2"})
SLOW = Waits(retry_s=30.0, longest_s=120.0)


@dataclass
class Server:
    """Answers one call after the other as told, and then all of them well."""

    script: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    body: Any = field(default_factory=lambda: {"code": "TOO_MANY_REQUESTS", "message": "many"})
    calls: int = 0

    async def answer(self, _request: web.Request) -> web.Response:
        self.calls += 1
        if self.script:
            status, headers = self.script.pop(0)
            return web.json_response(self.body, status=status, headers=headers)
        return web.json_response({"data": []})


async def call(run: Run) -> Exchange:
    return await run.wire.call(UNLINK, await run.wire.token())


async def test_a_429_slows_down_once_and_an_answer_ends_it(tmp_path: Path) -> None:
    """It is counted, the level falls by one, and the next answer says that all is well."""
    server = Server([(429, {})])
    async with serving(server, tmp_path / "log") as run:
        exchange = await call(run)
        assert isinstance(exchange, Reply)
        assert exchange.status == 429
        assert (run.tally.throttled, run.limiter.slots) == (1, 4)
        assert run.limiter.cause is Cause.CONCURRENCY
        await call(run)
        assert (run.limiter.cause, run.limiter.slots, run.tally.throttled) == (None, 4, 1)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_fault_of_the_server_says_nothing_of_the_pace(tmp_path: Path, status: int) -> None:
    """It is neither served nor refused for being too much."""
    async with serving(Server([(status, {})]), tmp_path / "log") as run:
        await call(run)
        assert (run.limiter.slots, run.limiter.cause, run.tally.throttled) == (5, None, 0)
        assert run.wire.last_served == float("-inf")


async def test_a_gateway_that_waited_too_long_slows_down(tmp_path: Path) -> None:
    """A 504 is a time-out that somebody else noticed."""
    async with serving(Server([(504, {})]), tmp_path / "log") as run:
        await call(run)
        assert run.limiter.slots == 3


@pytest.mark.parametrize("headers", [{"Retry-After": "60"}, {"X-RATELIMIT-RESET": "60"}])
async def test_one_calls_refusal_holds_everybody(tmp_path: Path, headers: dict[str, str]) -> None:
    """The time that the server names counts for all workers, and is shown."""
    server = Server([(429, headers)])
    async with serving(server, tmp_path / "log", waits=SLOW) as run:
        tokens = [await run.wire.token() for _ in range(3)]
        await call(run)
        others = [asyncio.create_task(run.wire.call(UNLINK, each)) for each in tokens]
        late = asyncio.create_task(run.wire.token())
        await asyncio.sleep(0.05)
        assert (server.calls, [each.done() for each in (*others, late)]) == (1, [False] * 4)
        holding = run.limiter.holding
        assert holding is not None
        assert holding.until == pytest.approx(time.time() + 60, abs=5)
        run.stop.ask(SignalledError("enough", ExitCode.INTERRUPTED))
        await asyncio.gather(*others)
        with pytest.raises(EndingError):
            await late


async def test_a_stop_ends_the_wait_in_a_pause_at_once(tmp_path: Path) -> None:
    """What waits has not left and does not leave; nobody has to interrupt twice."""
    server = Server([(429, {"Retry-After": "100"})])
    async with serving(server, tmp_path / "log", waits=SLOW) as run:
        tokens = [await run.wire.token() for _ in range(4)]
        await call(run)
        others = [asyncio.create_task(run.wire.call(UNLINK, each)) for each in tokens]
        await asyncio.sleep(0.02)
        run.stop.ask(SignalledError("enough", ExitCode.INTERRUPTED))
        async with asyncio.timeout(LONG_S / 2):
            exchanges = await asyncio.gather(*others)
        assert {(each.sent, each.reason) for each in exchanges if isinstance(each, NoReply)} == {
            (False, "the run is ending")
        }
        assert (len(exchanges), server.calls) == (4, 1)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-API-CREDITS-REMAINING": "0"}, {"code": "TOO_MANY_REQUESTS"}),
        ({}, {"error_info": "Many requests fired than the allowed limit for the past 24 hours."}),
    ],
    ids=["the header", "the words"],
)
async def test_credits_that_are_used_up_end_the_run(
    tmp_path: Path, headers: dict[str, str], body: dict[str, str]
) -> None:
    """With exit 5, before another call leaves, and with the time to come back."""
    server = Server([(429, headers)], body=body)
    async with serving(server, tmp_path / "log", waits=SLOW) as run:
        await call(run)
        with pytest.raises(PausedError) as caught:
            await call(run)
        assert "credits" in str(caught.value)
        assert "Run the same command again" in str(caught.value)
        assert server.calls == 1


async def test_refusals_without_end_end_the_run(tmp_path: Path) -> None:
    """One call at a time asks, until it is enough; nothing was served, so nothing is settled."""
    server = Server([(429, {})] * 100)
    async with serving(server, tmp_path / "log") as run:
        while not run.stop.asked:
            await call(run)
        assert isinstance(run.stop.reason, PausedError)
        assert "every call is refused, even one at a time" in str(run.stop.reason)
        assert 10 < server.calls < 30


async def test_a_time_far_away_ends_the_run_and_says_which(tmp_path: Path) -> None:
    """Nobody waits for hours; whoever runs it again has the moment to do so."""
    async with serving(Server([(429, {"Retry-After": "3000"})]), tmp_path / "log") as run:
        await call(run)
        assert isinstance(run.stop.reason, PausedError)
        then = time.strftime("%Y-%m-%d %H:", time.localtime(time.time() + 3000))
        assert then in str(run.stop.reason)


async def test_words_alone_slow_down_too(tmp_path: Path) -> None:
    """Some answers say in their items what others say with their status."""
    async with serving(Server(), tmp_path / "log") as run:
        run.wire.refused(None)
        assert (run.limiter.slots, run.tally.throttled) == (4, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "999999999999", "X-API-CREDITS-REMAINING": "100"},
        {"X-RATELIMIT-RESET": "9e300", "X-API-CREDITS-REMAINING": "100"},
        {"X-API-CREDITS-REMAINING": "9" * 5000},
    ],
)
async def test_a_number_beyond_all_sense_loses_no_answer(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    """No calendar has the day that the server names; its answer is an answer all the same."""
    async with serving(Server([(429, headers)]), tmp_path / "log", waits=SLOW) as run:
        exchange = await call(run)
        assert isinstance(exchange, Reply)
        assert exchange.status == 429
        run.stop.ask(SignalledError("enough", ExitCode.INTERRUPTED))
    assert isinstance(run.stop.reason, PausedError | SignalledError)


async def test_a_call_that_its_credit_fails_on_the_way_has_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger cannot be written when a call that waited for long leaves: nothing is sent."""
    server = Server()
    async with serving(server, tmp_path / "log") as run:
        token = await run.wire.token()

        async def leave(_purse: Purse) -> int | None:
            raise CheckpointError("the ledger of API credits cannot be kept")

        monkeypatch.setattr(Purse, "leave", leave)
        exchange = await run.wire.call(UNLINK, token)
        assert exchange == NoReply(sent=False, reason="the run is ending", kept_back=True)
        assert isinstance(run.stop.reason, CheckpointError)
    assert server.calls == 0
