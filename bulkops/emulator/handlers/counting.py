"""
How many records are in some related lists of one record, in one call.

The specification of v8 has the call, with at most 20 lists and a 207 for mixed results, and Zoho's
own Python client its shapes: https://github.com/zoho/zohocrm-python-sdk-8.0. Filters are not looked
at. It is assumed that older versions do not know it.
"""

from __future__ import annotations

from typing import Any

from bulkops.emulator.call import Answer, Call, Refused
from bulkops.emulator.envelope import at, bad_url, failure, status_of, success
from bulkops.emulator.handlers.guards import (
    Action,
    check_parent,
    check_rights,
    check_scope,
    module_of,
    side_of,
)
from bulkops.emulator.handlers.request import body_items

_KEY = "get_related_records_count"
_MOST = 20
_SINCE = 8


def count(call: Call) -> Answer:
    """POST /{Module}/{id}/actions/get_related_records_count."""
    if call.version.major < _SINCE:
        raise bad_url()
    module = module_of(call, call.path[0])
    check_scope(call, "modules", Action.READ, module)
    check_rights(call, module, Action.READ, "related records data")
    check_parent(call, module, call.path[1])
    wanted = body_items(call, _KEY, most=_MOST)
    rows = [_row(call, module, index, each) for index, each in enumerate(wanted)]
    # A count has no status of its own.
    items = [row if "status" in row else success("", {}) for row in rows]
    status = status_of(items, version=call.version, behaviour=call.behaviour)
    return Answer(status, {_KEY: rows})


def _row(call: Call, module: str, index: int, wanted: Any) -> dict[str, Any]:
    """The count of one list, or the item that refuses it."""
    given = wanted.get("related_list") if isinstance(wanted, dict) else None
    name = given.get("api_name") if isinstance(given, dict) else None
    where = at(call.behaviour, "api_name", f"$.{_KEY}[{index}].related_list.api_name")
    if not isinstance(name, str):
        return failure("MANDATORY_NOT_FOUND", "required field not found", where)
    try:
        side = side_of(call, module, name)
    except Refused:
        return failure("INVALID_DATA", call.behaviour.bad_relation_message, where)
    return {"count": len(side.related(call.path[1])), "related_list": given}
