"""
The jobs by which the server changes territories later: which records have one that is pending.

https://www.zoho.com/crm/developer/docs/api/v7/feature-info.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bulkops.model import Api, Json, Request

#: The first version whose pages have the call; assumed to serve jobs of older versions too.
_FEATURE_INFO_SINCE = "v6"
_FEATURE = "territory_scheduled_jobs"
#: Values of a job's `status`, should one ever be given, that mean it is no longer running.
_ENDED = frozenset({"completed", "success", "failed", "failure", "finished", "done"})


def feature_info(api: Api, module: str, record_ids: Sequence[str]) -> Request:
    """
    Ask which of at most 100 records have a territory job that is still pending.

    The page names the keys `job_id` and `source` and shows no envelope; see `pending_jobs`.
    """
    version = max(api.version, _FEATURE_INFO_SINCE, key=_version_number)
    path = f"/{api.product}/{version}/{module}/actions/get_feature_specific_info"
    return Request("GET", path, {"features": _FEATURE, "ids": ",".join(record_ids)})


def _version_number(version: str) -> float:
    return float(version.removeprefix("v"))


def pending_jobs(body: Json, asked: Sequence[str]) -> dict[str, set[str]]:
    """
    Return record id -> ids of its pending jobs, whatever envelope the answer has.

    Assumed, because no complete sample is published: a record without a pending job is absent
    (no body when none has one); every object with a `job_id` is a job, and belongs to the
    nearest object around it whose `id` was asked for, or to the one record asked for.
    """
    found: dict[str, set[str]] = {}
    for owner, job in _jobs(body, owner="", asked=frozenset(asked)):
        record = owner or (asked[0] if len(asked) == 1 else "")
        ended = str(job.get("status", "")).casefold() in _ENDED
        if record and not ended:
            found.setdefault(record, set()).add(str(job["job_id"]))
    return found


def _jobs(
    value: Json, *, owner: str, asked: frozenset[str]
) -> Iterator[tuple[str, Mapping[str, Json]]]:
    if isinstance(value, list):
        for each in value:
            yield from _jobs(each, owner=owner, asked=asked)
    elif isinstance(value, dict):
        own = str(value.get("id", ""))
        owner = own if own in asked else owner
        if "job_id" in value:
            yield owner, value
        for key, each in value.items():
            # Some services key a map by record id instead of repeating it inside.
            yield from _jobs(each, owner=key if key in asked else owner, asked=asked)
