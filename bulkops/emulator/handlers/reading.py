"""
Read related records and records, with their territories.

https://www.zoho.com/crm/developer/docs/api/v7/get-related-records.html
https://www.zoho.com/crm/developer/docs/api/v7/get-territories-of-a-record.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bulkops.emulator.call import Answer, Call
from bulkops.emulator.catalogue import TERRITORY_MODULES
from bulkops.emulator.envelope import refuse
from bulkops.emulator.handlers.guards import (
    Action,
    Target,
    check_rights,
    check_scope,
    module_of,
    related_target,
)
from bulkops.emulator.handlers.metadata import user
from bulkops.emulator.handlers.paging import page_of
from bulkops.emulator.handlers.request import missing_parameter, too_many_ids
from bulkops.emulator.state.territories import Assigned

Row = dict[str, Any]


def _fields(call: Call, *, needed: bool) -> list[str] | None:
    """The names in `fields`; None for all, where the version lets a call ask for all."""
    text = call.query.get("fields", "")
    if text:
        return text.split(",")
    if needed and call.version.needs_fields:
        raise missing_parameter("fields")
    return None


def _ids(call: Call) -> list[str] | None:
    text = call.query.get("ids")
    if text is None:
        return None
    ids = text.split(",")
    if len(ids) > 100:
        raise too_many_ids(100)
    return ids


def _row(record_id: str, held: Row, fields: list[str] | None) -> Row:
    if fields is None:
        return {**held, "id": record_id}
    return {**{name: held.get(name) for name in fields if name != "id"}, "id": record_id}


def related_many(call: Call) -> Answer:
    """GET /{Module}/{id}/{related_list}."""
    return read_related(call, related_target(call, Action.READ))


def related_one(call: Call) -> Answer:
    """GET /{Module}/{id}/{related_list}/{related_id}."""
    target = related_target(call, Action.READ)
    return read_related(call, target, only=target.related_in_path(call))


def read_related(call: Call, target: Target, *, only: str | None = None) -> Answer:
    """Rows of a related list, each with the record's and the link's fields."""
    fields = _fields(call, needed=only is None)
    links = target.side.related(target.parent)
    wanted: Iterable[str] = links
    asked = _ids(call) if only is None else [only]
    if asked is not None:
        wanted = [each for each in dict.fromkeys(asked) if each in links]
    records = call.organisation.records.get(target.side.other, {})
    page = page_of(call, wanted, records)
    if not page.ids:
        return Answer(204)
    rows = [
        _row(each, {**(records[each] or {}), **(links[each] or {})}, fields) for each in page.ids
    ]
    return Answer(200, {"data": rows} if only else {"data": rows, "info": page.info})


def record(call: Call) -> Answer:
    """GET /{Module}/{id}."""
    module = module_of(call, call.path[0])
    check_scope(call, "modules", Action.READ, module)
    check_rights(call, module, Action.READ, "records")
    record_id = call.path[1]
    if not call.organisation.has_record(module, record_id):
        if call.behaviour.missing_record_status == 404:
            raise refuse(404, "INVALID_DATA", "The record does not exist")
        return Answer(204)
    return Answer(
        200, {"data": [_record_row(call, module, record_id, _fields(call, needed=False))]}
    )


def records(call: Call) -> Answer:
    """GET /{Module}?ids=&fields=, or ?territory_id=&include_child=, or all, in pages."""
    module = module_of(call, call.path[0])
    check_scope(call, "modules", Action.READ, module)
    check_rights(call, module, Action.READ, "records")
    fields = _fields(call, needed=True)
    known = call.organisation.records.get(module, {})
    asked = _ids(call)
    wanted: Iterable[str] = known if asked is None else [each for each in asked if each in known]
    territory = call.query.get("territory_id")
    if territory is not None:
        wanted = _in_territory(call, module, territory, wanted)
    wall = call.behaviour.page_token_wall
    page = page_of(call, dict.fromkeys(wanted), known, token_wall=wall)
    if not page.ids:
        return Answer(204)
    if not call.behaviour.list_returns_territories and fields is not None:
        fields = [name for name in fields if name != "Territories"]
    rows = [_record_row(call, module, each, fields) for each in page.ids]
    if not call.behaviour.list_returns_territories:
        for row in rows:
            row.pop("Territories", None)
    return Answer(200, {"data": rows, "info": page.info})


def _in_territory(call: Call, module: str, territory: str, wanted: Iterable[str]) -> list[str]:
    held = call.organisation
    inside = {territory}
    if call.query.get("include_child") == "true":
        inside |= {
            each.id for each in held.territories if held.territories.is_above(territory, each.id)
        }
    members = {record for each in inside for record in held.record_territories.inside(module, each)}
    return [each for each in wanted if each in members]


def _record_row(call: Call, module: str, record_id: str, fields: list[str] | None) -> Row:
    held = call.organisation
    values = dict(held.records[module][record_id] or {})
    if (
        call.version.product == "crm"
        and module in TERRITORY_MODULES
        and (fields is None or "Territories" in fields)
    ):
        values["Territories"] = [
            {
                "Name": territory.name if territory else None,
                "id": each,
                "$assigned_by": user(call) if how is Assigned.MANUALLY else None,
                "$assigned_time": "2024-01-01T00:00:00+00:00",
                "$assigned": how.value,
            }
            for each, how in held.record_territories.of(module, record_id).items()
            for territory in (held.territories.get(each),)
        ]
    return _row(record_id, values, fields)
