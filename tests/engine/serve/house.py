"""A folder of runs that is served over a real socket, and runs that answer as a process would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, CookieJar

from bulkops.engine import ctl
from bulkops.engine.derive import derive
from bulkops.engine.serve import Address, RunsFolder, serving
from bulkops.errors import ExitCode
from bulkops.files.prepare import Prepared
from tests.e2e.shapes import fitting
from tests.engine.report.runs import log, note, outcome, sent, unlinks

#: What a process tells of itself, as `Steering.status` has it.
STATUS: Mapping[str, Any] = {
    "run": "",
    "pid": 4711,
    "state": "running",
    "held": {},
    "ending": "",
    "rows": 10,
    "settled": 4,
    "statuses": {"succeeded": 3, "failed": 1},
    "pending": 2,
    "followed": 5,
    "parked": 1,
    "calls": 7,
    "planned_calls": 20,
    "reads": 0,
    "retries": 6,
    "throttled": 8,
    "refusals": [{"status": "failed", "code": "NO", "lines": 1, "example": "<b>no</b>"}],
    "in_flight": 9,
    "slots": 11,
    "concurrency": 12,
    "calls_per_second": 0.0,
    "credits": {"spent": 13, "left": 14, "day": 100, "leave": 15},
    "running_s": 16.0,
    "rates": {"lines_per_second": 17.0, "calls_per_second": 18.0, "over_s": 19.0},
    "end": {"seconds": 180.0, "basis": "17 lines/s of the last 19 s"},
}


@dataclass(frozen=True)
class Served:
    """A server, and a way to ask it."""

    address: Address
    session: ClientSession

    @property
    def root(self) -> str:
        return f"http://{self.address.host}:{self.address.port}"

    async def get(self, path: str, **more: Any) -> ClientResponse:
        """Ask, and read the answer whole, held to its schema; redirects are not followed."""
        more.setdefault("allow_redirects", False)
        async with self.session.request(more.pop("method", "GET"), self.root + path, **more) as got:
            said = await got.read()
            if said and path.startswith("/api/") and got.content_type == "application/json":
                fitting(*shape_of(path, said.decode()), said.decode())
            return got

    async def text(self, path: str) -> str:
        got = await self.get(path)
        assert got.status == 200, await got.text()
        return await got.text()

    async def json(self, path: str) -> Any:
        got = await self.get(path)
        assert got.status == 200, await got.text()
        return await got.json()

    async def until(self, path: str, words: str) -> str:
        """Ask until the answer has some words in it: what was read a moment ago is told again."""
        async with asyncio.timeout(60):
            while words not in (text := await self.text(path)):
                pass
        return text

    @asynccontextmanager
    async def events(self, path: str) -> AsyncIterator[AsyncIterator[tuple[str, str]]]:
        """Follow a stream: names and data, and the words of comments under an empty name."""
        async with self.session.get(self.root + path) as got:
            assert got.status == 200
            assert got.headers["Content-Type"].startswith("text/event-stream")
            yield _events(got)


def shape_of(path: str, said: str) -> tuple[str, tuple[str, str]]:
    """Return which alternative of which schema is meant by an answer below `/api`."""
    told, places = json.loads(said), path.partition("?")[0].strip("/").split("/")
    name = {2: "runs", 3: "run"}.get(len(places), "outcomes")
    by_its_own = {"run": "of its process" if "pid" in told else "by its log", "runs": "list"}
    title = "unreadable" if told.get("state") == "unreadable" else by_its_own.get(name, "page")
    return "refused" if "error" in told else title, ("api", name)


async def _events(got: ClientResponse) -> AsyncIterator[tuple[str, str]]:
    name, data = "", list[str]()
    async for raw in got.content:
        line = raw.decode().removesuffix("\n")
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
        elif line.startswith(":"):
            yield "", line
        elif line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            data.append(line[6:])


@asynccontextmanager
async def served(runs: Path, **more: Any) -> AsyncIterator[Served]:
    """Serve a folder, looking often."""
    settings = {"host": "127.0.0.1", "port": 0, "every_s": 0.01, "alive_s": 5.0, **more}
    # Cookies of addresses are kept by browsers, and by this client only if it is told so.
    jar = CookieJar(unsafe=True)
    async with (
        serving(RunsFolder(runs), **settings) as address,
        ClientSession(cookie_jar=jar) as session,
    ):
        yield Served(address, session)


@asynccontextmanager
async def process_on(
    made: Prepared, told: Callable[[], Mapping[str, Any]] = lambda: STATUS
) -> AsyncIterator[None]:
    """Answer on the socket of a run as a process on it does."""
    async with ctl.listening(made.run.path, lambda _: {**told(), "run": str(made.run.path)}):
        yield


def finished(folder: Path, *, bad: bool = False, **asked: Any) -> Prepared:
    """A run of two rows that came to its end; the second failed if it is `bad`."""
    folder.mkdir(exist_ok=True)
    second = outcome(2, 2, "failed", code="NO", message="<i>no</i>") if bad else outcome(2, 2)
    made = log(
        unlinks(folder, 2, **asked),
        note(0, "run.started"),
        sent(1, 1),
        outcome(2, 1),
        second,
        note(3, "run.finished", reason="", exit=3 if bad else 0),
    )
    derive(made, ExitCode.OK, finished=True)
    return made


def unfinished(folder: Path, reason: str | None) -> Prepared:
    """A run of two rows, one of them settled, that was stopped; killed, if without a reason."""
    folder.mkdir(exist_ok=True)
    ended = [] if reason is None else [note(3, "run.stopped", reason=reason, exit=4)]
    made = log(unlinks(folder, 2), note(0, "run.started"), sent(1, 1), outcome(2, 1), *ended)
    if ended:
        derive(made, ExitCode.STOPPED, finished=False)
    return made


async def first(events: AsyncIterator[tuple[str, str]], wanted: str) -> str:
    """Return the data of the first event that has some words in it."""
    async with asyncio.timeout(60):
        async for name, data in events:
            if name and wanted in data:
                return data
    raise AssertionError(f"the stream ended without {wanted!r}")
