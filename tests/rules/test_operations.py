"""
The operations: the calls they make, what only they know of an answer, and how they read back.

The last part holds the client to every documented exchange of `tests/data/replies`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.model import Api, Batch, Operation, Reply, Request, Route, merge_items
from bulkops.rules.operations import OPS, SPECS
from bulkops.rules.operations.related_records import MIRRORS
from bulkops.rules.operations.territories import (
    read_many_territories,
    read_territories,
    territories_of,
)
from bulkops.rules.operations.territory_settings import list_territories, territory_ids
from bulkops.rules.settle import settle
from bulkops.rules.settlement import Reason, Settlement, Settling
from bulkops.rules.spec import CallLimits, Kind, Spec, Wish
from bulkops.rules.territory_jobs import feature_info, pending_jobs

V8 = Api("crm", "v8")
DEAL = Route("Deals", "5", "Contact_Roles")
#: By name: the `op`, the most a call holds by default and where 50 ids, 10 records and bulk roles
#: are configured, and whether Bigin has it: neither territories nor contact roles.
THESE = {
    "unlink": ("unlink", 100, 50, True),
    "link": ("link", 100, 50, True),
    "unlink_contact_role": ("unlink", 100, 50, False),
    "link_contact_role": ("link", 1, 50, False),
    "remove_territories": ("remove_territories", 100, 10, False),
    "assign_territories": ("assign_territories", 100, 10, False),
    "delete_territory": ("delete_territory", 10, 10, False),
}


def requested(spec: str, route: Route, *operations: Operation, api: Api = V8) -> Request:
    return SPECS[spec].request(api, route, merge_items(operations))


def test_the_operations_are_these() -> None:
    """Adding one is a decision: `THESE` and the README ask for a row, and no other test."""
    told = CallLimits(ids_per_call=50, territory_records_per_call=10, contact_roles_bulk=True)
    assert {
        name: (
            spec.op,
            spec.capacity(CallLimits()),
            spec.capacity(told),
            "bigin" not in spec.unavailable,
        )
        for name, spec in SPECS.items()
    } == THESE
    assert {op for op, *_ in THESE.values()} == {*OPS}


def test_the_table_of_operations_cannot_be_changed() -> None:
    """It is the one value of the package that lives in a module."""
    with pytest.raises(TypeError):
        SPECS["unlink"] = SPECS["link"]  # type: ignore[index]


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_a_spec_is_consistent(spec: Spec) -> None:
    """Every column it speaks of is one that it has, and its page is an address."""
    names = set(spec.column_names)
    spoken_of = {*spec.route, spec.item, *spec.field_columns, *spec.any_of}
    spoken_of |= {each for each in (spec.member, spec.ordered_by) if each}
    assert spoken_of <= names
    assert len(names) == len(spec.columns)
    kinds = {column.name: column.kind for column in spec.columns}
    assert kinds[spec.item] is Kind.ID
    assert spec.member is None or kinds[spec.member] is Kind.IDS
    assert spec.page.startswith("https://www.zoho.com/crm/developer/docs/api/")
    assert spec.summary


@pytest.mark.parametrize("op", OPS)
def test_one_spec_of_an_operation_takes_the_rows_no_other_takes(op: str) -> None:
    """A row is never claimed twice and never left over."""
    lists = [spec.related_list for spec in SPECS.values() if spec.op == op]
    assert lists.count(None) == 1
    assert len(set(lists)) == len(lists)


def test_opposite_wishes_are_of_one_family() -> None:
    """A link and an unlink of a relation, and an assignment and a removal, can contradict."""
    wishes: dict[str, set[Wish]] = {}
    for spec in SPECS.values():
        wishes.setdefault(spec.family, set()).add(spec.wish)
    both = {Wish.PRESENT, Wish.ABSENT}
    assert wishes["relation"] == wishes["record_territory"] == both
    assert wishes["territory"] == {Wish.ABSENT}


def test_a_mirrored_relation_leads_back_to_itself() -> None:
    """The other side of the other side is this side, and never this side itself."""
    assert {MIRRORS[other] for other in MIRRORS} == set(MIRRORS)
    assert all(MIRRORS[other] == side != other for side, other in MIRRORS.items())


def test_lists_that_own_their_records_are_not_unlinked() -> None:
    """The same call may delete a note; contact roles have a spec of their own."""
    relations = SPECS["unlink"].relations
    assert relations is not None
    unsafe = {("Leads", "Notes"), ("Leads", "Attachments"), ("Deals", "Contact_Roles")}
    assert not unsafe & relations
    assert ("Leads", "Campaigns") in relations


def test_territories_of_a_record_travel_in_one_item_without_repeats() -> None:
    """The server refuses a repeated territory as `ALREADY_USED`."""
    lines = (Operation(1, "9", ("7",)), Operation(2, "8", ("7",)), Operation(3, "9", ("6", "7")))
    request = requested("remove_territories", Route("Leads"), *lines)
    assert request.body == {
        "data": [
            {"id": "9", "Territories": [{"id": "7"}, {"id": "6"}]},
            {"id": "8", "Territories": [{"id": "7"}]},
        ]
    }


def test_a_list_price_is_sent_as_a_number() -> None:
    """The API's type is a number; all other fields go as the row has them."""
    prices = {"10": 10, "9.50": 9.5, "gratis": "gratis", "": ""}
    lines = [
        Operation(line, str(line), fields={"list_price": price, "Member_Status": "10"})
        for line, price in enumerate(prices, 1)
    ]
    body = requested("link", Route("Products", "1", "Price_Books"), *lines).body
    assert [each["list_price"] for each in body["data"]] == list(prices.values())
    assert {each["Member_Status"] for each in body["data"]} == {"10"}


@pytest.mark.parametrize("price", ["nan", "inf", "1_000", "-Infinity"])
def test_a_price_that_is_no_number_is_left_for_the_server_to_refuse(price: str) -> None:
    """What only Python takes for a number is not sent as another value."""
    line = Operation(1, "2", fields={"list_price": price})
    body = requested("link", Route("Products", "1", "Price_Books"), line).body
    assert orjson.loads(orjson.dumps(body))["data"] == [{"id": "2", "list_price": price}]


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"role_id": "3", "role_name": "Sponsor"}, {"name": "Sponsor", "id": "3"}),
        ({"role_id": "3"}, {"id": "3"}),
        ({"role_name": "Sponsor"}, {"name": "Sponsor"}),
    ],
)
def test_a_role_is_named_by_what_the_row_gives(
    fields: Mapping[str, str], role: Mapping[str, str]
) -> None:
    """One contact goes by the documented form, several by the bulk form."""
    one = requested("link_contact_role", DEAL, Operation(1, "7", fields=fields))
    path = "/crm/v8/Deals/5/Contact_Roles"
    assert one == Request("PUT", f"{path}/7", body={"data": [{"Contact_Role": role}]})
    two = requested(
        "link_contact_role",
        DEAL,
        Operation(1, "7", fields=fields),
        Operation(2, "8", fields=fields),
    )
    both = [{"id": "7", "Contact_Role": role}, {"id": "8", "Contact_Role": role}]
    assert two == Request("PUT", path, body={"data": both})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"delete_previous_forecasts": False}),
        ({"transfer_to_id": "4"}, {"transfer_to_id": "4", "delete_previous_forecasts": False}),
        ({"delete_previous_forecasts": "true"}, {"delete_previous_forecasts": True}),
        ({"delete_previous_forecasts": "false"}, {"delete_previous_forecasts": False}),
    ],
)
def test_a_territory_goes_with_its_target_and_its_forecasts(
    fields: Mapping[str, str], expected: Mapping[str, object]
) -> None:
    """An empty target is left out; the flag is always said."""
    body = requested("delete_territory", Route(), Operation(1, "3", fields=fields)).body
    assert body == {"territories": [{"id": "3", **expected}]}


@pytest.mark.parametrize(
    ("version", "asked"), [("v2", "v6"), ("v2.1", "v6"), ("v6", "v6"), ("v7", "v7"), ("v8", "v8")]
)
def test_jobs_are_asked_for_where_the_call_exists(version: str, asked: str) -> None:
    """Older versions schedule jobs as well, but have no page of the call."""
    request = feature_info(Api("crm", version), "Leads", ["1", "2"])
    query = {"features": "territory_scheduled_jobs", "ids": "1,2"}
    path = f"/crm/{asked}/Leads/actions/get_feature_specific_info"
    assert request == Request("GET", path, query)


def test_reads_of_territories() -> None:
    """One record as it is documented, several with the fields they need."""
    assert read_territories(V8, "Leads", "1") == Request("GET", "/crm/v8/Leads/1")
    query = {"ids": "1,2", "fields": "id,Territories"}
    assert read_many_territories(V8, "Leads", ["1", "2"]) == Request("GET", "/crm/v8/Leads", query)
    assert list_territories(V8, 3) == Request(
        "GET", "/crm/v8/settings/territories", {"page": "3", "per_page": "200"}
    )


@pytest.mark.parametrize(
    ("spec", "route", "paths", "query"),
    [
        *(
            (name, Route("Leads", "5", "Campaigns"), ["/crm/v8/Leads/5/Campaigns"], "7,8")
            for name in ("unlink", "link")
        ),
        *(
            (name, DEAL, ["/crm/v8/Deals/5/Contact_Roles"], "7,8")
            for name in ("unlink_contact_role", "link_contact_role")
        ),
        (
            "delete_territory",
            Route(),
            ["/crm/v8/settings/territories/7", "/crm/v8/settings/territories/8"],
            None,
        ),
    ],
)
def test_every_operation_without_jobs_can_ask_what_is_there(
    spec: str, route: Route, paths: list[str], query: str | None
) -> None:
    """A related list takes the ids of a whole call; territories are read one by one."""
    items = merge_items((Operation(1, "7", ("3",)), Operation(2, "8", ("4",))))
    probe = SPECS[spec].probe
    assert probe is not None
    asked = probe.requests(V8, route, items)
    assert [(each.method, each.path) for each in asked] == [("GET", path) for path in paths]
    assert {each.query.get("ids") for each in asked} == {query}


@pytest.mark.parametrize(
    ("spec", "body", "expected"),
    [
        ("unlink", None, set()),
        ("unlink", {"data": [{"id": "7"}, {"id": 8}, "no"]}, {("7", ""), ("8", "")}),
        ("link_contact_role", {"data": [{"id": "7", "Contact_Role": {}}]}, {("7", "")}),
        ("delete_territory", {"territories": [{"id": "7"}]}, {("7", "")}),
        ("delete_territory", None, set()),
    ],
)
def test_what_is_there_is_read_from_the_answer(
    spec: str, body: object, expected: set[tuple[str, str]]
) -> None:
    """Pairs of item and territory, or items alone; an empty answer shows nothing."""
    assert SPECS[spec].probe.present(body) == expected


JOB = {"job_id": "70", "source": "update"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, {}),
        ({"data": []}, {}),
        ({"data": [{"id": "1", "territory_scheduled_jobs": [JOB]}]}, {"1": {"70"}}),
        ({"data": [{"id": 1, "job_id": 70}]}, {"1": {"70"}}),
        ({"territory_scheduled_jobs": {"1": [JOB], "2": [JOB]}}, {"1": {"70"}, "2": {"70"}}),
        ({"data": [{"id": "1", "jobs": [JOB, {"job_id": "71"}]}]}, {"1": {"70", "71"}}),
        ({"data": [{"id": "1", "jobs": [{"id": "900", "job_id": "70"}]}]}, {"1": {"70"}}),
        ({"data": [{"id": "9", "job_id": "70"}]}, {}),
        ([JOB], {}),
        ({"data": [{"id": "1", **JOB, "status": "IN_PROGRESS"}]}, {"1": {"70"}}),
        ({"data": [{"id": "1", **JOB, "status": "Completed"}]}, {}),
        ({"data": [{"id": "1", **JOB, "status": "FAILED"}]}, {}),
    ],
)
def test_pending_jobs_are_found_in_any_envelope(body: object, expected: object) -> None:
    """A job belongs to the nearest record around it that was asked for."""
    assert pending_jobs(body, ["1", "2"]) == expected


def test_a_job_without_a_record_belongs_to_the_only_one_asked_for() -> None:
    """The answer about a single record need not repeat its id."""
    assert pending_jobs({"territory_scheduled_jobs": [JOB]}, ["1"]) == {"1": {"70"}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, {}),
        ({"data": "no"}, {}),
        ({"data": ["no", {"Territories": []}]}, {}),
        ({"data": [{"id": 1, "Territories": []}]}, {"1": {}}),
        ({"data": [{"id": "1", "Territories": None}]}, {"1": {}}),
        (
            {"data": [{"id": "1"}, {"id": "2", "Territories": [{"id": 7}]}]},
            {"1": None, "2": {"7": ""}},
        ),
        (
            {"data": [{"id": "1", "Territories": [{"id": "7", "$assigned": "manually"}, "no"]}]},
            {"1": {"7": "manually"}},
        ),
    ],
)
def test_territories_are_read_back(body: object, expected: object) -> None:
    """A record without the key at all is told apart from one in no territory."""
    assert territories_of(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, (frozenset(), False)),
        ([], (frozenset(), False)),
        ({"territories": [{"id": 1}, {"id": "2"}, "no", {}]}, (frozenset({"1", "2"}), False)),
        ({"territories": [], "info": {"more_records": True}}, (frozenset(), True)),
        ({"territories": None, "info": {"more_records": "true"}}, (frozenset(), False)),
    ],
)
def test_a_page_of_territories_is_read(body: object, expected: object) -> None:
    """More pages follow only if the server says so in as many words."""
    assert territory_ids(body) == expected


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["1", "7"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["data", "id", "job_id", "territories", "info", "status", "1"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(ANY_JSON)
def test_reading_back_raises_nothing_whatever_comes(body: object) -> None:
    """An answer of another shape is an answer that says nothing."""
    assert set(pending_jobs(body, ["1", "2"])) <= {"1", "2"}
    assert isinstance(territory_ids(body)[0], frozenset)
    assert isinstance(territories_of(body), dict)


@pytest.mark.parametrize("listed", [5, True], ids=str)
def test_territories_that_are_no_list_say_nothing(listed: object) -> None:
    """The record was read, and its territories were not."""
    assert territories_of({"data": [{"id": "1", "Territories": listed}]}) == {"1": None}


REPLIES = Path(__file__).parents[1] / "data" / "replies"
SAMPLES = {path.stem: orjson.loads(path.read_bytes()) for path in sorted(REPLIES.glob("*.json"))}
#: The samples that are about rows of a manifest.
OF_ROWS = [name for name, sample in SAMPLES.items() if sample["rows"]]
#: What a reason to send again is called in the files.
NEXT = {
    Reason.RETRY: "retry",
    Reason.THROTTLED: "retry",
    Reason.REFRESH: "refresh",
    Reason.LOCKED: "locked",
    Reason.WAIT: "wait",
    Reason.RESEND: "resend",
    Reason.BISECT: "bisect",
}


def spec_of(row: Mapping[str, str]) -> Spec:
    """The spec that takes a row: the one of its related list before the one of any."""
    fitting = [spec for spec in SPECS.values() if spec.op == row["op"]]
    own = [spec for spec in fitting if spec.related_list == row.get("related_list", "")]
    return (own or [spec for spec in fitting if spec.related_list is None])[0]


def operation_of(spec: Spec, line: int, row: Mapping[str, str]) -> Operation:
    """A row as the planner makes it an operation."""
    members = sorted(set(row[spec.member].split(";"))) if spec.member else ()
    fields = {*spec.field_columns, *(spec.relation_fields or ())}
    return Operation(
        line, row[spec.item], tuple(members), {k: v for k, v in row.items() if k in fields}
    )


def batch_of(rows: Sequence[Mapping[str, str]]) -> tuple[Spec, Batch]:
    """The rows of a sample as the batch that they are."""
    (spec,) = {spec_of(row).name: spec_of(row) for row in rows}.values()
    (route,) = {
        Route(
            **{
                name: row[name]
                for name in ("module", "record_id", "related_list")
                if name in spec.route
            }
        )
        for row in rows
    }
    lines = tuple(operation_of(spec, line, row) for line, row in enumerate(rows, 1))
    return spec, Batch(1, spec.name, route, lines)


def concluded(spec: Spec, batch: Batch, reply: Reply) -> list[dict[str, Any]]:
    """What becomes of each line, in the words of the files."""
    settlement = settle(spec, batch, reply)
    if all(rest.reason is not Reason.LOOKUP for rest in settlement.unprocessed):
        return told(settlement)
    everything = {each for line in batch.operations for each in line.members}
    known = told(settle(spec, batch, reply, Settling(known=everything)))
    unknown = told(settle(spec, batch, reply, Settling(known=frozenset())))
    return [
        {"line": one["line"], "next": "lookup"}
        if (one.get("status"), other.get("status")) == ("unchanged", "failed")
        else one
        for one, other in zip(known, unknown, strict=True)
    ]


def told(settlement: Settlement) -> list[dict[str, Any]]:
    """One settlement, in the words of the files."""
    found: list[dict[str, Any]] = []
    for outcome in settlement.outcomes:
        one: dict[str, Any] = {"line": outcome.line, "status": str(outcome.status)}
        if one["status"] in {"unchanged", "failed"}:
            one["code"] = outcome.code
        if one["status"] == "scheduled":
            one["job_id"] = outcome.job_id
        found.append({"line": outcome.line, "next": "abort"} if settlement.halt else one)
    for rest in settlement.unprocessed:
        split = rest.reason is Reason.RESEND and settlement.limit is not None
        word = "split" if split else NEXT[rest.reason]
        found += [{"line": each.line, "next": word} for each in rest.operations]
    return sorted(found, key=lambda each: each["line"])


@pytest.mark.parametrize("name", OF_ROWS)
def test_the_client_concludes_what_the_documented_answer_means(name: str) -> None:
    """Every row of a sample ends as its page says."""
    sample = SAMPLES[name]
    spec, batch = batch_of(sample["rows"])
    reply = Reply(sample["reply"]["status"], sample["reply"]["body"], sample["reply"]["headers"])
    assert concluded(spec, batch, reply) == sample["expect"]
    settlement = settle(spec, batch, reply)
    if settlement.halt:
        assert {str(each.status) for each in settlement.outcomes} == {"failed"}


@pytest.mark.parametrize("name", [each for each in OF_ROWS if SAMPLES[each]["sent_by_us"]])
def test_the_client_sends_the_documented_request(name: str) -> None:
    """Method, path, query and body are the sample's, to the last type."""
    sample = SAMPLES[name]
    spec, batch = batch_of(sample["rows"])
    api = Api(sample["product"], sample["version"])
    request = spec.request(api, batch.route, merge_items(batch.operations))
    expected = sample["request"]
    sent = {"method": request.method, "path": request.path, "query": request.query}
    assert sent == {key: expected[key] for key in sent}
    assert orjson.dumps(request.body, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        expected["body"], option=orjson.OPT_SORT_KEYS
    )


#: The samples of what the client reads: related lists are not among it.
READ = [
    name
    for name, sample in SAMPLES.items()
    if {"pending", "territories"} & set(sample["means"] or ())
    or (sample["means"] and sample["request"]["path"].endswith("/settings/territories"))
]


@pytest.mark.parametrize("name", READ)
def test_the_client_reads_what_the_documented_answer_says(name: str) -> None:
    """Jobs, territories of records and those of the organisation are found in the envelope."""
    sample = SAMPLES[name]
    body, means = sample["reply"]["body"], sample["means"]
    found: dict[str, Any]
    if "pending" in means:
        record = sample["request"]["path"].split("/")[4]
        asked = sample["request"]["query"].get("ids", record).split(",")
        jobs = pending_jobs(body, asked)
        found = {"pending": {record: sorted(each) for record, each in jobs.items()}}
    elif "territories" in means:
        found = {"territories": territories_of(body)}
    else:
        ids, more = territory_ids(body)
        found = {"ids": sorted(ids), "more": more}
    assert found == means


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, each in SAMPLES.items()
        if each["operation"] in {"feature_info", "read"} and each["sent_by_us"]
    ],
)
def test_the_client_asks_as_documented(name: str) -> None:
    """Questions have the sample's path and query."""
    request, api = SAMPLES[name]["request"], Api(SAMPLES[name]["product"], SAMPLES[name]["version"])
    parts = request["path"].split("/")[3:]
    if "features" in request["query"]:
        asked = feature_info(api, parts[0], request["query"]["ids"].split(","))
    elif parts[0] == "settings":
        asked = list_territories(api, int(request["query"].get("page", "1")))
    elif "ids" in request["query"]:
        asked = read_many_territories(api, parts[0], request["query"]["ids"].split(","))
    else:
        asked = read_territories(api, parts[0], parts[1])
    assert asked == Request(request["method"], request["path"], request["query"])
