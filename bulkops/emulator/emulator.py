"""The emulator on a real socket, as an async context manager."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.clock import Clock
from bulkops.emulator.control import PREFIX, serve_control
from bulkops.emulator.faults import Fault, FaultPlan
from bulkops.emulator.intake import plain_path
from bulkops.emulator.ledger import Counters, Ledger
from bulkops.emulator.service import Service
from bulkops.emulator.state.clients import Client
from bulkops.emulator.state.world import World

TOKEN_PATH = "/oauth/v2/token"  # noqa: S105 - a path
_LONGEST_LINE = 65_536


class Emulator:
    """
    A Zoho CRM and Bigin server for tests, demos and rehearsals.

    `async with Emulator(world=...) as emulator:` listens on `emulator.url` until the block ends.
    Its state may be read and changed directly while no call is in flight. With `save_path` the
    world is written there when the block ends; it is not read from there.
    """

    def __init__(
        self,
        *,
        world: World | None = None,
        behaviour: Behaviour | None = None,
        faults: Iterable[Fault] = (),
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        save_path: Path | None = None,
    ) -> None:
        behaviour = behaviour or Behaviour()
        self.service = Service(
            world=world or World(),
            behaviour=behaviour,
            faults=FaultPlan(faults, seed=behaviour.seed),
            clock=clock or Clock(),
            save_path=save_path,
        )
        self.host = host
        self.port = port
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; `port` 0 becomes the port that was free. Raises OSError if it cannot."""
        server = web.Server(
            self._answer, access_log=None, max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port, backlog=1024).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop all connections; the state stays readable."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            if self.save_path is not None:
                self.save()

    def save(self) -> None:
        """Write the world to `save_path`; raises ValueError if there is none."""
        self.service.save()

    @property
    def save_path(self) -> Path | None:
        """Where the world is saved."""
        return self.service.save_path

    def _answer(self, request: web.BaseRequest) -> Coroutine[Any, Any, web.StreamResponse]:
        path, _, query = request.raw_path.partition("?")
        if path[:1] != "/" or path[:2] == "//":
            path = plain_path(path)
        if path.startswith(PREFIX):
            return serve_control(self.service, request)
        if path == TOKEN_PATH and request.method == "POST":
            return self.service.serve_token(request, path, query)
        return self.service.serve_api(request, path, query)

    @property
    def url(self) -> str:
        """Base address of API, accounts server and control routes."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def world(self) -> World:
        """The state; change it only while no call is in flight."""
        return self.service.world

    @property
    def ledger(self) -> Ledger:
        """Every call that arrived."""
        return self.service.ledger

    @property
    def counters(self) -> Counters:
        """Sums over the ledger."""
        return self.service.counters

    @property
    def clock(self) -> Clock:
        """The emulator's time."""
        return self.service.clock

    @property
    def faults(self) -> FaultPlan:
        """The faults in force."""
        return self.service.faults

    @property
    def behaviour(self) -> Behaviour:
        """The knobs; assign a changed value to turn one."""
        return self.service.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self.service.behaviour = behaviour

    @property
    def client(self) -> Client:
        """The first app of the first organisation."""
        return next(iter(self.world.organisation.clients.values()))

    @property
    def client_id(self) -> str:
        """Client id of that app."""
        return self.client.client_id

    @property
    def client_secret(self) -> str:
        """Client secret of that app."""
        return self.client.client_secret

    @property
    def refresh_token(self) -> str:
        """Refresh token of that app."""
        return self.client.refresh_token

    @property
    def access_token(self) -> str:
        """Access token of that app that never expires; "" if its seed has none."""
        return self.client.access_token
