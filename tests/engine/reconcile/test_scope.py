"""
What DESIRED speaks for: nothing outside of it is touched, and no more than it takes is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkops.errors import ManifestError, UsageError
from tests.engine.reconcile.desk import Row, changes, desk, member, refused, territory, write_jsonl

_WORLD: dict[str, Any] = {
    "records": {"Leads": [str(n) for n in range(1000, 1300)], "Campaigns": ["1", "2", "3", "4"]},
    "relations": {
        "Campaigns/1/Leads": ["1000", "1001"],
        "Campaigns/2/Leads": ["1000"],
        "Campaigns/3/Leads": ["1002"],
    },
}


def _from_lead(lead: str, campaign: str) -> Row:
    row = {"module": "Leads", "record_id": lead, "related_list": "Campaigns"}
    return {**row, "related_id": campaign}


async def test_what_is_wished_alone_is_asked_from_the_cheaper_side(tmp_path: Path) -> None:
    """300 leads of two campaigns are six reads of a hundred ids, not 300; nothing is taken away."""
    leads = _WORLD["records"]["Leads"]
    desired = [_from_lead(lead, campaign) for lead in leads for campaign in ("1", "2")]
    async with desk(tmp_path, _WORLD) as here:
        found = await here.find(desired, prune=False)

        assert {("link", lead, campaign) for lead in leads for campaign in ("1", "2")} - {
            ("link", "1000", "1"),
            ("link", "1001", "1"),
            ("link", "1000", "2"),
        } == changes(found)
        assert {"/crm/v8/Campaigns/1/Leads": 3, "/crm/v8/Campaigns/2/Leads": 3} == {
            path: here.reads().count(path) for path in here.reads()
        }


async def test_where_something_may_be_taken_away_all_of_a_record_is_read(tmp_path: Path) -> None:
    """Another side, however cheap, does not tell all that a record of the scope holds."""
    async with desk(tmp_path, _WORLD) as here:
        found = await here.find([_from_lead("1000", "1"), _from_lead("1001", "1")])

        assert {("unlink", "1000", "2")} == changes(found)
        assert ["/crm/v8/Leads/1000/Campaigns", "/crm/v8/Leads/1001/Campaigns"] == sorted(
            here.reads()
        )


@pytest.mark.parametrize(
    "content",
    ["2\n\n4\n", "record_id\n2\n4\n", "module,record_id,related_list\nCampaigns,2,Leads\n"],
)
async def test_parents_are_in_the_scope_though_they_should_hold_nothing(
    tmp_path: Path, content: str
) -> None:
    """Ids a line or a column: what they hold is taken away; others are not read."""
    parents = tmp_path / "parents.csv"
    parents.write_text(content)
    async with desk(tmp_path, _WORLD) as here:
        desired = [member("1", "1000"), member("1", "1001")]
        found = await here.find(desired, parents=parents)

        assert {("unlink", "2", "1000")} == changes(found)
        assert "/crm/v8/Campaigns/3/Leads" not in here.reads()


@pytest.mark.parametrize(
    ("content", "desired", "words"),
    [
        ("2\nx\n", [member("1", "1000")], "line 2: found 'x', expected the id"),
        ("2\n", [member("1", "1000"), territory("7", "101")], "not said which module"),
        (
            "module,record_id\nAccounts,2\n",
            [member("1", "1000"), territory("7", "101")],
            "not said",
        ),
    ],
)
async def test_a_scope_is_not_guessed(
    tmp_path: Path, content: str, desired: list[Row], words: str
) -> None:
    """A record that cannot be told, or one whose territories may not be meant, ends it."""
    parents = tmp_path / "parents.csv"
    parents.write_text(content)
    async with desk(tmp_path, _WORLD) as here:
        with pytest.raises(ManifestError, match=words):
            await here.find(desired, parents=parents)
        assert [] == here.reads()


async def test_parents_without_prune_are_a_mistake(tmp_path: Path) -> None:
    """Nothing would be taken from them, so that somebody meant something else."""
    parents = tmp_path / "parents.csv"
    parents.write_text("2\n")
    async with desk(tmp_path, _WORLD) as here:
        with pytest.raises(UsageError, match="--prune"):
            await here.find([member("1", "1000")], parents=parents, prune=False)


async def test_territories_outside_the_scope_are_not_touched(tmp_path: Path) -> None:
    """A row about one is refused with its line; what is held of others stays."""
    world = {
        "territories": [
            {"id": "100", "name": "All", "parent_id": None},
            *({"id": str(n), "name": str(n), "parent_id": "100"} for n in range(101, 105)),
        ],
        "record_territories": {"Accounts": {"1": ["101", "102", "103"], "2": ["101"]}},
    }
    async with desk(tmp_path, world) as here:
        desired = [territory("1", "102"), territory("2", "104")]
        found = await here.find(desired, territories=frozenset({"101", "102"}))

        assert {("remove_territories", "1", "101")} == changes(found)
        assert {2: "outside_scope"} == refused(found)
        assert found.at_best == 3


async def test_a_snapshot_is_believed_in_place_of_reading(tmp_path: Path) -> None:
    """No call is made; what the snapshot knows beyond the scope does not matter."""
    snapshot = tmp_path / "actual.jsonl"
    write_jsonl(snapshot, [member("1", "1001", "Active"), member("3", "1005", "Active")])
    async with desk(tmp_path, _WORLD) as here:
        found = await here.find([member("1", "1000", "Active")], actual=snapshot)

        assert {("link", "1", "1000", "Active"), ("unlink", "1", "1001")} == changes(found)
        assert [] == here.reads()

        write_jsonl(snapshot, [member("1", "1001"), member("1", "4.1E+18")])
        with pytest.raises(
            ManifestError, match=r"line 2: related_id '4\.1E\+18' is a number mangled"
        ):
            await here.find([member("1", "1000", "Active")], actual=snapshot)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**member("1", "1000"), "op": "link"}, "line 1 has an op"),
        ({"Deal": "1", "Product": "2"}, "expected also"),
    ],
)
async def test_a_file_that_is_no_list_of_what_should_be_is_refused(
    tmp_path: Path, row: Row, words: str
) -> None:
    """A manifest of operations, or a file of other columns, is a mistake of the whole."""
    async with desk(tmp_path, _WORLD) as here:
        with pytest.raises(ManifestError, match=words):
            await here.find([row])


async def test_rows_that_say_nothing_are_listed_and_keep_what_their_record_holds(
    tmp_path: Path,
) -> None:
    """A mangled id and a contradiction: with line and code; their records lose nothing."""
    desired = [
        member("1", "1000"),
        member("1", "4.15E+18"),
        member("2", "1001", "Active"),
        _from_lead("1001", "2") | {"Member_Status": "Planning"},
        member("2", "1003"),
        member("3", "1003"),
    ]
    async with desk(tmp_path, _WORLD) as here:
        found = await here.find(desired)

        assert {
            ("link", "2", "1003"),
            ("link", "3", "1003"),
            ("unlink", "3", "1002"),
        } == changes(found)
        assert {2: "mangled_number", 3: "contradiction", 4: "contradiction"} == refused(found)
        assert found.at_best == 3


async def test_a_field_that_the_server_does_not_show_is_not_written_blindly(
    tmp_path: Path,
) -> None:
    """It cannot be compared, so that every night would update it: the record is unread."""
    world = {
        "relations": {"Products/1/Price_Books": {"5": {"list_price": 10}, "6": {"list_price": 7}}}
    }
    where = {"module": "Products", "record_id": "1", "related_list": "Price_Books"}
    desired = [
        {**where, "related_id": "5", "list_price": "10.00"},
        {**where, "related_id": "6", "list_price": "8"},
    ]
    async with desk(tmp_path, world) as here:
        found = await here.find(desired)
        assert {("link", "1", "6")} == changes(found)
        snapshot = tmp_path / "actual.jsonl"
        write_jsonl(snapshot, [{**where, "related_id": "5"}, {**where, "related_id": "6"}])
        found = await here.find(desired, actual=snapshot)
        assert set() == changes(found)
        assert 1 == found.numbers.unread


async def test_a_value_of_nothing_is_a_value(tmp_path: Path) -> None:
    """0 and false are wished like any other; an empty cell wishes nothing."""
    world = {"relations": {"Products/1/Price_Books": {"5": {"list_price": 3}, "6": None}}}
    where = {"module": "Products", "record_id": "1", "related_list": "Price_Books"}
    desired = [
        {**where, "related_id": "5", "list_price": 0},
        {**where, "related_id": "6", "list_price": ""},
    ]
    async with desk(tmp_path, world) as here:
        found = await here.find(desired)
        (row,) = found.changes.read_text().splitlines()
        assert '"list_price":"0"' in row or '"list_price":0' in row


async def test_a_renamed_column_is_not_a_field_by_its_own_name(tmp_path: Path) -> None:
    """`Status` read as `Member_Status` does not wish a `Status`, which nobody would have."""
    row = {**member("1", "1000"), "Status": "Active"}
    async with desk(tmp_path, _WORLD) as here:
        found = await here.find([row], columns={"Member_Status": "Status"}, prune=False)
        assert {("link", "1", "1000", "Active")} == changes(found)
        assert ("Member_Status",) == found.fields
        found = await here.find([row], prune=False)
        assert ("Status",) == found.fields
