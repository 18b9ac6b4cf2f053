"""What clients look up before they begin: modules, fields, related lists, users."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Start

SEED: dict[str, Any] = {
    "records": {"Leads": {"1": {"Email": "a@example.com", "Score": 7, "Rate": 0.5, "Hot": True}}},
    "custom_relations": [["Courses", "Students", "Contacts", "Booked_Courses"]],
}


async def names(start: Start, path: str, key: str, **query: str) -> list[str]:
    reply = await (await start(SEED)).get(path, **query)
    assert reply.status == 200
    return [each["api_name"] for each in reply.body[key]]


async def test_modules(start: Start) -> None:
    """The standard ones, and those of the organisation's own; one by its name or its id."""
    client = await start(SEED)

    every = (await client.get("/crm/v8/settings/modules")).body["modules"]
    by_name = (await client.get("/crm/v8/settings/modules/Courses")).body["modules"]
    by_id = (await client.get(f"/crm/v8/settings/modules/{by_name[0]['id']}")).body["modules"]

    found = {each["api_name"]: each["generated_type"] for each in every}
    assert (found["Leads"], found["Courses"]) == ("default", "custom")
    assert len({each["id"] for each in every}) == len(every)
    assert by_name == by_id == [each for each in every if each["api_name"] == "Courses"]


@pytest.mark.parametrize(
    ("version", "deals"),
    [("crm/v2", "Deals"), ("crm/v8", "Deals"), ("bigin/v1", "Deals"), ("bigin/v2", "Pipelines")],
)
async def test_modules_have_the_names_of_their_version(
    start: Start, version: str, deals: str
) -> None:
    """Bigin v2 says Pipelines for deals, as a module and as a related list."""
    modules = await names(start, f"/{version}/settings/modules", "modules")
    lists = await names(
        start, f"/{version}/settings/related_lists", "related_lists", module="Products"
    )

    assert {"Deals", "Pipelines"} & {*modules} == {deals}
    assert {"Deals", "Pipelines"} & {*lists} == {deals}
    assert ("Campaigns" in modules) == (version.startswith("crm"))


async def test_fields(start: Start) -> None:
    """The fields that any record has, with their types; territories where there can be some."""
    client = await start(SEED)

    leads = (await client.get("/crm/v8/settings/fields", module="Leads")).body["fields"]
    products = (await client.get("/crm/v8/settings/fields", module="Products")).body["fields"]

    assert {each["api_name"]: each["data_type"] for each in leads} == {
        "id": "bigint",
        "Last_Name": "text",
        "Email": "text",
        "Score": "bigint",
        "Rate": "double",
        "Hot": "boolean",
        "Territories": "multiselectlookup",
    }
    assert {each["api_name"] for each in products} == {"id", "Product_Name"}


async def test_related_lists(start: Start) -> None:
    """The lists that can be called, with the module they hold and the way to call them."""
    client = await start(SEED)

    lists = (await client.get("/crm/v8/settings/related_lists", module="Contacts")).body
    none = await client.get("/crm/v8/settings/related_lists", module="Tasks")

    found = {each["api_name"]: each for each in lists["related_lists"]}
    assert set(found) == {"Products", "Campaigns", "Deals", "Booked_Courses"}
    assert found["Booked_Courses"]["module"]["api_name"] == "Courses"
    assert found["Deals"]["href"] == "Contacts/{ENTITYID}/Deals"
    assert (none.status, none.raw) == (204, b"")


@pytest.mark.parametrize("part", ["fields", "related_lists"])
@pytest.mark.parametrize(
    ("query", "code"),
    [({}, "REQUIRED_PARAM_MISSING"), ({"module": "Leeds"}, "INVALID_MODULE")],
)
async def test_refusals(start: Start, part: str, query: dict[str, str], code: str) -> None:
    """`module` is needed, and has to be one."""
    reply = await (await start(SEED)).get(f"/crm/v8/settings/{part}", **query)

    assert (reply.status, reply.body["code"]) == (400, code)
    assert reply.body["details"] == {"param_name": "module"}


@pytest.mark.parametrize(
    "path",
    [
        "settings/modules",
        "settings/modules/Leads",
        "settings/fields?module=Leads",
        "settings/related_lists?module=Leads",
        "users",
        "org",
        "__apis",
    ],
)
async def test_scopes(start: Start, path: str) -> None:
    """Records and metadata have scopes of their own."""
    app = {"client_id": "a", "access_token": "a", "scopes": ["ZohoCRM.modules.ALL"]}
    client = await start({**SEED, "clients": [app]})

    reply = await client.send("GET", f"/crm/v8/{path}")

    assert (reply.status, reply.body["code"]) == (401, "OAUTH_SCOPE_MISMATCH")


async def test_the_user_is_who_assigned(start: Start) -> None:
    """There is one user, whose id is also that of whoever put a record into a territory."""
    client = await start(
        {
            "territories": [{"id": "100"}, {"id": "101", "parent_id": "100"}],
            "record_territories": {"Leads": {"1": {"100": "automatically", "101": "manually"}}},
        }
    )

    (user,) = (await client.get("/crm/v8/users", type="CurrentUser")).body["users"]
    held = (await client.get("/crm/v8/Leads/1")).items[0]["Territories"]

    assert {each["id"]: each["$assigned_by"] for each in held} == {
        "100": None,
        "101": {"name": user["full_name"], "id": user["id"]},
    }
