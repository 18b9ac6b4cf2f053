"""
Read a world from parsed JSON.

The form is described in `README.md`; `snapshot` writes the same form. Links imply their records,
so a seed of links need not list records as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from bulkops.emulator.limits import ALLOWANCES
from bulkops.emulator.state.clients import ALL_SCOPES, Client
from bulkops.emulator.state.jobs import Job, JobKind
from bulkops.emulator.state.organisation import Organisation, Rights
from bulkops.emulator.state.territories import Assigned, Territory
from bulkops.emulator.state.world import World

_KEYS = frozenset(
    {
        *("name", "id", "edition", "users", "clients", "records", "relations"),
        *("custom_relations", "contact_roles", "roles", "removed_roles", "territories"),
        *("record_territories", "jobs", "last_job", "rights", "credits"),
    }
)
#: Both sides of contact roles, which have a key of their own.
ROLE_SIDES = frozenset({("Deals", "Contact_Roles"), ("Contacts", "Deals")})
_LONGEST_ID = 20
RIGHTS_SETS = ("denied", "unauthorised", "territories", "records", "locked")


class SeedError(ValueError):
    """A seed that cannot be read; says where, what was found and what was expected."""


def world_from(data: object) -> World:
    """Make a world of parsed JSON: one organisation, or `{"organisations": {name: ...}}`."""
    top = _mapping(data, "world")
    several = top.get("organisations")
    if several is None:
        organisation = _organisation("default", top)
        return World({organisation.name: organisation})
    if len(top) > 1:
        raise SeedError(f"world: found {sorted(top)}, expected `organisations` alone")
    return World(
        {
            name: _organisation(name, _mapping(each, f"organisations.{name}"))
            for name, each in _mapping(several, "organisations").items()
        }
    )


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SeedError(f"{where}: found {type(value).__name__}, expected an object")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise SeedError(f"{where}: found {type(value).__name__}, expected a list")
    return value


def record_id(value: object, where: str) -> str:
    """An id of a seed, given as text or number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal()):
        raise SeedError(f"{where}: found {value!r}, expected an id of digits")
    if len(value) > _LONGEST_ID:
        raise SeedError(f"{where}: found {value!r}, expected at most {_LONGEST_ID} digits")
    return value


def _organisation(name: str, data: Mapping[str, Any]) -> Organisation:
    unknown = set(data) - _KEYS
    if unknown:
        raise SeedError(f"{name}: unknown keys {sorted(unknown)}; known are {sorted(_KEYS)}")
    made = Organisation(
        name=str(data.get("name", name)),
        id=record_id(data.get("id", "7000000001"), f"{name}.id"),
        edition=str(data.get("edition", "enterprise")),
        users=int(data.get("users", 100)),
        last_job=int(data.get("last_job", 0)),
    )
    if made.edition not in ALLOWANCES:
        raise SeedError(
            f"{name}.edition: found {made.edition!r}, expected one of {sorted(ALLOWANCES)}"
        )
    for each in _list(data.get("clients", []), "clients"):
        client = _client(_mapping(each, "clients"))
        made.clients[client.client_id] = client
    for declared in _list(data.get("custom_relations", []), "custom_relations"):
        if not isinstance(declared, list) or len(declared) != 4:
            raise SeedError("custom_relations: expected lists of 4: module, list, module, list")
        made.declare_relation(*declared)
    made.rights = _rights(_mapping(data.get("rights", {}), "rights"))
    _read_records(made, _mapping(data.get("records", {}), "records"))
    _read_relations(made, _mapping(data.get("relations", {}), "relations"))
    _read_roles(made, data)
    _read_territories(made, data)
    for each in _list(data.get("jobs", []), "jobs"):
        made.jobs.add(_job(_mapping(each, "jobs")))
    for at, spent in _list(data.get("credits", []), "credits"):
        made.credits.spend(int(spent), float(at))
    return made


def _client(data: Mapping[str, Any]) -> Client:
    tokens = _mapping(data.get("tokens", {}), "clients.tokens")
    return Client(
        client_id=str(data["client_id"]),
        client_secret=str(data.get("client_secret", "")),
        refresh_token=str(data.get("refresh_token", "")),
        access_token=str(data.get("access_token", "")),
        scopes=tuple(data.get("scopes", ALL_SCOPES)),
        grant_codes=tuple(map(str, data.get("grant_codes", ()))),
        issued_at=deque(map(float, data.get("issued_at", ()))),
        live={str(token): float(until) for token, until in tokens.items()},
    )


def _rights(data: Mapping[str, Any]) -> Rights:
    known = {*RIGHTS_SETS, "territory_management", "territories_for_leads"}
    if set(data) - known:
        raise SeedError(f"rights: unknown {sorted(set(data) - known)}; known are {sorted(known)}")
    return Rights(
        **{name: {str(each) for each in data.get(name, ())} for name in RIGHTS_SETS},
        territory_management=str(data.get("territory_management", "on")),
        territories_for_leads=bool(data.get("territories_for_leads", True)),
    )


def _read_records(made: Organisation, data: Mapping[str, Any]) -> None:
    for module, records in data.items():
        if isinstance(records, dict):
            for each, fields in records.items():
                made.add_record(module, record_id(each, f"records.{module}"), fields)
        else:
            for each in _list(records, f"records.{module}"):
                made.add_record(module, record_id(each, f"records.{module}"))


def _read_relations(made: Organisation, data: Mapping[str, Any]) -> None:
    interned = {each: each for table in made.records.values() for each in table}
    for key, links in data.items():
        module, _, rest = key.partition("/")
        parent, _, name = rest.partition("/")
        side = made.sides.get((module, name))
        if side is None or (module, name) in ROLE_SIDES:
            raise SeedError(f"relations.{key}: expected a known module/id/related_list")
        parent = record_id(parent, f"relations.{key}")
        parent = made.add_record(module, interned.setdefault(parent, parent))
        others = links if isinstance(links, dict) else dict.fromkeys(_list(links, key))
        for each, fields in others.items():
            other = record_id(each, f"relations.{key}")
            other = made.add_record(side.other, interned.setdefault(other, other))
            side.link(parent, other, fields)


def _read_roles(made: Organisation, data: Mapping[str, Any]) -> None:
    for each, name in _mapping(data.get("roles", {}), "roles").items():
        made.roles[record_id(each, "roles")] = str(name)
    side = made.sides["Deals", "Contact_Roles"]
    for deal, contacts in _mapping(data.get("contact_roles", {}), "contact_roles").items():
        where = f"contact_roles.{deal}"
        made.add_record("Deals", record_id(deal, where))
        for contact, given in _mapping(contacts, where).items():
            role = record_id(given, f"{where}.{contact}")
            if role not in made.roles:
                raise SeedError(f"{where}.{contact}: role {role} is not in `roles`")
            made.add_record("Contacts", record_id(contact, where))
            side.link(deal, contact, {"Contact_Role": {"name": made.roles[role], "id": role}})
    for removed in _list(data.get("removed_roles", []), "removed_roles"):
        deal, contact = removed
        made.removed_roles.add((str(deal), str(contact)))


def _read_territories(made: Organisation, data: Mapping[str, Any]) -> None:
    for listed in _list(data.get("territories", []), "territories"):
        given = _mapping(listed, "territories")
        parent = given.get("parent_id")
        territory_id = record_id(given.get("id"), "territories.id")
        made.territories.put(
            Territory(
                id=territory_id,
                name=str(given.get("name", f"Territory {territory_id}")),
                parent_id=None if parent is None else record_id(parent, "territories.parent_id"),
            )
        )
    for module, records in _mapping(data.get("record_territories", {}), "").items():
        for each, held in _mapping(records, f"record_territories.{module}").items():
            record = made.add_record(module, record_id(each, f"record_territories.{module}"))
            for territory, how in _assignments(held, f"record_territories.{module}.{each}"):
                if territory not in made.territories:
                    raise SeedError(
                        f"record_territories.{module}.{each}: {territory} is not in `territories`"
                    )
                made.record_territories.assign(module, record, territory, how)


def _assignments(held: object, where: str) -> Iterable[tuple[str, Assigned]]:
    if isinstance(held, list):
        return [(record_id(each, where), Assigned.MANUALLY) for each in held]
    return [(record_id(each, where), Assigned(how)) for each, how in _mapping(held, where).items()]


def _job(data: Mapping[str, Any]) -> Job:
    return Job(
        id=record_id(data["id"], "jobs.id"),
        module=data["module"],
        record_id=record_id(data["record_id"], "jobs.record_id"),
        kind=JobKind(data["kind"]),
        territories=tuple(record_id(each, "jobs.territories") for each in data["territories"]),
        due=float(data.get("due", 0.0)),
        looks=int(data.get("looks", 0)),
        fails=bool(data.get("fails", False)),
        stuck=bool(data.get("stuck", False)),
    )
