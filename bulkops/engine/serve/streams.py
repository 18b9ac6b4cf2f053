"""
Server-sent events: a value each time there is a new one, and a sign of life in between.

Each event is the whole state, so that whoever was away has missed nothing.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web

from bulkops.engine.serve.feed import Feed

T = TypeVar("T")
V = TypeVar("V")

_RETRY_MS: Final = 2000
_LINE_END: Final = re.compile("\r\n|\r|\n")
_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # A proxy that gathers answers would keep them all.
    "X-Accel-Buffering": "no",
}
_ALIVE: Final = b": alive\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event; `last` says that none will follow, and nobody need ask again.
    """

    name: str
    data: str
    last: bool = False

    def encode(self) -> bytes:
        """Return it as it is sent. A line end of any kind ends a line of data."""
        lines = "".join(f"data: {line}\n" for line in _LINE_END.split(self.data))
        return f"event: {self.name}\n{lines}\n".encode()


async def stream(
    request: web.Request,
    feed: Feed[T],
    event_of: Callable[[T], Event],
    *,
    ended: asyncio.Event,
    alive_s: float,
) -> web.StreamResponse:
    """
    Send the values of a feed until the browser leaves, the last one is sent, or the server ends.

    What is the same as before is not sent again.
    """
    response = web.StreamResponse(headers=_HEADERS)
    if request.method == "HEAD":
        return response
    await response.prepare(request)
    with suppress(ConnectionError):
        await response.write(f"retry: {_RETRY_MS}\n\n".encode())
        found = _values(feed, ended=ended, alive_s=alive_s)
        async with aclosing(found) as values:
            before = None
            async for value in values:
                event = None if value is None else event_of(value)
                if event is None or event == before:
                    await response.write(_ALIVE)
                    continue
                before = event
                await response.write(event.encode())
                if event.last:
                    await response.write(Event("end", "").encode())
                    break
    return response


async def _values(
    feed: Feed[V], *, ended: asyncio.Event, alive_s: float
) -> AsyncGenerator[V | None, None]:
    """Yield new values, and `None` when there was none for a while; end with the server."""
    number = 0
    ending = asyncio.create_task(ended.wait())
    coming: asyncio.Task[tuple[int, V]] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(feed.after(number))
            # A reading that takes longer than a sign of life goes on meanwhile.
            await asyncio.wait(
                (coming, ending), timeout=alive_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ending.done():
                return
            if coming.done():
                number, value = coming.result()
                coming = None
                yield value
            else:
                yield None
    finally:
        for task in filter(None, (ending, coming)):
            task.cancel()
