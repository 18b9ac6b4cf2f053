"""
The JSON shapes every resource shares, and the status they add up to.

An *item* is one object of the answer's array. A *flat* answer is the same object as the whole body:
the request was refused as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.call import Answer, Refused
from bulkops.emulator.catalogue import Version

Item = dict[str, Any]


def success(message: str, details: dict[str, Any], code: str = "SUCCESS") -> Item:
    """An item the server did."""
    return {"code": code, "details": details, "message": message, "status": "success"}


def failure(code: str, message: str, details: dict[str, Any]) -> Item:
    """An item the server refused, or the body of a flat refusal."""
    return {"code": code, "details": details, "message": message, "status": "error"}


def at(behaviour: Behaviour, api_name: str, path: str, **more: Any) -> dict[str, Any]:
    """Details that point into the request, e.g. `$.data[0].id`."""
    space = " " if behaviour.json_path_space else ""
    return {"api_name": api_name, "json_path": f"{space}{path}", **more}


def refuse(
    status: int, code: str, message: str, details: Mapping[str, Any] | None = None
) -> Refused:
    """A refusal of the whole request; the caller raises it."""
    return Refused(Answer(status, failure(code, message, dict(details or {}))))


def bad_url() -> Refused:
    """The refusal of a URL that has no shape of the API."""
    return refuse(
        404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one"
    )


def status_of(
    items: Sequence[Item],
    *,
    version: Version,
    behaviour: Behaviour,
    failed_status: int = 400,
) -> int:
    """
    The HTTP status of an array of items.

    All done 200; any scheduled 202; mixed 207; all failed `failed_status`. Versions before v7 do
    not use 202 for scheduled items, and some answer 202 to failed ones.
    """
    failed = 0
    scheduled = False
    for item in items:
        if item["status"] == "error":
            failed += 1
        elif item["code"] == "SCHEDULED":
            scheduled = True
    if not failed:
        return 202 if scheduled else 200
    if version.path in behaviour.item_errors_as_202:
        return 202
    if failed == len(items):
        return failed_status
    return behaviour.scheduled_mixed_status if scheduled else behaviour.mixed_status
