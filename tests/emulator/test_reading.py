"""Reading records and related records."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, Reply, Start

DEALS = [str(n) for n in range(1000, 3500)]
SEED: dict[str, Any] = {
    "records": {
        "Leads": {"1": {"Last_Name": "Ada"}, "2": {"Last_Name": "Bo"}, "3": {}},
        "Products": ["20", "21"],
    },
    "relations": {
        "Products/21/Deals": DEALS,
        "Campaigns/11/Leads": {"1": {"Member_Status": "Active"}, "2": None},
    },
    "territories": [
        {"id": "100", "name": "All", "parent_id": None},
        {"id": "101", "name": "West", "parent_id": "100"},
    ],
    "record_territories": {
        "Leads": {"1": {"100": "manually", "101": "automatically"}, "2": ["101"]}
    },
}
RELATED = "/crm/v8/Products/21/Deals"


async def test_rows_have_the_fields_asked_for(start: Start) -> None:
    """Rows have record and link fields by name, null if unset, the id always."""
    client = await start(SEED)

    reply = await client.get("/crm/v8/Campaigns/11/Leads", fields="Last_Name,Member_Status,id")

    assert reply.items == [
        {"Last_Name": "Ada", "Member_Status": "Active", "id": "1"},
        {"Last_Name": "Bo", "Member_Status": None, "id": "2"},
    ]
    assert reply.body["info"] == {
        "per_page": 200,
        "count": 2,
        "page": 1,
        "more_records": False,
        "next_page_token": None,
        "previous_page_token": None,
        "page_token_expiry": None,
    }


@pytest.mark.parametrize(
    ("version", "status"), [("crm/v2", 200), ("crm/v3", 400), ("bigin/v1", 200), ("bigin/v2", 400)]
)
async def test_fields_are_mandatory_since_v3(start: Start, version: str, status: int) -> None:
    """Older versions answer with all fields."""
    client = await start(
        {"records": {"Products": ["21"]}, "relations": {"Products/21/Contacts": ["5"]}}
    )

    reply = await client.get(f"/{version}/Products/21/Contacts")

    assert status == reply.status
    if status == 400:
        assert (
            reply.body["code"],
            reply.body["details"],
        ) == ("REQUIRED_PARAM_MISSING", {"param_name": "fields"})


async def test_no_rows_is_204_and_empty(start: Start) -> None:
    """A read without rows has no body."""
    client = await start(SEED)

    for reply in (
        await client.get("/crm/v8/Products/20/Deals", fields="id"),
        await client.get(RELATED, fields="id", ids="1,2"),
        await client.get(f"{RELATED}/1"),
        await client.get("/crm/v8/Leads", fields="id", ids="99"),
    ):
        assert (reply.status, reply.raw) == (204, b"")


async def test_ids_narrow_a_related_list(start: Start) -> None:
    """One call tells which of a chunk's ids are related."""
    client = await start(SEED)

    reply = await client.get(RELATED, fields="id", ids="1001,5,1000,1001")

    assert [row["id"] for row in reply.items] == ["1000", "1001"]


async def pages(client: Client, **more: str) -> list[str]:
    """All ids, following page tokens."""
    found: list[str] = []
    query = {"fields": "id", **more}
    while True:
        reply = await client.get(RELATED, **query)
        found += [row["id"] for row in reply.items]
        token = reply.body["info"]["next_page_token"]
        if token is None:
            return found
        query["page_token"] = token


async def test_page_tokens_reach_everything(start: Start) -> None:
    """`page_token` goes past the wall of 2,000 rows."""
    client = await start(SEED)

    assert sorted(DEALS) == await pages(client)


async def test_pages_end_at_the_wall(start: Start) -> None:
    """`page` reaches the first 2,000 rows only."""
    client = await start(SEED)

    last = await client.get(RELATED, fields="id", page="10")
    over = await client.get(RELATED, fields="id", page="11")

    assert (last.status, last.items[-1]["id"]) == (200, "2999")
    assert (
        over.status,
        over.body["code"],
        over.body["details"],
    ) == (400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", {"limit": 2000})


async def test_a_token_survives_deletions(start: Start) -> None:
    """A page token goes on after the last id seen, whatever was removed since (assumed)."""
    client = await start(SEED)
    first = await client.get(RELATED, fields="id")
    await client.delete(RELATED, ids="1199,1200")

    second = await client.get(
        RELATED, fields="id", page_token=first.body["info"]["next_page_token"]
    )

    assert second.items[0]["id"] == "1201"


async def test_pages_go_back_as_well(start: Start) -> None:
    """Facts 9: `previous_page_token` leads to the page before; the first page has none."""
    client = await start(SEED)
    infos, ids, query = [], [], {"fields": "id", "sort_order": "desc"}
    for step in ("next", "next", "previous", "previous", ""):
        reply = await client.get(RELATED, **query)
        infos.append(reply.body["info"])
        ids.append([row["id"] for row in reply.items])
        query["page_token"] = reply.body["info"].get(f"{step}_page_token", "")

    assert (ids[3], ids[4]) == (ids[1], ids[0])
    assert len({tuple(each) for each in ids}) == 3
    assert [each["page"] for each in infos] == [1, 2, 3, 2, 1]
    assert [each["previous_page_token"] is None for each in infos] == [
        True, False, False, False, True,
    ]  # fmt: skip


async def test_a_token_is_its_users_own(start: Start) -> None:
    """Facts 9: page tokens are bound to the user: of no use to another organisation's app."""
    apps = {name: [{"client_id": name, "access_token": name}] for name in ("a", "b")}
    world = {name: {**SEED, "clients": app} for name, app in apps.items()}
    client = await start({"organisations": world})
    client.token = "a"
    token = (await client.get(RELATED, fields="id")).body["info"]["next_page_token"]

    own = await client.get(RELATED, fields="id", page_token=token)
    client.token = "b"
    other = await client.get(RELATED, fields="id", page_token=token)

    assert (own.status, other.status) == (200, 400)
    assert other.body["code"] == "TOKEN_BOUND_DATA_MISMATCH"


async def test_page_tokens_of_a_module_end_at_a_wall_of_their_own(start: Start) -> None:
    """Facts 9: 100,000 records by `page_token`; of a related list no such end is known."""
    client = await start(SEED, page_token_wall=400)

    async def walk(path: str) -> tuple[int, str | None]:
        query = {"fields": "id"}
        read = 0
        while True:
            reply = await client.get(path, **query)
            if reply.status != 200:
                return read, reply.body["code"]
            read += len(reply.items)
            query["page_token"] = reply.body["info"]["next_page_token"] or ""
            if not query["page_token"]:
                return read, None

    assert await walk("/crm/v8/Deals") == (400, "PAGINATION_LIMIT_EXCEEDED")
    assert await walk(RELATED) == (len(DEALS), None)
    assert client.emulator.behaviour.__class__().page_token_wall == 100_000


async def test_page_token_errors(start: Start) -> None:
    """Page tokens: mismatch, expiry, ambiguity and nonsense each have a code."""
    client = await start(SEED)
    token = (await client.get(RELATED, fields="id")).body["info"]["next_page_token"]

    mismatch = await client.get(RELATED, fields="Name", page_token=token)
    both = await client.get(RELATED, fields="id", page="2", page_token=token)
    nonsense = await client.get(RELATED, fields="id", page_token="x")
    await client.control("POST", "clock/advance", {"seconds": 86_400})
    expired = await client.get(RELATED, fields="id", page_token=token)

    assert [each.body["code"] for each in (mismatch, both, nonsense, expired)] == [
        "TOKEN_BOUND_DATA_MISMATCH",
        "AMBIGUITY_DURING_PROCESSING",
        "INVALID_DATA",
        "EXPIRED_VALUE",
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"per_page": "201"}, "LIMIT_EXCEEDED"),
        ({"per_page": "0"}, "INVALID_DATA"),
        ({"page": "x"}, "INVALID_DATA"),
        ({"ids": ",".join(["1"] * 101)}, "LIMIT_EXCEEDED"),
    ],
)
async def test_page_parameters(start: Start, query: dict[str, str], code: str) -> None:
    """Pages have at most 200 rows, `ids` at most 100 ids."""
    client = await start(SEED)

    reply = await client.get(RELATED, fields="id", **query)

    assert (400, code) == (reply.status, reply.body["code"])


async def test_a_record_has_its_territories(start: Start) -> None:
    """A record read back: with `$assigned`, and only if asked for."""
    client = await start(SEED)

    whole = await client.get("/crm/v8/Leads/1")
    narrow = await client.get("/crm/v8/Leads/1", fields="Territories")
    without = await client.get("/crm/v8/Leads/1", fields="Last_Name")
    bigin = await client.get("/bigin/v1/Products/21")

    assert whole.items[0]["Last_Name"] == "Ada"
    assert [
        (each["id"], each["Name"], each["$assigned"]) for each in whole.items[0]["Territories"]
    ] == [("100", "All", "manually"), ("101", "West", "automatically")]
    assert {"Territories", "id"} == set(narrow.items[0])
    assert without.items == [{"Last_Name": "Ada", "id": "1"}]
    assert bigin.items == [{"id": "21"}]


@pytest.mark.parametrize("status", [204, 404])
async def test_a_record_that_does_not_exist(start: Start, status: int) -> None:
    """The status is assumed: a knob."""
    client = await start(SEED, missing_record_status=status)

    assert status == (await client.get("/crm/v8/Leads/99")).status


@pytest.mark.parametrize("shown", [True, False])
async def test_territories_of_many_records(start: Start, shown: bool) -> None:
    """Whether the list form returns Territories is not documented: a knob."""
    client = await start(SEED, list_returns_territories=shown)

    reply = await client.get("/crm/v8/Leads", ids="1,2,99", fields="Territories")

    assert [row["id"] for row in reply.items] == ["1", "2"]
    assert shown == ("Territories" in reply.items[0])


async def test_records_of_a_territory(start: Start) -> None:
    """`territory_id` with and without the territories below it."""
    client = await start(SEED)

    own = await client.get("/crm/v8/Leads", fields="id", territory_id="100")
    below = await client.get("/crm/v8/Leads", fields="id", territory_id="100", include_child="true")

    assert [row["id"] for row in own.items] == ["1"]
    assert [row["id"] for row in below.items] == ["1", "2"]


async def test_prices_and_organisation(start: Start) -> None:
    """`__apis` tells credits of paths; `org` tells who we are."""
    client = await start({"id": "7", "name": "Acme", "edition": "professional"})

    apis = await client.get("/crm/v8/__apis")
    org = await client.get("/bigin/v2/org")

    bigin = await client.get("/bigin/v2/__apis")

    def priced(reply: Reply) -> dict[str, set[int]]:
        return {
            api["path"]: {each["max_credits"] for each in api["operation_types"]}
            for api in reply.body["__apis"]
        }

    assert priced(apis).pop("/crm/v8/{module}") == {3}
    assert [each for each in priced(apis).values() if each != {1}] == [{3}]
    assert priced(bigin) == {
        "/bigin/v2/{module}": {3},
        "/bigin/v2/{module}/{id}/{related_list}": {1},
        "/bigin/v2/{module}/{id}/{related_list}/{id}": {1},
    }
    assert (org.body["org"][0]["id"], org.body["org"][0]["company_name"]) == ("7", "Acme")


async def test_read_scope_and_rights(start: Start) -> None:
    """Reading has its own scope and its own right."""
    clients = [{"client_id": "a", "access_token": "a", "scopes": ["ZohoCRM.modules.Leads.READ"]}]
    client = await start({**SEED, "clients": clients, "rights": {"denied": ["Leads.read"]}})

    denied = await client.get("/crm/v8/Leads/1")
    scope = await client.get("/crm/v8/Products/21")

    assert [denied.status, scope.status] == [403, 401]


TIMES = {
    "records": {
        "Leads": ["1"],
        "Campaigns": {
            "9": {"Created_Time": "2026-01-03"},
            "10": {"Created_Time": "2026-01-01"},
            "11": {"Created_Time": "2026-01-02"},
            "12": {"Created_Time": "2026-01-02"},
        },
    },
    "relations": {"Leads/1/Campaigns": ["9", "10", "11", "12"]},
}


@pytest.mark.parametrize("url", ["/crm/v8/Leads/1/Campaigns", "/crm/v8/Campaigns"])
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({}, ["9", "10", "11", "12"]),
        ({"sort_by": "id", "sort_order": "desc"}, ["12", "11", "10", "9"]),
        ({"sort_by": "Created_Time"}, ["10", "11", "12", "9"]),
        ({"sort_by": "Created_Time", "sort_order": "desc"}, ["9", "12", "11", "10"]),
    ],
)
async def test_order_of_rows(
    start: Start, url: str, sort: dict[str, str], expected: list[str]
) -> None:
    """Reads with `sort_by` and `sort_order`: in their order, over pages and page tokens."""
    client = await start(TIMES)

    pages = [await client.get(url, fields="id", per_page="3", **sort)]
    token = pages[0].body["info"]["next_page_token"]
    pages.append(await client.get(url, fields="id", per_page="3", page_token=token, **sort))

    assert [item["id"] for page in pages for item in page.items] == expected


@pytest.mark.parametrize("sort", [{"sort_by": "Name"}, {"sort_order": "up"}])
async def test_unknown_orders_are_refused(start: Start, sort: dict[str, str]) -> None:
    """Reads can be sorted by id, Created_Time and Modified_Time, upwards or downwards."""
    client = await start(TIMES)

    reply = await client.get("/crm/v8/Leads/1/Campaigns", fields="id", **sort)

    assert (reply.status, reply.body["code"]) == (400, "INVALID_DATA")
    assert reply.body["details"]["param_name"] == next(iter(sort))
