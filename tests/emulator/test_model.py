"""Random calls of every operation, good and bad, against a model of plain sets."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.emulator import Behaviour, Clock, Emulator, world_from

from .conftest import Client, Reply
from .model import Model, Verdict

PRODUCTS, DEALS, CONTACTS = ("1", "2"), ("11", "12"), ("21", "22")
ACCOUNTS, ROLES = ("31", "32"), ("91", "92")
TREE = {"100": None, "101": "100", "102": "101", "103": "101", "104": "100"}
#: No record, role or territory has this id.
NOBODY = "999"
SEED: dict[str, Any] = {
    "records": {
        "Products": list(PRODUCTS),
        "Deals": list(DEALS),
        "Contacts": list(CONTACTS),
        "Accounts": list(ACCOUNTS),
    },
    "relations": {"Products/1/Deals": list(DEALS)},
    "roles": dict.fromkeys(ROLES, "a role"),
    "contact_roles": {"11": {"21": "91"}},
    "territories": [{"id": each, "parent_id": parent} for each, parent in TREE.items()],
    "record_territories": {"Accounts": {"31": {"102": "manually", "103": "automatically"}}},
}


def new_model(*, schedules: bool) -> Model:
    return Model(
        products=frozenset(PRODUCTS),
        deals=frozenset(DEALS),
        contacts=frozenset(CONTACTS),
        accounts=frozenset(ACCOUNTS),
        role_names=frozenset(ROLES),
        top="100",
        parents=dict(TREE),
        links={("1", deal) for deal in DEALS},
        roles={("11", "21"): "91"},
        held={("31", "102"): "manually", ("31", "103"): "automatically"},
        schedules=schedules,
    )


def some(*ids: str) -> st.SearchStrategy[str]:
    return st.sampled_from((*ids, NOBODY))


def lists(each: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=1, max_size=most)


TERRITORY = some(*TREE)
TERRITORY_ITEMS = lists(st.tuples(some(*ACCOUNTS), lists(TERRITORY, 3).map(tuple)), 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("link"), st.just(False), some(*PRODUCTS), lists(some(*DEALS))),
        st.tuples(st.just("link"), st.just(True), some(*DEALS), lists(some(*PRODUCTS))),
        st.tuples(st.just("unlink"), st.just(False), some(*PRODUCTS), lists(some(*DEALS))),
        st.tuples(st.just("unlink"), st.just(True), some(*DEALS), lists(some(*PRODUCTS))),
        st.tuples(
            st.just("set_roles"),
            some(*DEALS),
            lists(st.tuples(some(*CONTACTS), st.none() | some(*ROLES))),
        ),
        st.tuples(st.just("remove_roles"), some(*DEALS), lists(some(*CONTACTS))),
        st.tuples(st.sampled_from(["remove", "assign"]), TERRITORY_ITEMS),
        st.tuples(st.just("transfer"), lists(st.tuples(TERRITORY, st.none() | TERRITORY), 3)),
        st.tuples(st.just("delete"), lists(TERRITORY, 3)),
        st.tuples(st.just("time passes")),
    ),
    max_size=14,
)


def predicted(model: Model, step: tuple[Any, ...]) -> Verdict | None:
    """Status and codes by the model, which takes the step."""
    match step:
        case ("link", turned, near, far):
            return model.link(near, far, turned=turned)
        case ("unlink", turned, near, far):
            return model.unlink(near, far, turned=turned)
        case ("set_roles", deal, wanted):
            return model.set_roles(deal, wanted)
        case ("remove_roles", deal, contacts):
            return model.remove_roles(deal, contacts)
        case ("remove" | "assign" as what, wanted):
            return model.territories(what, wanted)
        case ("transfer", wanted):
            return model.transfer(wanted)
        case ("delete", wanted):
            return model.delete(wanted)
    model.end_jobs()
    return None


async def performed(client: Client, step: tuple[Any, ...]) -> Reply | None:
    """The same step as a call."""
    match step:
        case ("link" | "unlink" as what, turned, near, far):
            url = f"/crm/v8/Deals/{near}/Products" if turned else f"/crm/v8/Products/{near}/Deals"
            if what == "unlink":
                return await client.delete(url, ids=",".join(far))
            return await client.put(url, *({"id": each} for each in far))
        case ("set_roles", deal, wanted):
            items = (
                {"id": contact, **({} if role is None else {"Contact_Role": {"id": role}})}
                for contact, role in wanted
            )
            return await client.put(f"/crm/v8/Deals/{deal}/Contact_Roles", *items)
        case ("remove_roles", deal, contacts):
            return await client.delete(
                f"/crm/v8/Deals/{deal}/Contact_Roles", ids=",".join(contacts)
            )
        case ("remove" | "assign" as what, wanted):
            named = (
                {"id": account, "Territories": [{"id": each} for each in territories]}
                for account, territories in wanted
            )
            return await client.post(f"/crm/v8/Accounts/actions/{what}_territories", *named)
        case ("transfer", wanted):
            moves = (
                {"id": each, **({} if target is None else {"transfer_to_id": target})}
                for each, target in wanted
            )
            url = "/crm/v8/settings/territories/actions/transfer_and_delete"
            return await client.post(url, *moves, key="territories")
        case ("delete", wanted):
            return await client.delete("/crm/v8/settings/territories", ids=",".join(wanted))
    await client.control("POST", "clock/advance", {"seconds": 60})
    return None


def state_of(emulator: Emulator) -> tuple[Any, ...]:
    """What the emulator holds, as the model has it."""
    held = emulator.world.organisation
    products, roles = held.sides["Products", "Deals"], held.sides["Deals", "Contact_Roles"]
    return (
        {(each, deal) for each in products.parents() for deal in products.related(each)},
        {
            (deal, contact): (fields or {})["Contact_Role"]["id"]
            for deal in roles.parents()
            for contact, fields in roles.related(deal).items()
        },
        {
            (account, territory): how
            for account in ACCOUNTS
            for territory, how in held.record_territories.of("Accounts", account).items()
        },
        {each.id: each.parent_id for each in held.territories},
        {job.record_id for job in held.jobs.all_pending()},
    )


async def walk(steps: list[tuple[Any, ...]], *, schedules: bool) -> None:
    model = new_model(schedules=schedules)
    behaviour = Behaviour(offload_from=1 if schedules else 0)
    async with (
        Emulator(world=world_from(SEED), behaviour=behaviour, clock=Clock.standing()) as emulator,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session, emulator)
        for step in steps:
            expected = predicted(model, step)
            reply = await performed(client, step)
            if reply is not None:
                codes = [reply.body["code"]] if "code" in reply.body else reply.codes
                assert (reply.status, codes) == expected, step
            assert state_of(emulator) == (
                model.links,
                model.roles,
                model.held,
                model.parents,
                set(model.jobs),
            ), step


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans())
def test_every_operation_behaves_as_on_sets(steps: list[tuple[Any, ...]], schedules: bool) -> None:
    """Whatever is asked of links, roles and territories: no difference in answers or in state."""
    asyncio.run(walk(steps, schedules=schedules))
