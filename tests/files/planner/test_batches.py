"""Packing operations into calls: how many, which together, in which order, and always the same."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

import bulkops.files.planner
from bulkops.files.manifest import inspect
from bulkops.files.planner import Wanted, make_plan
from bulkops.model import Batch, Route, merge_items
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import CallLimits

Planner = Callable[..., Any]


def edges(
    number: int, op: str = "unlink", path: str = "Products/7/Deals", begin: int = 1
) -> list[dict[str, str]]:
    """Return rows that relate one record to `number` others."""
    module, record, related_list = path.split("/")
    return [
        {
            "op": op,
            "module": module,
            "record_id": record,
            "related_list": related_list,
            "related_id": str(begin + each),
        }
        for each in range(number)
    ]


def territory(record: str, ids: str, op: str = "remove_territories") -> dict[str, str]:
    return {"op": op, "module": "Leads", "record_id": record, "territory_id": ids}


def deletion(territory_id: str, target: str = "") -> dict[str, str]:
    return {"op": "delete_territory", "territory_id": territory_id, "transfer_to_id": target}


def sizes(made: Any) -> list[tuple[str, int]]:
    """Return spec and number of items of each call."""
    return [(batch.spec, len(merge_items(batch.operations))) for batch in made.batches]


def test_a_call_takes_a_hundred_ids(plan: Planner) -> None:
    """250 ids of one record make calls of 100, 100 and 50, in the order of the manifest."""
    made = plan(edges(250))

    assert [list(range(1, 101)), list(range(101, 201)), list(range(201, 251))] == made.lines
    assert {Route("Products", "7", "Deals")} == {batch.route for batch in made.batches}
    assert [1, 2, 3] == [batch.number for batch in made.batches]


def test_a_call_takes_as_many_ids_as_asked(plan: Planner) -> None:
    """`ids_per_call` lowers what a call takes, of links and unlinks alike."""
    rows = edges(7) + edges(7, op="link", path="Products/8/Deals")
    made = plan(rows, limits=CallLimits(ids_per_call=3))

    assert [
        *[("unlink", 3), ("link", 3)] * 2,
        ("unlink", 1),
        ("link", 1),
    ] == sizes(made)


def test_the_ids_of_a_call_fit_two_thousand_characters(plan: Planner) -> None:
    """A hundred ids of 19 digits just fit into the URL; of 20 digits only 95 do."""
    made = plan(
        [
            *edges(101, path="Products/18/Deals", begin=10**17),
            *edges(101, path="Products/19/Deals", begin=10**18),
            *edges(96, path="Products/20/Deals", begin=10**19),
        ]
    )
    joined = [",".join(each.item for each in batch.operations) for batch in made.batches]

    assert [("unlink", 100), ("unlink", 100), ("unlink", 95), *[("unlink", 1)] * 3] == sizes(made)
    assert [1899, 1999, 1994, 18, 19, 20] == [len(ids) for ids in joined]


def test_ids_of_a_body_have_no_such_limit(plan: Planner) -> None:
    """A link sends its ids in the body, so a hundred of 20 digits go in one call."""
    made = plan(edges(100, op="link", begin=10**19))

    assert [("link", 100)] == sizes(made)


def test_ten_territories_are_deleted_in_a_call(plan: Planner) -> None:
    """25 territories make calls of 10, 10 and 5."""
    made = plan([deletion(str(each)) for each in range(100, 125)])

    assert [("delete_territory", 10), ("delete_territory", 10), ("delete_territory", 5)] == sizes(
        made
    )
    assert [1, 1, 1] == [step for step, _ in made.steps]


@pytest.mark.parametrize(("bulk", "expected"), [(False, [1, 1, 1]), (True, [3])])
def test_contact_roles_are_given_one_a_call_or_in_bulk(
    plan: Planner, bulk: bool, expected: list[int]
) -> None:
    """The bulk form is used only where the configuration allows it."""
    rows = edges(3, op="link", path="Deals/1/Contact_Roles")
    made = plan(
        [row | {"role_id": "5"} for row in rows], limits=CallLimits(contact_roles_bulk=bulk)
    )

    assert [("link_contact_role", number) for number in expected] == sizes(made)
    assert [{"role_id": "5"}] * 3 == [each.fields for each in made.operations]


def test_contact_roles_are_taken_a_hundred_a_call(plan: Planner) -> None:
    """Taking contacts off a deal is documented for many at once."""
    made = plan(edges(101, path="Deals/1/Contact_Roles"))

    assert [("unlink_contact_role", 100), ("unlink_contact_role", 1)] == sizes(made)


def test_rows_of_one_record_travel_in_one_item(plan: Planner) -> None:
    """
    Territory rows of one record stay together, wherever they stand in the manifest.

    The server takes or refuses a record as a whole, so it must see it once.
    """
    rows = [territory(str(record), "8") for record in range(1, 6)]
    rows += [territory(str(record), "9;7") for record in range(1, 6)]
    made = plan(rows, limits=CallLimits(territory_records_per_call=2))

    assert [[1, 6, 2, 7], [3, 8, 4, 9], [5, 10]] == made.lines
    assert [
        [("1", ("8", "7", "9")), ("2", ("8", "7", "9"))],
        [("3", ("8", "7", "9")), ("4", ("8", "7", "9"))],
        [("5", ("8", "7", "9"))],
    ] == [
        [(item.id, item.members) for item in merge_items(batch.operations)]
        for batch in made.batches
    ]


@pytest.mark.parametrize(("limit", "expected"), [(None, [100, 20]), (50, [50, 50, 20])])
def test_records_a_call_are_tried_at_a_hundred_or_as_asked(
    plan: Planner, limit: int | None, expected: list[int]
) -> None:
    """Without a number a call takes as many records as the most generous source says."""
    rows = [territory(str(record), "8;9") for record in range(120)]
    made = plan(rows, limits=CallLimits(territory_records_per_call=limit))

    assert expected == [number for _, number in sizes(made)]
    assert (("remove_territories",) if limit is None else ()) == made.planned.summary.learns


def test_operations_and_modules_do_not_mix(plan: Planner) -> None:
    """Removing and assigning, and the modules, have calls of their own."""
    rows = [
        territory("1", "8"),
        territory("2", "8", op="assign_territories"),
        territory("3", "8") | {"module": "Contacts"},
        territory("4", "8"),
    ]
    made = plan(rows)

    assert [[1, 4], [2], [3]] == made.lines
    assert [Route("Leads"), Route("Leads"), Route("Contacts")] == [b.route for b in made.batches]


def test_territories_go_after_everything_else_and_targets_after_sources(plan: Planner) -> None:
    """
    Deletions come last, one level after another, and no call has two levels.

    A territory must stand while another is handed to it.
    """
    made = plan(
        [
            deletion("3", "4"),
            deletion("2", "3"),
            deletion("1", "2"),
            deletion("6"),
            deletion("5", "3"),
            *edges(101),
            territory("9", "1"),
        ]
    )
    steps = [step for step, _ in made.steps]

    assert [0, 0, 0, 1, 2, 3] == steps
    assert [[3, 4, 5], [2], [1]] == made.lines[3:]
    assert ["unlink", "remove_territories", "unlink"] == [b.spec for b in made.batches[:3]]


def test_second_calls_come_after_the_first_ones_of_others(plan: Planner) -> None:
    """
    Calls of one parent are spread: its second comes after the first of every other parent.

    Neighbours in the plan are sent at the same time, and would contend for the parent's lock.
    """
    made = plan(
        [
            *edges(5, path="Products/1/Deals"),
            *edges(4, path="Products/2/Deals", begin=50),
            *edges(1, path="Products/3/Deals", begin=90),
        ],
        limits=CallLimits(ids_per_call=2),
    )

    assert ["1", "2", "3", "1", "2", "1"] == [batch.route.record_id for batch in made.batches]


def test_an_empty_manifest_has_an_empty_plan(plan: Planner) -> None:
    """A header alone is no error: there is nothing to do."""
    made = plan("op,module,record_id,related_list,related_id\n")

    assert (0, (), {}) == (made.planned.rows, made.batches, made.refusals)


def test_an_empty_plan_has_a_digest(plan: Planner) -> None:
    """The log's header names the plan by its digest, and an empty one reads as no header."""
    assert plan("op,module,record_id,related_list,related_id\n").planned.digest


def test_another_plan_has_another_digest(plan: Planner) -> None:
    """Other calls, other refusals, or another order of rows are another plan."""
    rows = edges(4)
    plans = [
        plan(rows),
        plan(rows[::-1]),
        plan(rows, limits=CallLimits(ids_per_call=2)),
        plan([*rows, {"op": "delete"}]),
        plan([*rows, rows[0]]),
    ]

    assert len({made.planned.digest for made in plans}) == len(plans)


def test_the_summary_counts_what_the_plan_has(plan: Planner) -> None:
    """Rows, calls and refusals of each operation and module add up to those of the plan."""
    rows = [
        *edges(101),
        *edges(1),
        *edges(1, op="link", path="Leads/1/Campaigns"),
        *edges(1, path="Leads/1/Campaigns"),
        *edges(1, path="Accounts/1/Notes"),
        territory("1", "8"),
        deletion("5"),
        {"op": "nonsense"},
    ]
    made = plan(rows)
    shares = {
        (share.op, share.module): (
            share.rows,
            share.sent,
            share.calls,
            share.duplicates,
            share.conflicts,
            share.invalid,
        )
        for share in made.planned.summary.shares
    }

    assert {
        ("unlink", "Products"): (102, 101, 2, 1, 0, 0),
        ("unlink", "Leads"): (1, 0, 0, 0, 1, 0),
        ("link", "Leads"): (1, 0, 0, 0, 1, 0),
        ("unlink", "Accounts"): (1, 0, 0, 0, 0, 1),
        ("remove_territories", "Leads"): (1, 1, 1, 0, 0, 0),
        ("delete_territory", ""): (1, 1, 1, 0, 0, 0),
        ("", ""): (1, 0, 0, 0, 0, 1),
    } == shares
    assert len(made.batches) == made.planned.summary.total.calls


def test_calls_are_counted_whatever_else_a_row_says(plan: Planner) -> None:
    """A module in a row that needs none does not hide its calls from the plan's cost."""
    made = plan([deletion("5") | {"module": "Leads"}, deletion("6") | {"module": "Deals"}])

    assert len(made.batches) == made.planned.summary.total.calls


def test_no_deletion_of_a_territory_goes_first(plan: Planner) -> None:
    """Whatever else its row says, a territory is deleted after everything else, and once."""
    made = plan([deletion("5", "6") | {"module": name} for name in ("Leads", "Deals")])

    assert all(step > 0 for step, _ in made.steps)


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 125,000 rows: more than DuckDB gives to one thread."""
    file = tmp_path_factory.mktemp("skewed") / "manifest.csv"
    chance = random.Random(7)

    def rows() -> Iterator[str]:
        yield "op,module,record_id,related_list,related_id,territory_id,note\n"
        for number in range(125_000):
            parent = int(2000 * chance.random() ** 3)
            if number % 4 == 3:
                yield f"remove_territories,Leads,{parent},,,{number % 13},x\n"
            else:
                yield f"unlink,Products,{parent},Deals,{chance.randrange(40_000)},,x\n"

    file.write_text("".join(rows()), encoding="ascii")
    return file


def test_the_same_manifest_has_the_same_plan(
    skewed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned again, and by another number of threads, every byte that matters is the same."""
    connect = duckdb.connect
    found = []
    for threads in (1, 3):
        folder = tmp_path / f"{threads}"
        folder.mkdir()

        def with_threads(database: str, number: int = threads) -> duckdb.DuckDBPyConnection:
            return connect(database, config={"threads": number})

        monkeypatch.setattr(bulkops.files.planner.duckdb, "connect", with_threads)
        made = make_plan(
            inspect(skewed), Wanted(), plan=folder / "plan.parquet", rows=folder / "rows.parquet"
        )
        monkeypatch.undo()
        with connect(config={"threads": 1}) as connection:
            batches = connection.execute(
                "SELECT md5(string_agg(stored::VARCHAR, '|')) FROM read_parquet(?) AS stored",
                [str(folder / "plan.parquet")],
            ).fetchone()
        found.append((made.digest, made.summary, batches))

    assert found[0] == found[1]


def test_every_spec_has_a_limit() -> None:
    """No operation goes without a number of items a call, whatever is configured."""
    for limits in (CallLimits(), CallLimits(1, 1, contact_roles_bulk=True)):
        assert all(1 <= spec.capacity(limits) <= 100 for spec in SPECS.values())


def test_a_batch_is_of_one_route(plan: Planner) -> None:
    """Rows whose URL differs never share a call."""
    rows = [
        edges(1, op=op, path=f"{module}/{record}/{related}", begin=begin)[0]
        for op in ("unlink", "link")
        for module, related in (("Products", "Deals"), ("Products", "Leads"))
        for record in (1, 2)
        for begin in (1 if op == "link" else 100, 2 if op == "link" else 200)
    ]
    made = plan(rows)
    routes: dict[tuple[str, Route], list[Batch]] = defaultdict(list)
    for batch in made.batches:
        routes[batch.spec, batch.route].append(batch)
    columns: Mapping[int, dict[str, str]] = dict(enumerate(rows, 1))

    assert [1] * 8 == [len(batches) for batches in routes.values()]
    for (spec, route), (batch,) in routes.items():
        for each in batch.operations:
            row = columns[each.line]
            assert (spec, route.module, route.record_id, route.related_list, each.item) == (
                row["op"],
                row["module"],
                row["record_id"],
                row["related_list"],
                row["related_id"],
            )
