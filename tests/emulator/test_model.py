"""The emulator against a model of plain sets, and against nonsense."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from bulkops.emulator import Behaviour, Clock, Emulator, world_from

from .conftest import Client, Reply

PRODUCTS, DEALS = ("1", "2", "3"), ("11", "12", "13")
#: The last id of each does not exist.
ANY_PRODUCT, ANY_DEAL = st.sampled_from((*PRODUCTS, "9")), st.sampled_from((*DEALS, "19"))
SEED = {
    "records": {"Products": list(PRODUCTS), "Deals": list(DEALS)},
    "relations": {"Products/1/Deals": ["11", "12"]},
}

Pair = tuple[str, str]
Step = tuple[str, str, str, list[str]]

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["link", "unlink"]),
            st.just("Products"),
            ANY_PRODUCT,
            st.lists(ANY_DEAL, min_size=1, max_size=4),
        ),
        st.tuples(
            st.sampled_from(["link", "unlink"]),
            st.just("Deals"),
            ANY_DEAL,
            st.lists(ANY_PRODUCT, min_size=1, max_size=4),
        ),
    ),
    max_size=12,
)


def predicted(pairs: set[Pair], step: Step) -> tuple[int, list[str]]:
    """Status and codes of a step by the rules of sets; applies it to `pairs`."""
    what, module, parent, others = step
    if parent not in (*PRODUCTS, *DEALS):
        return 400, ["INVALID_DATA"]
    codes = []
    for other in others:
        pair = (parent, other) if module == "Products" else (other, parent)
        known = other in (*PRODUCTS, *DEALS)
        good = pair in pairs if what == "unlink" else known
        if good and what == "unlink":
            pairs.discard(pair)
        elif good:
            pairs.add(pair)
        codes.append("SUCCESS" if good else "INVALID_DATA")
    failed = codes.count("INVALID_DATA")
    return (200 if not failed else 400 if failed == len(codes) else 207), codes


async def performed(client: Client, step: Step) -> Reply:
    what, module, parent, others = step
    url = f"/crm/v8/{module}/{parent}/{'Deals' if module == 'Products' else 'Products'}"
    if what == "unlink":
        return await client.delete(url, ids=",".join(others))
    return await client.put(url, *({"id": other} for other in others))


async def walk(steps: list[Step]) -> None:
    pairs = {("1", "11"), ("1", "12")}
    async with (
        Emulator(world=world_from(SEED), clock=Clock.standing()) as emulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session, emulator)
        side = emulator.world.organisation.sides["Products", "Deals"]
        for step in steps:
            expected = predicted(pairs, step)
            reply = await performed(client, step)
            codes = reply.codes if "data" in reply.body else [reply.body["code"]]
            assert (reply.status, codes) == expected
            assert {(p, d) for p in side.parents() for d in side.related(p)} == pairs


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_links_behave_as_a_set_of_pairs(steps: list[Step]) -> None:
    """Random calls from both sides, good and bad, never differ from the model."""
    asyncio.run(walk(steps))


WORDS = st.sampled_from(
    [
        "crm", "bigin", "v8", "v2", "v1", "Leads", "Deals", "Products", "Contact_Roles", "1", "x",
        "actions", "remove_territories", "assign_territories", "get_feature_specific_info",
        "settings", "territories", "transfer_and_delete", "__child_territories", "__apis", "org",
        "", "%20", "é", "9" * 30,
    ]
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "territories", "id", "Territories", "Contact_Role", "name"]),
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
    ]
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"]),
        REAL | st.lists(WORDS, max_size=4).map(lambda words: "/".join(["/crm/v8", *words])),
        st.dictionaries(
            st.sampled_from(["ids", "page", "per_page", "page_token", "fields", "features"]),
            st.sampled_from(["1", "1,2", "", "x", "a=b", "territory_scheduled_jobs", "²"]),
            max_size=3,
        ),
        st.fixed_dictionaries({"data": st.lists(JUNK, max_size=3)})
        | st.fixed_dictionaries({"territories": st.lists(JUNK, max_size=3)})
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
