"""
What a call brings with it: the whole body, the form in it, and where it was sent to.

Clients that ask before they send (`Expect: 100-continue`, which curl and what is built on it do
with larger bodies) are told to go on; aiohttp's bare server leaves that to its user.
"""

from __future__ import annotations

from email.parser import BytesParser

from aiohttp import HttpVersion11, web
from aiohttp.hdrs import CONTENT_TYPE, EXPECT, HOST

from bulkops.emulator.arrival import parse_query

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: Labels of host names that are the vendor's in any data centre.
_VENDORS = frozenset({"zoho", "zohoapis", "zohocloud", "bigin"})
_MULTIPART = "multipart/form-data"


def plain_path(target: str) -> str:
    """
    The path of a request target that is not plainly one.

    A client that takes this server for a proxy sends the whole address; one whose base address ends
    with a slash sends two of them.
    """
    _, is_whole, rest = target.partition("://")
    return "/" + (rest.partition("/")[2] if is_whole else target).lstrip("/")


async def read_body(request: web.BaseRequest) -> bytes:
    """
    Every byte of the body, however long it is.

    Raises HTTPBadRequest if it is not packed as its head says, or if the client hangs up before the
    end of it, where nobody is left to be told.
    """
    if not request.can_read_body:
        return b""
    if (
        request.headers.get(EXPECT, "").lower() == "100-continue"
        and request.version >= HttpVersion11
        and request.transport is not None
    ):
        request.transport.write(_CONTINUE)
    try:
        # Not `request.read()`, which ends at a mebibyte: a world that is seeded is longer.
        return await request.content.read()
    except (ConnectionError, web.RequestPayloadError) as error:
        raise web.HTTPBadRequest from error


def address_of(request: web.BaseRequest) -> str:
    """
    Where this server is, as the client sees it; never one of the vendor's own hosts.

    That is the Host it was asked as, which may be a name of a container or a forwarded port. A
    client that has the vendor's name for it (in a hosts file) is told the bare address instead.
    """
    host = request.headers.get(HOST, "")
    if host and _VENDORS.isdisjoint(host.lower().partition(":")[0].split(".")):
        return f"{request.scheme}://{host}"
    address, port = request.get_extra_info("sockname")[:2]
    return f"{request.scheme}://{f'[{address}]' if ':' in address else address}:{port}"


def form_in(request: web.BaseRequest, body: bytes) -> dict[str, str]:
    """The fields of a form: multipart if the head says so, else as in a query, whatever it says."""
    kind = request.headers.get(CONTENT_TYPE, "")
    if not kind.lower().startswith(_MULTIPART):
        return parse_query(body.decode(errors="replace"))
    head = f"{CONTENT_TYPE}: {kind}\r\n\r\n".encode(errors="replace")
    fields: dict[str, str] = {}
    for part in BytesParser().parsebytes(head + body).walk():
        name = part.get_param("name", header="Content-Disposition")
        if name is not None:
            fields[str(name)] = str(part.get_payload()).strip()
    return fields
