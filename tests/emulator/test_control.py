"""The routes under /_emulator/: seed, truth, books and knobs."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from .conftest import Client, Start

SEED: dict[str, Any] = {"relations": {"Leads/1/Campaigns": ["11", "12"]}}


async def ledger(client: Client, since: int = 0) -> list[dict[str, Any]]:
    reply = await client.send("GET", f"/_emulator/ledger?since={since}")
    return [orjson.loads(line) for line in reply.raw.splitlines()]


async def test_seed_replaces_the_world(start: Start) -> None:
    """A seed makes a new world; the world's JSON is a seed again."""
    client = await start()

    await client.control("POST", "seed", SEED)
    world = await client.control("GET", "world")
    await client.control("POST", "seed", world)

    assert world["relations"] in (
        {"Leads/1/Campaigns": ["11", "12"]},
        {"Campaigns/11/Leads": ["1"], "Campaigns/12/Leads": ["1"]},
    )
    assert await client.control("GET", "world") == world
    assert (await client.delete("/crm/v8/Leads/1/Campaigns", ids="11")).status == 200


async def test_ledger_tells_every_call_and_its_effects(start: Start) -> None:
    """One line a call, in order, with what was asked and what changed."""
    client = await start(SEED)
    await client.delete("/crm/v8/Leads/1/Campaigns", ids="11,13")
    await client.delete("/crm/v8/Leads/9/Campaigns", ids="11")
    client.token = "wrong"
    await client.delete("/crm/v8/Leads/1/Campaigns", ids="12")

    rows = await ledger(client)

    assert [
        (row["seq"], row["kind"], row["status"], row["items"], row["effects"]) for row in rows
    ] == [
        (1, "unlink", 207, 2, 1),
        (2, "unlink", 400, 0, 0),
        (3, "unlink", 401, 0, 0),
    ]
    assert {key: rows[0][key] for key in ("method", "path", "query", "asked", "changed")} == {
        "method": "DELETE",
        "path": "/crm/v8/Leads/1/Campaigns",
        "query": "ids=11,13",
        "asked": ["11", "13"],
        "changed": ["11"],
    }
    assert [row["seq"] for row in await ledger(client, since=2)] == [3]


async def test_a_long_ledger_is_streamed(start: Start) -> None:
    """Thousands of rows come in one answer."""
    client = await start(SEED)
    await client.get("/crm/v8/Leads/1")
    client.emulator.ledger.rows.extend(client.emulator.ledger.rows * 2999)

    assert len(await ledger(client)) == 3000


async def test_counters(start: Start) -> None:
    """Sums by kind and status, effects, no-op effects, repeats."""
    client = await start(SEED)
    await client.delete("/crm/v8/Leads/1/Campaigns", ids="11")
    await client.delete("/crm/v8/Campaigns/11/Leads", ids="1")
    await client.put("/crm/v8/Leads/1/Campaigns", {"id": "12"})

    counters = await client.control("GET", "counters")

    assert counters["calls"] == {"unlink": 2, "link": 1}
    assert counters["statuses"] == {"200": 2, "400": 1}
    assert (counters["effects"], counters["unchanged"], counters["repeated"]) == (1, 1, 1)
    assert (counters["credits"], counters["peak_in_flight"], counters["in_flight"]) == (3, 1, 0)
    assert counters["organisations"]["default"]["credits_used"] == 3


async def test_repeats_are_counted_from_both_sides_and_forgiven_when_undone(start: Start) -> None:
    """Asking again for an applied effect is a repeat, unless its opposite came in between."""
    client = await start(SEED)
    unlink, link = "/crm/v8/Leads/1/Campaigns/11", "/crm/v8/Campaigns/11/Leads/1"

    await client.delete(unlink)
    await client.put(link, {})
    await client.delete(unlink)
    assert client.emulator.ledger.repeated() == 0
    await client.delete(link)
    assert client.emulator.ledger.repeated() == 1


async def test_repeats_of_territories_and_roles(start: Start) -> None:
    """Territory effects are told apart by record and territory, roles by deal and contact."""
    client = await start(
        {
            "territories": [{"id": "100"}, {"id": "101", "parent_id": "100"}],
            "record_territories": {"Leads": {"1": ["101"], "2": ["101"]}},
            "roles": {"9": "Buyer"},
            "contact_roles": {"5": {"6": "9"}},
        },
        offload_from=0,
    )
    item = {"id": "1", "Territories": [{"id": "101"}]}

    for _ in range(2):
        await client.post("/crm/v8/Leads/actions/remove_territories", item, 7)
        await client.delete("/crm/v8/Deals/5/Contact_Roles", ids="6")
        await client.post(
            "/crm/v8/settings/territories/101/actions/transfer_and_delete",
            {"transfer_to_id": "100"},
            key="territories",
        )

    assert (client.emulator.counters.effects, client.emulator.ledger.repeated()) == (3, 3)


async def test_reset_empties_the_books(start: Start) -> None:
    """The world stays, ledger and counters begin again."""
    client = await start(SEED)
    await client.delete("/crm/v8/Leads/1/Campaigns", ids="11")

    await client.control("POST", "reset")

    assert (len(client.emulator.ledger), client.emulator.counters.effects) == (0, 0)
    assert (await client.control("GET", "world"))["relations"]


async def test_behaviour_can_be_changed(start: Start) -> None:
    """Knobs by name; the rest stays."""
    client = await start(SEED, credits_per_day=100)

    await client.control("POST", "behaviour", {"mixed_status": 200, "item_errors_as_202": []})

    behaviour = await client.control("GET", "behaviour")
    assert (behaviour["mixed_status"], behaviour["credits_per_day"]) == (200, 100)
    assert (await client.delete("/crm/v8/Leads/1/Campaigns", ids="11,13")).status == 200


async def test_faults_can_be_added_and_cleared(start: Start) -> None:
    """One fault or a list; cleared at once."""
    client = await start(SEED)

    await client.control("POST", "faults", {"kind": "status", "status": 503})
    first = await client.get("/crm/v8/Leads/1")
    added = await client.control("POST", "faults", [{"kind": "delay", "delay_s": 0.0}])
    await client.control("DELETE", "faults")
    second = await client.get("/crm/v8/Leads/1")

    assert (first.status, added, second.status) == (503, {"faults": 2}, 200)
    assert client.emulator.counters.faults == {"status": 1}


async def test_tokens_can_be_revoked(start: Start) -> None:
    """All issued tokens of all apps end."""
    client = await start(SEED)

    assert await client.control("POST", "tokens/revoke") == {"revoked": 0}


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("behaviour", {"mixed": 1}, "unknown"),
        ("behaviour", {"mixed_status": "x"}, "expected a whole number"),
        ("behaviour", {"mixed_status": True}, "expected a whole number"),
        ("behaviour", {"json_path_space": 1}, "expected true or false"),
        ("behaviour", {"link_message": 1}, "expected a text"),
        ("behaviour", {"job_seconds": "x"}, "expected a number"),
        ("behaviour", {"concurrency": "x"}, "expected a number or null"),
        ("behaviour", {"item_errors_as_202": "x"}, "found 'x', expected a list of ['bigin/v1'"),
        ("behaviour", {"item_errors_as_202": ["crm/v9"]}, "found ['crm/v9'], expected a list of"),
        ("behaviour", {"item_errors_as_202": [{}]}, "found [{}], expected a list of"),
        ("behaviour", {"missing_parent": "x"}, "expected one of"),
        ("faults", {"kind": "x"}, "not a valid FaultKind"),
        ("seed", {"recards": {}}, "unknown keys"),
        ("seed", [], "expected an object"),
        ("clock/advance", {}, "seconds"),
        ("clock/advance", {"seconds": -1}, "expected 0 or more"),
    ],
)
async def test_bad_control_calls(start: Start, name: str, body: Any, message: str) -> None:
    """400 with a message that says what was found and expected; nothing changes."""
    client = await start(SEED)

    reply = await client.send("POST", f"/_emulator/{name}", body=body)

    assert reply.status == 400
    assert message in reply.body["error"]
    assert (await client.control("GET", "world"))["relations"]


async def test_unknown_control_route(start: Start) -> None:
    """404 with the routes there are."""
    client = await start(SEED)

    reply = await client.send("GET", "/_emulator/nothing")

    assert reply.status == 404
    assert "GET /_emulator/world" in reply.body["known"]


async def test_control_calls_leave_no_trace(start: Start) -> None:
    """They need no token, cost nothing and are not in the ledger."""
    client = await start(SEED, credits_per_day=0)
    client.token = None

    await client.control("GET", "world")

    assert (len(client.emulator.ledger), client.emulator.counters.credits) == (0, 0)
