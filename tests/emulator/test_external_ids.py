"""Records named by external fields: the header `X-EXTERNAL`, for link, unlink and read."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, Reply, Start

SEED: dict[str, Any] = {
    "records": {
        "Contacts": {"1": {"Old_Id": "contact-1"}, "2": {"Old_Id": "contact/2"}},
        "Deals": {"11": {"Deal_No": "deal-1"}, "12": {"Deal_No": 7}},
        "Leads": {"21": {"Old_Id": "lead-1"}},
        "Campaigns": {"31": {"Code": "spring"}, "32": {"Code": "summer"}},
    },
    "roles": {"91": "Buyer"},
}
BOTH = "Contacts.Old_Id,Deals.Deal_No"
CAMPAIGNS = "Leads.Old_Id, Campaigns.Code"


async def send(
    client: Client, method: str, path: str, *items: Any, external: str | None, **query: str
) -> Reply:
    return await client.send(
        method,
        f"/crm/v8/{path}",
        query=query,
        body={"data": list(items)} if items else None,
        headers={} if external is None else {"X-EXTERNAL": external},
    )


async def test_link_and_unlink_by_external_ids(start: Start) -> None:
    """Both records by their fields; a link is answered with field and id, an unlink with the id."""
    client = await start(SEED)

    linked = await send(
        client, "PUT", "Contacts/contact-1/Deals",
        {"Deal_No": "deal-1", "Contact_Role": "91"}, {"Deal_No": 7, "Contact_Role": "91"},
        external=BOTH,
    )  # fmt: skip
    removed = await send(client, "DELETE", "Contacts/contact-1/Deals/deal-1", external=BOTH)

    assert (linked.status, [each["details"] for each in linked.items]) == (
        200,
        [{"Deal_No": "deal-1", "id": "11"}, {"Deal_No": 7, "id": "12"}],
    )
    assert linked.items[0]["message"] == "relation added"
    assert (removed.status, removed.items[0]["details"]) == (200, {"id": "11"})
    assert (await client.control("GET", "world"))["contact_roles"] == {"12": {"1": "91"}}


async def test_plain_relations(start: Start) -> None:
    """Campaigns of a lead in bulk and singly, with the fields of the relation."""
    client = await start(SEED)
    url = "Leads/lead-1/Campaigns"

    bulk = await send(
        client, "PUT", url, {"Code": "spring", "Member_Status": "Active"}, external=CAMPAIGNS
    )
    one = await send(client, "PUT", f"{url}/summer", {}, external=CAMPAIGNS)
    read = await send(client, "GET", url, external=CAMPAIGNS, fields="Code,Member_Status")
    gone = await send(client, "DELETE", f"{url}/spring", external=CAMPAIGNS)
    again = await send(client, "DELETE", f"{url}/spring", external=CAMPAIGNS)

    assert [bulk.status, one.status, gone.status] == [200, 200, 200]
    assert read.items == [
        {"Code": "spring", "Member_Status": "Active", "id": "31"},
        {"Code": "summer", "Member_Status": None, "id": "32"},
    ]
    assert (again.status, again.items[0]["message"]) == (400, "relation not found")


async def test_items_without_a_record_fail_alone(start: Start) -> None:
    """One that names nobody, one that names nothing and one that is no object; the rest is done."""
    client = await start(SEED)

    reply = await send(
        client, "PUT", "Leads/lead-1/Campaigns",
        {"Code": "autumn"}, {"id": "31"}, 7, {"Code": "spring"}, external=CAMPAIGNS,
    )  # fmt: skip

    assert (reply.status, reply.codes) == (
        207, ["INVALID_DATA", "MANDATORY_NOT_FOUND", "INVALID_DATA", "SUCCESS"],
    )  # fmt: skip


async def test_one_side_by_field_the_other_by_id(start: Start) -> None:
    """A module that the header does not name goes by its id; a field may hold any text."""
    client = await start(SEED)
    role = {"Contact_Role": {"id": "91"}}

    by_url = await send(
        client, "PUT", "Contacts/contact%2F2/Deals", {"id": 11, **role}, external="Contacts.Old_Id"
    )
    by_body = await send(
        client, "PUT", "Contacts/1/Deals", {"Deal_No": "deal-1", **role}, external="Deals.Deal_No"
    )
    roles = await send(client, "DELETE", "Deals/deal-1/Contact_Roles/contact-1", external=BOTH)
    listed = await send(
        client, "DELETE", "Deals/deal-1/Contact_Roles", external="Deals.Deal_No", ids="2"
    )

    assert [each.status for each in (by_url, by_body, roles, listed)] == [200] * 4
    assert (await client.control("GET", "world"))["contact_roles"] == {}


@pytest.mark.parametrize(
    ("path", "item", "code", "details"),
    [
        ("Contacts/nobody/Deals", {"Deal_No": "deal-1"}, "INVALID_DATA",
         {"api_name": "Old_Id", "resource_path_index": 1}),
        ("Contacts/contact-1/Deals/nothing", {"Contact_Role": "91"}, "INVALID_DATA",
         {"api_name": "Deal_No", "resource_path_index": 3}),
        ("Contacts/contact-1/Deals", {"Deal_No": "nothing", "Contact_Role": "91"}, "INVALID_DATA",
         {"api_name": "Deal_No", "json_path": "$.data[0].Deal_No"}),
        ("Contacts/contact-1/Deals", {"id": "11", "Contact_Role": "91"}, "MANDATORY_NOT_FOUND",
         {"api_name": "Deal_No", "json_path": "$.data[0].Deal_No"}),
    ],
)  # fmt: skip
async def test_errors_of_external_ids(
    start: Start, path: str, item: dict[str, Any], code: str, details: dict[str, Any]
) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v8/update-related-records-ext.html"""
    client = await start(SEED)

    reply = await send(client, "PUT", path, item, external=BOTH)

    found = reply.body if "code" in reply.body else reply.items[0]
    assert (reply.status, found["code"], found["details"]) == (400, code, details)


@pytest.mark.parametrize(
    ("path", "external", "status", "code"),
    [
        ("Contacts/contact-1/Deals/11", None, 404, "INVALID_URL_PATTERN"),
        ("Contacts/contact-1/Deals/11", "Deals.Deal_No", 404, "INVALID_URL_PATTERN"),
        ("Contacts/1/Deals/deal-1", "Contacts.Old_Id", 400, "INVALID_DATA"),
        ("Contacts/contact-1/Deals/deal-1", "Contacts", 400, "INVALID_DATA"),
    ],
)
async def test_texts_in_place_of_ids_need_the_header(
    start: Start, path: str, external: str | None, status: int, code: str
) -> None:
    """Without it, or for a module that it does not name, a text is no record."""
    client = await start(SEED)

    reply = await send(client, "DELETE", path, external=external)

    assert (reply.status, reply.body["code"]) == (status, code)


async def test_bigin_has_no_external_ids(start: Start) -> None:
    """The header is not documented for Bigin, and means nothing there."""
    client = await start({"relations": {"Products/1/Contacts": ["2"]}})

    reply = await client.send(
        "DELETE", "/bigin/v2/Products/one/Contacts/2", headers={"X-EXTERNAL": "Products.Code"}
    )

    assert (reply.status, reply.body["code"]) == (404, "INVALID_URL_PATTERN")
