"""
Every knob of the emulator, in one value.

A knob exists where the vendor's sources contradict each other, say nothing, or where a test wants
a limit out of its way. `README.md` has them in a table: what is assumed, what the sources say, and
how a first look at a live organisation would settle it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from bulkops.emulator.catalogue import VERSIONS

_PATHS = sorted(version.path for version in VERSIONS.values())
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "item_order": ("request", "reversed", "shuffled"),
    "unknown_link_id": ("by_status", "id", "json_path"),
    "missing_parent": ("path_index", "not_found"),
    "unsupported_module_code": ("NOT_SUPPORTED", "INVALID_MODULE"),
    "leads_refusal": ("FEATURE_NOT_ENABLED", "TERRITORY_NOT_ENABLED"),
    "absent_contact_role": ("by_history", "relation not found", "contact role not deleted"),
    "feature_info_shape": ("records", "flat", "keyed", "with_status"),
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the emulator answers where the vendor leaves it open; frozen, changed by `changed`."""

    #: seeds latency, token values and job luck
    seed: int = 7

    #: calls in flight per client app; None: by the organisation's edition, 0: no limit
    concurrency: int | None = None
    #: calls in flight of the complex kind (reads with sort_by or cvid); 0: no limit
    sub_concurrency: int = 10
    #: credits of a rolling day; None: by edition and users, 0: none at all
    credits_per_day: int | None = None
    #: whether calls answered with a 4xx cost credits
    failures_cost_credits: bool = True
    #: seconds in Retry-After of a 429 by a limit; None: no header
    retry_after_s: float | None = None
    #: median seconds a call is served; 0: at once
    latency_median_s: float = 0.0
    #: sigma of the lognormal distribution of the latency
    latency_sigma: float = 0.5

    #: success text of unlinking: "relation removed" or "record deleted"
    delink_message: str = "relation removed"
    #: success text of linking: "relation added" or "record updated"
    link_message: str = "relation added"
    #: success text of setting a contact role
    contact_role_message: str = "relation updated"
    #: versions that answer 202 when an item fails
    item_errors_as_202: tuple[str, ...] = ("bigin/v1",)
    #: status of a mixed result; 200 is reported from a sandbox
    mixed_status: int = 207
    #: status when some items are scheduled and others failed
    scheduled_mixed_status: int = 207
    #: details of a link's unknown id; by_status: `id` in a 207, `json_path` in a 400
    unknown_link_id: str = "by_status"
    #: refusal of a parent that does not exist: 400 by its place in the URL, or 404
    missing_parent: str = "path_index"
    #: text for the name of a relation that does not exist
    bad_relation_message: str = "the relation name given seems to be invalid"
    #: code for a module without the operation
    unsupported_module_code: str = "NOT_SUPPORTED"
    #: status of AUTHORIZATION_FAILED: 400 or 401
    authorization_failed_status: int = 400
    #: order of the items of an answer; shuffled: by the seed
    item_order: str = "request"
    #: whether json_path of item errors begins with a space
    json_path_space: bool = False
    #: items of a link or unlink call
    items_per_call: int = 100
    #: characters of `ids`
    ids_characters: int = 2000

    #: records of one territory call: 10 or 100
    territory_records_per_call: int = 10
    #: territories a record can be in (Deals: always 1)
    territories_per_record: int = 10
    #: a territory call of this many records or more is scheduled; 0: never
    offload_from: int = 1
    #: share of the items of a scheduled call that are scheduled; the others are done at once
    offload_ratio: float = 1.0
    #: seconds until a job ends
    job_seconds: float = 5.0
    #: a job ends after so many looks by feature info instead; 0: by time
    job_looks: int = 0
    #: one job id for all records of a call
    job_id_shared: bool = False
    #: share of jobs that end without effect
    job_failure_ratio: float = 0.0
    #: share of jobs that never end
    job_stuck_ratio: float = 0.0
    #: success text of removing territories at once; "": by version
    removal_message: str = ""
    #: text of ALREADY_SCHEDULED
    already_scheduled_message: str = (
        "You are trying to {action} the record(s) while a job is already scheduled."
    )
    #: status of NOT_ALLOWED for a territory assigned by a rule: 400 or 403
    not_allowed_status: int = 400
    #: status of NO_PERMISSION for a territory: 401 or 403
    territory_permission_status: int = 401
    #: status of NO_PERMISSION for a record
    record_permission_status: int = 403
    #: refusal for Leads without territories
    leads_refusal: str = "FEATURE_NOT_ENABLED"
    #: envelope of feature info
    feature_info_shape: str = "records"
    #: status of feature info when no job is pending: 204 or 200
    feature_info_empty_status: int = 204
    #: whether GET /{Module}?ids= returns Territories
    list_returns_territories: bool = True

    #: what removing an absent role says; by_history: "contact role not deleted" if a call
    #: removed it, else "relation not found"
    absent_contact_role: str = "by_history"
    #: status of a mixed result of contact roles; None: `mixed_status`
    contact_roles_mixed_status: int | None = None
    #: first version that knows the bulk PUT of contact roles
    contact_roles_bulk_from: int = 8

    #: success text of transfer and delete
    transfer_message: str = (
        "Given Territory Removed Successfully and its child Territories moved to the another "
        "territory"
    )
    #: whether records of a deleted territory go to the target
    transfer_moves_records: bool = True
    #: territories of one call that deletes some
    transfers_per_call: int = 10

    #: status of GET for a record that does not exist: 204 or 404
    missing_record_status: int = 204
    #: rows that can be read by `page`
    page_wall: int = 2000
    #: records of a module that can be read by `page_token`; 0: all
    page_token_wall: int = 100_000
    #: seconds a page token lives
    page_token_life_s: float = 86_400.0

    #: status of the token throttle: 400 or 200
    token_throttle_status: int = 400
    #: tokens a refresh token gives in a window
    tokens_per_window: int = 10
    #: seconds of that window
    token_window_s: float = 600.0
    #: tokens of a refresh token that are alive at once
    live_tokens: int = 15
    #: seconds a token lives
    token_life_s: float = 3600.0
    #: whether a token answer has `expires_in`
    token_tells_expiry: bool = True

    def changed(self, knobs: Mapping[str, Any]) -> Behaviour:
        """
        Make a behaviour with some knobs changed.

        Raises ValueError that names the knob, what was found and what was expected.
        """
        known = {each.name for each in fields(self)}
        for name, value in knobs.items():
            if name not in known:
                raise ValueError(
                    f"behaviour knob {name!r}: unknown; known are {', '.join(sorted(known))}"
                )
            _check(name, value, getattr(_DEFAULT, name))
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in knobs.items()
        }
        return replace(self, **values)


def _check(name: str, value: object, default: object) -> None:
    wanted = _CHOICES.get(name)
    if wanted is not None:
        if value not in wanted:
            raise ValueError(f"behaviour knob {name}: found {value!r}, expected one of {wanted}")
        return
    if default is None:
        good = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        expected = "a number or null"
    elif isinstance(default, bool):
        good, expected = isinstance(value, bool), "true or false"
    elif isinstance(default, int | float):
        kinds = int if isinstance(default, int) else int | float
        good = isinstance(value, kinds) and not isinstance(value, bool)
        expected = "a whole number" if isinstance(default, int) else "a number"
    elif isinstance(default, str):
        good, expected = isinstance(value, str), "a text"
    else:
        good = isinstance(value, list | tuple) and all(each in _PATHS for each in value)
        expected = f"a list of {_PATHS}"
    if not good:
        raise ValueError(f"behaviour knob {name}: found {value!r}, expected {expected}")


_DEFAULT = Behaviour()
