"""
The server of the pages: opens its address, answers until it is told to stop, and ends cleanly.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from yarl import URL

from bulkops.engine.serve.app import application
from bulkops.engine.serve.desk import Desk
from bulkops.engine.serve.folder import RunsFolder
from bulkops.engine.serve.guard import Guard
from bulkops.errors import UsageError

#: Version of what is announced.
SCHEMA_VERSION: Final = 1
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
#: Threads that ask processes, which may be slow to answer; logs are read one at a time.
_ASKING: Final = 8
_GRACE_S: Final = 2.0
_EVERY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  (what is asked for, not chosen)


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where the pages are. `url` has the token in it, if one is needed.
    """

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        """Return what to open in a browser; an address that stands for all is this machine's."""
        host = socket.gethostname() if self.host in _EVERY else self.host
        query = {"token": self.token} if self.token else {}
        return str(URL.build(scheme="http", host=host, port=self.port, path="/", query=query))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; `token` is absent where none is needed."""
        token = {"token": self.token} if self.token else {}
        return {"v": SCHEMA_VERSION, "url": self.url, "host": self.host, "port": self.port, **token}


async def serve_runs(
    folder: RunsFolder, *, host: str, port: int, announce: Callable[[Address], None]
) -> None:
    """
    Show the runs in `folder` until SIGINT or SIGTERM.

    `announce` is called once, as soon as pages are answered. Raises `UsageError` if the address
    cannot be listened on.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    try:
        async with serving(folder, host=host, port=port) as address:
            announce(address)
            await stopped.wait()
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def serving(
    folder: RunsFolder,
    *,
    host: str,
    port: int,
    every_s: float = 1.0,
    alive_s: float = 15.0,
) -> AsyncIterator[Address]:
    """
    Show the runs in `folder` until the block ends; port 0 is any free one.

    A run is looked at every `every_s` seconds while somebody watches it, and who watches gets a
    sign of life every `alive_s`.
    """
    guard = Guard.of(host)
    with (
        tempfile.TemporaryDirectory(prefix="bulkops-serve-") as aside,
        ThreadPoolExecutor(_ASKING, thread_name_prefix="asking") as asking,
        ThreadPoolExecutor(1, thread_name_prefix="reading") as reading,
    ):
        desk = Desk(
            folder,
            asking=asking,
            reading=reading,
            aside=Path(aside),
            every_s=every_s,
            alive_s=alive_s,
        )
        runner = web.AppRunner(
            application(desk, guard),
            # What is asked for may hold a token.
            access_log=None,
            # Nobody reads for a browser that has left.
            handler_cancellation=True,
            shutdown_timeout=_GRACE_S,
        )
        await runner.setup()
        try:
            yield Address(host, await _opened(runner, host, port), guard.token)
        finally:
            desk.ended.set()
            await runner.cleanup()


async def _opened(runner: web.AppRunner, host: str, port: int) -> int:
    """Listen; return the port, which is told by the system if any will do."""
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else error.strerror or str(error)
        hint = "; --port names another, and --port 0 takes any free one" if taken else ""
        raise UsageError(f"port {port} of {host} cannot be listened on: {why}{hint}") from error
    return int(runner.addresses[0][1])
