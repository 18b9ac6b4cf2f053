"""Territories of records, and the jobs that change them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Client, Reply, Start

SEED: dict[str, Any] = {
    "records": {"Accounts": ["1", "2", "3"], "Deals": ["5"], "Leads": ["7"], "Products": ["8"]},
    "territories": [
        {"id": "100", "name": "All", "parent_id": None},
        {"id": "101", "name": "West", "parent_id": "100"},
        {"id": "102", "name": "East", "parent_id": "100"},
        {"id": "103", "name": "Rules", "parent_id": "100"},
    ],
    "record_territories": {
        "Accounts": {
            "1": {"101": "manually", "102": "manually", "103": "automatically"},
            "2": ["101"],
        },
        "Deals": {"5": ["101"]},
    },
}


def item(record_id: Any, *territories: Any) -> dict[str, Any]:
    return {"id": record_id, "Territories": [{"id": each} for each in territories]}


async def remove(client: Client, *items: Any, version: str = "v8") -> Reply:
    return await client.post(f"/crm/{version}/Accounts/actions/remove_territories", *items)


async def assign(client: Client, *items: Any, module: str = "Accounts") -> Reply:
    return await client.post(f"/crm/v8/{module}/actions/assign_territories", *items)


async def territories(client: Client, module: str, record_id: str) -> dict[str, str]:
    reply = await client.get(f"/crm/v8/{module}/{record_id}")
    return {each["id"]: each["$assigned"] for each in reply.items[0]["Territories"]}


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("v2", "the terriroies data removed successfully"),
        ("v6", "the terriroies data removed successfully"),
        ("v7", "the territories data removed successfully"),
        ("v8", "the territories data removed successfully"),
    ],
)
async def test_synchronous_removal(start: Start, version: str, message: str) -> None:
    """200, SUCCESS, no job, effect at once; the old spelling up to v6."""
    client = await start(SEED, offload_from=0)

    reply = await remove(client, item("1", "101"), item(2, 101), version=version)

    assert (reply.status, reply.codes) == (200, ["SUCCESS"] * 2)
    assert [each["details"] for each in reply.items] == [{"id": "1"}, {"id": "2"}]
    assert {message} == {each["message"] for each in reply.items}
    assert await territories(client, "Accounts", "1") == {"102": "manually", "103": "automatically"}


@pytest.mark.parametrize(
    ("version", "status", "code"),
    [
        ("v2", 200, "SUCCESS"),
        ("v6", 200, "SUCCESS"),
        ("v7", 202, "SCHEDULED"),
        ("v8", 202, "SCHEDULED"),
    ],
)
async def test_offloaded_removal_takes_effect_later(
    start: Start, version: str, status: int, code: str
) -> None:
    """The answer has a job id; the territory goes only when the job ends."""
    client = await start(SEED, job_seconds=30)

    reply = await remove(client, item("2", "101"), version=version)

    assert (status, [code]) == (reply.status, reply.codes)
    assert {"id", "job_id"} == set(reply.items[0]["details"])
    assert await territories(client, "Accounts", "2") == {"101": "manually"}
    await client.control("POST", "clock/advance", {"seconds": 29})
    assert await territories(client, "Accounts", "2") == {"101": "manually"}
    await client.control("POST", "clock/advance", {"seconds": 1})
    assert await territories(client, "Accounts", "2") == {}


async def test_small_calls_are_synchronous_and_large_ones_scheduled(start: Start) -> None:
    """From `offload_from` records on a call is scheduled."""
    client = await start(SEED, offload_from=2)

    small = await remove(client, item("1", "101"))
    large = await remove(client, item("1", "102"), item("2", "101"))

    assert (small.status, small.codes) == (200, ["SUCCESS"])
    assert (large.status, large.codes) == (202, ["SCHEDULED", "SCHEDULED"])
    assert len({each["details"]["job_id"] for each in large.items}) == 2


async def test_one_job_id_for_all_records_is_a_knob(start: Start) -> None:
    """Whether a call's records share a job id is not documented."""
    client = await start(SEED, job_id_shared=True)

    reply = await remove(client, item("1", "101"), item("2", "101"))

    assert len({each["details"]["job_id"] for each in reply.items}) == 1


async def test_a_pending_job_holds_the_record_up(start: Start) -> None:
    """ALREADY_SCHEDULED until the job has ended, for removal and assignment alike."""
    client = await start(SEED, job_seconds=10)
    await remove(client, item("2", "101"))

    again = await remove(client, item("2", "101"))
    other = await assign(client, item("2", "102"))
    await client.control("POST", "clock/advance", {"seconds": 10})
    free = await assign(client, item("2", "102"))

    assert (
        again.status,
        again.codes,
        again.items[0]["details"],
    ) == (400, ["ALREADY_SCHEDULED"], {"id": "2"})
    assert (other.status, other.codes, free.status) == (400, ["ALREADY_SCHEDULED"], 202)


@pytest.mark.parametrize("kind", ["creation", "update"])
async def test_jobs_of_rules_are_told_apart_by_their_source(start: Start, kind: str) -> None:
    """Facts 4: `source` may be a rule's run for a new or changed record, with a job id not ours."""
    job = {"id": "900", "module": "Accounts", "record_id": "1", "kind": kind,
           "territories": ["101"], "due": 1_700_000_010}  # fmt: skip
    client = await start(
        {
            "records": {"Accounts": ["1"]},
            "territories": [{"id": "100"}, {"id": "101", "parent_id": "100"}],
            "jobs": [job],
        }
    )
    query = {"features": "territory_scheduled_jobs"}

    told = await client.get("/crm/v8/Accounts/1/actions/get_feature_specific_info", **query)
    await client.control("POST", "clock/advance", {"seconds": 10})
    over = await client.get("/crm/v8/Accounts/1/actions/get_feature_specific_info", **query)
    record = (await client.get("/crm/v8/Accounts/1")).items[0]

    assert told.items[0]["territory_scheduled_jobs"] == [{"job_id": "900", "source": kind}]
    assert over.status == 204
    (held,) = record["Territories"]
    assert (held["id"], held["$assigned"], held["$assigned_by"]) == ("101", "automatically", None)


async def test_removal_jobs_are_no_runs_of_rules(start: Start) -> None:
    """Facts 3: the page of rule runs knows nothing of a removal's job."""
    client = await start()

    reply = await client.get(
        "/crm/v8/settings/territories/actions/scheduled_run_rule_jobs", job_id="900"
    )

    assert (reply.status, reply.raw) == (204, b"")


async def test_a_failing_job_ends_without_effect(start: Start) -> None:
    """Gone is not done: the territory is still there."""
    client = await start(SEED, job_seconds=1, job_failure_ratio=1.0)
    await remove(client, item("2", "101"))

    await client.control("POST", "clock/advance", {"seconds": 1})
    info = await look(client, "2")

    assert info.status == 204
    assert await territories(client, "Accounts", "2") == {"101": "manually"}
    ended = (await client.control("GET", "jobs"))["default"]["ended"]
    assert [job["state"] for job in ended] == ["failed"]


async def test_a_stuck_job_never_ends(start: Start) -> None:
    """A job may never end; the record stays held up."""
    client = await start(SEED, job_seconds=1, job_stuck_ratio=1.0)
    await remove(client, item("2", "101"))

    await client.control("POST", "clock/advance", {"seconds": 1e6})

    assert (await look(client, "2")).status == 200


async def test_a_job_may_end_after_some_looks(start: Start) -> None:
    """Jobs by looks make tests independent of time."""
    client = await start(SEED, job_looks=2)
    await remove(client, item("2", "101"))

    statuses = [(await look(client, "2")).status for _ in range(3)]

    assert statuses == [200, 204, 204]
    assert await territories(client, "Accounts", "2") == {}


async def look(client: Client, *ids: str, version: str = "v8") -> Reply:
    return await client.get(
        f"/crm/{version}/Accounts/actions/get_feature_specific_info",
        features="territory_scheduled_jobs",
        **({"ids": ",".join(ids)} if ids else {}),
    )


async def test_feature_info_lists_pending_records_only(start: Start) -> None:
    """Feature info is keyed by record id; records without a job are absent; none left is 204."""
    client = await start(SEED)
    job = (await remove(client, item("2", "101"))).items[0]["details"]["job_id"]
    await assign(client, item("3", "101"))

    both = await look(client, "1", "2", "3")
    everything = await look(client)
    one = await client.get(
        "/crm/v8/Accounts/2/actions/get_feature_specific_info",
        features="territory_scheduled_jobs",
    )
    none = await look(client, "1")

    entry = {
        "id": "2",
        "territory_scheduled_jobs": [{"job_id": job, "source": "manual_territory_removal"}],
    }
    assert (200, entry) == (both.status, both.items[0])
    assert (both.items[1]["territory_scheduled_jobs"][0]["source"]) == "manual_territory_assignment"
    assert [each["id"] for each in everything.items] == ["2", "3"]
    assert ([entry], 204, b"") == (one.items, none.status, none.raw)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("flat", {"data": [{"id": "2", "job_id": "J", "source": "manual_territory_removal"}]}),
        (
            "keyed",
            {
                "territory_scheduled_jobs": {
                    "2": [{"job_id": "J", "source": "manual_territory_removal"}]
                }
            },
        ),
        (
            "with_status",
            {
                "data": [
                    {
                        "id": "2",
                        "territory_scheduled_jobs": [
                            {
                                "job_id": "J",
                                "source": "manual_territory_removal",
                                "status": "IN_PROGRESS",
                            }
                        ],
                    }
                ]
            },
        ),
    ],
)
async def test_feature_info_envelopes(start: Start, shape: str, expected: Any) -> None:
    """Feature info: the envelope is not documented; clients should read any of these."""
    client = await start(SEED, feature_info_shape=shape)
    job = (await remove(client, item("2", "101"))).items[0]["details"]["job_id"]

    reply = await look(client, "2")

    assert expected == _with_job(reply.body, job)


def _with_job(value: Any, job: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_job(each, job) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_job(each, job) for each in value]
    return "J" if value == job else value


async def test_feature_info_empty_status_is_a_knob(start: Start) -> None:
    """Feature info: 204 is assumed; an empty list is the other guess."""
    client = await start(SEED, feature_info_empty_status=200)

    reply = await look(client, "1")

    assert (reply.status, reply.body) == (200, {"data": []})


@pytest.mark.parametrize(
    ("url", "status", "code", "details"),
    [
        ("/crm/v8/Accounts/actions/get_feature_specific_info", 400, "REQUIRED_PARAM_MISSING",
         {"param_name": "features"}),
        ("/crm/v8/Accounts/actions/get_feature_specific_info?features=x", 400, "INVALID_DATA",
         {"param_name": "features"}),
        ("/crm/v8/Products/actions/get_feature_specific_info?features=territory_scheduled_jobs",
         400, "NOT_SUPPORTED", {"resource_path_index": 0}),
        ("/crm/v8/Accounts/9/actions/get_feature_specific_info?features=territory_scheduled_jobs",
         400, "INVALID_DATA", {"resource_path_index": 1}),
        ("/crm/v8/Accounts/actions/get_feature_specific_info?features=territory_scheduled_jobs&ids="
         + ",".join(["1"] * 101), 400, "LIMIT_EXCEEDED", {"limit": "100", "param_name": "ids"}),
    ],
)  # fmt: skip
async def test_feature_info_refusals(
    start: Start, url: str, status: int, code: str, details: dict[str, Any]
) -> None:
    """Feature info: parameters and module are checked."""
    client = await start(SEED)

    reply = await client.send("GET", url)

    assert (status, code, details) == (reply.status, reply.body["code"], reply.body["details"])


ITEM_ERRORS = [
    ("remove", item("1", "101", "999"), 400, "INVALID_DATA",
     {"api_name": "id", "json_path": "$.data[0].Territories[1].id"}),
    ("remove", item("2", "102"), 400, "INVALID_DATA",
     {"api_name": "id", "json_path": "$.data[0].Territories[0].id"}),
    ("remove", item("99", "101"), 400, "INVALID_DATA",
     {"api_name": "id", "json_path": "$.data[0].id"}),
    ("remove", {"Territories": [{"id": "101"}]}, 400, "MANDATORY_NOT_FOUND",
     {"api_name": "id", "json_path": "$.data[0].id"}),
    ("remove", {"id": "1"}, 400, "MANDATORY_NOT_FOUND",
     {"api_name": "Territories", "json_path": "$.data[0].Territories"}),
    ("remove", {"id": "1", "Territories": [{"id": "101"}, {}]}, 400, "MANDATORY_NOT_FOUND",
     {"api_name": "id", "json_path": "$.data[0].Territories[1].id"}),
    ("remove", item("1", "101", "103"), 400, "NOT_ALLOWED",
     {"api_name": "id", "json_path": "$.data[0].Territories[1].id"}),
    ("remove", item("1", "101", "102", "101"), 400, "ALREADY_USED",
     {"exists_in": {"json_path": "$.data[0].Territories[0].id"}, "api_name": "id",
      "json_path": "$.data[0].Territories[2].id"}),
    ("remove", 7, 400, "INVALID_DATA", {"api_name": "data", "json_path": "$.data[0]"}),
    ("assign", item("2", "102", "101"), 400, "DUPLICATE_DATA",
     {"api_name": "id", "json_path": "$.data[0].Territories[1].id"}),
    ("assign", item("2", "999"), 400, "INVALID_DATA",
     {"api_name": "id", "json_path": "$.data[0].Territories[0].id"}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "wanted", "status", "code", "details"), ITEM_ERRORS)
async def test_item_errors(
    start: Start, what: str, wanted: Any, status: int, code: str, details: dict[str, Any]
) -> None:
    """A refused item is wrapped, and nothing of it is done."""
    client = await start(SEED, offload_from=0)
    before = await client.control("GET", "world")

    reply = await client.post(f"/crm/v8/Accounts/actions/{what}_territories", wanted)

    assert (status, code, details) == (
        reply.status,
        reply.items[0]["code"],
        reply.items[0]["details"],
    )
    assert before == await client.control("GET", "world")


async def test_limits_of_territories_per_record(start: Start) -> None:
    """Territories of a record: ten for an account, one for a deal."""
    client = await start(SEED, offload_from=0, territories_per_record=3)

    account = await assign(client, item("2", "102", "103", "100"))
    deal = await assign(client, item("5", "102"), module="Deals")

    assert (
        account.status,
        account.items[0]["details"],
    ) == (400, {"api_name": "Territories", "json_path": "$.data[0].Territories", "limit": 3})
    assert (deal.codes, deal.items[0]["details"]) == (["LIMIT_EXCEEDED"], {"limit": 1})


async def test_a_mixed_call(start: Start) -> None:
    """A mixed call is 207; a refused item does not stop the others."""
    client = await start(SEED, offload_from=0)

    reply = await remove(client, item("1", "103"), item("2", "101"))

    assert (reply.status, reply.codes) == (207, ["NOT_ALLOWED", "SUCCESS"])
    assert await territories(client, "Accounts", "2") == {}


@pytest.mark.parametrize(("limit", "most"), [(10, 10), (100, 100)])
async def test_records_per_call(start: Start, limit: int, most: int) -> None:
    """10 or 100 records a call; over it a flat LIMIT_EXCEEDED."""
    client = await start(SEED, territory_records_per_call=limit, offload_from=0)
    full = await remove(client, *[item("3", "101")] * most)
    over = await remove(client, *[item("3", "101")] * (most + 1))

    assert (400, most) == (full.status, len(full.items))
    assert (400, "LIMIT_EXCEEDED", limit) == (
        over.status,
        over.body["code"],
        over.body["details"]["limit"],
    )


async def test_too_many_territories_of_an_item(start: Start) -> None:
    """More than 100 territories refuse the call."""
    client = await start(SEED)

    reply = await remove(client, item("1", *range(1000, 1101)))

    assert (
        reply.status,
        reply.body["code"],
        reply.body["details"]["maximum_length"],
    ) == (400, "INVALID_DATA", 100)


@pytest.mark.parametrize("offload_from", [0, 1])
async def test_a_call_that_is_refused_whole_does_nothing(start: Start, offload_from: int) -> None:
    """Facts 10: a good item before the one that is too long is neither done nor scheduled."""
    client = await start(SEED, offload_from=offload_from)
    before = await client.control("GET", "world")

    reply = await remove(client, item("2", "101"), item("1", *range(1000, 1101)))

    assert (reply.status, "code" in reply.body) == (400, True)
    assert before == await client.control("GET", "world")


async def test_single_record_form(start: Start) -> None:
    """No id in the body; a bad record is refused flat by its place in the URL."""
    client = await start({**SEED, "rights": {"locked": ["3"], "records": ["2"]}}, offload_from=0)

    done = await client.post(
        "/crm/v8/Accounts/1/actions/remove_territories", {"Territories": [{"id": "101"}]}
    )
    refused = [
        await client.post(f"/crm/v8/Accounts/{each}/actions/assign_territories", item("", "101"))
        for each in ("9", "3", "2")
    ]

    assert (done.status, done.items[0]["details"]) == (200, {"id": "1"})
    assert [(each.status, each.body["code"]) for each in refused] == [
        (400, "INVALID_DATA"),
        (400, "RECORD_LOCKED"),
        (403, "NO_PERMISSION"),
    ]
    assert {1} == {each.body["details"]["resource_path_index"] for each in refused}


async def test_locks_and_rights_of_items(start: Start) -> None:
    """RECORD_LOCKED 400; NO_PERMISSION 401 for a territory and 403 for a record, wrapped."""
    rights = {"locked": ["1"], "records": ["2"], "territories": ["102"]}
    client = await start({**SEED, "rights": rights}, offload_from=0)

    locked = await remove(client, item("1", "101"))
    record = await remove(client, item("2", "101"))
    territory = await assign(client, item("3", "102"))
    both = await remove(client, item("1", "101"), item("2", "101"))

    assert (
        locked.status,
        locked.items[0]["details"],
    ) == (400, {"id": "1", "action": "record_locking"})
    assert (record.status, record.codes) == (403, ["NO_PERMISSION"])
    assert (
        territory.status,
        territory.codes,
        territory.items[0]["details"]["json_path"],
    ) == (401, ["NO_PERMISSION"], "$.data[0].Territories")
    assert both.status == 400


@pytest.mark.parametrize(
    ("rights", "module", "knobs", "status", "code"),
    [
        ({"territory_management": "never enabled"}, "Accounts", {}, 400, "FEATURE_NOT_ENABLED"),
        ({"territory_management": "disabled"}, "Accounts", {}, 400, "FEATURE_NOT_ENABLED"),
        ({"territories_for_leads": False}, "Leads", {}, 400, "FEATURE_NOT_ENABLED"),
        ({"territories_for_leads": False}, "Leads", {"leads_refusal": "TERRITORY_NOT_ENABLED"},
         403, "TERRITORY_NOT_ENABLED"),
        ({}, "Products", {}, 400, "NOT_SUPPORTED"),
        ({}, "Prodacts", {}, 400, "INVALID_MODULE"),
        ({"denied": ["Accounts.update"]}, "Accounts", {}, 403, "NO_PERMISSION"),
        ({"unauthorised": ["Accounts.update"]}, "Accounts", {}, 400, "AUTHORIZATION_FAILED"),
        ({"unauthorised": ["Accounts.update"]}, "Accounts", {"authorization_failed_status": 401},
         401, "AUTHORIZATION_FAILED"),
    ],
)  # fmt: skip
async def test_flat_refusals(
    start: Start,
    rights: dict[str, Any],
    module: str,
    knobs: dict[str, Any],
    status: int,
    code: str,
) -> None:
    """What refuses a territory call as a whole."""
    client = await start({**SEED, "rights": rights}, **knobs)

    reply = await client.post(f"/crm/v8/{module}/actions/remove_territories", item("1", "101"))

    assert (status, code) == (reply.status, reply.body["code"])


async def test_not_allowed_and_path_space_are_knobs(start: Start) -> None:
    """Where sources disagree: NOT_ALLOWED as 403, json_path with a leading space."""
    client = await start(SEED, not_allowed_status=403, json_path_space=True, offload_from=0)

    reply = await remove(client, item("1", "103"))

    assert (
        reply.status,
        reply.items[0]["details"]["json_path"],
    ) == (403, " $.data[0].Territories[0].id")
