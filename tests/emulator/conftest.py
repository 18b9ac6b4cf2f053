"""A client over a real socket, and emulators that live for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest

from bulkops.emulator import Behaviour, Clock, Emulator, Fault, World, world_from


@dataclass(frozen=True)
class Reply:
    """What came back: status, parsed body (None if empty), headers, raw bytes."""

    status: int
    body: Any
    headers: Mapping[str, str]
    raw: bytes

    @property
    def items(self) -> list[dict[str, Any]]:
        return self.body["territories"] if "territories" in self.body else self.body["data"]

    @property
    def codes(self) -> list[str]:
        return [item["code"] for item in self.items]


class Client:
    """Sends calls to one emulator."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator) -> None:
        self.session = session
        self.emulator = emulator
        self.token: str | None = emulator.access_token

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        sent = dict(headers or {})
        if self.token is not None and "Authorization" not in sent:
            sent["Authorization"] = f"Zoho-oauthtoken {self.token}"
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        async with self.session.request(
            method,
            self.emulator.url + path,
            params=query,
            data=data,
            headers=sent,
            skip_auto_headers=["Content-Type"],
        ) as response:
            raw = await response.read()
            parsed = (
                orjson.loads(raw) if raw and response.content_type == "application/json" else None
            )
            return Reply(response.status, parsed, response.headers, raw)

    async def get(self, path: str, **query: str) -> Reply:
        return await self.send("GET", path, query=query)

    async def delete(self, path: str, **query: str) -> Reply:
        return await self.send("DELETE", path, query=query)

    async def put(self, path: str, *data: Any) -> Reply:
        return await self.send("PUT", path, body={"data": list(data)})

    async def post(self, path: str, *data: Any, key: str = "data") -> Reply:
        return await self.send("POST", path, body={key: list(data)})

    async def control(self, method: str, name: str, body: Any = None) -> Any:
        reply = await self.send(method, f"/_emulator/{name}", body=body)
        assert reply.status == 200, reply.raw
        return reply.body


Start = Callable[..., Awaitable[Client]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start an emulator: `await start({...seed...}, offload_from=0, faults=[...])`."""
    running: list[Emulator] = []
    async with aiohttp.ClientSession() as session:

        async def starter(
            seed: Mapping[str, Any] | World | None = None,
            /,
            *,
            faults: list[Fault] | None = None,
            clock: Clock | None = None,
            **knobs: Any,
        ) -> Client:
            world = seed if isinstance(seed, World) else world_from(dict(seed or {}))
            emulator = Emulator(
                world=world,
                behaviour=Behaviour().changed(knobs),
                faults=faults or (),
                clock=clock or Clock.standing(),
            )
            await emulator.start()
            running.append(emulator)
            return Client(session, emulator)

        yield starter
    for emulator in running:
        await emulator.stop()
