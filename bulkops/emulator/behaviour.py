"""
Every knob of the emulator, in one value.

A knob exists where the vendor's sources contradict each other, say nothing, or where a test wants
a limit out of its way. The comment of each names the section of the project's API facts, or says
"assumed". `README.md` has the same list as a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

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

    #: calls in flight per client app; None: by the organisation's edition (§7), 0: no limit
    concurrency: int | None = None
    #: calls in flight of the complex kind (§7: reads with sort_by or cvid); 0: no limit
    sub_concurrency: int = 10
    #: credits of a rolling day; None: by edition and users (§7), 0: none at all
    credits_per_day: int | None = None
    #: whether calls answered with a 4xx cost credits (§7: not stated, assumed)
    failures_cost_credits: bool = True
    #: seconds in Retry-After of a 429 by a limit; None: no header (§16.4)
    retry_after_s: float | None = None
    #: median seconds a call is served; 0: at once
    latency_median_s: float = 0.0
    #: sigma of the lognormal distribution of the latency
    latency_sigma: float = 0.5

    #: §15.1: "relation removed" or "record deleted"
    delink_message: str = "relation removed"
    #: §15.2: "relation added" or "record updated"
    link_message: str = "relation added"
    #: §15.2, §5: success text of setting a contact role
    contact_role_message: str = "relation updated"
    #: §15.3: versions that answer 202 when an item fails
    item_errors_as_202: tuple[str, ...] = ("bigin/v1",)
    #: §15.13: status of a mixed result; 200 in a sandbox
    mixed_status: int = 207
    #: status when some items are scheduled and others failed (assumed: mixed)
    scheduled_mixed_status: int = 207
    #: §15.12: shape of a link's unknown id; by_status: id in a 207, json_path in a 400
    unknown_link_id: str = "by_status"
    #: §15.10: refusal of a parent that does not exist
    missing_parent: str = "path_index"
    #: §15.11: code for a module without the operation
    unsupported_module_code: str = "NOT_SUPPORTED"
    #: §15.8: AUTHORIZATION_FAILED as 400 or 401
    authorization_failed_status: int = 400
    #: §10: order of the items of an answer: "request", "reversed" or "shuffled" (by the seed)
    item_order: str = "request"
    #: §15.16: json_path of item errors begins with a space
    json_path_space: bool = False
    #: items of a link or unlink call (§1, §2)
    items_per_call: int = 100
    #: characters of `ids` (§1)
    ids_characters: int = 2000

    #: §15.4: records of one territory call; 10 or 100
    territory_records_per_call: int = 10
    #: §3: territories a record can be in (Deals: always 1)
    territories_per_record: int = 10
    #: §15.5: a territory call of this many records or more is scheduled; 0: never
    offload_from: int = 1
    #: seconds until a job ends (assumed)
    job_seconds: float = 5.0
    #: a job ends after so many looks by feature info instead; 0: by time (assumed)
    job_looks: int = 0
    #: one job id for all records of a call (§3: not stated)
    job_id_shared: bool = False
    #: share of jobs that end without effect (§16.5)
    job_failure_ratio: float = 0.0
    #: share of jobs that never end (assumed)
    job_stuck_ratio: float = 0.0
    #: §3: literal text not documented (assumed)
    already_scheduled_message: str = (
        "You are trying to {action} the record(s) while a job is already scheduled."
    )
    #: §15.6: NOT_ALLOWED as 400 or 403
    not_allowed_status: int = 400
    #: §15.7: NO_PERMISSION for a territory
    territory_permission_status: int = 401
    #: §15.7: NO_PERMISSION for a record
    record_permission_status: int = 403
    #: §15.9: refusal for Leads without territories
    leads_refusal: str = "FEATURE_NOT_ENABLED"
    #: §4: envelope of feature info (assumed)
    feature_info_shape: str = "records"
    #: §4: status when no job is pending (assumed)
    feature_info_empty_status: int = 204
    #: §3: whether GET /{Module}?ids= returns Territories (not documented)
    list_returns_territories: bool = True

    #: §5: what removing an absent role says; by_history: "contact role not deleted" if a call
    #: removed it, else "relation not found"
    absent_contact_role: str = "by_history"
    #: versions that know the bulk PUT of contact roles (§5: v8 only)
    contact_roles_bulk_from: int = 8

    #: §6: success text of transfer-and-delete
    transfer_message: str = (
        "Given Territory Removed Successfully and its child Territories moved to the another "
        "territory"
    )
    #: whether records of a deleted territory go to the target (assumed)
    transfer_moves_records: bool = True
    #: territories of one transfer-and-delete call (§6)
    transfers_per_call: int = 10

    #: status of GET for a record that does not exist: 204 or 404 (§0, §1; assumed)
    missing_record_status: int = 204
    #: rows that can be read by `page` (§9)
    page_wall: int = 2000
    #: seconds a page token lives (§9)
    page_token_life_s: float = 86_400.0

    #: §15.14: status of the token throttle
    token_throttle_status: int = 400
    #: tokens a refresh token gives in a window (§8)
    tokens_per_window: int = 10
    #: seconds of that window (§8)
    token_window_s: float = 600.0
    #: tokens of a refresh token that are alive at once (§8)
    live_tokens: int = 15
    #: seconds a token lives (§8)
    token_life_s: float = 3600.0
    #: §8, §12.3: whether a token answer has `expires_in`
    token_tells_expiry: bool = True

    def changed(self, knobs: Mapping[str, Any]) -> Behaviour:
        """
        Make a behaviour with some knobs changed.

        Raises ValueError that names the knob, what was found and what was expected.
        """
        known = {each.name for each in fields(self)}
        for name, value in knobs.items():
            if name not in known:
                raise ValueError(f"behaviour knob {name!r}: unknown; known are {sorted(known)}")
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
        good, expected = isinstance(value, list | tuple), "a list of texts"
    if not good:
        raise ValueError(f"behaviour knob {name}: found {value!r}, expected {expected}")


_DEFAULT = Behaviour()
