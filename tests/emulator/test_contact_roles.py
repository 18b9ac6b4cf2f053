"""Contact roles of a deal over a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Start

SEED: dict[str, Any] = {
    "records": {
        "Deals": ["1", "2"],
        "Contacts": {"11": {"Email": "a@example.com"}, "12": {}, "13": {}},
    },
    "roles": {"901": "Executive Sponsor", "902": "Decision Maker"},
    "contact_roles": {"1": {"11": "901", "12": "902"}},
}
SPONSOR = {"name": "Executive Sponsor", "id": "901"}


async def test_set_and_change_a_role(start: Start) -> None:
    """PUT gives a contact its role, by id, by name or by both, and changes it when repeated."""
    client = await start(SEED)

    for role in ({"id": "901"}, {"name": "Decision Maker"}, {"id": 902, "name": "Decision Maker"}):
        reply = await client.put("/crm/v4/Deals/2/Contact_Roles/13", {"Contact_Role": role})
        assert (
            reply.status,
            reply.items[0]["message"],
            reply.items[0]["details"],
        ) == (200, "relation updated", {"id": "13"})
    assert (await client.control("GET", "world"))["contact_roles"] == {
        "1": {"11": "901", "12": "902"},
        "2": {"13": "902"},
    }


async def test_the_deal_is_seen_from_the_contact(start: Start) -> None:
    """A contact role is the relation of contact and deal, seen from either side."""
    client = await start(SEED)

    removed = await client.delete("/crm/v8/Contacts/11/Deals", ids="1")
    linked = await client.put("/crm/v8/Contacts/13/Deals", {"id": "1", "Contact_Role": "901"})
    rows = await client.get("/crm/v8/Deals/1/Contact_Roles", fields="Contact_Role")

    assert (removed.status, removed.items[0]["message"]) == (200, "relation removed")
    assert (linked.status, linked.items[0]["message"]) == (200, "relation added")
    assert {"12", "13"} == {row["id"] for row in rows.items}


ERRORS = [
    ("PUT", "/crm/v8/Deals/9/Contact_Roles/11", {"Contact_Role": SPONSOR}, "flat",
     "INVALID_DATA", "the related id given seems to be invalid"),
    ("PUT", "/crm/v8/Deals/1/Contact_Roles/99", {"Contact_Role": SPONSOR}, "item",
     "INVALID_DATA", "the id given seems to be invalid"),
    ("PUT", "/crm/v8/Deals/1/Contact_Roles/11", {"Contact_Role": {"id": "999"}}, "item",
     "INVALID_DATA", "invalid data"),
    ("PUT", "/crm/v8/Deals/1/Contact_Roles/11", {"Contact_Role": {}}, "item",
     "INVALID_DATA", "invalid data"),
    ("PUT", "/crm/v8/Deals/1/Contact_Roles/11", {"x": 1}, "item",
     "MANDATORY_NOT_FOUND", "required field not found"),
    ("PUT", "/crm/v8/Deals/1/Contact_Roles/11", 7, "item",
     "MANDATORY_NOT_FOUND", "required field not found"),
    ("PUT", "/crm/v8/Deals/1/Contact_Roles", {"Contact_Role": SPONSOR}, "item",
     "MANDATORY_NOT_FOUND", "required field not found"),
    ("PUT", "/crm/v8/Deals/1/Contact_Roles", 7, "item", "INVALID_DATA", "invalid data"),
    ("DELETE", "/crm/v8/Deals/1/Contact_Roles/13", None, "item",
     "MANDATORY_NOT_FOUND", "relation not found"),
    ("DELETE", "/crm/v8/Deals/1/Contact_Roles/99", None, "item",
     "INVALID_DATA", "the id given seems to be invalid"),
    ("DELETE", "/crm/v8/Deals/9/Contact_Roles?ids=11", None, "flat",
     "INVALID_DATA", "the related id given seems to be invalid"),
    ("DELETE", "/crm/v8/Deals/1/Contact_Roles", None, "flat",
     "MANDATORY_NOT_FOUND", "One of the expected parameter is missing"),
    ("GET", "/crm/v8/Deals/1/Contact_Roles", None, "flat",
     "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "url", "item", "shape", "code", "message"), ERRORS)
async def test_errors(
    start: Start, method: str, url: str, item: Any, shape: str, code: str, message: str
) -> None:
    """What is refused of contact roles, flat or as an item."""
    client = await start(SEED)

    reply = await client.send(method, url, body=None if item is None else {"data": [item]})

    found = reply.items[0] if shape == "item" else reply.body
    assert (400, code, message) == (reply.status, found["code"], found["message"])


async def test_removing_twice_says_so(start: Start) -> None:
    """A role removed before is "contact role not deleted", one never given is not found."""
    client = await start(SEED)

    first = await client.delete("/crm/v8/Deals/1/Contact_Roles", ids="11,13")
    again = await client.delete("/crm/v8/Deals/1/Contact_Roles", ids="11,13")

    assert (first.status, first.codes) == (207, ["SUCCESS", "MANDATORY_NOT_FOUND"])
    assert (
        again.status,
        [item["message"] for item in again.items],
    ) == (400, ["contact role not deleted", "relation not found"])


@pytest.mark.parametrize("says", ["relation not found", "contact role not deleted"])
async def test_absent_role_text_is_a_knob(start: Start, says: str) -> None:
    """Both texts mean that there is nothing to remove."""
    client = await start(SEED, absent_contact_role=says)

    reply = await client.delete("/crm/v8/Deals/1/Contact_Roles/13")

    assert says == reply.items[0]["message"]


async def test_bulk_put_is_known_to_v8_only(start: Start) -> None:
    """Bulk PUT of contact roles is in the newest specification alone."""
    client = await start(SEED)
    item = {"id": 13, "Contact_Role": {"id": "901"}}

    v7 = await client.put("/crm/v7/Deals/1/Contact_Roles", item)
    v8 = await client.put("/crm/v8/Deals/1/Contact_Roles", item, {"id": "99", "Contact_Role": {}})

    assert (v7.status, v7.body["code"]) == (400, "INVALID_REQUEST_METHOD")
    assert (v8.status, v8.codes) == (207, ["SUCCESS", "INVALID_DATA"])


async def test_read_roles(start: Start) -> None:
    """Read roles: rows carry the role and the contact's fields; none is 204."""
    client = await start(SEED)

    rows = await client.get("/crm/v8/Deals/1/Contact_Roles", fields="Contact_Role,Email")
    one = await client.get("/crm/v8/Deals/1/Contact_Roles/11")
    none = await client.get("/crm/v8/Deals/2/Contact_Roles", fields="id")

    assert rows.items[0] == {"Contact_Role": SPONSOR, "Email": "a@example.com", "id": "11"}
    assert (one.status, one.items[0]["id"], none.status, none.raw) == (200, "11", 204, b"")


async def test_the_roles_there_are(start: Start) -> None:
    """`GET /Contacts/roles`, by which clients find the id of a role; none is 204."""
    client = await start(SEED)
    bare = await start({"records": {"Contacts": ["1"]}})

    known = await client.get("/crm/v8/Contacts/roles")
    none = await bare.get("/crm/v8/Contacts/roles")

    assert [(each["id"], each["name"]) for each in known.body["contact_roles"]] == list(
        SEED["roles"].items()
    )
    assert [each["sequence_number"] for each in known.body["contact_roles"]] == [
        *range(1, 1 + len(SEED["roles"]))
    ]
    assert (none.status, none.raw) == (204, b"")


@pytest.mark.parametrize("module", ["Deals", "Contacts"])
async def test_rights_on_deals_and_contacts_are_needed(start: Start, module: str) -> None:
    """403 names the module that may not be touched."""
    client = await start({**SEED, "rights": {"denied": [f"{module}.delete"]}})

    reply = await client.delete("/crm/v8/Deals/1/Contact_Roles", ids="11")

    shown = {"Deals": "Potentials"}.get(module, module)
    assert (403, {"permissions": [f"Crm_Implied_View_{shown}"]}) == (
        reply.status,
        reply.body["details"],
    )


async def test_scope_of_both_modules_is_needed(start: Start) -> None:
    """A scope for deals alone does not do."""
    clients = [
        {"client_id": "a", "access_token": "a", "scopes": ["ZohoCRM.modules.deals.ALL"]},
        {
            "client_id": "b",
            "access_token": "b",
            "scopes": ["ZohoCRM.modules.Deals.DELETE", "ZohoCRM.modules.Contacts.WRITE"],
        },
    ]
    client = await start({**SEED, "clients": clients})
    client.token = "a"
    refused = await client.delete("/crm/v8/Deals/1/Contact_Roles", ids="11")
    client.token = "b"
    done = await client.delete("/crm/v8/Deals/1/Contact_Roles", ids="11")

    assert (refused.status, refused.body["code"]) == (401, "OAUTH_SCOPE_MISMATCH")
    assert done.status == 200
