"""
Who may ask, for what, and what a browser may do with the answer.

On this machine's own address no token is needed, but a name for it is: a page of somebody else,
whose name was made to lead here, is turned away. On any other address whoever asks must show the
token: once in the address, from then on in a cookie, or in a header for programs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from yarl import URL

from bulkops.files.products import is_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: What a page of ours may load: our style, our script, our icon, our data.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_READS: Final = ("GET", "HEAD")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
#: Where programs ask, which have no cookies.
_OF_PROGRAMS: Final = ("/api/", "/metrics")
_NEW_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Guard:
    """
    The rules for one address. `token` is empty where none is needed, and `host` is looked at.
    """

    host: str
    token: str = ""

    @classmethod
    def of(cls, host: str) -> Guard:
        """Return the rules for an address to listen on, with a new token if it needs one."""
        return cls(host, "" if is_loopback(host) else secrets.token_urlsafe(_NEW_TOKEN_BYTES))

    @property
    def cookie(self) -> str:
        """The name of the cookie; another for each token, because browsers know no ports."""
        return f"bulkops_{hashlib.sha256(self.token.encode()).hexdigest()[:8]}"

    def check(self, request: web.Request) -> None:
        """Raise the answer to whoever may not ask this, or not like this."""
        if request.method not in _READS:
            raise web.HTTPMethodNotAllowed(request.method, _READS)
        if not self.token:
            if _name_of(request.headers.get("Host", "")) not in {*_LOCAL, self.host.lower()}:
                raise web.HTTPMisdirectedRequest(
                    text="This server is for this machine alone; ask it by the name localhost."
                )
        elif not self._shown(request):
            raise web.HTTPUnauthorized(
                text="Ask with the address that bulkops serve printed; it has a token in it.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def welcome(self, request: web.Request) -> web.StreamResponse | None:
        """
        Return what takes the token out of the address and keeps it in a cookie, if it is there.

        The path is one that a page was found for.
        """
        if not self.token or "token" not in request.query or not self._equal(request):
            return None
        target = without_token(request.path, request.query)
        response: web.StreamResponse = web.Response(status=303, headers={"Location": target})
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            # Whoever follows a link of a mail has no cookie in the next step of the same way.
            text = '<!DOCTYPE html><title>bulkops</title><meta http-equiv="refresh" content="0;url='
            response = web.Response(text=f'{text}{_attribute(target)}">', content_type="text/html")
        response.set_cookie(self.cookie, self.token, path="/", httponly=True, samesite="Strict")
        return response

    def _shown(self, request: web.Request) -> bool:
        if self._equal(request) or _same(request.cookies.get(self.cookie, ""), self.token):
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        of_program = request.path.startswith(_OF_PROGRAMS)
        return of_program and scheme.lower() == "bearer" and _same(given.strip(), self.token)

    def _equal(self, request: web.Request) -> bool:
        return _same(request.query.get("token", ""), self.token)


async def seal(_: web.Request, response: web.StreamResponse) -> None:
    """Put on an answer what browsers are to know about all of them; a policy of its own is kept."""
    for name, value in {**_HEADERS, "Content-Security-Policy": POLICY}.items():
        response.headers.setdefault(name, value)
    # Which versions answer here is nobody's business.
    response.headers["Server"] = "bulkops"


def without_token(path: str, query: Mapping[str, str]) -> str:
    """Return the address of a path of ours, with all of its query but the token."""
    kept = [(name, each) for name, each in query.items() if name != "token"]
    # Two slashes at the begin would make a host of what follows.
    return str(URL.build(path=f"/{path.lstrip('/')}", query=kept))


def _same(given: str, expected: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port; "" if it is none."""
    name, _, rest = host[1:].partition("]") if host.startswith("[") else host.partition(":")
    port = rest.removeprefix(":") if host.startswith("[") else rest
    return name.lower() if not port or port.isdecimal() else ""


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
