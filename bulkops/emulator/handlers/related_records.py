"""
Link and unlink related records.

https://www.zoho.com/crm/developer/docs/api/v8/delink.html
https://www.zoho.com/crm/developer/docs/api/v8/update-related-records.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkops.emulator.call import Answer, Call, Successes, id_text
from bulkops.emulator.envelope import Item, at, failure, status_of, success
from bulkops.emulator.handlers.contact_roles import set_roles
from bulkops.emulator.handlers.external_ids import Unnamed
from bulkops.emulator.handlers.guards import Action, Target, related_target
from bulkops.emulator.handlers.request import body_items, ids_parameter
from bulkops.emulator.state.seed import ROLE_SIDES


def unlink_many(call: Call) -> Answer:
    """DELETE /{Module}/{id}/{related_list}?ids=."""
    target = related_target(call, Action.DELETE)
    answer = _unlink(call, target, ids_parameter(call))
    answer.is_asked_by_query = True
    return answer


def unlink_one(call: Call) -> Answer:
    """DELETE /{Module}/{id}/{related_list}/{related_id}."""
    target = related_target(call, Action.DELETE)
    return _unlink(call, target, [target.related_in_path(call)])


def _unlink(call: Call, target: Target, ids: Sequence[str]) -> Answer:
    message = call.behaviour.delink_message
    side, parent = target.side, target.parent
    absent = side.unlink(parent, ids)
    changed = [each for n, each in enumerate(ids) if n not in absent] if absent else ids
    if (side.module, side.name) in ROLE_SIDES:
        call.organisation.removed_roles |= {(each, parent) for each in changed}
    if not absent:
        return Answer(200, Successes.saying(message), ids, changed)
    items = [
        failure("INVALID_DATA", "relation not found", {"id": each})
        if n in absent
        else success(message, {"id": each})
        for n, each in enumerate(ids)
    ]
    status = status_of(items, version=call.version, behaviour=call.behaviour)
    return Answer(status, {"data": items}, asked=ids, changed=changed)


def link_many(call: Call) -> Answer:
    """PUT /{Module}/{id}/{related_list}."""
    target = related_target(call, Action.UPDATE)
    wanted = body_items(call, "data", most=call.behaviour.items_per_call)
    return _link(call, target, target.named(call, wanted))


def link_one(call: Call) -> Answer:
    """PUT /{Module}/{id}/{related_list}/{related_id}: the id of the URL wins over the body's."""
    target = related_target(call, Action.UPDATE)
    (item,) = body_items(call, "data", most=1)
    fields = item if isinstance(item, dict) else {}
    return _link(call, target, [{**fields, "id": target.related_in_path(call)}])


def _link(call: Call, target: Target, wanted: Sequence[Any]) -> Answer:
    if (target.side.module, target.side.name) in ROLE_SIDES:
        return set_roles(call, target, wanted, message=call.behaviour.link_message)
    answer = _Linking(call, target)
    for index, each in enumerate(wanted):
        answer.add(index, each)
    return answer.finish()


class _Linking:
    """The items of one link call while they are made."""

    def __init__(self, call: Call, target: Target) -> None:
        self._call = call
        self._target = target
        self._items: list[Item] = []
        self._unknown: list[tuple[int, str]] = []
        self._asked: list[str] = []
        self._changed: list[str] = []
        self._unchanged = 0

    def add(self, index: int, wanted: Any) -> None:
        """Link one item of the request, or say why not."""
        item = self._refusal(index, wanted)
        if item is None:
            related = self._asked[-1]
            if self._target.side.link(self._target.parent, related, self._fields(wanted)):
                self._changed.append(related)
            else:
                self._unchanged += 1
            details = self._target.details(self._call, related)
            item = success(self._call.behaviour.link_message, details)
        self._items.append(item)

    def _refusal(self, index: int, wanted: Any) -> Item | None:
        behaviour = self._call.behaviour
        if isinstance(wanted, Unnamed):
            return wanted.item
        if not isinstance(wanted, dict):
            return failure(
                "INVALID_DATA", "invalid data", at(behaviour, "data", f"$.data[{index}]")
            )
        path = f"$.data[{index}]"
        if wanted.get("id") in (None, ""):
            return failure(
                "MANDATORY_NOT_FOUND", "required field not found", at(behaviour, "id", f"{path}.id")
            )
        related = id_text(wanted["id"])
        self._asked.append(related or "")
        side = self._target.side
        if related is None or not self._call.organisation.has_record(side.other, related):
            self._unknown.append((index, related or str(wanted["id"])))
            return failure("INVALID_DATA", "invalid data", {"id": related or str(wanted["id"])})
        if side.required is not None and wanted.get(side.required) is None:
            return failure(
                "MANDATORY_NOT_FOUND",
                "required field not found",
                at(behaviour, side.required, f"{path}.{side.required}"),
            )
        return None

    @staticmethod
    def _fields(wanted: dict[str, Any]) -> dict[str, Any] | None:
        if len(wanted) == 1:
            return None
        return {name: value for name, value in wanted.items() if name != "id"}

    def finish(self) -> Answer:
        """The answer; an unknown id looks different in a mixed result and in a failed one."""
        behaviour = self._call.behaviour
        failed = sum(item["status"] == "error" for item in self._items)
        shape = behaviour.unknown_link_id
        if shape == "json_path" or (shape == "by_status" and failed == len(self._items)):
            for index, _ in self._unknown:
                self._items[index] = failure(
                    "INVALID_DATA",
                    "the id given seems to be invalid",
                    at(behaviour, "id", f"$.data[{index}].id"),
                )
        return Answer(
            status_of(self._items, version=self._call.version, behaviour=behaviour),
            {"data": self._items},
            asked=self._asked,
            changed=self._changed,
            unchanged=self._unchanged,
        )
