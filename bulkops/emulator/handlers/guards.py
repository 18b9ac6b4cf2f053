"""
The checks that come before a handler looks at items, in the vendor's (assumed) order.

Module, then scope and permission, then the parent record, then the relation's name. Each raises
`Refused` with the flat body of the first check that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bulkops.emulator.call import Call, Refused
from bulkops.emulator.catalogue import canonical, offers, shown, standard_modules
from bulkops.emulator.envelope import refuse
from bulkops.emulator.handlers.external_ids import external_fields, named_item, record_in_path
from bulkops.emulator.state.relations import Side

_NO_FIELDS: Mapping[str, str] = {}


class Action(StrEnum):
    """What a call does to records; the values are the words of the refusals."""

    #: GET
    READ = "read"
    #: PUT and the territory actions
    UPDATE = "update"
    #: DELETE
    DELETE = "delete"


@dataclass(slots=True)
class Target:
    """The relation a call names, seen from the record in its URL."""

    side: Side
    parent: str
    #: the field by which this call names records of the other side; None: by id
    external: str | None = None

    def details(self, call: Call, related: str) -> dict[str, Any]:
        """Details of a success: the id, and the external field if the call used it."""
        if self.external is None:
            return {"id": related}
        record = call.organisation.records[self.side.other][related] or {}
        return {self.external: record.get(self.external), "id": related}

    def related_in_path(self, call: Call) -> str:
        """The id of the related record in the URL."""
        return record_in_path(call, 3, self.side.other, self.external)

    def named(self, call: Call, wanted: Sequence[Any]) -> list[Any]:
        """The items of a body with ids in place of external fields."""
        if self.external is None:
            return list(wanted)
        return [
            named_item(
                call.organisation,
                call.behaviour,
                self.side.other,
                self.external,
                index=index,
                wanted=each,
            )
            for index, each in enumerate(wanted)
        ]


def module_of(
    call: Call, name: str, message: str = "The module name given seems to be invalid"
) -> str:
    """The canonical name of a module that exists here; INVALID_MODULE if it does not."""
    module = canonical(call.version, name)
    if module in standard_modules(call.version):
        return module
    held = call.organisation
    if call.version.product == "crm" and (
        module in held.records or any(module == each for each, _ in held.custom_names)
    ):
        return module
    raise refuse(400, "INVALID_MODULE", message, {"resource_path_index": 0})


def unsupported_module(call: Call, message: str) -> Refused:
    """The refusal of a module that exists but does not have the operation."""
    return refuse(400, call.behaviour.unsupported_module_code, message, {"resource_path_index": 0})


def check_scope(call: Call, group: str, action: Action, part: str = "") -> None:
    """OAUTH_SCOPE_MISMATCH unless the client may do `action` in `group` (`modules`, ...)."""
    product = "zohocrm" if call.version.product == "crm" else "zohobigin"
    held = call.client.scope_set
    if f"{product}.{group}.all" in held:
        return
    words = ("read",) if action is Action.READ else ("write", action.value)
    wanted = {f"{product}.{group}.{word}" for word in words}
    for name in _scope_names(call, group, part):
        wanted |= {f"{product}.{group}.{name}.{word}" for word in ("all", *words)}
    if not wanted & held:
        raise refuse(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")


def _scope_names(call: Call, group: str, part: str) -> set[str]:
    """What scopes call a part: its name here or in the version, or `custom` for any such module."""
    if not part:
        return set()
    names = {part.lower(), shown(call.version, part).lower()}
    if group == "modules" and part not in standard_modules(call.version):
        names.add("custom")
    return names


def check_rights(call: Call, module: str, action: Action, what: str) -> None:
    """NO_PERMISSION or AUTHORIZATION_FAILED if the organisation's user may not."""
    rights = call.organisation.rights
    if not rights.denied and not rights.unauthorised:
        return
    right = f"{module}.{action}"
    if right in rights.unauthorised:
        raise refuse(
            call.behaviour.authorization_failed_status,
            "AUTHORIZATION_FAILED",
            f"User does not have sufficient privilege to {action} {what}",
        )
    if right in rights.denied:
        shown = "Potentials" if module == "Deals" else module
        raise refuse(
            403,
            "NO_PERMISSION",
            f"Permission denied to {action} records",
            {"permissions": [f"Crm_Implied_View_{shown}"]},
        )


def check_parent(call: Call, module: str, record_id: str) -> None:
    """INVALID_DATA if the record in the URL does not exist."""
    if call.organisation.has_record(module, record_id):
        return
    if call.behaviour.missing_parent == "not_found":
        raise refuse(404, "INVALID_DATA", "The record does not exist")
    raise refuse(
        400,
        "INVALID_DATA",
        "the related id given seems to be invalid",
        {"resource_path_index": 1},
    )


def check_lock(call: Call, record_id: str) -> None:
    """RECORD_LOCKED if the record in the URL is locked (for links: assumed)."""
    if call.is_locked(record_id):
        raise refuse(
            400,
            "RECORD_LOCKED",
            "Sorry, you cannot perform this operation as the record is locked.",
            {"resource_path_index": 1},
        )


def related_target(call: Call, action: Action) -> Target:
    """
    Check everything that comes before the items of a related-records call.

    What names and scopes come to is the same for all calls alike, so it is found out but once.
    """
    held = call.organisation
    alike = (call.path[0], call.path[2], action, call.version, call.client.scope_set)
    side = held.found_sides.get(alike)
    module = _linking_module(call, action) if side is None else side.module
    check_rights(call, module, action, "related records data")
    fields = external_fields(call) if call.external else _NO_FIELDS
    parent = record_in_path(call, 1, module, fields.get(module))
    check_parent(call, module, parent)
    if side is None:
        side = held.found_sides[alike] = side_of(call, module, call.path[2])
    if action is not Action.READ:
        check_lock(call, parent)
    return Target(side, parent, fields.get(side.other))


def _linking_module(call: Call, action: Action) -> str:
    """The module of the URL, if it has related lists and the client may do this in it."""
    module = module_of(call, call.path[0])
    if module not in call.organisation.linking_modules:
        raise unsupported_module(call, "The given module is not supported in API")
    check_scope(call, "modules", action, module)
    return module


def side_of(call: Call, module: str, related_list: str) -> Side:
    """The relation of this name, if the module has it in this version."""
    held = call.organisation
    name = canonical(call.version, related_list)
    side = held.sides.get((module, name))
    known = side is not None and (
        offers(call.version, module, name)
        if (module, name) not in held.custom_names
        else call.version.product == "crm"
    )
    if side is None or not known:
        raise refuse(
            400,
            "INVALID_DATA",
            call.behaviour.bad_relation_message,
            {"resource_path_index": 2},
        )
    return side
