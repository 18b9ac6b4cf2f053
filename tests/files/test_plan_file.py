"""Reading a stored plan back: every batch in order, and every row that is not sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.errors import CheckpointError
from bulkops.files.manifest import inspect
from bulkops.files.plan_file import read_batches, read_refusals
from bulkops.files.planner import Wanted, make_plan
from bulkops.files.planner.rows import refused_beside
from bulkops.model import Batch, Operation, Outcome, Route, Status
from bulkops.rules.line_set import LineSet

_HEADER = "op,module,record_id,related_list,related_id,territory_id,transfer_to_id,role_id,Status\n"


def stored(folder: Path, rows: str) -> tuple[Path, Path]:
    """Plan rows and return where the batches and the rows are stored."""
    folder.mkdir(exist_ok=True)
    file = folder / "manifest.csv"
    file.write_text(_HEADER + rows, encoding="utf-8")
    plan, judged = folder / "plan.parquet", folder / "rows.parquet"
    make_plan(inspect(file), Wanted(), plan=plan, rows=judged)
    return plan, judged


def test_batches_come_with_all_they_say(tmp_path: Path) -> None:
    """Route, items, members and fields are as planned; what a row leaves open is left out."""
    plan, _ = stored(
        tmp_path,
        "link,Leads,1,Campaigns,2,,,,\n"
        "link,Leads,1,Campaigns,3,,,,Active\n"
        "link,Deals,4,Contact_Roles,5,,,6,\n"
        "remove_territories,Leads,7,,,9;8,,,\n"
        "delete_territory,,,,,10,11,,\n"
        "delete_territory,,,,,11,,,\n",
    )

    assert [
        (
            0,
            Batch(
                1,
                "link",
                Route("Leads", "1", "Campaigns"),
                (Operation(1, "2"), Operation(2, "3", fields={"Status": "Active"})),
                2,
            ),
        ),
        (
            0,
            Batch(
                2,
                "link_contact_role",
                Route("Deals", "4", "Contact_Roles"),
                (Operation(3, "5", fields={"role_id": "6"}),),
                1,
            ),
        ),
        (
            0,
            Batch(3, "remove_territories", Route("Leads"), (Operation(4, "7", ("8", "9")),), 1),
        ),
        (
            1,
            Batch(
                4,
                "delete_territory",
                Route(),
                (
                    Operation(
                        5,
                        "10",
                        fields={"transfer_to_id": "11", "delete_previous_forecasts": "false"},
                    ),
                ),
                1,
            ),
        ),
        (
            2,
            Batch(
                5,
                "delete_territory",
                Route(),
                (Operation(6, "11", fields={"delete_previous_forecasts": "false"}),),
                1,
            ),
        ),
    ] == list(read_batches(plan))


def test_lines_and_ids_come_as_they_are_however_they_are_stored(tmp_path: Path) -> None:
    """Lines that follow each other or do not, ids that are numbers or too long to be one."""
    longest = "99999999999999999999"
    plan, _ = stored(
        tmp_path,
        "unlink,Products,1,Deals,5,,,,\n"
        "unlink,Products,1,Deals,3,,,,\n"
        "unlink,Products,2,Deals,7,,,,\n"
        "unlink,Products,1,Deals,4,,,,\n"
        "unlink,Products,2,Deals,8,,,,\n",
    )
    long, _ = stored(
        tmp_path / "long",
        f"unlink,Products,1,Deals,{longest},,,,\nunlink,Products,1,Deals,5,,,,\n",
    )

    apart = [dict(each[:2] for each in batch.operations) for _, batch in read_batches(plan)]
    together = [dict(each[:2] for each in batch.operations) for _, batch in read_batches(long)]
    assert [{1: "5", 2: "3", 4: "4"}, {3: "7", 5: "8"}] == apart
    assert [{1: longest, 2: "5"}] == together


def test_batches_come_in_order_however_many_there_are(tmp_path: Path) -> None:
    """Numbers count from 1 without a gap, over several readings of the file."""
    rows = [f"unlink,Leads,{number},Campaigns,{number},,,,\n" for number in range(1, 301)]
    plan, _ = stored(tmp_path, "".join(rows))
    found = [(batch.number, batch.route.record_id) for _, batch in read_batches(plan)]

    assert [(number, str(number)) for number in range(1, 301)] == found


def test_batches_that_are_settled_are_passed_over(tmp_path: Path) -> None:
    """A batch comes whole as long as one of its lines is open, and not at all after that."""
    lines = {1: [1, 2], 2: [3, 4], 3: [5], 4: [6]}
    rows = [
        f"unlink,Leads,{record},Campaigns,{line},,,,\n"
        for record, carried in lines.items()
        for line in carried
    ]
    plan, _ = stored(tmp_path, "".join(rows))
    left = {
        (): [1, 2, 3, 4],
        (1,): [1, 2, 3, 4],
        (3, 4): [1, 3, 4],
        (1, 2, 3): [2, 3, 4],
        (6, 900): [1, 2, 3],
        (1, 2, 3, 4, 5, 6): [],
    }
    for settled, numbers in left.items():
        done = LineSet()
        for line in settled:
            done.add(line)
        found = {
            batch.number: [each.line for each in batch.operations]
            for _, batch in read_batches(plan, done)
        }

        assert {number: lines[number] for number in numbers} == found


def test_two_may_read_at_a_time(tmp_path: Path) -> None:
    """Each reading has its own place in the plan."""
    rows = [f"unlink,Leads,{number},Campaigns,2,,,,\n" for number in range(1, 101)]
    plan, _ = stored(tmp_path, "".join(rows))
    together = zip(read_batches(plan), read_batches(plan), strict=True)

    assert all(one == other for one, other in together)


def test_refusals_come_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    """Every row that is not sent has its outcome, thousands of them too."""
    good, bad = "unlink,Leads,1,Campaigns,2,,,,\n", "unlink,Leads,x,Campaigns,2,,,,\n"
    _, rows = stored(tmp_path, good + bad * 7000 + good)
    words = "record_id 'x' is not an id; expected digits, at most 20"
    invalid = [Outcome(line, Status.INVALID, "not_an_id", words) for line in range(2, 7002)]

    assert [*invalid, Outcome(7002, Status.DUPLICATE, of_line=1)] == list(read_refusals(rows))


def test_a_plan_without_calls_is_empty(tmp_path: Path) -> None:
    """A manifest of bad rows alone has no batch, and one without rows has no refusal either."""
    plan, rows = stored(tmp_path / "bad", "unlink,Leads,x,Campaigns,2,,,,\n")
    assert ([], [1]) == (list(read_batches(plan)), [each.line for each in read_refusals(rows)])

    plan, rows = stored(tmp_path / "empty", "")
    assert ([], []) == (list(read_batches(plan)), list(read_refusals(rows)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("it's", 'a "run"', id="quotes"),
        pytest.param("step=1", "spec=x", id="like partitions"),
        pytest.param("run[1]", "run1", id="brackets"),
        pytest.param("run*", "run-2", id="star"),
    ],
)
def test_a_plan_is_read_from_its_own_folder(tmp_path: Path, one: str, other: str) -> None:
    """Whatever a run directory is called, no other run's plan is read in its place."""
    (tmp_path / one).mkdir()
    (tmp_path / other).mkdir()
    plan, rows = stored(tmp_path / one, "unlink,Leads,1,Campaigns,2,,,,\nunlink,,,,,,,,\n")
    stored(tmp_path / other, "unlink,Leads,9,Campaigns,2,,,,\n")

    assert ["1"] == [batch.route.record_id for _, batch in read_batches(plan)]
    assert [2] == [each.line for each in read_refusals(rows)]


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_plan_is_told_in_our_words(tmp_path: Path, damage: str) -> None:
    """A plan that cannot be read ends the command with one of our errors, naming the file."""
    plan, rows = stored(tmp_path, "unlink,Leads,1,Campaigns,2,,,,\n")
    refused = refused_beside(rows)
    for file in (plan, refused):
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointError) as by_batches:
        list(read_batches(plan))
    with pytest.raises(CheckpointError) as by_rows:
        list(read_refusals(rows))

    for file, caught in ((plan, by_batches), (refused, by_rows)):
        words = str(caught.value)
        assert words.startswith(f"{file}: the plan cannot be read (")
        assert words.endswith("). Without it the run cannot go on; start over with --new.")
