"""The emulator against nonsense: whatever is sent is answered, and nothing breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from bulkops.emulator import Behaviour, Clock, Emulator, world_from

from .conftest import Client

WORDS = st.sampled_from(
    [
        "crm", "bigin", "v8", "v2", "v1", "Leads", "Deals", "Products", "Contact_Roles", "1", "x",
        "actions", "remove_territories", "assign_territories", "get_feature_specific_info",
        "settings", "territories", "transfer_and_delete", "__child_territories", "__apis", "org",
        "Contacts", "roles", "users", "modules", "fields", "related_lists", "Campaigns", "Accounts",
        "get_related_records_count", "scheduled_run_rule_jobs",
        "", "%20", "é", "9" * 30,
    ]
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("data", "territories", "id", "Territories", "Contact_Role", "name"),
                    *("transfer_to_id", "related_list", "api_name", "list_price"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
REAL = st.sampled_from(
    [
        "/crm/v8/Leads/1/Products",
        "/crm/v8/Leads/1/Products/1",
        "/crm/v8/Deals/1/Contact_Roles",
        "/crm/v8/Deals/1/Contact_Roles/1",
        "/crm/v8/Contacts/1/Deals",
        "/crm/v8/Leads/actions/remove_territories",
        "/crm/v8/Leads/1/actions/assign_territories",
        "/crm/v8/Leads/actions/get_feature_specific_info",
        "/crm/v8/settings/territories",
        "/crm/v8/settings/territories/actions/transfer_and_delete",
        "/crm/v8/settings/territories/2/actions/transfer_and_delete",
        "/crm/v8/Leads",
        "/crm/v8/Leads/1",
        "/crm/v8/Leads/1/actions/get_related_records_count",
        "/crm/v8/Contacts/roles",
        "/crm/v8/settings/related_lists",
        "/crm/v8/settings/fields",
        "/crm/v2/Leads/1/Products",
        "/bigin/v1/Products/1/Deals",
        "/bigin/v2/Products/1/Pipelines",
    ]
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"]),
        REAL | st.lists(WORDS, max_size=4).map(lambda words: "/".join(["/crm/v8", *words])),
        st.dictionaries(
            st.sampled_from(
                [
                    *("ids", "page", "per_page", "page_token", "fields", "features", "sort_by"),
                    *("sort_order", "territory_id", "include_child", "job_id", "module", "cvid"),
                ]
            ),
            st.sampled_from(
                [
                    *("1", "1,2", "", "x", "a=b", "territory_scheduled_jobs", "²", "id", "desc"),
                    *("Created_Time", "true", "Leads", "id,Territories"),
                ]
            ),
            max_size=3,
        ),
        st.fixed_dictionaries({"data": st.lists(JUNK, max_size=3)})
        | st.fixed_dictionaries({"territories": st.lists(JUNK, max_size=3)})
        | st.fixed_dictionaries({"get_related_records_count": st.lists(JUNK, max_size=3)})
        | JUNK,
    ),
    max_size=8,
)


async def shout(calls: list[tuple[str, str, dict[str, str], Any]]) -> None:
    seed = {
        "records": {each: ["1"] for each in ("Leads", "Deals", "Products", "Contacts")},
        "territories": [{"id": "1"}, {"id": "2", "parent_id": "1"}],
    }
    async with (
        Emulator(world=world_from(seed), behaviour=Behaviour(), clock=Clock.standing()) as emulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session, emulator)
        for method, path, query, body in calls:
            raw = URL(path, encoded=False).raw_path
            reply = await client.send(method, raw, query=query, body=body)
            assert reply.status in {200, 202, 204, 207, 400, 404}
            if reply.status >= 400 and method != "HEAD":
                assert reply.body is not None
        assert len(emulator.ledger) == len(calls)


@settings(max_examples=200, deadline=None)
@given(CALLS)
def test_nonsense_is_always_answered(
    calls: list[tuple[str, str, dict[str, str], Any]],
) -> None:
    """Whatever is sent, the answer is one of the API's, and the ledger has it."""
    asyncio.run(shout(calls))
