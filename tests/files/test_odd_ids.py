"""Ids that are legal and look wrong beside the others: told with their lines, never refused."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from bulkops.files.manifest import inspect
from bulkops.files.odd_ids import Hint, find_hints
from bulkops.files.planner import Wanted, make_plan

Rows = Iterable[Sequence[object]]
Finder = Callable[..., tuple[Hint, ...]]

_HEADER = ("op", "module", "record_id", "related_list", "related_id", "territory_id")
#: Ids of one organisation, that end as chance will have it.
_CHANCE = random.Random(11)
LEADS = [f"4150868{each:012}" for each in _CHANCE.sample(range(10**6, 10**9), 400)]
CAMPAIGNS = [f"4150868{each:012}" for each in _CHANCE.sample(range(10**9, 10**10), 400)]


def unlink(
    record: object, related: object, module: str = "Leads", listed: str = "Campaigns"
) -> Sequence[object]:
    return ("unlink", module, record, listed, related, "")


def remove(record: object, territories: object) -> Sequence[object]:
    return ("remove_territories", "Leads", record, "", "", territories)


#: Nothing is wrong with these.
SOUND = [unlink(lead, campaign) for lead, campaign in zip(LEADS, CAMPAIGNS, strict=True)]


@pytest.fixture(scope="module")
def hints(tmp_path_factory: pytest.TempPathFactory) -> Finder:
    """Return a function that plans rows and returns what it is told about their ids."""

    def found(rows: Rows) -> tuple[Hint, ...]:
        folder = tmp_path_factory.mktemp("odd")
        with (folder / "m.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([_HEADER, *rows])
        stored = folder / "rows.parquet"
        make_plan(inspect(folder / "m.csv"), Wanted(), plan=folder / "plan.parquet", rows=stored)
        return find_hints(stored, temp_directory=folder)

    return found


def test_sound_ids_give_no_hint(hints: Finder) -> None:
    """Ids of one organisation, of one length, each of one module."""
    assert () == hints([*SOUND, *(remove(lead, CAMPAIGNS[0]) for lead in LEADS)])


def test_small_ids_give_no_hint(hints: Finder) -> None:
    """An emulated organisation may number its records from 1."""
    assert () == hints([unlink(n, n + 1) for n in range(1, 400)])


def test_a_few_rows_give_no_hint(hints: Finder) -> None:
    """Nine ids that are alike are not enough to call another one odd."""
    assert () == hints([*SOUND[:4], unlink("3650868000000300001", "42")])


def test_ids_that_lack_digits_are_told(hints: Finder) -> None:
    """A spreadsheet, or a column cut to a width, takes leading digits; the first lines are told."""
    short = [unlink(lead[-9:].lstrip("0"), campaign) for _, _, lead, _, campaign, _ in SOUND[:5]]

    assert (
        Hint(
            "short_id",
            "record_id",
            5,
            (401, 402, 403),
            "shorter by 4 digits or more than the 19 of the others; were leading digits lost?",
        ),
    ) == hints([*SOUND, *short])


def test_ids_of_another_organisation_are_told(hints: Finder) -> None:
    """By the digits before the last twelve, which all others share; in lists of ids too."""
    rows = [
        *SOUND,
        unlink(LEADS[0], "3650868000000123457"),
        remove("3650868000000123459", f"{CAMPAIGNS[0]};3650868000000123461"),
    ]
    words = "not beginning with 4150868 as the others do; are they of another organisation?"

    assert (
        Hint("other_organisation", "record_id", 1, (402,), words),
        Hint("other_organisation", "related_id", 1, (401,), words),
        Hint("other_organisation", "territory_id", 1, (402,), words),
    ) == hints(rows)


def test_without_a_clear_majority_no_organisation_is_the_other(hints: Finder) -> None:
    """Two organisations in one file may be meant; which is the wrong one nobody can say."""
    other = [unlink(f"3{lead[1:]}", f"3{campaign[1:]}") for _, _, lead, _, campaign, _ in SOUND]

    assert () == hints([*SOUND, *other[:100]])


def test_ids_rounded_by_a_spreadsheet_are_told(hints: Finder) -> None:
    """It keeps 15 digits, and the rest are zeros, which any pattern of digits lets through."""
    rounded = [unlink(lead, campaign[:15] + "0000") for _, _, lead, _, campaign, _ in SOUND[:9]]

    assert (
        Hint(
            "rounded_id",
            "related_id",
            9,
            (401, 402, 403),
            "having only zeros after the 15th digit, as a spreadsheet leaves them; were their"
            " last digits lost?",
        ),
    ) == hints([*SOUND, *rounded])


def test_one_id_that_ends_in_zeros_is_chance(hints: Finder) -> None:
    """However many rows it has: different ids are counted, not rows."""
    assert () == hints([*SOUND, *(unlink("4150868000000300000", each) for each in CAMPAIGNS)])


def test_ids_rounded_by_a_program_are_told(hints: Finder) -> None:
    """A number with a decimal point holds few ids of 19 digits: most of those here are it."""
    rounded = [unlink(int(float(lead)), campaign) for _, _, lead, _, campaign, _ in SOUND]
    (hint,) = hints(rounded)

    assert ("rounded_id", "record_id", (1, 2, 3)) == (hint.code, hint.column, hint.lines)
    assert (
        "that numbers with a decimal point can hold, which few ids are; did a program round them?"
        == hint.words
    )
    assert 395 < hint.count <= 400


def test_a_record_of_two_modules_is_told(hints: Finder) -> None:
    """Whichever column is wrong: an id is of one record, and that is in one module."""
    rows = [*SOUND, unlink(CAMPAIGNS[3], LEADS[5]), unlink(CAMPAIGNS[4], LEADS[6])]

    assert (
        Hint(
            "two_modules",
            "",
            4,
            (6, 401),
            f"that are records of two modules, such as {LEADS[5]} of Campaigns and of Leads;"
            " were record and related record swapped?",
        ),
    ) == hints(rows)


def test_a_relation_from_both_sides_is_no_contradiction(hints: Finder) -> None:
    """Nor are two names of one module, nor a list that says nothing about a module."""
    rows = [
        *(unlink(CAMPAIGNS[n + 50], LEADS[n], "Campaigns", "Leads") for n in range(50)),
        *SOUND,
    ]

    assert () == hints(rows)
    ids = [f"4150868{each:012}" for each in _CHANCE.sample(range(10**6, 10**9), 40)]
    assert () == hints(
        [
            *(unlink(ids[0], each, "Products", "Deals") for each in ids[1:]),
            *(unlink(each, ids[0], "Potentials", "Products") for each in ids[1:]),
        ]
    )


def test_rows_that_are_not_sent_say_nothing(hints: Finder) -> None:
    """What is refused has its own reason already."""
    assert () == hints([*SOUND, *(unlink("12", "x") for _ in range(9))])


def test_hints_are_json_and_back(hints: Finder) -> None:
    """They are stored with the plan, and shown again by the same command."""
    (hint,) = hints([*SOUND, unlink("300001", CAMPAIGNS[0])])

    assert hint == Hint.from_json(hint.to_json())
    assert ["code", "column", "count", "lines", "words"] == list(hint.to_json())


def test_nothing_is_left_of_looking(hints: Finder, tmp_path: Path) -> None:
    """What spilled to the disk is gone."""
    hints(SOUND)
    (tmp_path / "m.csv").write_text(",".join(_HEADER) + "\n", encoding="utf-8")
    rows = tmp_path / "rows.parquet"
    make_plan(inspect(tmp_path / "m.csv"), Wanted(), plan=tmp_path / "plan", rows=rows)
    before = sorted(tmp_path.iterdir())

    assert () == find_hints(rows, temp_directory=tmp_path)
    assert before == sorted(tmp_path.iterdir())
