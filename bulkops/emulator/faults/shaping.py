"""What faults make of an answer: its items, its status, its body. Pure; cutting is the server's."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bulkops.emulator.admission import TOO_MANY
from bulkops.emulator.call import Answer, Successes
from bulkops.emulator.envelope import failure
from bulkops.emulator.faults.fault import Body, Fault, FaultKind

_MESSAGES = {
    429: (
        "TOO_MANY_REQUESTS",
        TOO_MANY,
    ),
    500: ("INTERNAL_ERROR", "Internal Server Error"),
}
HTML_PAGE = b"<html><head><title>Error</title></head><body>Service unavailable</body></html>"
#: What is sent in place of JSON.
_RAW: Mapping[Body, bytes | None] = {Body.JSON: None, Body.HTML: HTML_PAGE, Body.EMPTY: b""}

_ID_IN_BODY = re.compile(rb"[0-9]{1,20}")


def named_ids(path: str, query: str, body: bytes) -> set[str]:
    """Every run of digits in the call: what a fault that looks for ids compares with."""
    found = set(re.findall(r"[0-9]{1,20}", f"{path} {query}"))
    found.update(each.decode() for each in _ID_IN_BODY.findall(body))
    return found


def status_answer(fault: Fault) -> Answer:
    """The answer of a `status` fault."""
    headers = dict(fault.headers or {})
    if fault.retry_after_s is not None:
        headers["Retry-After"] = f"{fault.retry_after_s:g}"
    code, message = _MESSAGES.get(fault.status, ("INTERNAL_ERROR", "Internal Server Error"))
    payload = dict(fault.payload) if fault.payload is not None else failure(code, message, {})
    return Answer(fault.status, payload, headers=headers, raw=_RAW[fault.body])


def poisoned() -> Answer:
    """The refusal of a call with a poisonous id."""
    message = "either the request body or parameters is in wrong format"
    return Answer(400, failure("UNABLE_TO_PARSE_DATA_TYPE", message, {}))


def reshape(answer: Answer, faults: Iterable[Fault], chance: random.Random) -> None:
    """Change the items of an answer as the faults say."""
    for fault in faults:
        if fault.kind is FaultKind.MIXED_AS_200 and answer.status == 207:
            answer.status = 200
        items = items_of(answer)
        if items is None:
            continue
        if fault.kind is FaultKind.SHUFFLED:
            chance.shuffle(items)
        elif fault.kind is FaultKind.MISSING_ITEM:
            items.pop(chance.randrange(len(items)))
        elif fault.kind is FaultKind.PATH_SPACE:
            for item in items:
                details = item["details"]
                if "json_path" in details:
                    details["json_path"] = " " + details["json_path"].lstrip()
        elif fault.kind is FaultKind.PATH_ONLY:
            for index, item in enumerate(items):
                item["details"].pop("id", None)
                item["details"].setdefault("json_path", f"$.data[{index}]")


def order_items(answer: Answer, order: str, chance: random.Random) -> None:
    """Bring the items into another order: "request" leaves them, "reversed", or "shuffled"."""
    items = items_of(answer) if order != "request" else None
    if items is not None and order == "reversed":
        items.reverse()
    elif items is not None:
        chance.shuffle(items)


def items_of(answer: Answer) -> list[dict[str, Any]] | None:
    """The item array of a writing call's answer; None for reads and flat refusals."""
    if isinstance(answer.payload, Successes):
        answer.payload = {"data": answer.payload.items(answer.asked)}
    payload = answer.payload
    if payload is None or not answer.asked:
        return None
    for key in ("data", "territories"):
        items = payload.get(key)
        if isinstance(items, list) and items:
            return items
    return None
