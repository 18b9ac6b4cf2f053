"""
Contact roles of a deal.

https://www.zoho.com/crm/developer/docs/api/v8/add-contact-roles-to-a-specific-deal.html
The same links are seen as `Contacts/{id}/Deals`, where `related_records` serves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bulkops.emulator.call import Answer, Call, id_text
from bulkops.emulator.envelope import Item, at, failure, refuse, status_of, success
from bulkops.emulator.handlers.external_ids import Unnamed
from bulkops.emulator.handlers.guards import (
    Action,
    Target,
    check_rights,
    check_scope,
    related_target,
)
from bulkops.emulator.handlers.reading import read_related
from bulkops.emulator.handlers.request import body_items, ids_parameter


def _target(call: Call, action: Action) -> Target:
    """Check scopes and rights of both modules, and only then the deal."""
    check_scope(call, "modules", action, "Contacts")
    check_rights(call, "Contacts", action, "related records data")
    return related_target(call, action)


def set_one(call: Call) -> Answer:
    """PUT /Deals/{deal}/Contact_Roles/{contact}."""
    target = _target(call, Action.UPDATE)
    (item,) = body_items(call, "data", most=1)
    fields = item if isinstance(item, dict) else {}
    wanted = [{**fields, "id": target.related_in_path(call)}]
    return set_roles(call, target, wanted, message=call.behaviour.contact_role_message)


def set_many(call: Call) -> Answer:
    """PUT /Deals/{deal}/Contact_Roles: only in the versions that know it."""
    if call.version.major < call.behaviour.contact_roles_bulk_from:
        raise refuse(
            400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one"
        )
    target = _target(call, Action.UPDATE)
    wanted = body_items(call, "data", most=call.behaviour.items_per_call)
    return set_roles(
        call, target, target.named(call, wanted), message=call.behaviour.contact_role_message
    )


def set_roles(call: Call, target: Target, wanted: Sequence[Any], *, message: str) -> Answer:
    """Give every contact (or deal, from the other side) of `wanted` its role."""
    items: list[Item] = []
    asked: list[str] = []
    changed: list[str] = []
    unchanged = 0
    for index, each in enumerate(wanted):
        if isinstance(each, Unnamed):
            asked.append("")
            items.append(each.item)
            continue
        related, role, refusal = _checked(call, target, index, each)
        asked.append(related)
        if refusal is not None:
            items.append(refusal)
            continue
        if target.side.link(target.parent, related, {"Contact_Role": role}):
            changed.append(related)
        else:
            unchanged += 1
        items.append(success(message, target.details(call, related)))
    return Answer(
        _status_of(call, items),
        {"data": items},
        asked=asked,
        changed=changed,
        unchanged=unchanged,
    )


def _checked(
    call: Call, target: Target, index: int, wanted: Any
) -> tuple[str, dict[str, Any], Item | None]:
    """The related id and the role of one item, or the item that refuses it."""
    path = f"$.data[{index}]"
    if not isinstance(wanted, dict):
        details = at(call.behaviour, "data", path)
        return "", {}, failure("INVALID_DATA", "invalid data", details)
    related = id_text(wanted.get("id")) or ""
    if not related:
        details = at(call.behaviour, "id", f"{path}.id")
        return "", {}, failure("MANDATORY_NOT_FOUND", "required field not found", details)
    if not call.organisation.has_record(target.side.other, related):
        return (
            related,
            {},
            failure("INVALID_DATA", "the id given seems to be invalid", {"id": related}),
        )
    if wanted.get("Contact_Role") is None:
        details = at(call.behaviour, "Contact_Role", f"{path}.Contact_Role")
        return related, {}, failure("MANDATORY_NOT_FOUND", "required field not found", details)
    role = _role(call, wanted["Contact_Role"])
    if role is None:
        details = at(call.behaviour, "Contact_Role", f"{path}.Contact_Role")
        return related, {}, failure("INVALID_DATA", "invalid data", details)
    return related, role, None


def _role(call: Call, given: Any) -> dict[str, Any] | None:
    """The role that is meant by an object with `id` or `name`, or by an id alone."""
    roles = call.organisation.roles
    if isinstance(given, dict):
        role = id_text(given.get("id"))
        if role is None:
            role = next((each for each, name in roles.items() if name == given.get("name")), None)
    else:
        role = id_text(given)
    if role is None or role not in roles:
        return None
    return {"name": roles[role], "id": role}


def remove_one(call: Call) -> Answer:
    """DELETE /Deals/{deal}/Contact_Roles/{contact}."""
    target = _target(call, Action.DELETE)
    return _remove(call, target, [target.related_in_path(call)])


def remove_many(call: Call) -> Answer:
    """DELETE /Deals/{deal}/Contact_Roles?ids=."""
    target = _target(call, Action.DELETE)
    return _remove(call, target, ids_parameter(call))


def _remove(call: Call, target: Target, contacts: Sequence[str]) -> Answer:
    deal = target.parent
    absent = target.side.unlink(deal, contacts)
    changed = [contact for n, contact in enumerate(contacts) if n not in absent]
    call.organisation.removed_roles |= {(deal, contact) for contact in changed}
    items = [
        _absent(call, deal, contact)
        if n in absent
        else success(call.behaviour.delink_message, {"id": contact})
        for n, contact in enumerate(contacts)
    ]
    return Answer(
        _status_of(call, items),
        {"data": items},
        asked=contacts,
        changed=changed,
    )


def _status_of(call: Call, items: Sequence[Item]) -> int:
    """As everywhere, but for a mixed result, of which the specification says nothing here."""
    behaviour = call.behaviour
    if behaviour.contact_roles_mixed_status is not None:
        behaviour = replace(behaviour, mixed_status=behaviour.contact_roles_mixed_status)
    return status_of(items, version=call.version, behaviour=behaviour)


def _absent(call: Call, deal: str, contact: str) -> Item:
    """Why there was no role to remove: three texts that mean nearly the same."""
    if not call.organisation.has_record("Contacts", contact):
        return failure("INVALID_DATA", "the id given seems to be invalid", {"id": contact})
    says = call.behaviour.absent_contact_role
    if says == "by_history":
        was_there = (deal, contact) in call.organisation.removed_roles
        says = "contact role not deleted" if was_there else "relation not found"
    code = "MANDATORY_NOT_FOUND" if says == "relation not found" else "INVALID_DATA"
    return failure(code, says, {"id": contact})


def read_known(call: Call) -> Answer:
    """GET /Contacts/roles: every role a contact may have; 204 if there are none."""
    check_scope(call, "modules", Action.READ, "Contacts")
    rows = [
        {"id": role, "name": name, "sequence_number": place}
        for place, (role, name) in enumerate(call.organisation.roles.items(), 1)
    ]
    return Answer(200, {"contact_roles": rows}) if rows else Answer(204)


def read_many(call: Call) -> Answer:
    """GET /Deals/{deal}/Contact_Roles."""
    return read_related(call, _target(call, Action.READ))


def read_one(call: Call) -> Answer:
    """GET /Deals/{deal}/Contact_Roles/{contact}: 204 if there is none."""
    target = _target(call, Action.READ)
    return read_related(call, target, only=target.related_in_path(call))
