"""What real clients do before and while they send: ask first, send much, hang up, send forms."""

from __future__ import annotations

import asyncio
import gzip
import io
import logging
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import pytest

from .conftest import Start

SEED: dict[str, Any] = {"records": {"Leads": ["1"], "Campaigns": ["11"]}}
URL = "/crm/v8/Leads/1/Campaigns"
BODY = b'{"data":[{"id":"11"}]}'
CREDENTIALS = {
    "grant_type": "refresh_token",
    "client_id": "emulator-client",
    "client_secret": "emulator-secret",
    "refresh_token": "emulator-refresh",
}


def head(length: int, *more: str) -> bytes:
    """The head of a PUT with a body of so many bytes."""
    lines = [
        f"PUT {URL} HTTP/1.1",
        "Host: x",
        "Authorization: Zoho-oauthtoken emulator-access",
        f"Content-Length: {length}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def test_a_client_that_asks_first_is_told_to_go_on(start: Start) -> None:
    """`Expect: 100-continue`, as curl sends it: 100, and the answer once the body is there."""
    client = await start(SEED)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)

    writer.write(head(len(BODY), "Expect: 100-continue"))
    told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.write(BODY)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.close()

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_bodies_may_be_long(start: Start) -> None:
    """More than the mebibyte at which aiohttp's server would refuse them in words of its own."""
    client = await start(SEED)
    leads = [str(each) for each in range(1, 200_001)]

    async def status(method: str, path: str, body: object) -> int:
        async with client.session.request(
            method,
            client.emulator.url + path,
            data=io.BytesIO(orjson.dumps(body)),
            headers={"Authorization": "Zoho-oauthtoken emulator-access"},
        ) as response:
            return response.status

    link = {"id": "11", "Note": "x" * 2_000_000}
    assert await status("PUT", URL, {"data": [link]}) == 200
    assert await status("POST", "/_emulator/seed", {"records": {"Leads": leads}}) == 200
    assert len(client.emulator.world.organisation.records["Leads"]) == len(leads)


async def test_a_client_that_hangs_up_while_it_sends_is_let_go(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a body and the end of the connection: nothing is done, nothing is said."""
    client = await start(SEED)
    _, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)

    writer.write(head(len(BODY)) + BODY[:5])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    after = await client.put(URL, {"id": "11"})

    assert (after.status, len(client.emulator.ledger)) == (200, 1)
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_credentials_as_a_multipart_form(start: Start) -> None:
    """The token page's own samples, and Postman, send `form-data`."""
    client = await start(SEED)
    form = aiohttp.MultipartWriter("form-data")
    for name, value in CREDENTIALS.items():
        form.append(value).set_content_disposition("form-data", name=name)

    url = f"{client.emulator.url}/oauth/v2/token"
    async with client.session.post(url, data=form) as response:
        answer = orjson.loads(await response.read())

    assert answer["access_token"].startswith("1000.")
    assert client.emulator.counters.tokens_issued == 1
    assert client.emulator.counters.effects == 0


@pytest.mark.parametrize("base", ["http://www.zohoapis.com", "http://127.0.0.1:1/", "/", "//"])
async def test_a_path_may_be_written_in_other_ways(start: Start, base: str) -> None:
    """The whole address, as to a proxy, or slashes too many: for the API and for the tokens."""
    client = await start(SEED)

    async def first_line(method: str, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)
        token = "Authorization: Zoho-oauthtoken emulator-access"
        head = f"{method} {base}{path} HTTP/1.1\r\nHost: x\r\n{token}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    read = await first_line("GET", "/crm/v8/Leads/1")
    token = await first_line("POST", f"/oauth/v2/token?{urlencode(CREDENTIALS)}")

    assert read.startswith(b"HTTP/1.1 200")
    assert b'"access_token"' in token
    assert [each.path for each in client.emulator.ledger] == ["/crm/v8/Leads/1", "/oauth/v2/token"]


async def test_a_body_that_is_not_packed_as_it_says(start: Start) -> None:
    """Gzip is unpacked; what is none is refused, and the next call is served."""
    client = await start(SEED)
    packed = {"Content-Encoding": "gzip"}

    good = await client.send("PUT", URL, body=gzip.compress(BODY), headers=packed)
    bad = await client.send("PUT", URL, body=BODY, headers=packed)
    after = await client.put(URL, {"id": "11"})

    assert [good.status, bad.status, after.status] == [200, 400, 200]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("emulator.example:9", "http://emulator.example:9"),
        ("localhost", "http://localhost"),
        ("accounts.zoho.com", None),
        ("www.zohoapis.eu:443", None),
        ("accounts.zohocloud.ca", None),
        ("www.BIGIN.com", None),
        ("", None),
    ],
)
async def test_the_api_is_never_said_to_be_elsewhere(
    start: Start, host: str, told: str | None
) -> None:
    """Facts 8: `api_domain` is the address as the client has it, and none of the vendor's hosts."""
    client = await start(SEED)

    reply = await client.send("POST", "/oauth/v2/token", query=CREDENTIALS, headers={"Host": host})

    assert reply.body["api_domain"] == (told or client.emulator.url)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json", "application/x-www-form-urlencoded"]
)
async def test_a_form_goes_by_any_name(start: Start, kind: str) -> None:
    """Credentials as `a=1&b=2`, whatever Content-Type says; some also in the query."""
    client = await start(SEED)
    body = "&".join(f"{name}={value}" for name, value in list(CREDENTIALS.items())[2:]).encode()

    reply = await client.send(
        "POST",
        "/oauth/v2/token",
        query=dict(list(CREDENTIALS.items())[:2]),
        body=body,
        headers={"Content-Type": kind} if kind else {},
    )

    assert (reply.status, "access_token" in reply.body) == (200, True)
