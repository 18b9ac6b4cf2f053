"""The territory hierarchy over a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, Reply, Start

SEED: dict[str, Any] = {
    "territories": [
        {"id": "100", "name": "All", "parent_id": None},
        {"id": "101", "name": "West", "parent_id": "100"},
        {"id": "102", "name": "Coast", "parent_id": "101"},
        {"id": "103", "name": "East", "parent_id": "100"},
    ],
    "record_territories": {"Accounts": {"1": {"102": "manually"}, "2": {"101": "automatically"}}},
}
URL = "/crm/v8/settings/territories"


async def transfer(client: Client, *items: dict[str, Any]) -> Reply:
    return await client.post(f"{URL}/actions/transfer_and_delete", *items, key="territories")


async def test_read_all_in_pages(start: Start) -> None:
    """`{"territories": [...], "info": {...}}`, at most 200 a page."""
    client = await start(SEED)

    first = await client.get(URL, per_page="3")
    second = await client.get(URL, per_page="3", page="2")
    chosen = await client.get(URL, ids="101,103")

    assert [each["id"] for each in first.items] == ["100", "101", "102"]
    assert [each["id"] for each in second.items] == ["103"]
    assert [first.body["info"]["more_records"], second.body["info"]["more_records"]] == [
        True,
        False,
    ]
    assert [each["id"] for each in chosen.items] == ["101", "103"]


async def test_read_one_and_its_children(start: Start) -> None:
    """A territory names its parent; children are direct ones."""
    client = await start(SEED)

    one = await client.get(f"{URL}/102")
    old = await client.get("/crm/v2/settings/territories/102")
    children = await client.get(f"{URL}/100/__child_territories")
    leaf = await client.get(f"{URL}/103/__child_territories")
    unknown = await client.get(f"{URL}/999")

    assert one.items[0]["reporting_to"] == {"name": "West", "id": "101"}
    assert old.items[0]["parent_id"] == "101"
    assert [each["id"] for each in children.items] == ["101", "103"]
    assert [leaf.status, unknown.status] == [204, 204]


async def test_transfer_moves_children_and_records(start: Start) -> None:
    """Children hang below the target; records go there too (assumed)."""
    client = await start(SEED)

    reply = await transfer(
        client, {"id": 101, "transfer_to_id": "100", "delete_previous_forecasts": False}
    )

    assert (reply.status, reply.items[0]["details"]) == (200, {"id": "101"})
    assert reply.items[0]["message"] == (
        "Given Territory Removed Successfully and its child Territories moved to the another "
        "territory"
    )
    world = await client.control("GET", "world")
    assert {each["id"]: each["parent_id"] for each in world["territories"]} == {
        "100": None,
        "102": "100",
        "103": "100",
    }
    assert (world["record_territories"]["Accounts"]) == {
        "1": {"102": "manually"},
        "2": {"100": "automatically"},
    }


async def test_records_may_be_left_without(start: Start) -> None:
    """Whether records follow is a knob."""
    client = await start(SEED, transfer_moves_records=False)

    await transfer(client, {"id": "101", "transfer_to_id": "100"})

    world = await client.control("GET", "world")
    assert world["record_territories"]["Accounts"] == {"1": {"102": "manually"}}


async def test_items_run_in_order(start: Start) -> None:
    """Each item sees what the ones before it did: leaf first works, then its parent."""
    client = await start(SEED)

    reply = await transfer(
        client,
        {"id": "102", "transfer_to_id": "101"},
        {"id": "101", "transfer_to_id": "100"},
        {"id": "101", "transfer_to_id": "100"},
    )

    assert (reply.status, reply.codes) == (207, ["SUCCESS", "SUCCESS", "INVALID_DATA"])
    assert reply.items[2]["details"] == {"api_name": "id", "json_path": "$.territories[2].id"}


HERE = {"api_name": "id", "json_path": "$.territories[0].id"}
THERE = {"api_name": "transfer_to_id", "json_path": "$.territories[0].transfer_to_id"}


@pytest.mark.parametrize(
    ("item", "code", "message", "details"),
    [
        ({"id": "999"}, "INVALID_DATA", "Given Territoryid isn't valid one", HERE),
        ({}, "MANDATORY_NOT_FOUND", "required field not found", HERE),
        ({"id": "100", "transfer_to_id": "101"}, "INVALID_DATA",
         "Can't update the Org Territory Properties Except its Name", HERE),
        ({"id": "101", "transfer_to_id": "999"}, "INVALID_DATA",
         "Given transfer_to_id isn't valid one", THERE),
        ({"id": "101", "transfer_to_id": "101"}, "INVALID_DATA",
         "Transfer_to_id is same as current parent territory", THERE),
        ({"id": "101", "transfer_to_id": "102"}, "INVALID_DATA",
         "Transfer_to_id is not at a higher heirarchy than current parent territory", THERE),
        ({"id": "101", "transfer_to_id": "103"}, "INVALID_DATA",
         "Transfer_to_id is not at a higher heirarchy than current parent territory", THERE),
        ({"id": "101"}, "DEPENDENT_FIELD_MISSING",
         "This territory has its child. Please Give the transfer_to_id field value",
         {**THERE, "dependee": HERE}),
    ],
)  # fmt: skip
async def test_item_errors(
    start: Start, item: dict[str, Any], code: str, message: str, details: dict[str, Any]
) -> None:
    """Errors of transfer and delete: wrapped in `territories`, 400 when all fail."""
    client = await start(SEED)

    reply = await transfer(client, item)

    assert (400, [{"code": code, "details": details, "message": message, "status": "error"}]) == (
        reply.status,
        reply.body["territories"],
    )


async def test_a_leaf_needs_no_target(start: Start) -> None:
    """Only a territory with children depends on transfer_to_id."""
    client = await start(SEED)

    reply = await transfer(client, {"id": "102"})

    assert (reply.status, reply.codes) == (200, ["SUCCESS"])


async def test_single_form(start: Start) -> None:
    """The id in the path; its place in the URL stands for the json_path."""
    client = await start(SEED)
    url = URL + "/{}/actions/transfer_and_delete"

    done = await client.post(url.format(103), {"transfer_to_id": "100"}, key="territories")
    gone = await client.post(url.format(103), {"transfer_to_id": "100"}, key="territories")
    child = await client.post(url.format(101), {}, key="territories")

    assert (done.status, done.items[0]["details"]) == (200, {"id": "103"})
    assert gone.items[0]["details"] == {"resource_path_index": 2}
    assert child.items[0]["details"]["dependee"] == {"resource_path_index": 2}


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("never enabled", "Territory Management is not enabled"),
        ("disabled", "Territory Management is disabled"),
    ],
)
async def test_feature_off(start: Start, feature: str, message: str) -> None:
    """Without territory management every call is FEATURE_NOT_ENABLED."""
    client = await start({**SEED, "rights": {"territory_management": feature}})

    for reply in (await client.get(URL), await transfer(client, {"id": "101"})):
        assert (400, "FEATURE_NOT_ENABLED", message) == (
            reply.status,
            reply.body["code"],
            reply.body["message"],
        )


async def test_at_most_ten(start: Start) -> None:
    """Transfer and delete takes ten items a call."""
    client = await start(SEED)

    reply = await transfer(client, *[{"id": "102"}] * 11)

    assert (
        reply.status,
        reply.body["code"],
        reply.body["details"]["limit"],
    ) == (400, "LIMIT_EXCEEDED", 10)


async def test_scope(start: Start) -> None:
    """Settings.territories is a scope of its own."""
    clients = [
        {"client_id": "a", "access_token": "a", "scopes": ["ZohoCRM.settings.territories.READ"]}
    ]
    client = await start({**SEED, "clients": clients})

    read = await client.get(URL)
    write = await transfer(client, {"id": "102"})

    assert (read.status, write.status, write.body["code"]) == (200, 401, "OAUTH_SCOPE_MISMATCH")


@pytest.mark.parametrize("path", ["settings/territories/x", "settings/roles", "settings"])
async def test_unknown_settings(start: Start, path: str) -> None:
    """What the emulator does not have is INVALID_URL_PATTERN."""
    client = await start(SEED)

    assert (await client.get(f"/crm/v8/{path}")).status == 404


async def remove(client: Client, *ids: str, **query: str) -> Reply:
    return await client.delete(URL, ids=",".join(ids), delete_previous_forecasts="false", **query)


async def test_delete_of_leaves(start: Start) -> None:
    """Deleting territories: leaves go, with their assignments; items are independent."""
    client = await start(SEED)

    mixed = await remove(client, "102", "999", "100")
    single = await client.delete(f"{URL}/101", delete_previous_forecasts="true")

    assert (mixed.status, mixed.codes) == (207, ["SUCCESS", "INVALID_DATA", "NOT_ALLOWED"])
    assert mixed.items[0] == {
        "code": "SUCCESS",
        "details": {"id": "102"},
        "message": "Given Territory Removed Successfully",
        "status": "success",
    }
    assert (single.status, single.codes) == (200, ["SUCCESS"])
    world = await client.control("GET", "world")
    assert {each["id"] for each in world["territories"]} == {"100", "103"}
    assert world["record_territories"] == {"Accounts": {}}


@pytest.mark.parametrize(
    ("ids", "code", "message"),
    [
        ("999", "INVALID_DATA", "Given Territoryid isn't valid one"),
        ("100", "NOT_ALLOWED", "The territory you are trying to delete is the Org Territory"),
        ("101", "NOT_ALLOWED", ("This territory has a child territory associated with it. It can't "
                                "be deleted directly as transfer of child territory is required.")),
    ],
)  # fmt: skip
async def test_refusals_of_deletion(start: Start, ids: str, code: str, message: str) -> None:
    """Deleting territories: each refused item is wrapped, with 400 if none fared better."""
    client = await start(SEED)

    reply = await remove(client, ids)

    assert (reply.status, reply.codes) == (400, [code])
    assert (reply.items[0]["message"], reply.items[0]["details"]) == (message, {"id": ids})


async def test_flat_refusals_of_deletion(start: Start) -> None:
    """Deleting territories: no ids, malformed ids, more than ten, and no permission."""
    client = await start({**SEED, "rights": {"denied": ["Territories.delete"]}})

    none = await client.delete(URL)
    malformed = await remove(client, "x")
    over = await remove(client, *map(str, range(11)))
    denied = await remove(client, "103")

    assert (none.status, none.body["code"], none.body["details"]) == (
        400,
        "MANDATORY_NOT_FOUND",
        {"param_name": "ids"},
    )
    assert (malformed.status, malformed.body["code"]) == (400, "UNABLE_TO_PARSE_DATA_TYPE")
    assert (over.status, over.body["code"]) == (400, "INVALID_REQUEST")
    assert (denied.status, denied.body["code"]) == (401, "PERMISSION_DENIED")
