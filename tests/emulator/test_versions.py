"""The same calls in every version: what differs, and that nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, Start

CRM = ["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"]
WORLD: dict[str, Any] = {
    "relations": {
        "Products/21/Deals": ["41"],
        "Products/21/Contacts": ["51"],
        "Appointments/81/Services": ["82"],
    },
    "roles": {"91": "Buyer"},
    "contact_roles": {"41": {"51": "91"}},
    "territories": [{"id": "100"}, {"id": "101", "parent_id": "100"}],
    "record_territories": {"Accounts": {"61": ["101"], "62": ["101"]}},
}


def named(record: str) -> dict[str, Any]:
    return {"id": record, "Territories": [{"id": "101"}]}


@pytest.mark.parametrize("version", CRM)
async def test_links_are_alike_in_all_versions_of_the_crm(start: Start, version: str) -> None:
    """Facts 0 to 2: 200, 207 and 400 with items, from both sides, in bulk and single."""
    client = await start(WORLD)
    one, other = f"/crm/{version}/Products/21/Deals", f"/crm/{version}/Deals/41/Products"

    replies = [
        await client.delete(one, ids="41,42"),
        await client.delete(one, ids="42"),
        await client.put(other, {"id": "21"}),
        await client.delete(f"{other}/21"),
        await client.put(f"{one}/41", {}),
        await client.delete(f"/crm/{version}/Nothing/21/Deals", ids="41"),
    ]

    assert [each.status for each in replies] == [207, 400, 200, 200, 200, 400]
    assert replies[0].codes == ["SUCCESS", "INVALID_DATA"]
    assert replies[5].body["code"] == "INVALID_MODULE"


@pytest.mark.parametrize("version", CRM)
async def test_services_and_fields_came_with_v3(start: Start, version: str) -> None:
    """Facts 1 and 9: appointments have services, and reads need `fields`, from v3 on."""
    client = await start(WORLD)
    since = version not in {"v2", "v2.1"}

    services = await client.delete(f"/crm/{version}/Appointments__s/81/Services__s", ids="82")
    read = await client.get(f"/crm/{version}/Products/21/Deals")

    assert (services.status, read.status) == ((200, 400) if since else (400, 200))


@pytest.mark.parametrize("version", CRM)
async def test_contact_roles_of_all_versions(start: Start, version: str) -> None:
    """Facts 5: single calls and bulk removal everywhere, the bulk PUT in v8 alone."""
    client = await start(WORLD)
    roles, role = f"/crm/{version}/Deals/41/Contact_Roles", {"Contact_Role": {"id": "91"}}

    bulk = await client.put(roles, {"id": "51", **role})
    replies = [
        await client.get(roles, fields="id,Contact_Role"),
        await client.get(f"{roles}/51"),
        await client.put(f"{roles}/51", role),
        await client.delete(f"{roles}/51"),
        await client.put(f"{roles}/51", role),
        await client.delete(roles, ids="51"),
    ]

    assert [each.status for each in replies] == [200] * 6
    assert bulk.status == (200 if version == "v8" else 400)
    assert version == "v8" or bulk.body["code"] == "INVALID_REQUEST_METHOD"


@pytest.mark.parametrize("version", CRM)
@pytest.mark.parametrize("scheduled", [False, True])
async def test_territories_of_all_versions(start: Start, version: str, scheduled: bool) -> None:
    """Facts 3: scheduled is 200 SUCCESS with a job_id up to v6 and 202 SCHEDULED from v7 on."""
    client = await start(WORLD, offload_from=int(scheduled))
    path = f"/crm/{version}/Accounts"

    reply = await client.post(f"{path}/actions/remove_territories", named("61"))
    again = await client.post(
        f"{path}/61/actions/assign_territories", {"Territories": [{"id": 101}]}
    )
    pending = await client.get(
        f"{path}/actions/get_feature_specific_info", features="territory_scheduled_jobs", ids="61"
    )

    code, status = ("SCHEDULED", 202) if scheduled and version in {"v7", "v8"} else ("SUCCESS", 200)
    assert (reply.status, reply.codes) == (status, [code])
    assert ("job_id" in reply.items[0]["details"]) == scheduled
    assert again.codes == (["ALREADY_SCHEDULED"] if scheduled else ["SUCCESS"])
    assert pending.status == (200 if scheduled else 204)


async def test_a_202_may_have_items_that_are_done(start: Start) -> None:
    """Facts 3: a body of v8 holds scheduled and finished items; only `job_id` tells them apart."""
    records = {str(each): ["101"] for each in range(60, 70)}
    world = {**WORLD, "record_territories": {"Accounts": records}}
    client = await start(world, offload_ratio=0.5)

    reply = await client.post(
        "/crm/v8/Accounts/actions/remove_territories", *[named(each) for each in records]
    )

    assert (reply.status, set(reply.codes)) == (202, {"SCHEDULED", "SUCCESS"})
    for item in reply.items:
        held = client.emulator.world.organisation.record_territories
        waits = bool(held.of("Accounts", item["details"]["id"]))
        assert waits == ("job_id" in item["details"]) == (item["code"] == "SCHEDULED")


BIGIN = [("v1", "Deals", 202), ("v2", "Pipelines", 400)]


@pytest.mark.parametrize(("version", "deals", "refused"), BIGIN)
async def test_the_two_versions_of_bigin(
    start: Start, version: str, deals: str, refused: int
) -> None:
    """Facts 0 to 2: other names of deals, 202 for items of v1, no territories and no roles."""
    client = await start(WORLD)
    at = f"/bigin/{version}"

    async def status(method: str, path: str, body: Any = None, **query: str) -> int:
        return (await client.send(method, at + path, query=query, body=body)).status

    assert await status("DELETE", f"/{deals}/41/Products", ids="99") == refused
    assert await status("DELETE", f"/Products/21/{deals}", ids="41") == 200
    assert await status("PUT", f"/Products/21/{deals}", {"data": [{"id": 41}]}) == 200
    assert await status("DELETE", f"/Products/21/{deals}/41") == 200
    assert await status("DELETE", f"/{deals}/41/Contact_Roles", ids="51") == 400
    assert await status("POST", "/Accounts/actions/remove_territories", {"data": []}) == 404
    assert await status("GET", "/settings/territories") == 404


async def as_scope(start: Start, *scopes: str) -> Client:
    """A client whose app has these scopes."""
    app = {"client_id": "a", "access_token": "a", "scopes": list(scopes)}
    return await start(
        {
            **WORLD,
            "clients": [app],
            "custom_relations": [["Courses", "Students", "Contacts", "Booked"]],
        }
    )


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("ZohoBigin.modules.Pipelines.ALL", "/bigin/v2/Pipelines/41/Products?ids=21"),
        ("ZohoBigin.modules.pipelines.DELETE", "/bigin/v2/Pipelines/41/Products?ids=21"),
        ("ZohoBigin.modules.Deals.WRITE", "/bigin/v1/Deals/41/Products?ids=21"),
        ("ZohoCRM.modules.appointments__s.ALL", "/crm/v8/Appointments__s/81/Services__s?ids=82"),
        ("ZohoCRM.modules.custom.ALL", "/crm/v8/Courses/7/Students?ids=51"),
        ("ZohoCRM.modules.courses.DELETE", "/crm/v8/Courses/7/Students?ids=51"),
    ],
)
async def test_scopes_name_modules_as_their_version_does(
    start: Start, scope: str, path: str
) -> None:
    """Facts 1: `.{module}.{ALL|WRITE|DELETE}`; `custom` is every module of one's own."""
    client = await as_scope(start, scope)
    client.emulator.world.organisation.add_record("Courses", "7")

    granted = await client.send("DELETE", path)
    other = await client.send("DELETE", "/crm/v8/Products/21/Contacts?ids=51")

    assert granted.status in {200, 400}
    assert granted.body.get("code") != "OAUTH_SCOPE_MISMATCH"
    assert (other.status, other.body["code"]) == (401, "OAUTH_SCOPE_MISMATCH")
