"""What all writing calls ask of their parameters and bodies, with the flat refusals."""

from __future__ import annotations

from typing import Any

from bulkops.emulator.call import Call, Refused
from bulkops.emulator.envelope import refuse

_DIGITS_AND_COMMAS = b"0123456789,"


def unparsable() -> Refused:
    """The refusal of a body or parameter that has the wrong form."""
    return refuse(
        400,
        "UNABLE_TO_PARSE_DATA_TYPE",
        "either the request body or parameters is in wrong format",
    )


def missing_parameter(name: str, code: str = "REQUIRED_PARAM_MISSING") -> Refused:
    """The refusal of a call without a parameter it needs."""
    return refuse(400, code, "One of the expected parameter is missing", {"param_name": name})


def ids_parameter(call: Call) -> list[str]:
    """
    The ids of `?ids=`, in their order.

    Refuses: none MANDATORY_NOT_FOUND, too many LIMIT_EXCEEDED, malformed or longer than the vendor
    reads UNABLE_TO_PARSE_DATA_TYPE.
    """
    text = call.query.get("ids", "")
    if not text:
        raise missing_parameter("ids", "MANDATORY_NOT_FOUND")
    ids = text.split(",")
    if not all(ids) or text.encode().translate(None, _DIGITS_AND_COMMAS):
        raise unparsable()
    most = call.behaviour.items_per_call
    if len(ids) > most:
        raise too_many_ids(most)
    if len(text) > call.behaviour.ids_characters:
        raise unparsable()
    return ids


def too_many_ids(most: int) -> Refused:
    """The refusal of an `ids` parameter with more than `most` ids."""
    return refuse(
        400,
        "LIMIT_EXCEEDED",
        f"Limit Exceeded, You cannot give more than {most} record ids",
        {"limit": str(most), "param_name": "ids"},  # a text here, a number elsewhere
    )


def body_items(call: Call, key: str, *, most: int) -> list[Any]:
    """
    The list under `key` of the body.

    Refuses: not JSON or not an object UNABLE_TO_PARSE_DATA_TYPE, no or empty list
    MANDATORY_NOT_FOUND, not a list INVALID_DATA, too long LIMIT_EXCEEDED (bodies of all but the
    last assumed).
    """
    body = call.json()
    if not isinstance(body, dict):
        raise unparsable()
    items = body.get(key)
    if items is None or items == []:
        raise refuse(
            400,
            "MANDATORY_NOT_FOUND",
            "required field not found",
            {"api_name": key, "json_path": f"$.{key}"},
        )
    if not isinstance(items, list):
        raise refuse(
            400,
            "INVALID_DATA",
            "invalid data",
            {"api_name": key, "json_path": f"$.{key}", "expected_data_type": "jsonarray"},
        )
    if len(items) > most:
        raise refuse(
            400,
            "LIMIT_EXCEEDED",
            f"Limit Exceeded, You cannot give more than {most} records",
            {"limit": most, "api_name": key, "json_path": f"$.{key}"},
        )
    return items
