"""
The common answer, head and body in one write: 200, JSON, no headers of its own, kept alive.

aiohttp's response can stream, compress, set cookies and run hooks, and asks for each of these on
every call; that is a third of what it costs to serve one. Everything out of the common goes that
way all the same. The bytes on the wire are aiohttp's.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE


def suits(request: web.BaseRequest) -> bool:
    """Whether a request can be answered at once."""
    return request.keep_alive and request.version == HttpVersion11 and request.method != "HEAD"


class AtOnce(web.StreamResponse):
    """A JSON body with status 200, for a request that `suits`."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._whole = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write all there is; a client that has gone is told nothing."""
        transport = request.transport
        if transport is not None:
            head = _head(int(time.time()))
            transport.write(b"%b%d\r\n\r\n%b" % (head, len(self._whole), self._whole))
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: `prepare` has written the end."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open."""
        return True


@lru_cache(maxsize=2)
def _head(second: int) -> bytes:
    """The head of every such answer within a second, as far as the body's length."""
    return (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json\r\n"
        f"Date: {formatdate(second, usegmt=True)}\r\n"
        f"Server: {SERVER_SOFTWARE}\r\n"
        "Content-Length: "
    ).encode()
