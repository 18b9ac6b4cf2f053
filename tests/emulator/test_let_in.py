"""What one call found out about a URL's names helps the next, and lets in nobody else."""

from __future__ import annotations

from typing import Any

from .conftest import Reply, Start

URL = "/crm/v8/Leads/1/Campaigns"
SEED: dict[str, Any] = {
    "relations": {
        "Leads/1/Campaigns": ["11", "12", "13"],
        "Appointments/2/Services": ["21", "22"],
    },
    "clients": [
        {"client_id": "all", "access_token": "all"},
        {"client_id": "one", "access_token": "one", "scopes": ["ZohoCRM.modules.Leads.DELETE"]},
        {"client_id": "none", "access_token": "none", "scopes": ["ZohoCRM.users.READ"]},
    ],
}


def told(reply: Reply) -> tuple[int, str]:
    """Status, and the code of the flat body."""
    return reply.status, reply.body["code"]


async def test_a_right_that_is_taken_away_is_missed_at_once(start: Start) -> None:
    """The same call, the same client: let in before, refused after."""
    client = await start(SEED)

    before = await client.delete(URL, ids="11")
    client.emulator.world.organisation.rights.denied.add("Leads.delete")
    after = await client.delete(URL, ids="12")

    assert before.status == 200
    assert told(after) == (403, "NO_PERMISSION")


async def test_a_record_that_gets_locked_is_locked_at_once(start: Start) -> None:
    """A lock is of a record, whoever was let in to it."""
    client = await start(SEED)

    before = await client.delete(URL, ids="11")
    client.emulator.world.organisation.rights.locked.add("1")
    after = await client.delete(URL, ids="12")

    assert before.status == 200
    assert told(after) == (400, "RECORD_LOCKED")


async def test_nobody_is_let_in_for_another(start: Start) -> None:
    """A client without the scope is refused, though another made the same call just before."""
    client = await start(SEED)

    before = await client.delete(URL, ids="11")
    client.token = "none"
    after = await client.delete(URL, ids="12")

    assert before.status == 200
    assert told(after) == (401, "OAUTH_SCOPE_MISMATCH")


async def test_who_may_unlink_may_not_link_for_that(start: Start) -> None:
    """The scope of one method is none of another's."""
    client = await start(SEED)
    client.token = "one"

    before = await client.delete(URL, ids="11")
    after = await client.put(URL, {"id": "11"})

    assert before.status == 200
    assert told(after) == (401, "OAUTH_SCOPE_MISMATCH")


async def test_what_one_version_has_another_may_not(start: Start) -> None:
    """Services of appointments came with v3: a call that v8 answers, v2 refuses."""
    client = await start(SEED)

    before = await client.delete("/crm/v8/Appointments/2/Services", ids="21")
    after = await client.delete("/crm/v2/Appointments/2/Services", ids="22")

    assert before.status == 200
    assert (*told(after), after.body["details"]) == (
        400,
        "INVALID_DATA",
        {"resource_path_index": 2},
    )


async def test_a_refusal_does_not_last(start: Start) -> None:
    """A relation whose record does not exist yet is there once it does."""
    client = await start({"relations": {"Leads/1/Campaigns": ["11"]}})

    before = await client.delete("/crm/v8/Leads/2/Campaigns", ids="11")
    client.emulator.world.organisation.add_record("Leads", "2")
    after = await client.put("/crm/v8/Leads/2/Campaigns", {"id": "11"})

    assert (told(before), after.status) == ((400, "INVALID_DATA"), 200)
