"""What goes over the wire is the same, whether it is written at once or by aiohttp's response."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from bulkops.emulator import Fault, FaultKind

from .conftest import Client, Start

SEED: dict[str, Any] = {"relations": {"Leads/1/Campaigns": ["11", "12", "13"]}}
URL = "/crm/v8/Leads/1/Campaigns"


def request(method: str, target: str, *headers: str, version: str = "1.1") -> bytes:
    """The bytes of a call without a body."""
    lines = [
        f"{method} {target} HTTP/{version}",
        "Host: x",
        "Authorization: Zoho-oauthtoken emulator-access",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers, and as much body as these say."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode().strip()
    status, *lines = head.split("\r\n")
    headers = dict(each.split(": ", 1) for each in lines)
    return status, headers, await reader.readexactly(int(headers["Content-Length"]))


async def test_heads_do_not_differ(start: Start) -> None:
    """A call that ends its connection is answered with the same head, and a word about that."""
    client = await start(SEED)
    answers = []
    for target, words in ((f"{URL}?ids=11", ()), (f"{URL}?ids=12", ("Connection: close",))):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)
        writer.write(request("DELETE", target, *words))
        answers.append(await read_answer(reader))
        writer.close()

    (status, headers, body), (other_status, other_headers, other_body) = answers
    assert (status, other_status) == ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK")
    assert other_headers.pop("Connection") == "close"
    assert {**headers, "Date": ""} == {**other_headers, "Date": ""}
    assert headers["Date"].endswith(" GMT")
    assert orjson.loads(body)["data"][0]["details"] == {"id": "11"}
    assert len(body) == len(other_body)


async def test_calls_sent_ahead_are_answered_in_order(start: Start) -> None:
    """Three calls in one packet on one connection: three answers, one after the other."""
    client = await start(SEED)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)

    writer.write(b"".join(request("DELETE", f"{URL}?ids={each}") for each in ("13", "11", "12")))
    bodies = [(await read_answer(reader))[2] for _ in range(3)]
    writer.close()

    found = [orjson.loads(each)["data"][0]["details"]["id"] for each in bodies]
    assert found == ["13", "11", "12"]


async def test_an_old_client_is_answered_in_its_own_version(start: Start) -> None:
    """HTTP/1.0 gets HTTP/1.0, and the end of the connection."""
    client = await start(SEED)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)

    writer.write(request("DELETE", f"{URL}?ids=11", version="1.0"))
    status, headers, _ = await read_answer(reader)
    rest = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert (status, headers.get("Connection"), rest) == ("HTTP/1.0 200 OK", None, b"")


async def test_head_has_no_body(start: Start) -> None:
    """Not even when a fault answers it with 200 and one."""
    fault = Fault(FaultKind.STATUS, status=200, payload={"data": []})
    client: Client = await start(SEED, faults=[fault])
    reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)

    # The second call shows where the first answer ends.
    writer.write(request("HEAD", URL) + request("HEAD", URL, "Connection: close"))
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    heads = [each.split(b"\r\n")[0] for each in answer.split(b"\r\n\r\n")]
    assert heads == [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b""]


async def test_what_the_head_has_to_say_is_said(start: Start) -> None:
    """Past half of the day's credits every answer tells how many are left."""
    client = await start(SEED, credits_per_day=4)

    replies = [await client.delete(URL, ids=each) for each in ("11", "12", "13")]

    left = [reply.headers.get("X-API-CREDITS-REMAINING") for reply in replies]
    assert left == [None, "2", "1"]
