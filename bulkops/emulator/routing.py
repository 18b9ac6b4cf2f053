"""
From method and path to the handler, with the two refusals that come before any handler.

The tables are the whole API surface of the emulator. A path that fits no shape is
INVALID_URL_PATTERN, a shape without the method is INVALID_REQUEST_METHOD.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from bulkops.emulator.call import Handler
from bulkops.emulator.catalogue import VERSIONS, Version
from bulkops.emulator.envelope import bad_url, refuse
from bulkops.emulator.handlers import (
    about,
    contact_roles,
    counting,
    feature_info,
    metadata,
    reading,
    record_territories,
    related_records,
    territories,
    territory_deletion,
)

Methods = Mapping[str, "Route"]


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of call; `kind` is its name in ledger and counters."""

    kind: str
    handler: Handler
    #: counts towards the sub-concurrency limit when `sort_by` or `cvid` is given
    complex: bool = False


#: What a URL means: a version, the segments after it, and the route.
Resolved = tuple[Version, tuple[str, ...], Route]


_MODULE: Methods = {"GET": Route("records.read", reading.records, complex=True)}
_RECORD: Methods = {"GET": Route("record.read", reading.record)}
_RELATED: Methods = {
    "GET": Route("related.read", reading.related_many),
    "PUT": Route("link", related_records.link_many),
    "DELETE": Route("unlink", related_records.unlink_many),
}
_RELATED_ONE: Methods = {
    "GET": Route("related.read.single", reading.related_one),
    "PUT": Route("link.single", related_records.link_one),
    "DELETE": Route("unlink.single", related_records.unlink_one),
}
_ROLES: Methods = {
    "GET": Route("roles.read", contact_roles.read_many),
    "PUT": Route("roles.set", contact_roles.set_many),
    "DELETE": Route("roles.remove", contact_roles.remove_many),
}
_ROLES_KNOWN: Methods = {"GET": Route("roles.known", contact_roles.read_known)}
_ROLES_ONE: Methods = {
    "GET": Route("roles.read.single", contact_roles.read_one),
    "PUT": Route("roles.set.single", contact_roles.set_one),
    "DELETE": Route("roles.remove.single", contact_roles.remove_one),
}
_ACTIONS: Mapping[str, Methods] = {
    "remove_territories": {"POST": Route("territories.remove", record_territories.remove_many)},
    "assign_territories": {"POST": Route("territories.assign", record_territories.assign_many)},
    "get_feature_specific_info": {"GET": Route("feature_info", feature_info.look_many)},
}
_RECORD_ACTIONS: Mapping[str, Methods] = {
    "remove_territories": {
        "POST": Route("territories.remove.single", record_territories.remove_one)
    },
    "assign_territories": {
        "POST": Route("territories.assign.single", record_territories.assign_one)
    },
    "get_feature_specific_info": {"GET": Route("feature_info.single", feature_info.look_one)},
    "get_related_records_count": {"POST": Route("related.count", counting.count)},
}
_TERRITORIES: Methods = {
    "GET": Route("territories.read", territories.read_many),
    "DELETE": Route("territory.remove", territory_deletion.delete_many),
}
_TERRITORY: Methods = {
    "GET": Route("territories.read.single", territories.read_one),
    "DELETE": Route("territory.remove.single", territory_deletion.delete_one),
}
_CHILDREN: Methods = {"GET": Route("territories.children", territories.read_children)}
_TERRITORY_ACTIONS: Mapping[str, Methods] = {
    "transfer_and_delete": {"POST": Route("territory.delete", territory_deletion.transfer_many)},
    "scheduled_run_rule_jobs": {
        "GET": Route("territories.rule_job", territories.read_rule_job),
    },
}
_TRANSFER_ONE: Methods = {"POST": Route("territory.delete.single", territory_deletion.transfer_one)}
_APIS: Methods = {"GET": Route("apis", about.apis)}
_ORG: Methods = {"GET": Route("org", about.organisation)}
_USERS: Methods = {"GET": Route("users", metadata.users)}
_METADATA: Mapping[str, Methods] = {
    "modules": {"GET": Route("modules.read", metadata.modules)},
    "fields": {"GET": Route("fields.read", metadata.fields)},
    "related_lists": {"GET": Route("related_lists.read", metadata.related_lists)},
}
_MODULE_METADATA: Methods = {"GET": Route("modules.read.single", metadata.module)}

_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_ACTION_WORD = "actions"
#: Segments that name records in `Leads/12/Campaigns/34`.
_RECORD_PLACES = (1, 3)

#: Shapes below a module: what the segments are, as `_shape` spells them.
_SHAPES: Mapping[str, Methods] = {
    "name": _MODULE,
    "name/id": _RECORD,
    "name/id/name": _RELATED,
    "name/id/name/id": _RELATED_ONE,
}


def _shape(path: tuple[str, ...], *, external: bool) -> str:
    """
    A path as words: `Leads/12/Campaigns` is `name/id/name`.

    With `external`, records of a related list may have any text for an id.
    """
    any_id = external and len(path) > 2 and _ACTION_WORD not in path
    words = []
    for position, segment in enumerate(path):
        if segment == _ACTION_WORD:
            words.append(_ACTION_WORD)
        elif (any_id and position in _RECORD_PLACES) or _ID.fullmatch(segment):
            words.append("id")
        else:
            words.append("name" if _NAME.fullmatch(segment) else "?")
    return "/".join(words)


def _of_settings(path: tuple[str, ...], *, crm: bool) -> Methods | None:
    match path[1:]:
        case ("modules" | "fields" | "related_lists" as what,):
            return _METADATA[what]
        case ("modules", module) if _NAME.fullmatch(module) or _ID.fullmatch(module):
            return _MODULE_METADATA
    return _of_territories(path) if crm else None


def _of_territories(path: tuple[str, ...]) -> Methods | None:
    match path[1:]:
        case ("territories",):
            return _TERRITORIES
        case ("territories", "actions", action):
            return _TERRITORY_ACTIONS.get(action)
        case ("territories", territory) if _ID.fullmatch(territory):
            return _TERRITORY
        case ("territories", territory, "__child_territories") if _ID.fullmatch(territory):
            return _CHILDREN
        case ("territories", territory, "actions", "transfer_and_delete") if _ID.fullmatch(
            territory
        ):
            return _TRANSFER_ONE
    return None


def _of_records(path: tuple[str, ...], *, crm: bool, external: bool) -> Methods | None:
    shape = _shape(path, external=external and crm)
    if shape == "name/actions/name":
        return _ACTIONS.get(path[2]) if crm else None
    if shape == "name/id/actions/name":
        return _RECORD_ACTIONS.get(path[3]) if crm else None
    if crm and path == ("Contacts", "roles"):
        return _ROLES_KNOWN
    if crm and path[0] == "Deals" and path[2:3] == ("Contact_Roles",):
        return {"name/id/name": _ROLES, "name/id/name/id": _ROLES_ONE}.get(shape)
    return _SHAPES.get(shape)


def resolve(method: str, raw_path: str, *, external: bool = False) -> Resolved:
    """
    Find the route; raises `Refused` with the vendor's flat refusal if there is none.

    `external` says that the call may name records by external fields.
    """
    segments = raw_path.strip("/").split("/")
    # Which id it is makes no difference to the route, so that calls of a kind find it only once.
    # Names are told from ids by `isdecimal`, which is several times as fast as the pattern.
    alike = ["0" if each.isdecimal() and _ID.fullmatch(each) else each for each in segments]
    version, route = _find(method, "/".join(alike), external)
    return version, tuple(segments[2:]), route


@lru_cache(maxsize=1024)
def _find(method: str, path_text: str, external: bool) -> tuple[Version, Route]:
    product, label, *rest = path_text.split("/") if path_text.count("/") else ("", "")
    version = VERSIONS.get((product, label))
    path = tuple(rest)
    if version is None or not path or "" in path:
        raise bad_url()
    crm = version.product == "crm"
    match path[0]:
        case "settings":
            methods = _of_settings(path, crm=crm)
        case "__apis":
            methods = _APIS if len(path) == 1 else None
        case "org":
            methods = _ORG if len(path) == 1 else None
        case "users":
            methods = _USERS if len(path) == 1 else None
        case _:
            methods = _of_records(path, crm=crm, external=external)
    if methods is None:
        raise bad_url()
    route = methods.get(method)
    if route is None:
        raise refuse(
            400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one"
        )
    return version, route
