"""
Delete territories, with or without a place for what they hold.

https://www.zoho.com/crm/developer/docs/api/v7/transfer-delete-territories.html
https://www.zoho.com/crm/developer/docs/api/v8/delete-territories.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkops.emulator.call import Answer, Call, id_text
from bulkops.emulator.envelope import Item, at, failure, refuse, status_of, success
from bulkops.emulator.handlers.guards import Action, check_scope
from bulkops.emulator.handlers.request import body_items, missing_parameter, unparsable
from bulkops.emulator.handlers.territory_feature import check_feature
from bulkops.emulator.state.territories import TerritoryTree

#: The name in `rights.denied` of who may not delete territories.
RIGHT = "Territories.delete"
_UNKNOWN = "Given Territoryid isn't valid one"
_HAS_CHILDREN = (
    "This territory has a child territory associated with it. It can't be deleted directly as "
    "transfer of child territory is required."
)
_ORGANISATIONS_OWN = "The territory you are trying to delete is the Org Territory"


def _check(call: Call) -> None:
    check_scope(call, "settings", Action.DELETE, "territories")
    check_feature(call)


def delete_many(call: Call) -> Answer:
    """DELETE /settings/territories?ids=: leaves only; their records are in it no longer."""
    _check(call)
    text = call.query.get("ids", "")
    if not text:
        raise missing_parameter("ids", "MANDATORY_NOT_FOUND")
    ids = text.split(",")
    if not text.isascii() or not all(map(str.isdecimal, ids)):
        raise unparsable()
    if len(ids) > call.behaviour.transfers_per_call:
        raise refuse(
            400,
            "INVALID_REQUEST",
            "unable to process your request. please verify whether you have entered proper method "
            "name, parameter and parameter values.",
        )
    return _delete(call, ids)


def delete_one(call: Call) -> Answer:
    """DELETE /settings/territories/{id}."""
    _check(call)
    return _delete(call, [call.path[2]])


def _delete(call: Call, ids: Sequence[str]) -> Answer:
    held = call.organisation
    if RIGHT in held.rights.denied:
        raise refuse(
            401, "PERMISSION_DENIED", "You don't have a permission to delete the Territory"
        )
    items: list[Item] = []
    changed: list[str] = []
    for territory_id in ids:
        fault = _deletion_fault(held.territories, territory_id)
        if fault is not None:
            items.append(fault)
            continue
        held.record_territories.leave(territory_id, move_to=None)
        held.territories.remove(territory_id, children_to=None)
        changed.append(territory_id)
        items.append(success("Given Territory Removed Successfully", {"id": territory_id}))
    return _answer(call, items, ids, changed)


def _deletion_fault(held: TerritoryTree, territory_id: str) -> Item | None:
    territory = held.get(territory_id)
    details = {"id": territory_id}
    if territory is None:
        return failure("INVALID_DATA", _UNKNOWN, details)
    if territory.parent_id is None:
        return failure("NOT_ALLOWED", _ORGANISATIONS_OWN, details)
    if held.children(territory_id):
        return failure("NOT_ALLOWED", _HAS_CHILDREN, details)
    return None


def transfer_many(call: Call) -> Answer:
    """POST /settings/territories/actions/transfer_and_delete."""
    _check(call)
    wanted = body_items(call, "territories", most=call.behaviour.transfers_per_call)
    return _transfer(call, wanted, in_path=False)


def transfer_one(call: Call) -> Answer:
    """POST /settings/territories/{id}/actions/transfer_and_delete."""
    _check(call)
    (wanted,) = body_items(call, "territories", most=1)
    fields = wanted if isinstance(wanted, dict) else {}
    return _transfer(call, [{**fields, "id": call.path[2]}], in_path=True)


def _transfer(call: Call, wanted: Sequence[Any], *, in_path: bool) -> Answer:
    """Delete in the order of the request; each item sees what the ones before it did."""
    items: list[Item] = []
    asked: list[str] = []
    changed: list[str] = []
    held = call.organisation
    for index, each in enumerate(wanted):
        fields = each if isinstance(each, dict) else {}
        territory_id = id_text(fields.get("id")) or ""
        target = id_text(fields.get("transfer_to_id"))
        asked.append(territory_id)
        fault = _fault(call, index, territory_id, target, in_path=in_path)
        if fault is not None:
            items.append(fault)
            continue
        move_to = target if call.behaviour.transfer_moves_records else None
        held.record_territories.leave(territory_id, move_to=move_to)
        held.territories.remove(territory_id, children_to=target)
        changed.append(territory_id)
        items.append(success(call.behaviour.transfer_message, {"id": territory_id}))
    return _answer(call, items, asked, changed)


def _answer(
    call: Call, items: Sequence[Item], asked: Sequence[str], changed: Sequence[str]
) -> Answer:
    return Answer(
        status_of(items, version=call.version, behaviour=call.behaviour),
        {"territories": list(items)},
        asked=asked,
        changed=changed,
    )


def _fault(
    call: Call, index: int, territory_id: str, target: str | None, *, in_path: bool
) -> Item | None:
    held = call.organisation.territories
    path = f"$.territories[{index}]"
    mine = {"resource_path_index": 2} if in_path else at(call.behaviour, "id", f"{path}.id")
    if not territory_id:
        return failure("MANDATORY_NOT_FOUND", "required field not found", mine)
    territory = held.get(territory_id)
    if territory is None:
        return failure("INVALID_DATA", _UNKNOWN, mine)
    if territory.parent_id is None:
        message = "Can't update the Org Territory Properties Except its Name"
        return failure("INVALID_DATA", message, mine)
    theirs = at(call.behaviour, "transfer_to_id", f"{path}.transfer_to_id")
    if target is not None:
        wrong = _target_fault(held, territory_id, target)
        return failure("INVALID_DATA", wrong, theirs) if wrong else None
    if held.children(territory_id):
        message = "This territory has its child. Please Give the transfer_to_id field value"
        return failure("DEPENDENT_FIELD_MISSING", message, {**theirs, "dependee": mine})
    return None


def _target_fault(held: TerritoryTree, territory_id: str, target: str) -> str:
    """What is wrong with a target; "" if nothing is."""
    if target not in held:
        return "Given transfer_to_id isn't valid one"
    if target == territory_id:
        return "Transfer_to_id is same as current parent territory"
    if not held.is_above(target, territory_id):
        return "Transfer_to_id is not at a higher heirarchy than current parent territory"  # sic
    return ""
