"""
Records named by an external field instead of their id: the header `X-EXTERNAL`.

https://www.zoho.com/crm/developer/docs/api/v8/update-related-records-ext.html
https://www.zoho.com/crm/developer/docs/api/v8/delete-related-records-ext.html

`X-EXTERNAL: Contacts.Old_Id,Deals.Old_No` says that contacts in the URL and deals in URL or body
are named by these fields. A record whose module the header does not name goes by its id. Codes and
statuses are the pages'; where the refusals point, and their words, are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.call import Call, Refused
from bulkops.emulator.catalogue import canonical
from bulkops.emulator.envelope import Item, at, bad_url, failure, refuse
from bulkops.emulator.state.organisation import Organisation

HEADER = "X-EXTERNAL"
_BASE = "You have specified an invalid external ID for the base module."
_RELATED = "The ID of the external field is invalid."


@dataclass(frozen=True, slots=True)
class Unnamed:
    """An item of a body that names no record; `item` says why."""

    item: Item


def external_fields(call: Call) -> Mapping[str, str]:
    """Module → external field, as the header says; empty without one."""
    said = call.external if call.version.product == "crm" else None
    fields: dict[str, str] = {}
    for part in said.split(",") if said else ():
        module, dot, field = part.strip().partition(".")
        if not dot or not field:
            raise refuse(400, "INVALID_DATA", _RELATED, {"api_name": part.strip()})
        fields[canonical(call.version, module)] = field
    return fields


def record_in_path(call: Call, position: int, module: str, field: str | None) -> str:
    """The id of the record that segment `position` of the URL names."""
    segment = call.path[position]
    if field is None:
        if not (segment.isascii() and segment.isdecimal() and len(segment) <= 20):
            raise bad_url()
        return segment
    found = call.organisation.find_external(module, field, unquote(segment))
    if found is None:
        raise _unknown(field, position)
    return found


def _unknown(field: str, position: int) -> Refused:
    message = _BASE if position == 1 else _RELATED
    details = {"api_name": field, "resource_path_index": position}
    return refuse(400, "INVALID_DATA", message, details)


def named_item(
    held: Organisation, behaviour: Behaviour, module: str, field: str, *, index: int, wanted: Any
) -> Any:
    """
    Item `index` of a body, with the id in place of the external field.

    An item that is no object is left to the caller; one that names no record becomes `Unnamed`.
    """
    if not isinstance(wanted, dict):
        return wanted
    where = at(behaviour, field, f"$.data[{index}].{field}")
    if wanted.get(field) in (None, ""):
        return Unnamed(failure("MANDATORY_NOT_FOUND", "required field not found", where))
    found = held.find_external(module, field, str(wanted[field]))
    if found is None:
        return Unnamed(failure("INVALID_DATA", _RELATED, where))
    return {**{name: value for name, value in wanted.items() if name != field}, "id": found}
