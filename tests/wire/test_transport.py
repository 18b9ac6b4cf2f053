"""
The transport, against raw sockets: what leaves, how often, and what is known when nothing comes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp.test_utils import unused_port

from bulkops.errors import AuthError, BulkopsError, UsageError
from bulkops.files.token_cache import Token
from bulkops.model import Exchange, Json, NoReply, Reply, Request
from bulkops.wire.transport import Transport, accounts_session

TOKEN = Token("1000.secret", None, issued_at=0.0, expires_at=1e12)
UNLINK = Request("DELETE", "/crm/v8/Leads/1/Campaigns", {"ids": "2,3"})
LINK = Request("PUT", "/crm/v8/Leads/1/Campaigns", body={"data": [{"id": "2"}]})
REMOVE = Request("POST", "/crm/v8/Leads/actions/remove_territories", body={"data": []})


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and passwords of whoever runs the tests stay out of them."""
    for name in (
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "NETRC",
    ):
        monkeypatch.delenv(name, raising=False)


@dataclass
class Arrived:
    """One request as it came over the socket."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def says(body: Json = None, *, status: str = "200 OK", **headers: str) -> Answer:
    """Answer with JSON; the connection is kept alive."""
    content = b"" if body is None else orjson.dumps(body)
    return sends(content, status=status, **headers)


def sends(
    content: bytes, *, status: str = "200 OK", length: int | None = None, **headers: str
) -> Answer:
    """Answer with bytes, of which `length` are promised."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Length: {len(content) if length is None else length}",
        ]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()
        if length is not None:
            writer.close()

    return answer


async def closes(writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()


async def resets(writer: asyncio.StreamWriter) -> None:
    """Break the connection off, as a crash of the server does."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hangs(_writer: asyncio.StreamWriter) -> None:
    """Never answer."""


@dataclass
class Server:
    """Reads requests one after the other and answers each as the script says."""

    script: list[Answer]
    arrived: list[Arrived] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    #: Set when a request has arrived.
    busy: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                self.arrived.append(await read_request(reader))
                self.busy.set()
                await self.script.pop(0)(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Arrived:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    method, target, _ = first.split(" ")
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Arrived(method, target, headers, body)


@asynccontextmanager
async def serving(*script: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(list(script))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**20, ssl=tls)
    scheme = "https" if tls else "http"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server


async def exchanged(
    *script: Answer, requests: Sequence[Request] = (UNLINK,), timeout_s: float = 5.0
) -> tuple[list[Exchange], Server]:
    """Send requests one after the other to a server of this script."""
    async with (
        serving(*script) as server,
        Transport(server.url, connections=1, timeout_s=timeout_s) as transport,
    ):
        return [await transport.call(each, TOKEN) for each in requests], server


@pytest.mark.parametrize("request_", [UNLINK, LINK, REMOVE], ids=lambda each: each.method)
@pytest.mark.parametrize("silence", [closes, resets])
async def test_a_dropped_connection_is_never_sent_again_by_itself(
    request_: Request, silence: Answer
) -> None:
    """One logged call is one on the wire, on a connection that was kept alive as well."""
    script = (says({}), silence, says({}))
    (first, second), server = await exchanged(*script, requests=[request_, request_])
    assert first == Reply(200, {})
    assert isinstance(second, NoReply)
    assert second.sent
    assert len(server.arrived) == 2
    assert server.connections == 1


@pytest.mark.parametrize("request_", [UNLINK, LINK], ids=lambda each: each.method)
async def test_aiohttp_would_send_it_again(request_: Request) -> None:
    """The test above can fail: with the switch as aiohttp has it, one call arrives twice."""
    async with (
        serving(says({}), closes, says({})) as server,
        Transport(server.url, connections=1, timeout_s=5.0) as transport,
    ):
        transport._session._retry_connection = True
        assert await transport.call(request_, TOKEN) == Reply(200, {})
        assert await transport.call(request_, TOKEN) == Reply(200, {})
        assert len(server.arrived) == 3


async def test_what_was_refused_a_connection_was_not_sent() -> None:
    """Nothing reached anybody: it may be sent again without a doubt."""
    async with Transport(
        f"http://127.0.0.1:{unused_port()}", connections=1, timeout_s=5
    ) as transport:
        result = await transport.call(UNLINK, TOKEN)
    assert isinstance(result, NoReply)
    assert not result.sent
    assert "ClientConnectorError" in result.reason


async def test_a_broken_handshake_was_not_sent() -> None:
    """A server that does not speak TLS has not read the request."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener, Transport(url, connections=1, timeout_s=5) as transport:
        result = await transport.call(UNLINK, TOKEN)
    assert isinstance(result, NoReply)
    assert not result.sent


@pytest.mark.parametrize(
    "trouble",
    [
        closes,
        resets,
        hangs,
        sends(b'{"data": [', length=100),
        sends(b"not compressed", Content_Encoding="gzip"),
    ],
    ids=["closed", "reset", "timed out", "cut short", "cannot be unpacked"],
)
async def test_what_may_have_been_read_was_sent(trouble: Answer) -> None:
    """Whatever goes wrong after the request left, the server may have done it."""
    timeout_s = 0.05 if trouble is hangs else 5.0
    (result,), server = await exchanged(trouble, timeout_s=timeout_s)
    assert isinstance(result, NoReply)
    assert result.sent
    assert result.timed_out is (trouble is hangs)
    assert result.reason
    assert len(server.arrived) == 1


async def test_an_answer_that_is_no_http_was_sent() -> None:
    """Garbage instead of a status line says nothing of what was done."""

    async def garbage(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    (result,), _ = await exchanged(garbage)
    assert isinstance(result, NoReply)
    assert result.sent


async def test_a_reason_never_tells_the_token() -> None:
    """Reasons end up in the log."""
    for trouble in (closes, resets, sends(b"x", length=9)):
        (result,), _ = await exchanged(trouble)
        assert isinstance(result, NoReply)
        assert "secret" not in result.reason


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b'{"data": [{"code": "SUCCESS"}]}', {"data": [{"code": "SUCCESS"}]}),
        (b"[1]", [1]),
        (b"", None),
        (b"<html>502</html>", None),
        (b'{"data": [', None),
        (b"\xff\xfe{}", None),
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "502 Bad Gateway"])
async def test_a_body_is_its_json_or_nothing(content: bytes, body: Json, status: str) -> None:
    """HTML of a gateway and cut JSON are an answer without a body, whatever their type says."""
    (result,), _ = await exchanged(sends(content, status=status, Content_Type="text/html"))
    assert result == Reply(int(status[:3]), body)


async def test_the_headers_that_matter_are_kept() -> None:
    """Names are those of the documentation, however the server spells them."""
    headers = {
        "retry_after": "7",
        "x_api_credits_remaining": "12",
        "Server": "ZGS",
        "Set_Cookie": "a=b",
    }
    (result,), _ = await exchanged(says({}, status="429 Too Many Requests", **headers))
    expected = {"Retry-After": "7", "X-API-CREDITS-REMAINING": "12"}
    assert result == Reply(429, {}, expected)


async def test_redirects_are_not_followed() -> None:
    """A token goes to the host it was given for and no further."""
    redirect = says(status="302 Found", Location="/elsewhere")
    (result,), server = await exchanged(redirect, says({}))
    assert result == Reply(302, None)
    assert [each.target for each in server.arrived] == ["/crm/v8/Leads/1/Campaigns?ids=2,3"]


async def test_commas_between_ids_are_one_character_each() -> None:
    """100 ids of 19 digits are 1,999 characters, of 2,000 that the server takes."""
    ids = ",".join(str(4150868000003281000 + each) for each in range(100))
    assert len(ids) == 1999
    request = Request("DELETE", "/crm/v8/Leads/1/Campaigns", {"ids": ids})
    _, server = await exchanged(says({}), requests=[request])
    assert [each.target for each in server.arrived] == [f"/crm/v8/Leads/1/Campaigns?ids={ids}"]


@pytest.mark.parametrize(
    ("request_", "content_type", "content"),
    [
        (UNLINK, None, b""),
        (LINK, "application/json", b'{"data":[{"id":"2"}]}'),
        (REMOVE, "application/json", b'{"data":[]}'),
    ],
    ids=lambda each: each.method if isinstance(each, Request) else "",
)
async def test_a_call_as_it_arrives(
    request_: Request, content_type: str | None, content: bytes
) -> None:
    """Method, token and body are as given; a call without a body has no type either."""
    _, server = await exchanged(says({}), requests=[request_])
    (arrived,) = server.arrived
    assert (arrived.method, arrived.body) == (request_.method, content)
    assert arrived.headers["Authorization"] == "Zoho-oauthtoken 1000.secret"
    assert arrived.headers.get("Content-Type") == content_type
    assert arrived.headers["User-Agent"].startswith("bulkops/")


async def test_cookies_are_not_sent_back() -> None:
    """Sessions of a load balancer would tie calls to one server."""
    script = (says({}, Set_Cookie="session=1; Path=/"), says({}))
    _, server = await exchanged(*script, requests=[UNLINK, UNLINK])
    assert ["Cookie" in each.headers for each in server.arrived] == [False, False]


async def test_the_issuer_of_a_token_says_which_host_to_call() -> None:
    """The configured address stands only where the token names none."""
    async with (
        serving(says({"host": "named"})) as named,
        Transport("http://127.0.0.1:9", connections=1, timeout_s=5) as transport,
    ):
        token = Token("1000.secret", named.url, issued_at=0.0, expires_at=1e12)
        assert await transport.call(UNLINK, token) == Reply(200, {"host": "named"})


async def test_cancelling_a_call_gives_its_connection_back() -> None:
    """A second Ctrl-C ends calls in the middle; the pool stays whole."""
    async with (
        serving(hangs, says({})) as server,
        Transport(server.url, connections=1, timeout_s=5.0) as transport,
    ):
        call = asyncio.create_task(transport.call(UNLINK, TOKEN))
        await server.busy.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await transport.call(UNLINK, TOKEN) == Reply(200, {})


async def test_a_proxy_of_the_environment_is_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where calls leave through a proxy, the address asked for is the API's."""
    async with serving(says({})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with Transport("http://api.example", connections=1, timeout_s=5) as transport:
            assert await transport.call(UNLINK, TOKEN) == Reply(200, {})
    target = "http://api.example/crm/v8/Leads/1/Campaigns?ids=2,3"
    assert [each.target for each in proxy.arrived] == [target]


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "503 Unavailable"])
async def test_what_a_proxy_does_not_let_out_was_not_sent(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """It was asked for a way to the API, and has seen nothing of the call."""
    async with serving(sends(b"", status=status, length=0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with Transport("https://www.zohoapis.com", connections=1, timeout_s=5) as transport:
            exchange = await transport.call(UNLINK, TOKEN)
    assert isinstance(exchange, NoReply)
    assert not exchange.sent
    assert [each.method for each in proxy.arrived] == ["CONNECT"]


async def test_credentials_go_by_the_proxy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The accounts server is reached as the API is, and never by a way around."""
    async with serving(says({})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        address = "http://accounts.example"
        async with (
            accounts_session(address, ca_file="") as session,
            session.post(f"{address}/oauth/v2/token") as reply,
        ):
            assert reply.status == 200
    assert [each.target for each in proxy.arrived] == [f"{address}/oauth/v2/token"]


@pytest.mark.parametrize("proxy", ["user:hush@127.0.0.1:3128", "http://user:hush@127.0.0.1:99999"])
async def test_the_password_of_a_proxy_is_told_to_nobody(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """Reasons end up in the log, and a proxy's address may hold a password."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    try:
        async with Transport("http://api.example", connections=1, timeout_s=5) as transport:
            words = str(await transport.call(UNLINK, TOKEN))
    except BulkopsError as error:
        words = str(error)
    assert "hush" not in words


async def test_a_rehearsal_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls to the emulator go through no proxy."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    (result,), _ = await exchanged(says({}))
    assert result == Reply(200, {})


async def test_a_netrc_of_the_user_is_not_our_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password kept for other tools neither raises nor takes the place of the token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(says({})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with Transport("http://api.example", connections=1, timeout_s=5) as transport:
            assert await transport.call(UNLINK, TOKEN) == Reply(200, {})
    assert proxy.arrived[0].headers["Authorization"] == "Zoho-oauthtoken 1000.secret"


TLS = Path(__file__).parents[1] / "data" / "tls"


def certified() -> ssl.SSLContext:
    """Return what a server shows whose authority this machine does not know."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem")
    return context


async def test_a_server_that_nobody_vouches_for_is_told_nothing() -> None:
    """TLS is verified: the token does not leave."""
    async with (
        serving(says({}), tls=certified()) as server,
        Transport(server.url, connections=1, timeout_s=5) as transport,
    ):
        result = await transport.call(UNLINK, TOKEN)
    assert isinstance(result, NoReply)
    assert (False, []) == (result.sent, server.arrived)
    assert "CERTIFICATE_VERIFY_FAILED" in result.reason


async def test_an_authority_of_the_configuration_is_trusted_too() -> None:
    """`api.ca_file` names who vouches for a proxy that opens TLS."""
    ca_file = str(TLS / "authority.pem")
    async with (
        serving(says({"tls": True}), tls=certified()) as server,
        Transport(server.url, connections=1, timeout_s=5, ca_file=ca_file) as transport,
    ):
        assert await transport.call(UNLINK, TOKEN) == Reply(200, {"tls": True})


@pytest.mark.parametrize("ca_file", ["", str(TLS / "authority.pem")])
async def test_the_accounts_server_is_verified_alike(ca_file: str) -> None:
    """Credentials are no less than tokens."""
    async with (
        serving(says({}), tls=certified()) as server,
        accounts_session(server.url, ca_file=ca_file) as session,
    ):
        with suppress(aiohttp.ClientConnectorCertificateError):
            async with session.post(server.url) as reply:
                assert reply.status == 200
    assert len(server.arrived) == bool(ca_file)


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_file_of_authorities_that_is_none_is_named(
    tmp_path: Path, content: str | None
) -> None:
    """It is never passed over."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=f"api.ca_file: {file}: .*; expected certificates as PEM"):
        Transport("https://api.example", connections=1, timeout_s=5, ca_file=str(file))


@pytest.mark.parametrize(
    "domain",
    ["http://localhost:1", "https://www.zohoapis.com.evil.example", "http://www.zohoapis.com"],
)
async def test_a_token_goes_to_no_other_host(domain: str) -> None:
    """Whatever made the token did not check it, this does: nothing leaves."""
    token = Token("1000.secret", domain, issued_at=0.0, expires_at=1e12)
    async with (
        serving(says({})) as server,
        Transport(server.url, connections=1, timeout_s=5) as transport,
    ):
        with pytest.raises(AuthError, match="no API host of Zoho"):
            await transport.call(UNLINK, token)
    assert server.arrived == []


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v8/Leads/1/../../settings",
        "/crm/v8/Leads/1/Campaigns?ids=9",
        "/crm/v8/Leads/1/Camp%2E%2E",
        "/crm/v8/Leads//1",
        "//evil.example/crm",
        "/crm/v8/Leads/1/Campaigns\n",
        "/crm/v8/Leads/1#",
    ],
)
async def test_nothing_that_moves_within_a_url_becomes_a_call(path: str) -> None:
    """Names and ids are judged when a manifest is read; this is the last door."""
    async with (
        serving(says({})) as server,
        Transport(server.url, connections=1, timeout_s=5) as transport,
    ):
        with pytest.raises(BulkopsError, match="no path of a call"):
            await transport.call(Request("GET", path), TOKEN)
    assert server.arrived == []


async def test_what_a_query_holds_stays_in_its_value() -> None:
    """Ids are digits; should something else come this far, it is data and no parameter."""
    request = Request("GET", "/crm/v8/Leads", {"ids": "1&page=2#x /../"})
    _, server = await exchanged(says({}), requests=[request])
    assert [each.target for each in server.arrived] == ["/crm/v8/Leads?ids=1%26page%3D2%23x+/../"]
