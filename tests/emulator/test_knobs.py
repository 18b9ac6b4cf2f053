"""Every knob is felt by a client: what it sees with the knob as it is, and turned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from bulkops.emulator import Behaviour

from .conftest import Client, Reply, Start

WORLD: dict[str, Any] = {
    "records": {
        "Leads": ["1", "2"],
        "Campaigns": ["11", "12"],
        "Deals": ["41"],
        "Contacts": ["51", "52"],
        "Accounts": ["61", "62"],
        "Notes": ["71"],
    },
    "relations": {"Leads/1/Campaigns": ["11", "12"]},
    "roles": {"91": "Buyer"},
    "contact_roles": {"41": {"51": "91"}},
    "territories": [
        {"id": "100", "name": "All"},
        {"id": "101", "name": "West", "parent_id": "100"},
        {"id": "102", "name": "Coast", "parent_id": "101"},
        {"id": "103", "name": "East", "parent_id": "100"},
    ],
    "record_territories": {
        "Accounts": {"61": {"101": "manually", "102": "automatically"}, "62": ["101"]},
        "Leads": {"1": ["101"]},
    },
}
LIST, ROLES = "/crm/v8/Leads/1/Campaigns", "/crm/v8/Deals/41/Contact_Roles"
REMOVE = "/crm/v8/Accounts/actions/remove_territories"
ASSIGN = "/crm/v8/Accounts/actions/assign_territories"
INFO = "/crm/v8/Accounts/actions/get_feature_specific_info"
TRANSFER = "/crm/v8/settings/territories/actions/transfer_and_delete"
SLOW = {"latency_median_s": 0.02, "latency_sigma": 0.0}
AT_ONCE = {"offload_from": 0}
#: Felt as time, which other tests take.
ELSEWHERE = {"latency_median_s": "test_limits", "latency_sigma": "test_faults"}
ALREADY = (
    "You are trying to remove territories again from the record(s) while a job is already "
    "scheduled."
)
MOVED = (
    "Given Territory Removed Successfully and its child Territories moved to the another territory"
)

Look = Callable[[Client], Awaitable[Any]]


@dataclass(frozen=True)
class Turn:
    """A knob, what it is turned to, and what a client sees before and after."""

    knob: str
    value: Any
    look: Look
    before: Any
    after: Any
    #: other knobs that the look needs
    given: Mapping[str, Any] = field(default_factory=dict)


def status(method: str, path: str, body: Any = None, **query: str) -> Look:
    """A look at the status of one call."""

    async def look(client: Client) -> int:
        return (await client.send(method, path, query=query, body=body)).status

    return look


def statuses(*looks: Look) -> Look:
    """A look at several things, one after the other."""

    async def look(client: Client) -> list[Any]:
        return [await each(client) for each in looks]

    return look


def together(*looks: Look) -> Look:
    """A look at several calls at a time, the least first."""

    async def look(client: Client) -> list[Any]:
        return sorted(await asyncio.gather(*(each(client) for each in looks)))

    return look


def said(key: str, method: str, path: str, body: Any = None, **query: str) -> Look:
    """A look at one key of the first item, or of the flat body."""

    async def look(client: Client) -> Any:
        reply = await client.send(method, path, query=query, body=body)
        return (reply.body if "code" in reply.body else reply.items[0])[key]

    return look


def rights(look: Look, **changed: Any) -> Look:
    """A look by a user without some rights."""

    async def looked(client: Client) -> Any:
        for name, value in changed.items():
            setattr(client.emulator.world.organisation.rights, name, value)
        return await look(client)

    return looked


def later(seconds: float, look: Look) -> Look:
    """A look after some time."""

    async def looked(client: Client) -> Any:
        await client.control("POST", "clock/advance", {"seconds": seconds})
        return await look(client)

    return looked


def data(*items: Any) -> dict[str, Any]:
    return {"data": list(items)}


def named(record: str, *territories: str) -> dict[str, Any]:
    return {"id": record, "Territories": [{"id": each} for each in territories]}


async def ask_token(client: Client) -> Reply:
    form = {
        "grant_type": "refresh_token",
        "client_id": client.emulator.client_id,
        "client_secret": client.emulator.client_secret,
        "refresh_token": client.emulator.refresh_token,
    }
    return await client.send("POST", "/oauth/v2/token", query=form)


async def token_status(client: Client) -> int:
    return (await ask_token(client)).status


async def keys_of_a_token(client: Client) -> bool:
    return "expires_in" in (await ask_token(client)).body


async def token_value(client: Client) -> str:
    return str((await ask_token(client)).body["access_token"])


async def first_of_two_tokens(client: Client) -> int:
    first = await token_value(client)
    await token_value(client)
    client.token = first
    return await READ(client)


async def fresh_token(client: Client) -> int:
    client.token = await token_value(client)
    return await READ(client)


async def credits_of_a_refusal(client: Client) -> int:
    await client.get("/crm/v8/Leads/9/Campaigns", fields="id")
    return client.emulator.counters.credits


async def retry_after(client: Client) -> str | None:
    return (await client.get(LIST, fields="id")).headers.get("Retry-After")


async def order(client: Client) -> list[str]:
    return [each["details"]["id"] for each in (await client.delete(LIST, ids="11,12")).items]


async def job_ids(client: Client) -> int:
    items = (await client.post(REMOVE, named("61", "101"), named("62", "101"))).items
    return len({each["details"]["job_id"] for each in items})


async def held_later(client: Client) -> list[str]:
    await client.post(REMOVE, named("62", "101"))
    await client.control("POST", "clock/advance", {"seconds": 60})
    account = (await client.get("/crm/v8/Accounts/62")).items[0]
    return [each["id"] for each in account["Territories"]]


async def listed_territories(client: Client) -> bool:
    reply = await client.get("/crm/v8/Accounts", fields="id,Territories", ids="61")
    return "Territories" in reply.items[0]


async def envelope(client: Client) -> list[str]:
    await client.post(REMOVE, named("62", "101"))
    return sorted((await client.get(INFO, features="territory_scheduled_jobs")).items[0])


async def moved(client: Client) -> list[str]:
    item = {"id": "101", "transfer_to_id": "100"}
    await client.post(TRANSFER, item, key="territories")
    lead = (await client.get("/crm/v8/Leads/1")).items[0]
    return [each["id"] for each in lead["Territories"]]


async def second_page(client: Client) -> int:
    first = await client.get("/crm/v8/Leads", fields="id", per_page="1")
    token = first.body["info"]["next_page_token"]
    return (await client.get("/crm/v8/Leads", fields="id", per_page="1", page_token=token)).status


READ = status("GET", LIST, fields="id")
SORTED = status("GET", "/crm/v8/Leads", fields="id", sort_by="id")
SCHEDULE = status("POST", REMOVE, data(named("62", "101")))
PENDING = status("GET", INFO, features="territory_scheduled_jobs")
TWO_MOVES = {"territories": [{"id": "102"}, {"id": "103"}]}
LEAD = data(named("1", "101"))

TURNS = [
    Turn("seed", 8, token_value, None, None),
    Turn("concurrency", 1, together(READ, READ), [200, 200], [200, 429], SLOW),
    Turn("sub_concurrency", 1, together(SORTED, SORTED), [200, 200], [200, 429], SLOW),
    Turn("credits_per_day", 1, statuses(READ, READ), [200, 200], [200, 429]),
    Turn("failures_cost_credits", False, credits_of_a_refusal, 1, 0),
    Turn("retry_after_s", 3, retry_after, None, "3", {"credits_per_day": 0}),
    Turn("delink_message", "gone", said("message", "DELETE", LIST, ids="11"), "relation removed",
         "gone"),
    Turn("link_message", "there", said("message", "PUT", LIST, data({"id": "11"})),
         "relation added", "there"),
    Turn("contact_role_message", "relation added",
         said("message", "PUT", f"{ROLES}/52", data({"Contact_Role": {"id": "91"}})),
         "relation updated", "relation added"),
    Turn("item_errors_as_202", ["crm/v8"], status("DELETE", LIST, ids="99"), 400, 202),
    Turn("mixed_status", 200, status("DELETE", LIST, ids="11,99"), 207, 200),
    Turn("scheduled_mixed_status", 202,
         status("POST", REMOVE, data(named("62", "101"), named("99", "101"))), 207, 202),
    Turn("unknown_link_id", "id", said("details", "PUT", LIST, data({"id": "99"})),
         {"api_name": "id", "json_path": "$.data[0].id"}, {"id": "99"}),
    Turn("missing_parent", "not_found", status("DELETE", "/crm/v8/Leads/9/Campaigns", ids="11"),
         400, 404),
    Turn("bad_relation_message", "what?",
         said("message", "DELETE", "/crm/v8/Leads/1/Kampaigns", ids="11"),
         "the relation name given seems to be invalid", "what?"),
    Turn("unsupported_module_code", "INVALID_MODULE",
         said("code", "DELETE", "/crm/v8/Notes/71/Leads", ids="1"), "NOT_SUPPORTED",
         "INVALID_MODULE"),
    Turn("authorization_failed_status", 401,
         rights(status("DELETE", LIST, ids="11"), unauthorised={"Leads.delete"}), 400, 401),
    Turn("item_order", "reversed", order, ["11", "12"], ["12", "11"]),
    Turn("json_path_space", True, said("details", "PUT", LIST, data({"id": "99"})),
         {"api_name": "id", "json_path": "$.data[0].id"},
         {"api_name": "id", "json_path": " $.data[0].id"}),
    Turn("items_per_call", 1, status("DELETE", LIST, ids="11,12"), 200, 400),
    Turn("ids_characters", 4, status("DELETE", LIST, ids="11,12"), 200, 400),
    Turn("territory_records_per_call", 1,
         status("POST", REMOVE, data(named("61", "101"), named("62", "101"))), 202, 400),
    Turn("territories_per_record", 1, status("POST", ASSIGN, data(named("62", "103"))), 202, 400),
    Turn("offload_from", 2, SCHEDULE, 202, 200),
    Turn("offload_ratio", 0.0, SCHEDULE, 202, 200),
    Turn("job_seconds", 0, statuses(SCHEDULE, PENDING), [202, 200], [202, 204]),
    Turn("job_looks", 1, statuses(SCHEDULE, PENDING), [202, 200], [202, 204]),
    Turn("job_id_shared", True, job_ids, 2, 1),
    Turn("job_failure_ratio", 1.0, held_later, [], ["101"]),
    Turn("job_stuck_ratio", 1.0, statuses(SCHEDULE, later(60, PENDING)), [202, 204], [202, 200]),
    Turn("removal_message", "the territories are removed successfully",
         said("message", "POST", REMOVE, data(named("62", "101"))),
         "the territories data removed successfully", "the territories are removed successfully",
         AT_ONCE),
    Turn("already_scheduled_message", "not {action}",
         statuses(SCHEDULE, said("message", "POST", REMOVE, data(named("62", "101")))),
         [202, ALREADY], [202, "not remove territories again from"]),
    Turn("not_allowed_status", 403, status("POST", REMOVE, data(named("61", "102"))), 400, 403),
    Turn("territory_permission_status", 403,
         rights(status("POST", REMOVE, data(named("62", "101"))), territories={"101"}), 401, 403),
    Turn("record_permission_status", 401,
         rights(status("POST", REMOVE, data(named("62", "101"))), records={"62"}), 403, 401),
    Turn("leads_refusal", "TERRITORY_NOT_ENABLED",
         rights(said("code", "POST", "/crm/v8/Leads/actions/remove_territories", LEAD),
                territories_for_leads=False), "FEATURE_NOT_ENABLED", "TERRITORY_NOT_ENABLED"),
    Turn("feature_info_shape", "flat", envelope, ["id", "territory_scheduled_jobs"],
         ["id", "job_id", "source"]),
    Turn("feature_info_empty_status", 200, PENDING, 204, 200),
    Turn("list_returns_territories", False, listed_territories, True, False),
    Turn("absent_contact_role", "contact role not deleted",
         said("message", "DELETE", f"{ROLES}/52"), "relation not found",
         "contact role not deleted"),
    Turn("contact_roles_mixed_status", 400, status("DELETE", ROLES, ids="51,52"), 207, 400),
    Turn("contact_roles_bulk_from", 9,
         status("PUT", ROLES, data({"id": "52", "Contact_Role": {"id": "91"}})), 200, 400),
    Turn("transfer_message", "Territory Transferred And Deleted Successfully",
         said("message", "POST", TRANSFER, {"territories": [{"id": "103"}]}), MOVED,
         "Territory Transferred And Deleted Successfully"),
    Turn("transfer_moves_records", False, moved, ["100"], []),
    Turn("transfers_per_call", 1, status("POST", TRANSFER, TWO_MOVES), 200, 400),
    Turn("missing_record_status", 404, status("GET", "/crm/v8/Leads/9"), 204, 404),
    Turn("page_wall", 1, status("GET", "/crm/v8/Leads", fields="id", per_page="1", page="2"),
         200, 400),
    Turn("page_token_wall", 1, second_page, 200, 400),
    Turn("page_token_life_s", 0, second_page, 200, 400),
    Turn("token_throttle_status", 200, token_status, 400, 200, {"tokens_per_window": 0}),
    Turn("tokens_per_window", 0, token_status, 200, 400),
    Turn("token_window_s", 1, statuses(token_status, later(1, token_status)), [200, 400],
         [200, 200], {"tokens_per_window": 1}),
    Turn("live_tokens", 1, first_of_two_tokens, 200, 401),
    Turn("token_life_s", 0, fresh_token, 200, 401),
    Turn("token_tells_expiry", False, keys_of_a_token, True, False),
]  # fmt: skip


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.knob)
async def test_a_knob_is_felt(start: Start, turn: Turn) -> None:
    """The same look sees one thing with the knob as it is, and another with the knob turned."""
    before = await turn.look(await start(WORLD, **turn.given))
    after = await turn.look(await start(WORLD, **turn.given, **{turn.knob: turn.value}))

    if turn.knob == "seed":
        assert before != after
    else:
        assert (before, after) == (turn.before, turn.after)


def test_every_knob_is_turned() -> None:
    """Each field of `Behaviour` is in the table, but for those that are felt as time."""
    assert {each.name for each in fields(Behaviour)} == {
        *(each.knob for each in TURNS),
        *ELSEWHERE,
    }
