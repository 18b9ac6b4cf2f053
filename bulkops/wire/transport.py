"""
Send a request and bring back what came of it: `Reply`, or `NoReply` with whether it was sent.

Nothing here retries. aiohttp repeats DELETE and PUT once by itself when a kept-alive connection
drops, which would make one logged call two on the wire; that is switched off here, and a test
counts what reaches a raw socket.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from bulkops.errors import AuthError, BulkopsError, UsageError
from bulkops.files.products import is_loopback, may_receive_token
from bulkops.files.token_cache import Token
from bulkops.model import Exchange, NoReply, Request, SealedReply
from bulkops.version import __version__
from bulkops.wire.auth import authorization

#: Headers of an answer that mean something to us.
_KEPT = (
    "Date",
    "Retry-After",
    "X-API-CREDITS-REMAINING",
    "X-RATELIMIT-DAY-REMAINING",
    "X-RATELIMIT-REMAINING",
    "X-RATELIMIT-RESET",
)

#: Errors that can only happen before the first byte of a request leaves.
_NOT_SENT: tuple[type[Exception], ...] = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
#: The paths that calls have: a product, a version, then names and ids. Whatever a manifest holds
#: was judged long before; this is the last door, and lets nothing through that moves within a URL.
_PATH: Final = re.compile(r"/[a-z]+/v[0-9](\.[0-9])?(/[A-Za-z0-9_]+)+", re.ASCII)


class Transport:
    """
    A connection pool to one API host. An async context manager.

    `connections` bounds the pool and should be the concurrency ceiling; `timeout_s` bounds a
    call from its first byte to the last of its answer. `ca_file` as in `trusted`.
    """

    def __init__(
        self, base_url: str, *, connections: int, timeout_s: float, ca_file: str = ""
    ) -> None:
        self._base = URL(base_url)
        #: The address to call, by what a token says of its host; "" is nothing.
        self._bases = {"": self._base}
        self._tls = trusted(ca_file)
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, 15.0))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._tls),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"bulkops/{__version__}"},
            proxy=proxy_for(str(self._base)),
        )
        # No public switch exists; see https://github.com/aio-libs/aiohttp/issues/10790.
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def call(self, request: Request, token: Token) -> Exchange:
        """
        Send `request` once. Never raises for what the network or the server does.

        The token says which host to call, if its issuer named one. Redirects are not followed,
        so it goes nowhere else. A host or a path that no call may have is an error of ours.
        """
        url = self._url(request, token)
        headers = {"Authorization": authorization(token)}
        body = None
        if request.body is not None:
            body = orjson.dumps(request.body)
            headers["Content-Type"] = "application/json"
        begun = time.monotonic()
        try:
            response = await self._session.request(
                request.method, url, data=body, headers=headers, allow_redirects=False
            )
            # Read to its end it gives its connection back, and on any trouble it closes it.
            raw = await response.read()
            took = time.monotonic() - begun
            return SealedReply(response.status, raw, _kept(response.headers), _parsed, took)
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            sent = not isinstance(error, _NOT_SENT)
            return NoReply(
                sent,
                f"{type(error).__name__}: {error}".rstrip(": "),
                timed_out=sent and isinstance(error, TimeoutError),
                seconds=time.monotonic() - begun,
            )

    def _url(self, request: Request, token: Token) -> URL:
        domain = token.api_domain or ""
        base = self._bases.get(domain)
        if base is None:
            if not may_receive_token(domain, str(self._base)):
                raise AuthError("a token names a host that is no API host of Zoho; nothing is sent")
            # A run has one such host: it is judged once, not with every call.
            base = self._bases[domain] = URL(domain)
        if not _PATH.fullmatch(request.path):
            raise BulkopsError(f"{request.path!r} is no path of a call; nothing is sent")
        return base.with_path(request.path).with_query(request.query)


def accounts_session(address: str, *, ca_file: str) -> aiohttp.ClientSession:
    """Return a session to the accounts server at `address`, through the environment's proxy."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusted(ca_file)),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"bulkops/{__version__}"},
        proxy=proxy_for(address),
    )


def trusted(ca_file: str) -> ssl.SSLContext:
    """
    Return what servers are verified with: this machine's authorities, and those in `ca_file`.

    Such a file is for a proxy that opens TLS; "" is none. Verifying cannot be switched off.
    """
    context = ssl.create_default_context()
    if ca_file:
        path = Path(ca_file).expanduser()
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            found = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(
                f"api.ca_file: {path}: {found}; expected certificates as PEM"
            ) from None
    return context


def proxy_for(url: str) -> str | None:
    """
    Return the proxy that the environment names for `url`; never one for this machine.

    aiohttp's own way (`trust_env`) also reads `.netrc`, and then refuses our token beside it.
    """
    target = URL(url)
    host = target.host or ""
    proxy = getproxies().get(target.scheme)
    if is_loopback(host) or not proxy or proxy_bypass(host):
        return None
    try:
        usable = URL(proxy).scheme in {"http", "https"} and bool(URL(proxy).host)
    except ValueError:
        usable = False
    if not usable:
        # Not shown: it may hold a password.
        raise UsageError(
            f"the environment names a proxy for {target.scheme} that is no address; expected one "
            "such as http://host:3128"
        )
    return proxy


def _parsed(raw: bytes) -> object:
    """Return the JSON of an answer, or `None` where it is empty, cut, or something else."""
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        return None


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _KEPT if name in headers}
