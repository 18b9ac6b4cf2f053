"""
Read the territories of an organisation.

https://www.zoho.com/crm/developer/docs/api/v7/get-territories.html
https://www.zoho.com/crm/developer/docs/api/v7/get-child-territories.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkops.emulator.call import Answer, Call
from bulkops.emulator.handlers.guards import Action, check_scope
from bulkops.emulator.handlers.paging import page_of
from bulkops.emulator.handlers.request import missing_parameter
from bulkops.emulator.handlers.territory_feature import check_feature
from bulkops.emulator.state.territories import Territory


def _check(call: Call) -> None:
    check_scope(call, "settings", Action.READ, "territories")
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
    _check(call)
    held = call.organisation.territories
    ids = call.query.get("ids")
    chosen = set(ids.split(",")) if ids is not None else None
    return _page(call, [each for each in held if chosen is None or each.id in chosen])


def read_one(call: Call) -> Answer:
    """GET /settings/territories/{id}."""
    _check(call)
    territory = call.organisation.territories.get(call.path[2])
    if territory is None:
        return Answer(204)
    return Answer(200, {"territories": [_row(call, territory)]})


def read_rule_job(call: Call) -> Answer:
    """
    GET /settings/territories/actions/scheduled_run_rule_jobs: a rule's run; there is never one.

    These are not the jobs that removals are scheduled as: those are told by feature info alone.
    """
    _check(call)
    if not call.query.get("job_id"):
        raise missing_parameter("job_id")
    return Answer(204)


def read_children(call: Call) -> Answer:
    """GET /settings/territories/{id}/__child_territories: direct children only."""
    _check(call)
    return _page(call, call.organisation.territories.children(call.path[2]))
