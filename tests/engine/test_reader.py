"""Reading: as patient as the server asks for, and gone the moment the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bulkops.engine.reader import Refusal
from bulkops.errors import ExitCode, PausedError, SignalledError
from bulkops.model import Reply, Request
from bulkops.wire.stop import EndingError
from tests.rigging import Run, serving

ASK = Request("GET", "/crm/v8/Leads/1")
FOUND = {"data": [{"id": "1"}]}


class Server:
    """Gives its answers in turn, the last one again and again."""

    def __init__(self, *answers: Callable[[], web.Response]) -> None:
        self.answers = list(answers)
        self.times: list[float] = []
        self.asked = asyncio.Event()
        self.patience = 0.0

    async def answer(self, _request: web.Request) -> web.Response:
        self.times.append(asyncio.get_running_loop().time())
        self.asked.set()
        await asyncio.sleep(self.patience)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()


def busy(status: int, retry_after: str) -> Callable[[], web.Response]:
    return lambda: web.json_response({}, status=status, headers={"Retry-After": retry_after})


def found() -> web.Response:
    return web.json_response(FOUND)


def end(run: Run) -> None:
    run.stop.ask(SignalledError("interrupted", ExitCode.INTERRUPTED))


@pytest.mark.parametrize("status", [429, 503])
async def test_a_read_waits_as_long_as_the_server_asks(tmp_path: Path, status: int) -> None:
    """`Retry-After` of a refusal, and of a fault: nothing leaves before."""
    server = Server(busy(status, "0.008"), found)
    async with serving(server, tmp_path / "log.jsonl") as run:
        assert await run.reader.read(ASK) == FOUND
    first, second = server.times
    assert second - first >= 0.008


@pytest.mark.parametrize("status", [429, 503])
async def test_a_read_that_is_to_wait_too_long_pauses_the_run(tmp_path: Path, status: int) -> None:
    """The longest wait here is 10 ms: an hour is for another run."""
    server = Server(busy(status, "3600"))
    async with serving(server, tmp_path / "log.jsonl") as run:
        with pytest.raises((PausedError, EndingError)):
            await run.reader.read(ASK)
    assert len(server.times) == 1


async def test_a_fault_that_stays_is_a_refusal_that_may_pass(tmp_path: Path) -> None:
    """While others are served, it is this question that fails."""
    server = Server(lambda: web.Response(status=500))
    async with serving(server, tmp_path / "log.jsonl") as run:
        run.wire.last_served = float("inf")
        answer = await run.reader.read(ASK)
    assert isinstance(answer, Refusal)
    assert (answer.passing, len(server.times)) == (True, 3)


async def test_repeating_a_read_takes_leave_and_its_answers_are_heard(tmp_path: Path) -> None:
    """So that reads draw on the ration of retries; refusals for too many calls need no leave."""
    answers = [lambda: web.Response(status=503), lambda: web.Response(status=429), found]
    server = Server(*answers)
    heard: list[int] = []
    leaves: list[int] = []

    @asynccontextmanager
    async def again() -> AsyncIterator[None]:
        leaves.append(len(server.times))
        yield
        assert len(server.times) == leaves[-1] + 1

    async with serving(server, tmp_path / "log.jsonl") as run:
        run.reader._again = again
        run.reader._heard = lambda each: heard.append(each.status if isinstance(each, Reply) else 0)
        assert await run.reader.read(ASK) == FOUND
    assert heard == [503, 429, 200]
    assert leaves == [1]


async def test_a_read_under_way_is_given_up_when_the_run_ends(tmp_path: Path) -> None:
    """Reads are free to repeat: nobody waits for this answer any more."""
    server = Server(found)
    server.patience = 0.2
    async with serving(server, tmp_path / "log.jsonl") as run:
        reading = asyncio.create_task(run.reader.read(ASK))
        await server.asked.wait()
        end(run)
        before = asyncio.get_running_loop().time()
        with pytest.raises(EndingError):
            await reading
        assert asyncio.get_running_loop().time() - before < 0.1


async def test_a_read_that_is_held_back_ends_with_the_run(tmp_path: Path) -> None:
    """Neither a hold by hand nor the server's pause keeps it from noticing."""
    server = Server(found)
    async with serving(server, tmp_path / "log.jsonl") as run:
        run.limiter.hold("by hand")
        reading = asyncio.create_task(run.reader.read(ASK))
        await asyncio.sleep(0.02)
        assert not reading.done()
        end(run)
        with pytest.raises(EndingError):
            await asyncio.wait_for(reading, 1.0)
    assert server.times == []


async def test_a_read_that_waits_to_ask_again_ends_with_the_run(tmp_path: Path) -> None:
    """Also in the pause that the server asked for."""
    server = Server(busy(503, "0.01"))
    async with serving(server, tmp_path / "log.jsonl") as run:
        run.reader._attempts = 10**6
        reading = asyncio.create_task(run.reader.read(ASK))
        await server.asked.wait()
        end(run)
        with pytest.raises(EndingError):
            await asyncio.wait_for(reading, 1.0)
