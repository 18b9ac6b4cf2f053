"""
The territories of an organisation: read them, and transfer and delete.

https://www.zoho.com/crm/developer/docs/api/v7/get-territories.html
https://www.zoho.com/crm/developer/docs/api/v7/transfer-delete-territories.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkops.emulator.call import Answer, Call, id_text
from bulkops.emulator.envelope import Item, at, failure, status_of, success
from bulkops.emulator.handlers.guards import Action, check_scope
from bulkops.emulator.handlers.paging import page_of
from bulkops.emulator.handlers.request import body_items
from bulkops.emulator.handlers.territory_feature import check_feature
from bulkops.emulator.state.territories import Territory, TerritoryTree


def _check(call: Call, action: Action) -> None:
    check_scope(call, "settings", action, "territories")
    check_feature(call)


def _row(call: Call, territory: Territory) -> dict[str, Any]:
    held = call.organisation.territories
    parent = held.get(territory.parent_id) if territory.parent_id is not None else None
    reporting_to = None if parent is None else {"name": parent.name, "id": parent.id}
    row: dict[str, Any] = {
        "id": territory.id,
        "name": territory.name,
        "api_name": territory.name,
        "description": None,
        "manager": None,
        "permission_type": "read_write_delete",
        "reporting_to": reporting_to,
    }
    if call.version.major < 6:
        row["parent_id"] = territory.parent_id
    return row


def _page(call: Call, territories: Sequence[Territory]) -> Answer:
    by_id = {each.id: each for each in territories}
    page = page_of(call, by_id)
    if not page.ids:
        return Answer(204)
    rows = [_row(call, by_id[each]) for each in page.ids]
    return Answer(200, {"territories": rows, "info": page.info})


def read_many(call: Call) -> Answer:
    """GET /settings/territories."""
    _check(call, Action.READ)
    held = call.organisation.territories
    ids = call.query.get("ids")
    chosen = set(ids.split(",")) if ids is not None else None
    return _page(call, [each for each in held if chosen is None or each.id in chosen])


def read_one(call: Call) -> Answer:
    """GET /settings/territories/{id}."""
    _check(call, Action.READ)
    territory = call.organisation.territories.get(call.path[2])
    if territory is None:
        return Answer(204)
    return Answer(200, {"territories": [_row(call, territory)]})


def read_children(call: Call) -> Answer:
    """GET /settings/territories/{id}/__child_territories: direct children only."""
    _check(call, Action.READ)
    return _page(call, call.organisation.territories.children(call.path[2]))


def transfer_many(call: Call) -> Answer:
    """POST /settings/territories/actions/transfer_and_delete."""
    _check(call, Action.DELETE)
    wanted = body_items(call, "territories", most=call.behaviour.transfers_per_call)
    return _transfer(call, wanted, in_path=False)


def transfer_one(call: Call) -> Answer:
    """POST /settings/territories/{id}/actions/transfer_and_delete."""
    _check(call, Action.DELETE)
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
    return Answer(
        status_of(items, version=call.version, behaviour=call.behaviour),
        {"territories": items},
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
        return failure("INVALID_DATA", "Given Territoryid isn't valid one", mine)
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
