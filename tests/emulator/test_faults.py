"""Every fault is seen from the client's side, and the ledger knows what was done."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from bulkops.emulator import Clock, Fault, FaultKind, load_faults
from bulkops.emulator.faults import FaultPlan
from bulkops.emulator.faults.fault import Body

from .conftest import Client, Start

SEED: dict[str, Any] = {
    "records": {"Leads": ["1"], "Campaigns": ["11", "12", "13", "14"]},
    "relations": {"Leads/1/Campaigns": ["11", "12", "13"]},
    "territories": [{"id": "100", "name": "All"}, {"id": "101", "parent_id": "100"}],
    "record_territories": {"Leads": {"1": ["101"]}},
}
URL = "/crm/v8/Leads/1/Campaigns"


def linked(client: Client) -> list[str]:
    side = client.emulator.world.organisation.sides["Leads", "Campaigns"]
    return list(side.related("1"))


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("body", list(Body))
async def test_status_instead_of_the_work(start: Start, status: int, body: Body) -> None:
    """A status with a JSON, HTML or empty body; nothing is done."""
    fault = Fault(FaultKind.STATUS, status=status, body=body, retry_after_s=3, times=1)
    client = await start(SEED, faults=[fault])

    reply = await client.delete(URL, ids="11")
    again = await client.delete(URL, ids="11")

    assert (reply.status, reply.headers["Retry-After"]) == (status, "3")
    if body is Body.JSON:
        assert reply.body["status"] == "error"
    elif body is Body.HTML:
        assert reply.raw.startswith(b"<html>")
        assert reply.headers["Content-Type"].startswith("text/html")
    else:
        assert reply.raw == b""
    assert again.status == 200


async def test_status_after_the_work(start: Start) -> None:
    """The proxy says 502, the work is done all the same."""
    fault = Fault(FaultKind.STATUS_AFTER, status=502, body=Body.HTML)
    client = await start(SEED, faults=[fault])

    reply = await client.delete(URL, ids="11,12")

    assert (reply.status, linked(client)) == (502, ["13"])
    row = client.emulator.ledger.rows[-1]
    assert (row.status, row.effects, row.fault) == (502, 2, "status_after")


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (FaultKind.CUT_BEFORE, ["11", "12", "13"]),
        (FaultKind.CUT_AFTER, ["12", "13"]),
        (FaultKind.CUT_BODY, ["12", "13"]),
    ],
)
async def test_cuts(start: Start, kind: FaultKind, left: list[str]) -> None:
    """The connection is cut before the effect, after it, or in the middle of the answer."""
    client = await start(SEED, faults=[Fault(kind)])

    with pytest.raises(aiohttp.ClientError):
        await client.delete(f"{URL}/11")

    assert linked(client) == left
    row = client.emulator.ledger.rows[0]
    assert (row.kind, row.effects, row.fault) == ("unlink.single", 3 - len(left), kind.value)
    assert row.status == (200 if kind is FaultKind.CUT_BODY else 0)


async def test_truncated_json(start: Start) -> None:
    """HTTP is happy, JSON is not; the work is done."""
    client = await start(SEED, faults=[Fault(FaultKind.TRUNCATED)])

    async with client.session.delete(
        f"{client.emulator.url}{URL}?ids=11",
        headers={"Authorization": "Zoho-oauthtoken emulator-access"},
    ) as response:
        raw = await response.read()

    assert (response.status, linked(client)) == (200, ["12", "13"])
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(raw)


async def test_connection_closed_after_the_answer(start: Start) -> None:
    """A kept-alive connection that is gone when it is used next."""
    client = await start(SEED, faults=[Fault(FaultKind.CLOSE_AFTER, nth=1)])
    reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)
    writer.write(
        b"GET /crm/v8/Leads/1 HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Zoho-oauthtoken emulator-access\r\n\r\n"
    )

    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" not in answer.lower()


async def test_delay(start: Start) -> None:
    """A slow call is slower by the delay, and counts as in flight meanwhile."""
    client = await start(SEED, faults=[Fault(FaultKind.DELAY, delay_s=0.05, nth=1)], concurrency=1)
    loop = asyncio.get_running_loop()
    before = loop.time()

    replies = await asyncio.gather(client.delete(URL, ids="11"), client.delete(URL, ids="12"))

    assert sorted(each.status for each in replies) == [200, 429]
    assert loop.time() - before >= 0.05


async def test_a_client_that_does_not_wait(start: Start) -> None:
    """It gives up before the answer; the work is done all the same, and is in the ledger."""
    client = await start(SEED, faults=[Fault(FaultKind.DELAY, delay_s=0.05)])

    async with asyncio.timeout(5):
        impatient = asyncio.create_task(client.delete(URL, ids="11"))
        while not client.emulator.service.in_flight.now:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        impatient.cancel()
        while not client.emulator.ledger.rows:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    row = client.emulator.ledger.rows[0]
    assert (row.status, row.effects, linked(client)) == (200, 1, ["12", "13"])


async def test_tokens_revoked_in_mid_run(start: Start) -> None:
    """Issued tokens stop working at once; a new one helps."""
    client = await start(SEED, faults=[Fault(FaultKind.REVOKE_TOKENS, nth=2)])
    credentials = {
        "grant_type": "refresh_token",
        "client_id": client.emulator.client_id,
        "client_secret": client.emulator.client_secret,
        "refresh_token": client.emulator.refresh_token,
    }

    async def fresh() -> str:
        client.token = None
        reply = await client.send("POST", "/oauth/v2/token", query=credentials)
        return str(reply.body["access_token"])

    client.token = await fresh()
    statuses = [(await client.delete(URL, ids=each)).status for each in ("11", "12", "12")]
    client.token = await fresh()
    statuses.append((await client.delete(URL, ids="12")).status)

    assert statuses == [200, 401, 401, 200]
    assert client.emulator.counters.faults == {"revoke_tokens": 1}
    assert (await client.control("GET", "counters"))["faults"] == {"revoke_tokens": 1}


async def test_record_locked_for_some_calls(start: Start) -> None:
    """RECORD_LOCKED for a while: flat for links, an item for territories."""
    fault = Fault(FaultKind.RECORD_LOCKED, ids=("1",), times=2)
    client = await start(SEED, faults=[fault], offload_from=0)
    item = {"id": "1", "Territories": [{"id": "101"}]}

    link = await client.delete(URL, ids="11")
    territory = await client.post("/crm/v8/Leads/actions/remove_territories", item)
    free = await client.delete(URL, ids="11")

    assert (link.status, link.body["code"]) == (400, "RECORD_LOCKED")
    assert (territory.status, territory.codes) == (400, ["RECORD_LOCKED"])
    assert free.status == 200


async def test_poison_row(start: Start) -> None:
    """A call that names the id is refused whole, without saying which row it was."""
    client = await start(SEED, faults=[Fault(FaultKind.POISON, ids=("12",))])

    poisoned = await client.delete(URL, ids="11,12,13")
    body = await client.put(URL, {"id": 12})
    clean = await client.delete(URL, ids="11,13")

    assert [(poisoned.status, poisoned.body["code"]), (body.status, body.body["code"])] == [
        (400, "UNABLE_TO_PARSE_DATA_TYPE")
    ] * 2
    assert (clean.status, linked(client)) == (200, ["12"])


async def test_items_reshaped(start: Start) -> None:
    """Shuffled, missing, path-only items and a mixed result as 200, each on its own call."""
    faults = [
        Fault(FaultKind.SHUFFLED, nth=1),
        Fault(FaultKind.MISSING_ITEM, nth=2),
        Fault(FaultKind.PATH_ONLY, nth=3),
        Fault(FaultKind.PATH_SPACE, nth=4),
        Fault(FaultKind.MIXED_AS_200, nth=5),
    ]
    client = await start({"records": {"Leads": ["1"]}}, faults=faults)
    ids = [str(each) for each in range(50)]

    shuffled = await client.delete(URL, ids=",".join(ids))
    missing = await client.delete(URL, ids=",".join(ids))
    pathless = await client.delete(URL, ids="7")
    spaced = await client.put(URL, {"id": "7"})
    side = client.emulator.world.organisation.sides["Leads", "Campaigns"]
    client.emulator.world.organisation.add_record("Campaigns", "7")
    side.link("1", "7", None)
    mixed = await client.delete(URL, ids="7,8")

    order = [item["details"]["id"] for item in shuffled.items]
    assert (order != ids, sorted(order, key=int)) == (True, ids)
    assert len(missing.items) == 49
    assert pathless.items[0]["details"] == {"json_path": "$.data[0]"}
    assert spaced.items[0]["details"]["json_path"] == " $.data[0].id"
    assert (mixed.status, mixed.codes) == (200, ["SUCCESS", "INVALID_DATA"])


async def test_several_faults_at_once_are_counted_each(start: Start) -> None:
    """The ledger names all that struck a call; the counters count each."""
    faults = [Fault(FaultKind.SHUFFLED), Fault(FaultKind.MIXED_AS_200, name="sandbox")]
    client = await start(SEED, faults=faults)

    reply = await client.delete(URL, ids="11,14")

    assert (reply.status, client.emulator.ledger.rows[0].fault) == (200, "shuffled,sandbox")
    assert client.emulator.counters.faults == {"shuffled": 1, "sandbox": 1}


async def test_faults_of_the_token_endpoint(start: Start) -> None:
    """The accounts server can fail and be slow as well."""
    fault = Fault(FaultKind.STATUS, path="/oauth/", status=503, delay_s=0.01, body=Body.HTML)
    client = await start(SEED, faults=[fault])

    reply = await client.send("POST", "/oauth/v2/token", body=b"")

    assert reply.status == 503


TOKEN = (
    "/oauth/v2/token?grant_type=refresh_token&client_id=emulator-client"
    "&client_secret=emulator-secret&refresh_token=emulator-refresh"
)


@pytest.mark.parametrize(
    ("kind", "issued"),
    [(FaultKind.CUT_BEFORE, 0), (FaultKind.CUT_AFTER, 1), (FaultKind.CUT_BODY, 1)],
)
async def test_the_accounts_server_is_cut_off(start: Start, kind: FaultKind, issued: int) -> None:
    """A token may have been issued that nobody got: it counts towards the ten."""
    client = await start(SEED, faults=[Fault(kind, path="/oauth/")])

    with pytest.raises(aiohttp.ClientError):
        await client.send("POST", TOKEN)

    assert client.emulator.counters.tokens_issued == issued
    assert client.emulator.ledger.rows[0].fault == kind.value


@pytest.mark.parametrize(
    ("fault", "status", "raw"),
    [
        (Fault(FaultKind.STATUS_AFTER, path="/oauth/", status=502, body=Body.HTML), 502, b"<html>"),
        (Fault(FaultKind.STATUS, path="/oauth/", status=200, body=Body.EMPTY), 200, b""),
        (Fault(FaultKind.STATUS, path="/oauth/", status=200, payload={"error": "x"}), 200, b'{"e'),
    ],
    ids=["after", "empty", "payload"],
)
async def test_the_accounts_server_talks_nonsense(
    start: Start, fault: Fault, status: int, raw: bytes
) -> None:
    """A proxy's page after the token was issued, an empty 200, an error with 200."""
    client = await start(SEED, faults=[fault])

    reply = await client.send("POST", TOKEN)

    assert reply.status == status
    assert reply.raw.startswith(raw)
    assert (reply.raw == b"") == (raw == b"")


async def test_a_token_answer_that_ends_in_the_middle(start: Start) -> None:
    """Whole for HTTP, half for JSON; the next one is whole."""
    client = await start(SEED, faults=[Fault(FaultKind.TRUNCATED, path="/oauth/", nth=1)])

    async with client.session.post(client.emulator.url + TOKEN) as response:
        half = await response.read()
    whole = await client.send("POST", TOKEN)

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(half)
    assert "access_token" in whole.body


async def test_headers_of_a_429(start: Start) -> None:
    """Facts 7: what older versions were seen to tell in headers is told by a fault's `headers`."""
    told = {"X-RATELIMIT-RESET": "1700000060000", "X-API-CREDITS-REMAINING": "0"}
    payload = {"code": "TOO_MANY_REQUESTS", "message": "a minute", "details": {}, "status": "error"}
    fault = Fault(FaultKind.STATUS, status=429, headers=told, payload=payload, retry_after_s=60)
    client = await start(SEED, faults=[fault])

    reply = await client.delete(URL, ids="11")

    assert {name: reply.headers[name] for name in told} == told
    assert (reply.status, reply.headers["Retry-After"], reply.body) == (429, "60", payload)


def strikes(fault: Fault, calls: int, **call: Any) -> list[int]:
    """Numbers of the calls that a fault strikes."""
    plan = FaultPlan([fault], seed=3)
    matched = {"method": "DELETE", "path": "/crm/v8/Leads/1/Campaigns", **call}
    return [n for n in range(1, calls + 1) if plan.strike(**matched)]


def test_when_faults_strike() -> None:
    """By method, path, n-th, every, probability and number of times."""
    kind = FaultKind.STATUS
    assert strikes(Fault(kind), 3) == [1, 2, 3]
    assert strikes(Fault(kind, nth=2), 5) == [2]
    assert strikes(Fault(kind, every=3), 9) == [3, 6, 9]
    assert strikes(Fault(kind, every=2, times=2), 9) == [2, 4]
    assert strikes(Fault(kind, nth=3, run=4), 9) == [3, 4, 5, 6]
    assert strikes(Fault(kind, every=4, run=2), 10) == [4, 5, 8, 9]
    assert strikes(Fault(kind, every=4, run=3, times=4), 20) == [4, 5, 6, 8]
    assert strikes(Fault(kind, method="PUT"), 3) == []
    assert strikes(Fault(kind, path="/Contacts/"), 3) == []
    assert strikes(Fault(kind, path="Campaigns$", method="DELETE"), 1) == [1]
    assert strikes(Fault(kind, ids=("5",)), 3, named=["4"]) == []
    assert strikes(Fault(kind, ids=("5",)), 1, named=["4", "5"]) == [1]


def test_probability_is_seeded() -> None:
    """The same seed strikes the same calls; about the share asked for."""
    fault = Fault(FaultKind.STATUS, probability=0.2)

    assert strikes(fault, 1000) == strikes(fault, 1000)
    assert 150 < len(strikes(fault, 1000)) < 250


def test_faults_from_toml(tmp_path: Path) -> None:
    """`faults.toml` holds [[fault]] tables."""
    path = tmp_path / "faults.toml"
    path.write_text(
        '[[fault]]\nkind = "cut_after"\nmethod = "DELETE"\nprobability = 0.01\n'
        '[[fault]]\nkind = "poison"\nids = [12]\n'
    )

    assert load_faults(path) == [
        Fault(FaultKind.CUT_AFTER, method="DELETE", probability=0.01),
        Fault(FaultKind.POISON, ids=("12",)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[fault]]\nkind = 'melt'", "'melt' is not a valid FaultKind"),
        ("[[fault]]\nkind = 'status'\nbody = 'x'", "'x' is not a valid Body"),
        ("[[fault]]\nkind = 'status'\npath = '('", "path is a regular expression"),
        ("[[fault]]\nkind = 'status'\nwhen = 1", r"unknown keys \['when'\]"),
        ("[[fault]]\nkind = 'status'\nnth = '3'", "fault nth: found '3', expected a whole number"),
        ("[[fault]]\nkind = 'status'\nprobability = true", "found True, expected a number"),
        ("[[fault]]\nkind = 'delay'\ndelay_s = '1'", "fault delay_s: found '1'"),
        ("[[fault]]\nkind = 'poison'\nids = 12", "fault ids: found 12, expected a list of ids"),
        ("[[fault]]\nkind = 'status'\nheaders = 'x'", "headers: found 'x', expected an object"),
        ("[faults]", r"expected \[\[fault\]\] tables only"),
        ("[[fault", "faults.toml: "),
    ],
)
def test_bad_fault_files(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, what was found and what was expected."""
    path = tmp_path / "faults.toml"
    path.write_text(text)

    with pytest.raises(ValueError, match=message):
        load_faults(path)


async def test_bursts_of_429(start: Start) -> None:
    """A burst: from the n-th call on, so many calls in a row are refused, then all is well."""
    burst = Fault(FaultKind.STATUS, status=429, nth=3, run=4, method="DELETE")
    client = await start(SEED, faults=[burst])

    replies = [await client.delete(URL, ids="11") for _ in range(8)]

    assert [each.status for each in replies] == [200, 400, 429, 429, 429, 429, 400, 400]
    assert [each.body["code"] for each in replies[2:6]] == ["TOO_MANY_REQUESTS"] * 4


async def test_an_answer_given_word_for_word(start: Start) -> None:
    """`payload` is the body of a `status` fault: what the vendor's pages show and no rule makes."""
    payload = {"code": 429, "error": "TOO_MANY_REQUESTS", "error_info": "Many", "details": []}
    client = await start(SEED, faults=[Fault(FaultKind.STATUS, status=429, payload=payload)])

    reply = await client.delete(URL, ids="11")

    assert (reply.status, reply.body, linked(client)) == (429, payload, ["11", "12", "13"])


async def test_a_kept_alive_connection_closed_while_idle(start: Start) -> None:
    """The next call on it finds it closed, is not seen by the server, and has no effect."""
    client = await start(SEED, faults=[Fault(FaultKind.CLOSE_AFTER, nth=1)])
    head = b"Host: x\r\nAuthorization: Zoho-oauthtoken emulator-access\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", client.emulator.port)

    writer.write(b"DELETE " + URL.encode() + b"/11 HTTP/1.1\r\n" + head)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.write(b"DELETE " + URL.encode() + b"/12 HTTP/1.1\r\n" + head)
    with contextlib.suppress(ConnectionError):
        assert b"HTTP/1.1" not in await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" not in answer.lower()
    assert (linked(client), len(client.emulator.ledger)) == (["12", "13"], 1)


async def test_latency_has_a_distribution(start: Start) -> None:
    """Lognormal by median and sigma: most calls near the median, some far slower."""
    client = await start(
        SEED, clock=Clock(speed=100.0), concurrency=0, latency_median_s=1.0, latency_sigma=1.0
    )
    loop = asyncio.get_running_loop()

    async def one() -> float:
        before = loop.time()
        assert (await client.get("/crm/v8/Leads/1")).status == 200
        return loop.time() - before

    took = sorted(await asyncio.gather(*(one() for _ in range(40))))

    # Without the speed it were a second; a busy machine adds some to each, so they are told apart
    # by what lies between them.
    assert 0.003 < took[20] < 0.5
    assert took[-1] - took[4] > 0.02


async def test_faults_by_probability_are_seen_and_counted(start: Start) -> None:
    """About the share asked for, the same calls for the same seed."""
    fault = Fault(FaultKind.STATUS, status=503, probability=0.3)

    async def statuses() -> list[int]:
        client = await start(SEED, faults=[fault])
        return [(await client.get("/crm/v8/Leads/1")).status for _ in range(60)]

    first = await statuses()

    assert first == await statuses()
    assert 8 <= first.count(503) <= 28


@pytest.mark.parametrize(
    ("knobs", "seconds", "pending", "left"),
    [
        ({"job_seconds": 0}, 0, 204, {}),
        ({"job_seconds": 3600}, 3599, 200, {"101": "manually"}),
        ({"job_seconds": 3600}, 3600, 204, {}),
        ({"job_stuck_ratio": 1.0}, 1e7, 200, {"101": "manually"}),
        ({"job_failure_ratio": 1.0}, 3600, 204, {"101": "manually"}),
    ],
    ids=["at once", "long", "long, over", "never", "without effect"],
)
async def test_jobs_that_make_trouble(
    start: Start, knobs: dict[str, float], seconds: float, pending: int, left: dict[str, str]
) -> None:
    """A scheduled removal ends at once, late, never, or without having done anything."""
    client = await start(SEED, **knobs)
    item = {"id": "1", "Territories": [{"id": "101"}]}
    scheduled = await client.post("/crm/v8/Leads/actions/remove_territories", item)
    await client.control("POST", "clock/advance", {"seconds": seconds})

    info = await client.get(
        "/crm/v8/Leads/actions/get_feature_specific_info",
        features="territory_scheduled_jobs",
        ids="1",
    )
    record = await client.get("/crm/v8/Leads/1")

    assert (scheduled.status, scheduled.codes) == (202, ["SCHEDULED"])
    assert info.status == pending
    found = {each["id"]: each["$assigned"] for each in record.items[0]["Territories"]}
    assert found == left
