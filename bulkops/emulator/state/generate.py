"""Make a random world of a given size; the same size and seed give the same world."""

from __future__ import annotations

import itertools
import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.relations import Side
from bulkops.emulator.state.territories import Assigned, Territory
from bulkops.emulator.state.world import World

_FIRST_ID = 4_150_868_000_000_000_000
_MODULE_STEP = 10_000_000_000
_MODULES = ("Leads", "Contacts", "Accounts", "Deals", "Products", "Campaigns", "Price_Books")


@dataclass(frozen=True, slots=True)
class WorldSize:
    """How many of what; links are drawn with a Zipf exponent of `skew` on the hub's side."""

    leads: int = 0
    contacts: int = 0
    accounts: int = 0
    deals: int = 0
    products: int = 0
    campaigns: int = 0
    price_books: int = 0
    #: links Products to Deals
    links: int = 0
    #: links Campaigns to Leads
    members: int = 0
    #: contact roles of deals
    roles: int = 0
    #: the organisation's own territory and these below it
    territories: int = 0
    #: share of Accounts, Contacts, Leads and Deals that are in territories
    assigned: float = 0.0
    #: share of those assignments made by a rule
    automatic: float = 0.0
    #: 0: every hub alike
    skew: float = 0.0

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> WorldSize:
        """Read a size; raises ValueError that names what is not known or not a number."""
        known = {each.name for each in fields(cls)}
        for name, value in data.items():
            if name not in known:
                raise ValueError(
                    f"world size {name!r}: unknown; known are {', '.join(sorted(known))}"
                )
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise ValueError(f"world size {name}: found {value!r}, expected a number from 0")
        return cls(**data)


def generate(size: WorldSize, *, seed: int = 7) -> World:
    """Make the world."""
    chance = random.Random(seed)  # noqa: S311 - a rehearsal's world, not a secret
    made = Organisation(name="default")
    ids = {module: _add_records(made, module, size) for module in _MODULES}
    made.roles = {str(_FIRST_ID + n): f"Role {n}" for n in range(1, 4)}
    side = made.sides["Products", "Deals"]
    _link(side, ids["Products"], ids["Deals"], count=size.links, skew=size.skew, chance=chance)
    side = made.sides["Campaigns", "Leads"]
    _link(side, ids["Campaigns"], ids["Leads"], count=size.members, skew=size.skew, chance=chance)
    _give_roles(made, ids, size.roles, chance)
    _divide(made, ids, size, chance)
    return World({made.name: made})


def _add_records(made: Organisation, module: str, size: WorldSize) -> list[str]:
    count = getattr(size, module.lower())
    first = _FIRST_ID + (_MODULES.index(module) + 1) * _MODULE_STEP
    return [made.add_record(module, str(first + n)) for n in range(count)]


def _link(
    side: Side,
    hubs: Sequence[str],
    others: Sequence[str],
    *,
    count: int,
    skew: float,
    chance: random.Random,
) -> None:
    if count > len(hubs) * len(others):
        raise ValueError(
            f"{count} links between {len(hubs)} {side.module} and {len(others)} {side.other}: "
            f"expected at most {len(hubs) * len(others)}"
        )
    weights = [(rank + 1) ** -skew for rank in range(len(hubs))]
    sums = list(itertools.accumulate(weights))
    made = misses = 0
    while made < count and misses < 20 * count + 1000:
        hub = hubs[bisect(sums, chance.random() * sums[-1])]
        if side.link(hub, others[chance.randrange(len(others))], None):
            made += 1
        else:
            misses += 1
    for hub, other in itertools.product(hubs, others):  # the last pairs of a nearly full relation
        if made == count:
            return
        made += side.link(hub, other, None)


def _give_roles(
    made: Organisation, ids: Mapping[str, list[str]], count: int, chance: random.Random
) -> None:
    side = made.sides["Deals", "Contact_Roles"]
    deals, contacts = ids["Deals"], ids["Contacts"]
    if count > len(deals) * len(contacts):
        raise ValueError(f"{count} roles for {len(deals)} deals and {len(contacts)} contacts")
    given = 0
    while given < count:
        role = chance.choice(list(made.roles))
        deal, contact = chance.choice(deals), chance.choice(contacts)
        if contact not in side.related(deal):
            fields_ = {"Contact_Role": {"name": made.roles[role], "id": role}}
            given += side.link(deal, contact, fields_)


def _divide(
    made: Organisation, ids: Mapping[str, list[str]], size: WorldSize, chance: random.Random
) -> None:
    if not size.territories:
        return
    root = str(_FIRST_ID + 100)
    made.territories.put(Territory(id=root, name="Organisation"))
    below: list[str] = []
    for n in range(size.territories):
        territory = str(_FIRST_ID + 101 + n)
        parent = root if n < 4 else below[(n - 4) // 4]
        made.territories.put(Territory(id=territory, name=f"Territory {n + 1}", parent_id=parent))
        below.append(territory)
    for module in ("Leads", "Contacts", "Accounts", "Deals"):
        most = 1 if module == "Deals" else min(3, len(below))
        for record in ids[module]:
            if chance.random() >= size.assigned:
                continue
            for territory in chance.sample(below, chance.randint(1, most)):
                automatic = chance.random() < size.automatic
                how = Assigned.AUTOMATICALLY if automatic else Assigned.MANUALLY
                made.record_territories.assign(module, record, territory, how)
