"""Link and unlink over a real socket."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from .conftest import Start

SEED: dict[str, Any] = {
    "records": {
        "Leads": ["1", "2"],
        "Campaigns": ["11", "12", "13"],
        "Products": ["21"],
        "Price_Books": ["31"],
        "Deals": ["41", "42"],
        "Accounts": ["51"],
        "Contacts": ["61"],
        "Notes": ["91"],
    },
    "relations": {
        "Leads/1/Campaigns": ["11", "12"],
        "Products/21/Deals": ["41"],
    },
}


def ok(record_id: str, message: str) -> dict[str, Any]:
    return {
        "code": "SUCCESS",
        "details": {"id": record_id},
        "message": message,
        "status": "success",
    }


def bad(code: str, message: str, **details: Any) -> dict[str, Any]:
    return {"code": code, "details": details, "message": message, "status": "error"}


async def test_unlink_is_seen_from_both_sides(start: Start) -> None:
    """One relation, two URLs; what one side unlinks is gone on the other."""
    client = await start(SEED)

    reply = await client.delete("/crm/v8/Campaigns/11/Leads", ids="1")

    assert (200, {"data": [ok("1", "relation removed")]}) == (reply.status, reply.body)
    again = await client.delete("/crm/v8/Leads/1/Campaigns", ids="11")
    assert (400, {"data": [bad("INVALID_DATA", "relation not found", id="11")]}) == (
        again.status,
        again.body,
    )


async def test_items_are_independent(start: Start) -> None:
    """A failed item does not undo the others; the status is 207."""
    client = await start(SEED)

    reply = await client.delete("/crm/v8/Leads/1/Campaigns", ids="11,13,12")

    assert reply.status == 207
    assert [
        ok("11", "relation removed"),
        bad("INVALID_DATA", "relation not found", id="13"),
        ok("12", "relation removed"),
    ] == reply.items


async def test_unknown_id_and_unrelated_id_look_alike(start: Start) -> None:
    """An id that does not exist gives the item of one that is not related."""
    client = await start(SEED)

    reply = await client.delete("/crm/v8/Leads/1/Campaigns", ids="13,999")

    assert reply.status == 400
    assert [item["message"] for item in reply.items] == ["relation not found"] * 2


@pytest.mark.parametrize("ids", ["11,12", "11%2C12", "11%2c12"])
async def test_ids_may_be_percent_encoded(start: Start, ids: str) -> None:
    """Clients differ in how they encode the comma."""
    client = await start(SEED)

    async with client.session.delete(
        URL(f"{client.emulator.url}/crm/v8/Leads/1/Campaigns?ids={ids}", encoded=True),
        headers={"Authorization": "Zoho-oauthtoken emulator-access"},
    ) as response:
        assert (response.status, len((await response.json())["data"])) == (200, 2)


async def test_one_hundred_ids_of_nineteen_digits_fit(start: Start) -> None:
    """100 ids and 1,999 characters are the most a call can carry."""
    ids = [str(4_150_868_000_003_281_000 + n) for n in range(101)]
    client = await start({"relations": {"Products/21/Deals": ids}})

    full = await client.delete("/crm/v8/Products/21/Deals", ids=",".join(ids[:100]))
    over = await client.delete("/crm/v8/Products/21/Deals", ids=",".join(ids))
    long = await client.delete("/crm/v8/Products/21/Deals", ids=",".join(["1" * 20] * 96))

    assert (full.status, len(full.items)) == (200, 100)
    assert (
        over.status,
        over.body["code"],
        over.body["details"],
    ) == (400, "LIMIT_EXCEEDED", {"limit": "100", "param_name": "ids"})
    assert (long.status, long.body["code"]) == (400, "UNABLE_TO_PARSE_DATA_TYPE")


FLAT_REFUSALS = [
    ("DELETE", "/crm/v8/Leads/1/Campaigns", 400, "MANDATORY_NOT_FOUND", {"param_name": "ids"}),
    ("DELETE", "/crm/v8/Leads/1/Campaigns?ids=", 400, "MANDATORY_NOT_FOUND", {"param_name": "ids"}),
    ("DELETE", "/crm/v8/Leads/9/Campaigns?ids=1", 400, "INVALID_DATA", {"resource_path_index": 1}),
    ("DELETE", "/crm/v8/Leads/1/Kampaigns?ids=1", 400, "INVALID_DATA", {"resource_path_index": 2}),
    ("DELETE", "/crm/v8/Leads/1/Deals?ids=1", 400, "INVALID_DATA", {"resource_path_index": 2}),
    (
        "DELETE",
        "/crm/v8/Leeds/1/Campaigns?ids=1",
        400,
        "INVALID_MODULE",
        {"resource_path_index": 0},
    ),
    ("DELETE", "/crm/v8/Notes/91/Leads?ids=1", 400, "NOT_SUPPORTED", {"resource_path_index": 0}),
    ("DELETE", "/crm/v8/Leads/1/Campaigns?ids=1,x", 400, "UNABLE_TO_PARSE_DATA_TYPE", {}),
    ("POST", "/crm/v8/Leads/1/Campaigns?ids=1", 400, "INVALID_REQUEST_METHOD", {}),
    ("DELETE", "/crm/v8/Leads/one/Campaigns?ids=1", 404, "INVALID_URL_PATTERN", {}),
    ("DELETE", f"/crm/v8/Leads/{'1' * 21}/Campaigns?ids=1", 404, "INVALID_URL_PATTERN", {}),
    (
        "DELETE",
        f"/crm/v8/Leads/{'1' * 20}/Campaigns?ids=1",
        400,
        "INVALID_DATA",
        {"resource_path_index": 1},
    ),
    (
        "DELETE",
        f"/crm/v8/Leads/1/{'C' * 100}?ids=1",
        400,
        "INVALID_DATA",
        {"resource_path_index": 2},
    ),
    ("DELETE", f"/crm/v8/Leads/1/{'C' * 101}?ids=1", 404, "INVALID_URL_PATTERN", {}),
    ("DELETE", "/crm/v8/Leads/1/2ampaigns?ids=1", 404, "INVALID_URL_PATTERN", {}),
    ("DELETE", "/crm/v9/Leads/1/Campaigns?ids=1", 404, "INVALID_URL_PATTERN", {}),
    ("DELETE", "/crm/v8/Leads/1/Campaigns/11/x", 404, "INVALID_URL_PATTERN", {}),
    ("DELETE", "/crm/v8/Leads//Campaigns", 404, "INVALID_URL_PATTERN", {}),
    ("GET", "/crm/v8", 404, "INVALID_URL_PATTERN", {}),
    ("GET", "/", 404, "INVALID_URL_PATTERN", {}),
    (
        "DELETE",
        "/bigin/v2/Leads/1/Products?ids=1",
        400,
        "INVALID_MODULE",
        {"resource_path_index": 0},
    ),
    (
        "DELETE",
        "/bigin/v2/Deals/41/Products?ids=21",
        400,
        "INVALID_MODULE",
        {"resource_path_index": 0},
    ),
    (
        "DELETE",
        "/bigin/v1/Pipelines/41/Products?ids=21",
        400,
        "INVALID_MODULE",
        {"resource_path_index": 0},
    ),
    ("POST", "/bigin/v2/Contacts/actions/remove_territories", 404, "INVALID_URL_PATTERN", {}),
    (
        "DELETE",
        "/crm/v2/Appointments/1/Services?ids=1",
        400,
        "INVALID_DATA",
        {"resource_path_index": 1},
    ),
]


@pytest.mark.parametrize(("method", "url", "status", "code", "details"), FLAT_REFUSALS)
async def test_flat_refusals_of_unlink(
    start: Start, method: str, url: str, status: int, code: str, details: dict[str, Any]
) -> None:
    """Errors of the whole request: flat, with the documented code, status and details."""
    client = await start(SEED)

    reply = await client.send(method, url)

    assert (status, code, details, "error") == (
        reply.status,
        reply.body["code"],
        reply.body["details"],
        reply.body["status"],
    )


@pytest.mark.parametrize(
    ("url", "indices"),
    [
        ("/crm/v8/Leeds/9/Kampaigns", (400, "INVALID_MODULE")),
        ("/crm/v8/Leads/9/Kampaigns", (400, "INVALID_DATA", 1)),
        ("/crm/v8/Leads/1/Kampaigns", (400, "INVALID_DATA", 2)),
        ("/crm/v8/Leads/1/Campaigns", (400, "MANDATORY_NOT_FOUND")),
    ],
)
async def test_refusals_come_in_order(start: Start, url: str, indices: tuple[Any, ...]) -> None:
    """Refusals come by module, then parent, then relation name, then parameters."""
    client = await start(SEED)

    reply = await client.delete(url)

    assert indices[:2] == (reply.status, reply.body["code"])
    if len(indices) == 3:
        assert {"resource_path_index": indices[2]} == reply.body["details"]


@pytest.mark.parametrize(
    ("rights", "method", "status", "code", "message", "details"),
    [
        ({"denied": ["Leads.delete"]}, "DELETE", 403, "NO_PERMISSION",
         "Permission denied to delete records", {"permissions": ["Crm_Implied_View_Leads"]}),
        ({"denied": ["Leads.update"]}, "PUT", 403, "NO_PERMISSION",
         "Permission denied to update records", {"permissions": ["Crm_Implied_View_Leads"]}),
        ({"unauthorised": ["Leads.delete"]}, "DELETE", 400, "AUTHORIZATION_FAILED",
         "User does not have sufficient privilege to delete related records data", {}),
        ({"unauthorised": ["Leads.update"]}, "PUT", 400, "AUTHORIZATION_FAILED",
         "User does not have sufficient privilege to update related records data", {}),
    ],
)  # fmt: skip
async def test_missing_rights(
    start: Start,
    rights: dict[str, list[str]],
    method: str,
    status: int,
    code: str,
    message: str,
    details: dict[str, Any],
) -> None:
    """What the user may not do is refused before the parent is looked at."""
    client = await start({**SEED, "rights": rights})

    reply = await client.send(
        method, "/crm/v8/Leads/9/Campaigns", query={"ids": "11"}, body={"data": [{"id": "11"}]}
    )

    assert (status, bad(code, message, **details)) == (reply.status, reply.body)


async def test_single_forms(start: Start) -> None:
    """The related id in the path; one item, wrapped, also when it fails."""
    client = await start(SEED)

    linked = await client.put("/crm/v8/Leads/2/Campaigns/13", {"Member_Status": "Active"})
    removed = await client.delete("/crm/v8/Leads/2/Campaigns/13")
    again = await client.delete("/crm/v8/Leads/2/Campaigns/13")

    assert (200, [ok("13", "relation added")]) == (linked.status, linked.items)
    assert (200, [ok("13", "relation removed")]) == (removed.status, removed.items)
    assert (400, [bad("INVALID_DATA", "relation not found", id="13")]) == (
        again.status,
        again.items,
    )


async def test_fields_given_later_are_seen_from_both_sides(start: Start) -> None:
    """A link made without fields gets some: the other side's rows have them too."""
    client = await start(SEED)
    seen = []
    await client.put("/crm/v8/Leads/2/Campaigns", {"id": "13"})
    for _ in range(2):
        rows = await client.get("/crm/v8/Campaigns/13/Leads", fields="Member_Status")
        seen.append({each["id"]: each["Member_Status"] for each in rows.items}["2"])
        await client.put("/crm/v8/Leads/2/Campaigns", {"id": "13", "Member_Status": "Active"})

    assert seen == [None, "Active"]


async def test_items_may_come_shuffled(start: Start) -> None:
    """Facts 10: the order of the items is promised nowhere; the knob shuffles them by the seed."""
    ids = [str(each) for each in range(1, 51)]
    client = await start({"relations": {"Products/21/Deals": ids}}, item_order="shuffled")

    reply = await client.delete("/crm/v8/Products/21/Deals", ids=",".join(ids))

    order = [each["details"]["id"] for each in reply.items]
    assert (order == ids, sorted(order, key=int)) == (False, ids)


async def test_link_keeps_relation_fields_and_overwrites_them(start: Start) -> None:
    """PUT of an existing link is an update of its fields."""
    client = await start(SEED)

    await client.put("/crm/v8/Leads/2/Campaigns", {"id": "13", "Member_Status": "Active"})
    again = await client.put("/crm/v8/Campaigns/13/Leads", {"id": 2, "Member_Status": "Closed"})
    same = await client.put("/crm/v8/Campaigns/13/Leads", {"id": 2, "Member_Status": "Closed"})

    assert [again.status, same.status] == [200, 200]
    world = await client.control("GET", "world")
    links = {**world["relations"]}
    assert {"Member_Status": "Closed"} in [*links["Campaigns/13/Leads"].values()]
    assert (client.emulator.counters.effects, client.emulator.counters.unchanged) == (2, 1)


async def test_unknown_link_id_in_a_mixed_and_in_a_failed_call(start: Start) -> None:
    """An unknown id is shown as `{id}` in a 207, `{api_name, json_path}` in a 400."""
    client = await start(SEED)

    mixed = await client.put("/crm/v8/Leads/2/Campaigns", {"id": "13"}, {"id": "99"})
    failed = await client.put("/crm/v8/Leads/2/Campaigns", {"id": "98"}, {"id": "99"})

    assert (207, bad("INVALID_DATA", "invalid data", id="99")) == (mixed.status, mixed.items[1])
    assert (
        400,
        bad(
            "INVALID_DATA",
            "the id given seems to be invalid",
            api_name="id",
            json_path="$.data[1].id",
        ),
    ) == (failed.status, failed.items[1])


async def test_price_books_need_a_list_price_from_both_sides(start: Start) -> None:
    """`list_price` is mandatory for Products and Price_Books."""
    client = await start(SEED)

    for url, other in (
        ("/crm/v8/Products/21/Price_Books", "31"),
        ("/crm/v8/Price_Books/31/Products", "21"),
    ):
        reply = await client.put(url, {"id": other})
        assert (
            400,
            bad(
                "MANDATORY_NOT_FOUND",
                "required field not found",
                api_name="list_price",
                json_path="$.data[0].list_price",
            ),
        ) == (reply.status, reply.items[0])
    priced = await client.put("/crm/v8/Products/21/Price_Books", {"id": "31", "list_price": 5})
    assert priced.status == 200


@pytest.mark.parametrize(
    ("body", "code", "details"),
    [
        (b"{", "UNABLE_TO_PARSE_DATA_TYPE", {}),
        (b"", "UNABLE_TO_PARSE_DATA_TYPE", {}),
        (b"[]", "UNABLE_TO_PARSE_DATA_TYPE", {}),
        (b"{}", "MANDATORY_NOT_FOUND", {"api_name": "data", "json_path": "$.data"}),
        (b'{"data":[]}', "MANDATORY_NOT_FOUND", {"api_name": "data", "json_path": "$.data"}),
        (
            b'{"data":{}}',
            "INVALID_DATA",
            {"api_name": "data", "json_path": "$.data", "expected_data_type": "jsonarray"},
        ),
    ],
)
async def test_flat_refusals_of_link_bodies(
    start: Start, body: bytes, code: str, details: dict[str, Any]
) -> None:
    """A body that is no list of items is refused as a whole."""
    client = await start(SEED)

    reply = await client.send("PUT", "/crm/v8/Leads/1/Campaigns", body=body)

    assert (400, code, details) == (reply.status, reply.body["code"], reply.body["details"])


async def test_too_many_items(start: Start) -> None:
    """A link call has at most 100 items."""
    client = await start(SEED)

    reply = await client.put("/crm/v8/Leads/1/Campaigns", *[{"id": "11"}] * 101)

    assert (
        reply.status,
        reply.body["code"],
        reply.body["details"]["limit"],
    ) == (400, "LIMIT_EXCEEDED", 100)


async def test_malformed_items_fail_alone(start: Start) -> None:
    """An item without id, or that is no object, does not stop the others."""
    client = await start(SEED)

    reply = await client.put("/crm/v8/Leads/2/Campaigns", {"x": 1}, 7, {"id": "11"}, {"id": [1]})

    assert reply.status == 207
    assert reply.codes == ["MANDATORY_NOT_FOUND", "INVALID_DATA", "SUCCESS", "INVALID_DATA"]


async def test_bigin_v1_item_errors_are_202(start: Start) -> None:
    """Bigin v1 answers 202 when an item fails, v2 as the CRM does."""
    client = await start(SEED)

    old = await client.delete("/bigin/v1/Products/21/Deals", ids="41,42")
    new = await client.delete("/bigin/v2/Products/21/Pipelines", ids="41,42")

    assert (old.status, old.codes) == (202, ["SUCCESS", "INVALID_DATA"])
    assert (new.status, new.codes) == (400, ["INVALID_DATA", "INVALID_DATA"])


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("/crm/v2/Products/21/Deals", "42"),
        ("/crm/v2.1/Deals/42/Products", "21"),
        ("/crm/v3/Products/21/Accounts", "51"),
        ("/crm/v5/Contacts/61/Campaigns", "11"),
        ("/bigin/v1/Products/21/Accounts", "51"),
        ("/bigin/v1/Deals/42/Products", "21"),
        ("/bigin/v2/Products/21/Contacts", "61"),
        ("/bigin/v2/Pipelines/42/Products", "21"),
        ("/bigin/v2/Products/21/Pipelines", "42"),
    ],
)
async def test_documented_relations_of_each_version(start: Start, url: str, other: str) -> None:
    """Supported relations: linked and unlinked again in every product and version."""
    client = await start(SEED)

    linked = await client.put(url, {"id": other})
    removed = await client.delete(url, ids=other)

    assert (linked.status, removed.status) == (200, 200)


async def test_services_since_v3_under_both_names(start: Start) -> None:
    """Appointments and Services from v3 on; their API names end in `__s`."""
    client = await start({"relations": {"Appointments/1/Services": ["2"]}})

    early = await client.delete("/crm/v2/Appointments/1/Services", ids="2")
    late = await client.delete("/crm/v3/Services__s/2/Appointments__s", ids="1")

    assert (early.status, early.body["details"]) == (400, {"resource_path_index": 2})
    assert (late.status, late.codes) == (200, ["SUCCESS"])


async def test_custom_relations_of_the_seed(start: Start) -> None:
    """Multi-select look-ups have names of their own on each side."""
    client = await start(
        {
            "custom_relations": [["Courses", "Students", "Contacts", "Booked_Courses"]],
            "relations": {"Courses/1/Students": ["5"]},
        }
    )

    reply = await client.delete("/crm/v8/Contacts/5/Booked_Courses", ids="1")
    bigin = await client.delete("/bigin/v2/Contacts/5/Booked_Courses", ids="1")

    assert (reply.status, reply.codes) == (200, ["SUCCESS"])
    assert bigin.body["details"] == {"resource_path_index": 2}


@pytest.mark.parametrize(
    ("knobs", "method", "url", "body", "expected"),
    [
        ({"delink_message": "record deleted"}, "DELETE", "/crm/v8/Leads/1/Campaigns?ids=11", None,
         (200, "record deleted")),
        ({"link_message": "record updated"}, "PUT", "/crm/v8/Leads/1/Campaigns",
         {"data": [{"id": "13"}]}, (200, "record updated")),
        ({"mixed_status": 200}, "DELETE", "/crm/v8/Leads/1/Campaigns?ids=11,13", None,
         (200, "relation removed")),
        ({"item_errors_as_202": ["crm/v2"]}, "DELETE", "/crm/v2/Leads/1/Campaigns?ids=13", None,
         (202, "relation not found")),
        ({"item_order": "reversed"}, "DELETE", "/crm/v8/Leads/1/Campaigns?ids=11,13", None,
         (207, "relation not found")),
    ],
)  # fmt: skip
async def test_knobs_of_items(
    start: Start, knobs: dict[str, Any], method: str, url: str, body: Any, expected: Any
) -> None:
    """What the sources contradict each other in is a knob."""
    client = await start(SEED, **knobs)

    reply = await client.send(method, url, body=body)

    assert expected == (reply.status, reply.items[0]["message"])


async def test_knobs_of_flat_refusals(start: Start) -> None:
    """Where sources disagree: a missing parent as 404, an unsupported module as INVALID_MODULE."""
    client = await start(SEED, missing_parent="not_found", unsupported_module_code="INVALID_MODULE")

    parent = await client.delete("/crm/v8/Leads/9/Campaigns", ids="1")
    module = await client.delete("/crm/v8/Notes/91/Leads", ids="1")

    assert (404, bad("INVALID_DATA", "The record does not exist")) == (parent.status, parent.body)
    assert (module.status, module.body["code"]) == (400, "INVALID_MODULE")


async def test_locked_parent(start: Start) -> None:
    """A locked parent refuses writes as a whole (assumed) and still can be read."""
    client = await start({**SEED, "rights": {"locked": ["1"]}})

    write = await client.delete("/crm/v8/Leads/1/Campaigns", ids="11")
    read = await client.get("/crm/v8/Leads/1/Campaigns", fields="id")

    assert (write.status, write.body["code"], read.status) == (400, "RECORD_LOCKED", 200)
