"""
Whether one item of a territory call may be granted.

An item is taken or refused as a whole: `checked` returns a `Wish`, or raises `ItemRefused` with the
first fault found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bulkops.emulator.call import Call, id_text
from bulkops.emulator.envelope import Item, at, failure, refuse
from bulkops.emulator.state.jobs import JobKind
from bulkops.emulator.state.territories import Assigned

BAD_ID = "the id given seems to be invalid"
LOCKED = "Sorry, you cannot perform this operation as the record is locked."
MOST_TERRITORIES = 100


class ItemRefused(Exception):  # noqa: N818 - it carries an item and is no error of ours
    """One item is refused; `status` is what the call answers if no item fares better."""

    def __init__(self, item: Item, status: int = 400) -> None:
        super().__init__(item["code"])
        self.item = item
        self.status = status


@dataclass(frozen=True, slots=True)
class Wish:
    """A record and the territories it shall lose or get."""

    record_id: str
    territories: tuple[str, ...]


def check_lengths(call: Call, wanted: Sequence[Any]) -> None:
    """Refuse the whole call for one item that is too long, before anything is done for another."""
    for index, each in enumerate(wanted):
        territories = each.get("Territories") if isinstance(each, dict) else None
        if isinstance(territories, list) and len(territories) > MOST_TERRITORIES:
            where = f"$.data[{index}].Territories"
            details = at(call.behaviour, "Territories", where, maximum_length=MOST_TERRITORIES)
            raise refuse(400, "INVALID_DATA", "invalid data", details)


@dataclass(frozen=True, slots=True)
class ItemCheck:
    """What all items of a call share."""

    call: Call
    module: str
    kind: JobKind

    def wish(self, index: int, wanted: Any) -> Wish:
        """The wish of item `index` of the request."""
        path = f"$.data[{index}]"
        if not isinstance(wanted, dict):
            raise self._refused("INVALID_DATA", "invalid data", "data", path)
        record_id = self._record(wanted.get("id"), f"{path}.id")
        territories = wanted.get("Territories")
        where = f"{path}.Territories"
        if not isinstance(territories, list) or not territories:
            raise self._missing("Territories", where)
        wish = Wish(record_id, self._territories(territories, where))
        if self.kind is JobKind.REMOVAL:
            self._check_removal(wish, where)
        else:
            self._check_assignment(wish, where)
        return wish

    def _record(self, given: Any, path: str) -> str:
        call = self.call
        if given in (None, ""):
            raise self._missing("id", path)
        record_id = id_text(given)
        if record_id is None or not call.organisation.has_record(self.module, record_id):
            raise self._refused("INVALID_DATA", BAD_ID, "id", path)
        if record_id in call.organisation.rights.records:
            raise self._refused(
                "NO_PERMISSION",
                "User has no permission to update the record",
                "id",
                path,
                status=call.behaviour.record_permission_status,
            )
        if call.is_locked(record_id):
            details = {"id": record_id, "action": "record_locking"}
            raise ItemRefused(failure("RECORD_LOCKED", LOCKED, details))
        if call.organisation.jobs.pending(self.module, record_id) is not None:
            removal = self.kind is JobKind.REMOVAL
            action = "remove territories again from" if removal else "assign territories again to"
            message = call.behaviour.already_scheduled_message.replace("{action}", action)
            raise ItemRefused(failure("ALREADY_SCHEDULED", message, {"id": record_id}))
        return record_id

    def _territories(self, given: Sequence[Any], where: str) -> tuple[str, ...]:
        held = self.call.organisation
        first_at: dict[str, int] = {}
        for position, each in enumerate(given):
            path = f"{where}[{position}].id"
            territory = id_text(each.get("id")) if isinstance(each, dict) else None
            if not territory:
                raise self._missing("id", path)
            if territory in first_at:
                details = at(self.call.behaviour, "id", path)
                details["exists_in"] = {"json_path": f"{where}[{first_at[territory]}].id"}
                raise ItemRefused(failure("ALREADY_USED", "duplicate territory id found", details))
            first_at[territory] = position
            if territory not in held.territories:
                raise self._refused("INVALID_DATA", BAD_ID, "id", path)
            if territory in held.rights.territories:
                raise self._refused(
                    "NO_PERMISSION",
                    "User has no permission to add / remove the Territories",
                    "id",
                    where,
                    status=self.call.behaviour.territory_permission_status,
                )
        return tuple(first_at)

    def _check_removal(self, wish: Wish, where: str) -> None:
        assigned = self.call.organisation.record_territories.of(self.module, wish.record_id)
        for position, territory in enumerate(wish.territories):
            path = f"{where}[{position}].id"
            how = assigned.get(territory)
            if how is None:
                raise self._refused("INVALID_DATA", BAD_ID, "id", path)
            if how is Assigned.AUTOMATICALLY:
                raise self._refused(
                    "NOT_ALLOWED",
                    "Territory id which you are trying to remove was system assigned",
                    "id",
                    path,
                    status=self.call.behaviour.not_allowed_status,
                )

    def _check_assignment(self, wish: Wish, where: str) -> None:
        assigned = self.call.organisation.record_territories.of(self.module, wish.record_id)
        for position, territory in enumerate(wish.territories):
            if territory in assigned:
                raise self._refused(
                    "DUPLICATE_DATA",
                    "Given Territory already exists for that record",
                    "id",
                    f"{where}[{position}].id",
                )
        deal = self.module == "Deals"
        limit = 1 if deal else self.call.behaviour.territories_per_record
        if len(assigned) + len(wish.territories) > limit:
            details = at(self.call.behaviour, "Territories", where, limit=limit)
            raise ItemRefused(
                failure(
                    "LIMIT_EXCEEDED",
                    "Maximum limit of territories for that record exceeds",
                    {"limit": limit} if deal else details,
                )
            )

    def _refused(
        self, code: str, message: str, name: str, path: str, *, status: int = 400
    ) -> ItemRefused:
        return ItemRefused(failure(code, message, at(self.call.behaviour, name, path)), status)

    def _missing(self, name: str, path: str) -> ItemRefused:
        return self._refused("MANDATORY_NOT_FOUND", "required field not found", name, path)
