"""
What is still scheduled for a record.

https://zoho.com/crm/developer/docs/api/v7/feature-info.html
The page shows the keys `job_id` and `source`; the envelope is assumed, and is a knob.
"""

from __future__ import annotations

from typing import Any

from bulkops.emulator.call import Answer, Call
from bulkops.emulator.envelope import refuse
from bulkops.emulator.handlers.guards import Action, check_parent, check_rights, check_scope
from bulkops.emulator.handlers.record_territories import territory_module
from bulkops.emulator.handlers.request import ids_parameter, missing_parameter
from bulkops.emulator.state.jobs import Job

FEATURE = "territory_scheduled_jobs"


def look_many(call: Call) -> Answer:
    """GET /{Module}/actions/get_feature_specific_info?features=&ids=."""
    module = _checked_module(call)
    jobs = call.organisation.jobs
    if "ids" in call.query:
        asked = [jobs.pending(module, each) for each in ids_parameter(call)]
        pending = [job for job in asked if job is not None]
    else:
        pending = list(jobs.pending_of(module))
    return _answer(call, pending)


def look_one(call: Call) -> Answer:
    """GET /{Module}/{id}/actions/get_feature_specific_info?features=."""
    module = _checked_module(call)
    check_parent(call, module, call.path[1])
    job = call.organisation.jobs.pending(module, call.path[1])
    return _answer(call, [] if job is None else [job])


def _checked_module(call: Call) -> str:
    module = territory_module(call)
    check_scope(call, "modules", Action.READ, module)
    check_rights(call, module, Action.READ, "records")
    features = call.query.get("features", "")
    if not features:
        raise missing_parameter("features")
    if FEATURE not in features.split(","):
        raise refuse(400, "INVALID_DATA", "invalid data", {"param_name": "features"})
    return module


def _answer(call: Call, pending: list[Job]) -> Answer:
    """Count the look; a job it ends is not shown any more."""
    ended = [job for job in pending if call.organisation.jobs.look(job)]
    for job in ended:
        call.organisation.end_job(job)
    left = [job for job in pending if job not in ended]
    if not left and call.behaviour.feature_info_empty_status == 204:
        return Answer(204)
    return Answer(200, _envelope(call.behaviour.feature_info_shape, left))


def _envelope(shape: str, jobs: list[Job]) -> dict[str, Any]:
    entries = [(job.record_id, {"job_id": job.id, "source": job.kind.value}) for job in jobs]
    if shape == "flat":
        return {"data": [{"id": record_id, **entry} for record_id, entry in entries]}
    if shape == "keyed":
        return {FEATURE: {record_id: [entry] for record_id, entry in entries}}
    if shape == "with_status":
        entries = [(record_id, {**entry, "status": "IN_PROGRESS"}) for record_id, entry in entries]
    return {"data": [{"id": record_id, FEATURE: [entry]} for record_id, entry in entries]}
