"""How many records are in related lists: `POST .../actions/get_related_records_count`."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Start

SEED: dict[str, Any] = {
    "relations": {"Leads/1/Campaigns": ["11", "12"], "Products/21/Leads": ["1"]},
}
URL = "/crm/v8/Leads/1/actions/get_related_records_count"
KEY = "get_related_records_count"


def asked(*names: str) -> list[dict[str, Any]]:
    return [{"related_list": {"api_name": each, "id": "5"}} for each in names]


@pytest.mark.parametrize(
    ("names", "status", "found"),
    [
        (["Campaigns", "Products"], 200, [2, 1]),
        (["Campaigns", "Kampaigns"], 207, [2, "INVALID_DATA"]),
        (["Kampaigns"], 400, ["INVALID_DATA"]),
    ],
)
async def test_counts(start: Start, names: list[str], status: int, found: list[Any]) -> None:
    """Facts 9: each list its count, with the list it is of; 207 if some are not there."""
    client = await start(SEED)

    reply = await client.post(URL, *asked(*names), key=KEY)

    rows = reply.body[KEY]
    assert (reply.status, [each.get("count", each.get("code")) for each in rows]) == (status, found)
    if status == 200:
        assert [each["related_list"]["api_name"] for each in rows] == names


@pytest.mark.parametrize(
    ("url", "items", "status", "code"),
    [
        (URL.replace("/1/", "/9/"), asked("Campaigns"), 400, "INVALID_DATA"),
        (URL.replace("Leads", "Leeds"), asked("Campaigns"), 400, "INVALID_MODULE"),
        (URL.replace("v8", "v7"), asked("Campaigns"), 404, "INVALID_URL_PATTERN"),
        (URL, [], 400, "MANDATORY_NOT_FOUND"),
        (URL, asked(*["Campaigns"] * 21), 400, "LIMIT_EXCEEDED"),
    ],
)
async def test_refusals(
    start: Start, url: str, items: list[dict[str, Any]], status: int, code: str
) -> None:
    """Flat, in the usual order; 20 lists at most."""
    client = await start(SEED)

    reply = await client.post(url, *items, key=KEY)

    assert (reply.status, reply.body["code"]) == (status, code)


async def test_a_list_without_a_name_fails_alone(start: Start) -> None:
    """An item that names no list is refused; the others are counted."""
    client = await start(SEED)

    reply = await client.post(URL, {}, 7, *asked("Campaigns"), key=KEY)

    assert (reply.status, reply.body[KEY][2]["count"]) == (207, 2)
    assert [each["code"] for each in reply.body[KEY][:2]] == ["MANDATORY_NOT_FOUND"] * 2
