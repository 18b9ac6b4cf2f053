"""
Remove territories from records, and assign them.

https://www.zoho.com/crm/developer/docs/api/v7/remove-territories-of-records.html
https://www.zoho.com/crm/developer/docs/api/v7/assign-territories-to-records.html

From `offload_from` records on, a call only schedules jobs; their effect comes when they end.
"""

from __future__ import annotations

import random
from typing import Any

from bulkops.emulator.call import Answer, Call
from bulkops.emulator.catalogue import TERRITORY_MODULES
from bulkops.emulator.envelope import Item, refuse, status_of, success
from bulkops.emulator.handlers.guards import (
    Action,
    check_rights,
    check_scope,
    module_of,
    unsupported_module,
)
from bulkops.emulator.handlers.request import body_items
from bulkops.emulator.handlers.territory_feature import check_feature
from bulkops.emulator.handlers.territory_items import (
    BAD_ID,
    LOCKED,
    ItemCheck,
    ItemRefused,
    Wish,
    check_lengths,
)
from bulkops.emulator.state.jobs import Job, JobKind


def remove_many(call: Call) -> Answer:
    """POST /{Module}/actions/remove_territories."""
    return _change(call, JobKind.REMOVAL, record_id=None)


def remove_one(call: Call) -> Answer:
    """POST /{Module}/{id}/actions/remove_territories."""
    return _change(call, JobKind.REMOVAL, record_id=call.path[1])


def assign_many(call: Call) -> Answer:
    """POST /{Module}/actions/assign_territories."""
    return _change(call, JobKind.ASSIGNMENT, record_id=None)


def assign_one(call: Call) -> Answer:
    """POST /{Module}/{id}/actions/assign_territories."""
    return _change(call, JobKind.ASSIGNMENT, record_id=call.path[1])


def territory_module(call: Call) -> str:
    """The module of a territory call, after all checks of it."""
    module = module_of(call, call.path[0], "the module name given seems to be invalid")
    if module not in TERRITORY_MODULES:
        raise unsupported_module(call, "the api is not supported for this module")
    check_feature(call, module)
    return module


def _change(call: Call, kind: JobKind, *, record_id: str | None) -> Answer:
    module = territory_module(call)
    check_scope(call, "modules", Action.UPDATE, module)
    check_rights(call, module, Action.UPDATE, "records")
    if record_id is not None:
        _check_record(call, module, record_id)
    most = 1 if record_id is not None else call.behaviour.territory_records_per_call
    wanted = body_items(call, "data", most=most)
    check_lengths(call, wanted)
    if record_id is not None:
        wanted = [{**wanted[0], "id": record_id} if isinstance(wanted[0], dict) else wanted[0]]
    return _Changing(call, module, kind, records=len(wanted)).answer(wanted)


def _check_record(call: Call, module: str, record_id: str) -> None:
    """The refusals of the record in a single-record URL."""
    where = {"resource_path_index": 1}
    if not call.organisation.has_record(module, record_id):
        raise refuse(400, "INVALID_DATA", BAD_ID, where)
    if record_id in call.organisation.rights.records:
        status = call.behaviour.record_permission_status
        raise refuse(status, "NO_PERMISSION", "User has no permission to update the record", where)
    if call.is_locked(record_id):
        raise refuse(400, "RECORD_LOCKED", LOCKED, where)


class _Changing:
    """The items of one call while they are made."""

    def __init__(self, call: Call, module: str, kind: JobKind, *, records: int) -> None:
        self._call = call
        self._module = module
        self._kind = kind
        offload_from = call.behaviour.offload_from
        self._offloads = offload_from != 0 and records >= offload_from
        self._job_id = ""
        self._changed: list[str] = []

    def answer(self, wanted: list[Any]) -> Answer:
        """Answer all items of the request."""
        check = ItemCheck(self._call, self._module, self._kind)
        items: list[Item] = []
        refusals: set[int] = set()
        for index, each in enumerate(wanted):
            try:
                items.append(self._grant(check.wish(index, each)))
            except ItemRefused as refused:
                refusals.add(refused.status)
                items.append(refused.item)
        status = status_of(
            items,
            version=self._call.version,
            behaviour=self._call.behaviour,
            failed_status=refusals.pop() if len(refusals) == 1 else 400,
        )
        return Answer(status, {"data": items}, asked=_named(wanted), changed=self._changed)

    def _grant(self, wish: Wish) -> Item:
        removal = self._kind is JobKind.REMOVAL
        if self._offloads and self._is_offloaded(wish):
            job_id = self._schedule(wish)
            code = "SCHEDULED" if self._call.version.major >= 7 else "SUCCESS"
            word = "removal" if removal else "assignment"
            return success(
                f"Territory {word} process scheduled successfully",
                {"id": wish.record_id, "job_id": job_id},
                code,
            )
        self._call.organisation.change_territories(
            self._module, wish.record_id, self._kind, wish.territories
        )
        self._changed += [f"{wish.record_id}:{each}" for each in wish.territories]
        misspelt = removal and self._call.version.major < 7
        word = "terriroies" if misspelt else "territories"  # sic
        done = "removed" if removal else "updated"
        message = f"the {word} data {done} successfully"
        if removal:
            message = self._call.behaviour.removal_message or message
        return success(message, {"id": wish.record_id})

    def _is_offloaded(self, wish: Wish) -> bool:
        """Whether this item of a scheduled call is; the same whenever it is asked."""
        behaviour = self._call.behaviour
        if behaviour.offload_ratio >= 1:
            return True
        luck = random.Random(f"{behaviour.seed}:offload:{wish.record_id}")  # noqa: S311
        return luck.random() < behaviour.offload_ratio

    def _schedule(self, wish: Wish) -> str:
        behaviour = self._call.behaviour
        held = self._call.organisation
        if not self._job_id or not behaviour.job_id_shared:
            self._job_id = held.next_job_id()
        luck = random.Random(f"{behaviour.seed}:{self._job_id}:{wish.record_id}")  # noqa: S311
        held.jobs.add(
            Job(
                id=self._job_id,
                module=self._module,
                record_id=wish.record_id,
                kind=self._kind,
                territories=wish.territories,
                due=self._call.now + behaviour.job_seconds,
                looks=behaviour.job_looks,
                fails=luck.random() < behaviour.job_failure_ratio,
                stuck=luck.random() < behaviour.job_stuck_ratio,
            )
        )
        return self._job_id


def _named(wanted: list[Any]) -> list[str]:
    """What a request asks for, as `record:territory`, well-formed items only."""
    return [
        f"{each.get('id')}:{territory.get('id')}"
        for each in wanted
        if isinstance(each, dict) and isinstance(each.get("Territories"), list)
        for territory in each["Territories"]
        if isinstance(territory, dict)
    ]
