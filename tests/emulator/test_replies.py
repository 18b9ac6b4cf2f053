"""The emulator gives every documented answer of `tests/data/replies/` to its request."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from bulkops.emulator import Fault, FaultKind, World, world_from
from bulkops.emulator.faults.fault import Body
from bulkops.emulator.state.clients import Client as App

from .conftest import Client, Start

REPLIES = Path(__file__).parents[1] / "data" / "replies"
SAMPLES = {path.stem: orjson.loads(path.read_bytes()) for path in sorted(REPLIES.glob("*.json"))}

#: Values the server chooses freely: compared by presence and type.
FREE = frozenset({"job_id", "access_token", "api_domain", "$assigned_by", "$assigned_time"})


def _token_kind(sample: dict[str, Any]) -> str:
    return str(sample["emulator"]["token"]) if sample["emulator"] else "valid"


def seeded(sample: dict[str, Any]) -> World:
    """The sample's world, with the apps its request speaks of."""
    world = world_from(sample["world"] or {})
    clients = world.organisation.clients
    default = next(iter(clients.values()))
    if _token_kind(sample) == "wrong_scope":
        default.scope_set = frozenset({"zohocrm.users.read"})
    body = sample["request"]["body"]
    if sample["operation"] == "token":
        clients[body["client_id"]] = App(
            client_id=body["client_id"],
            client_secret=body["client_secret"],
            refresh_token="1000.refresh.token",
        )
    return world


def token_of(client: Client, sample: dict[str, Any]) -> str | None:
    """The access token the sample sends."""
    kind = _token_kind(sample)
    if kind == "missing":
        return None
    if kind == "expired":
        emulator = client.emulator
        now = emulator.clock.now()
        emulator.client.issue("1000.old", now=now - 7200, life_s=3600, most_live=15)
        emulator.world.issued("1000.old", emulator.world.organisation, emulator.client, [])
        return "1000.old"
    return client.emulator.access_token


def faults_of(sample: dict[str, Any]) -> list[Fault]:
    """The fault that the sample asks for; an answer that no state leads to is given by one."""
    if sample["emulator"] is None:
        reply = sample["reply"]
        return [
            Fault(
                FaultKind.STATUS,
                path="",
                status=reply["status"],
                body=Body.JSON if reply["body"] is not None else Body.EMPTY,
                payload=reply["body"],
            )
        ]
    fault = sample["emulator"]["fault"]
    return [] if fault is None else [Fault.from_mapping(fault)]


def alike(expected: Any, actual: Any) -> Any:
    """`actual`, with the server's free choices replaced by the expected ones if the types agree."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return {
            key: expected[key]
            if key in FREE and key in expected and _same_type(expected[key], value)
            else alike(expected.get(key), value)
            for key, value in actual.items()
        }
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [alike(one, other) for one, other in zip(expected, actual, strict=True)]
    return actual


def _same_type(expected: Any, actual: Any) -> bool:
    return isinstance(actual, type(expected)) or expected is None or actual is None


@pytest.mark.parametrize("name", SAMPLES)
async def test_answers_as_documented(name: str, start: Start) -> None:
    """Status, named headers and body are the sample's, but for ids and times of the server."""
    sample = SAMPLES[name]
    knobs = {} if sample["emulator"] is None else sample["emulator"]["knobs"]
    client = await start(seeded(sample), faults=faults_of(sample), **knobs)
    client.token = token_of(client, sample)
    request, expected = sample["request"], sample["reply"]
    body = request["body"]
    if sample["operation"] == "token":
        body = urlencode(body).encode()
    actual = await client.send(
        request["method"],
        request["path"],
        query=request["query"],
        body=body,
        headers=request["headers"],
    )
    assert (expected["status"], expected["body"]) == (
        actual.status,
        alike(expected["body"], actual.body),
    )
    if sample["emulator"] is not None:
        assert expected["headers"].items() <= dict(actual.headers).items()
