"""Calls in flight, credits, tokens."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from bulkops.emulator import Clock

from .conftest import Client, Reply, Start

SEED: dict[str, Any] = {"relations": {"Leads/1/Campaigns": ["11"]}}
READ = "/crm/v8/Leads/1/Campaigns"
SLOW = {"latency_median_s": 0.02, "latency_sigma": 0.0}


async def burst(client: Client, calls: int, **query: str) -> list[int]:
    replies = await asyncio.gather(*(client.get(READ, fields="id", **query) for _ in range(calls)))
    return sorted(reply.status for reply in replies)


@pytest.mark.parametrize(
    ("edition", "limit"),
    [("free", 5), ("standard", 10), ("professional", 15), ("enterprise", 20), ("ultimate", 25)],
)
async def test_calls_in_flight_by_edition(start: Start, edition: str, limit: int) -> None:
    """One call more than the edition allows is answered 429 at once."""
    client = await start({**SEED, "edition": edition}, **SLOW)

    statuses = await burst(client, limit + 2)

    assert [200] * limit + [429] * 2 == statuses
    assert (limit, 2) == (
        client.emulator.counters.peak_in_flight,
        client.emulator.counters.refused_429,
    )


async def test_the_knob_overrides_the_edition(start: Start) -> None:
    """A knob of 0 switches the limit off."""
    client = await start(SEED, concurrency=0, **SLOW)
    assert await burst(client, 40) == [200] * 40

    client.emulator.behaviour = client.emulator.behaviour.changed({"concurrency": 1})
    assert await burst(client, 2) == [200, 429]


async def test_429_is_flat_and_has_no_retry_after(start: Start) -> None:
    """A 429 has the flat body; Retry-After only by knob."""
    client = await start(SEED, credits_per_day=0)

    plain = await client.get(READ, fields="id")
    client.emulator.behaviour = client.emulator.behaviour.changed({"retry_after_s": 2.5})
    told = await client.get(READ, fields="id")

    assert (
        plain.status,
        plain.body["code"],
        plain.body["details"],
    ) == (429, "TOO_MANY_REQUESTS", {})
    assert plain.body["message"] == (
        "Number of API requests for the 24 hour period is exceeded or the concurrency limit of the "
        "user for the app is exceeded"
    )
    assert "Retry-After" not in plain.headers
    assert told.headers["Retry-After"] == "2.5"


async def test_apps_have_their_own_limit(start: Start) -> None:
    """Calls in flight are counted for each app, credits for the organisation."""
    clients = [{"client_id": name, "access_token": name} for name in ("a", "b")]
    client = await start({**SEED, "clients": clients}, concurrency=1, **SLOW)

    async def as_app(name: str) -> Reply:
        header = {"Authorization": f"Zoho-oauthtoken {name}"}
        return await client.send("GET", READ, query={"fields": "id"}, headers=header)

    replies = await asyncio.gather(as_app("a"), as_app("b"), as_app("a"))

    assert sorted(each.status for each in replies) == [200, 200, 429]


async def test_complex_calls_have_a_limit_of_their_own(start: Start) -> None:
    """Ten reads with sort_by at a time, whatever the edition."""
    client = await start(SEED, **SLOW)

    replies = await asyncio.gather(
        *(client.get("/crm/v8/Leads", fields="id", sort_by="id") for _ in range(6)),
        *(client.get("/crm/v8/Leads", fields="id", cvid="7") for _ in range(6)),
        client.get("/crm/v8/Leads", fields="id"),
    )

    assert sorted(each.status for each in replies) == [200] * 11 + [429] * 2


async def test_related_records_are_not_complex(start: Start) -> None:
    """Facts 7: links, territories and sorted related lists are not in the list of complex calls."""
    client = await start(SEED, **SLOW)

    replies = await asyncio.gather(
        *(client.get(READ, fields="id", sort_by="id") for _ in range(8)),
        *(client.delete(READ, ids="11") for _ in range(6)),
        *(client.put(READ, {"id": "11"}) for _ in range(6)),
    )

    assert 429 not in {each.status for each in replies}
    assert client.emulator.counters.peak_in_flight == 20


async def test_429_comes_before_401_and_url(start: Start) -> None:
    """An app over its limit is told so first."""
    client = await start(SEED, credits_per_day=0)

    assert (await client.get("/crm/v8/nothing/here/at/all")).status == 429


async def test_credits_are_rolling(start: Start) -> None:
    """What was used more than 24 hours ago counts no more."""
    client = await start(SEED, credits_per_day=4)

    statuses = [(await client.get(READ, fields="id")).status for _ in range(5)]
    await client.control("POST", "clock/advance", {"seconds": 86_400 + 60})

    assert statuses == [200] * 4 + [429]
    assert (await client.get(READ, fields="id")).status == 200


async def test_remaining_credits_are_told_past_the_half(start: Start) -> None:
    """`X-API-CREDITS-REMAINING` appears once half of the day is used."""
    client = await start(SEED, credits_per_day=6)

    told = [
        (await client.get(READ, fields="id")).headers.get("X-API-CREDITS-REMAINING")
        for _ in range(7)
    ]

    assert told == [None, None, "3", "2", "1", "0", "0"]


async def test_what_calls_cost(start: Start) -> None:
    """Facts 7: a call with 100 items costs one credit, records of a custom view three."""
    client = await start(SEED)
    spent = []
    for call in (
        client.delete(READ, ids=",".join(map(str, range(100)))),
        client.get("/crm/v8/Leads", fields="id"),
        client.get("/crm/v8/Leads", fields="id", cvid="7"),
        client.get(READ, fields="id", cvid="7"),
    ):
        before = client.emulator.counters.credits
        await call
        spent.append(client.emulator.counters.credits - before)

    assert spent == [1, 1, 3, 1]
    counters = await client.control("GET", "counters")
    assert counters["organisations"]["default"]["credits_used"] == 6


@pytest.mark.parametrize(("cost", "used"), [(True, 2), (False, 1)])
async def test_whether_failures_cost_is_a_knob(start: Start, cost: bool, used: int) -> None:
    """Whether failed calls cost credits is not stated; assumed that they do."""
    client = await start(SEED, failures_cost_credits=cost)

    await client.get(READ, fields="id")
    await client.get("/crm/v8/Leads/9/Campaigns", fields="id")

    assert used == client.emulator.counters.credits


@pytest.mark.parametrize(
    ("edition", "users", "credits_"),
    [
        ("free", 9, 5_000),
        ("standard", 10, 52_500),
        ("standard", 1000, 100_000),
        ("professional", 10, 55_000),
        ("enterprise", 10, 60_000),
        ("ultimate", 100_000, 200_050_000),
        ("bigin-express", 10, 52_500),
        ("starter", 10, 52_500),
        ("zoho-one", 10, 60_000),
        ("crm-plus", 10, 70_000),
        ("bigin-free", 10, 5_000),
        ("bigin-premier", 1000, 100_000),
        ("bigin-zoho-one", 10, 52_500),
    ],
)
def test_credits_of_an_edition(edition: str, users: int, credits_: int) -> None:
    """The credits of every edition by the vendor's table."""
    from bulkops.emulator.limits import ALLOWANCES

    assert credits_ == ALLOWANCES[edition].credits(users)


async def ask_token(client: Client, **changed: str) -> Reply:
    form = {
        "grant_type": "refresh_token",
        "client_id": client.emulator.client_id,
        "client_secret": client.emulator.client_secret,
        "refresh_token": client.emulator.refresh_token,
        **changed,
    }
    return await client.send("POST", "/oauth/v2/token", body=urlencode(form).encode())


async def test_a_refresh_token_gives_an_access_token(start: Start) -> None:
    """Form or query; the token works; `api_domain` is the emulator."""
    client = await start(SEED)

    form = (await ask_token(client)).body
    query = await client.send(
        "POST",
        "/oauth/v2/token",
        query={
            "grant_type": "refresh_token",
            "client_id": "emulator-client",
            "client_secret": "emulator-secret",
            "refresh_token": "emulator-refresh",
        },
    )

    assert {"access_token", "api_domain", "token_type", "expires_in"} == set(form)
    assert (client.emulator.url, "Bearer", 3600) == (
        form["api_domain"],
        form["token_type"],
        form["expires_in"],
    )
    for token in (form["access_token"], query.body["access_token"]):
        client.token = token
        assert (await client.get(READ, fields="id")).status == 200


async def test_a_grant_code_gives_a_refresh_token_once(start: Start) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html"""
    client = await start(SEED)
    grant = {"grant_type": "authorization_code", "refresh_token": ""}

    first = (await ask_token(client, **grant, code="emulator-grant")).body
    again = (await ask_token(client, **grant, code="emulator-grant")).body

    assert ("emulator-refresh", {"error": "invalid_code"}) == (first["refresh_token"], again)
    assert {"access_token", "scope", "api_domain", "token_type", "expires_in"} < set(first)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"refresh_token": "x"}, "invalid_code"),
        ({"client_id": "x"}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client_secret"),
        ({"grant_type": "x"}, "unsupported_grant_type"),
    ],
)
async def test_token_refusals_are_200(start: Start, changed: dict[str, str], error: str) -> None:
    """Refused tokens are HTTP 200 with an `error` key."""
    client = await start(SEED)

    reply = await ask_token(client, **changed)

    assert (200, {"error": error}) == (reply.status, reply.body)


@pytest.mark.parametrize("status", [200, 400])
async def test_ten_tokens_in_ten_minutes(start: Start, status: int) -> None:
    """The eleventh is Access Denied until the window has moved on."""
    client = await start(SEED, token_throttle_status=status)
    made = [await ask_token(client) for _ in range(10)]

    denied = await ask_token(client)
    await client.control("POST", "clock/advance", {"seconds": 600})
    later = await ask_token(client)

    assert all("access_token" in each.body for each in made)
    assert (status, "Access Denied", "failure") == (
        denied.status,
        denied.body["error"],
        denied.body["status"],
    )
    assert "access_token" in later.body


async def test_sixteenth_token_ends_the_oldest(start: Start) -> None:
    """At most fifteen live tokens, the oldest dies without a word."""
    client = await start(SEED, tokens_per_window=100)
    tokens = [(await ask_token(client)).body["access_token"] for _ in range(16)]

    statuses = []
    for token in tokens[:2]:
        client.token = token
        statuses.append((await client.get(READ, fields="id")).status)

    assert statuses == [401, 200]


async def test_tokens_live_an_hour(start: Start) -> None:
    """Expired is 401 INVALID_TOKEN; the seed's static token never expires."""
    client = await start(SEED, token_tells_expiry=False)
    body = (await ask_token(client)).body
    client.token = body["access_token"]

    await client.control("POST", "clock/advance", {"seconds": 3599})
    alive = await client.get(READ, fields="id")
    await client.control("POST", "clock/advance", {"seconds": 1})
    dead = await client.get(READ, fields="id")
    client.token = "emulator-access"
    static = await client.get(READ, fields="id")

    assert "expires_in" not in body
    assert [alive.status, dead.status, static.status] == [200, 401, 200]
    assert dead.body["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"Authorization": ""}, "AUTHENTICATION_FAILURE"),
        ({"Authorization": "Bearer emulator-access"}, "AUTHENTICATION_FAILURE"),
        ({"Authorization": "Zoho-oauthtoken nonsense"}, "INVALID_TOKEN"),
    ],
)
async def test_shapes_of_401(start: Start, header: dict[str, str], code: str) -> None:
    """Missing is AUTHENTICATION_FAILURE, bad is INVALID_TOKEN."""
    client = await start(SEED)

    reply = await client.send("GET", READ, headers=header)

    assert (401, code, {}) == (reply.status, reply.body["code"], reply.body["details"])


async def test_several_organisations(start: Start) -> None:
    """Each organisation has its own records, apps and credits."""
    client = await start(
        {
            "organisations": {
                "one": {**SEED, "clients": [{"client_id": "a", "access_token": "a"}]},
                "two": {"clients": [{"client_id": "b", "access_token": "b"}]},
            }
        },
        credits_per_day=1,
    )
    client.token = "a"
    mine = await client.get(READ, fields="id")
    client.token = "b"
    theirs = await client.get(READ, fields="id")

    assert (mine.status, theirs.status) == (200, 400)


async def test_latency_is_served_in_emulator_time(start: Start) -> None:
    """A clock that runs 20 times as fast makes 0.4 s of latency 0.02 s of waiting."""
    clock = Clock(speed=20.0)
    client = await start(SEED, clock=clock, latency_median_s=0.4, latency_sigma=0.0)
    loop = asyncio.get_running_loop()
    before = loop.time()

    reply = await client.get(READ, fields="id")

    assert reply.status == 200
    assert 0.02 <= loop.time() - before < 0.4


def test_a_clock_can_run_fast_or_stand() -> None:
    """Time is passed in: scaled, standing, advanced, never back."""
    ticks = iter([0.0, 10.0, 10.0, 20.0])
    fast = Clock(start=100.0, speed=60.0, source=lambda: next(ticks))

    assert fast.now() == 700.0
    assert fast.advance(5) == 705.0
    assert fast.now() == 1305.0
    assert (fast.wall_seconds(30), Clock.standing().wall_seconds(2)) == (0.5, 2.0)
    with pytest.raises(ValueError, match="expected 0 or more"):
        fast.advance(-1)
    with pytest.raises(ValueError, match="speed -1"):
        Clock(speed=-1)


async def test_apps_and_organisations_side_by_side(start: Start) -> None:
    """Every app has its own tokens and scopes; organisations share neither records nor credits."""
    apps = {
        name: {
            "client_id": name,
            "client_secret": f"{name}-secret",
            "refresh_token": f"{name}-refresh",
        }
        for name in ("a1", "a2", "b1")
    }
    apps["a2"]["scopes"] = ["ZohoCRM.modules.READ"]
    client = await start(
        {
            "organisations": {
                "a": {**SEED, "id": "71", "clients": [apps["a1"], apps["a2"]]},
                "b": {**SEED, "id": "72", "clients": [apps["b1"]]},
            }
        },
        tokens_per_window=1,
        credits_per_day=3,
    )
    tokens = {}
    for name in apps:
        reply = await ask_token(
            client, client_id=name, client_secret=f"{name}-secret", refresh_token=f"{name}-refresh"
        )
        tokens[name] = reply.body["access_token"]

    async def unlink(name: str) -> int:
        client.token = tokens[name]
        return (await client.delete(READ, ids="11")).status

    async def zgid(name: str) -> str:
        client.token = tokens[name]
        return str((await client.get("/crm/v8/org")).body["org"][0]["zgid"])

    assert len(set(tokens.values())) == 3
    assert [await unlink("a1"), await unlink("a2"), await unlink("b1")] == [200, 401, 200]
    assert [await zgid("a1"), await zgid("b1")] == ["71", "72"]
    assert [await unlink("a1"), await unlink("b1")] == [429, 400]
