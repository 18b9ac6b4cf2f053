"""Worlds as values: relations, seeds, snapshots, generated worlds."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bulkops.emulator
from bulkops.emulator import (
    SeedError,
    World,
    WorldSize,
    generate,
    load_world,
    world_from,
    write_world,
)

SIZE = WorldSize(
    leads=20, contacts=20, accounts=20, deals=200, products=20, campaigns=5, links=500,
    members=40, roles=30, territories=12, assigned=0.5, automatic=0.2, skew=1.2,
)  # fmt: skip
FULL: dict[str, Any] = {
    "name": "Acme",
    "id": 77,
    "edition": "standard",
    "users": 5,
    "clients": [{"client_id": "a", "client_secret": "b", "refresh_token": "c"}],
    "records": {"Leads": [1, "2"], "Contacts": {"5": {"Email": "x"}}},
    "custom_relations": [["Courses", "Students", "Contacts", "Courses_Booked"]],
    "relations": {"Products/9/Deals": ["4", 8], "Courses/3/Students": {"5": {"Grade": 1}}},
    "roles": {"90": "Buyer"},
    "contact_roles": {"4": {"5": "90"}},
    "removed_roles": [["8", "5"]],
    "territories": [{"id": 100, "name": "All"}, {"id": "101", "name": "W", "parent_id": 100}],
    "record_territories": {"Leads": {"1": ["101"], "2": {"101": "automatically"}}},
    "jobs": [{"id": "7", "module": "Leads", "record_id": "1", "kind": "manual_territory_removal",
              "territories": ["101"], "due": 5.0}],
    "last_job": 7,
    "rights": {"denied": ["Leads.delete"], "territory_management": "disabled"},
}  # fmt: skip


def through_json(world: World) -> World:
    return world_from(orjson.loads(orjson.dumps(write_world(world))))


@pytest.mark.parametrize(
    "world",
    [
        World(),
        world_from(FULL),
        generate(SIZE),
        world_from({"organisations": {"a": {"clients": [{"client_id": "x"}]}, "b": {}}}),
    ],
    ids=["empty", "full", "generated", "several"],
)
def test_a_snapshot_is_a_seed(world: World) -> None:
    """Reading what was written gives the same world."""
    assert write_world(through_json(world)) == write_world(world)


def test_links_imply_their_records() -> None:
    """A seed of links need not list records, and ids may be numbers."""
    world = world_from(FULL)

    assert world.organisation.has_record("Deals", "8")
    assert world.organisation.sides["Deals", "Products"].related("8") == {"9": None}
    assert world.organisation.sides["Contacts", "Courses_Booked"].related("5") == {
        "3": {"Grade": 1}
    }


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ([], "world: found list, expected an object"),
        ({"organisations": {}, "records": {}}, "expected `organisations` alone"),
        ({"edition": "gold"}, "edition: found 'gold', expected one of"),
        ({"records": {"Leads": ["x1"]}}, "records.Leads: found 'x1', expected an id of digits"),
        ({"records": {"Leads": ["\u0661"]}}, "records.Leads: found '\u0661', expected"),
        ({"records": {"Leads": ["1" * 21]}}, "expected at most 20 digits"),
        ({"clients": [{"client_id": "a", "tokens": []}]}, "clients.tokens: found list, expected"),
        ({"records": {"Leads": 5}}, "records.Leads: found int, expected a list"),
        ({"relations": {"Leads/1/Deals": []}}, "expected a known module/id/related_list"),
        ({"relations": {"Deals/1/Contact_Roles": []}}, "expected a known module/id/related_list"),
        ({"custom_relations": [["a"]]}, "expected lists of 4"),
        ({"custom_relations": [["Leads", "Products", "X", "Y"]]}, "exists already"),
        ({"contact_roles": {"1": {"2": "3"}}}, "role 3 is not in `roles`"),
        ({"record_territories": {"Leads": {"1": ["2"]}}}, "2 is not in `territories`"),
        ({"rights": {"denyed": []}}, "unknown"),
        ({"organisations": {"a": {}, "b": {}}}, "belongs to two organisations"),
        (
            {"clients": [{"client_id": each, "access_token": "t"} for each in "ab"]},
            "an access token belongs to two clients",
        ),
    ],
)
def test_bad_seeds(seed: Any, message: str) -> None:
    """The message names the place, what was found and what was expected."""
    with pytest.raises(ValueError, match=re.escape(message)):
        world_from(seed)


def test_a_world_from_a_file(tmp_path: Path) -> None:
    """The file's name is in the message when it cannot be read."""
    path = tmp_path / "world.json"
    path.write_bytes(orjson.dumps(FULL))
    assert write_world(load_world(path)) == write_world(world_from(FULL))

    path.write_text("{")
    with pytest.raises(SeedError, match=r"world\.json: not JSON"):
        load_world(path)
    path.write_text('{"x": 1}')
    with pytest.raises(SeedError, match=r"world\.json: default: unknown keys"):
        load_world(path)


def test_generated_worlds_have_their_size_and_repeat() -> None:
    """The same size and seed give the same world; another seed another."""
    world = generate(SIZE, seed=1)
    held = world.organisation
    side = held.sides["Products", "Deals"]
    links = [len(side.related(each)) for each in held.records["Products"]]

    assert (sum(links), len(held.territories)) == (500, 13)
    assert max(links) > 3 * min(links)
    assert write_world(generate(SIZE, seed=1)) == write_world(world)
    assert write_world(generate(SIZE, seed=2)) != write_world(world)


def test_a_full_relation_can_be_generated() -> None:
    """As many links as there are pairs."""
    world = generate(WorldSize(products=5, deals=4, links=20, skew=3.0))

    side = world.organisation.sides["Products", "Deals"]
    assert all(len(side.related(each)) == 4 for each in side.parents())
    assert sum(1 for _ in side.parents()) == 5


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"products": 2, "deals": 2, "links": 5}, "expected at most 4"),
        ({"roles": 1}, "1 roles for 0 deals and 0 contacts"),
        ({"produce": 1}, "world size 'produce': unknown"),
        ({"deals": "x"}, "found 'x', expected a number from 0"),
    ],
)
def test_impossible_sizes(size: dict[str, Any], message: str) -> None:
    """Said before anything is made."""
    with pytest.raises(ValueError, match=message):
        generate(WorldSize.from_mapping(size))


Step = tuple[str, bool, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["link", "unlink"]), st.booleans(), st.integers(0, 4), st.integers(0, 4)
    )
)


@given(STEPS)
def test_both_sides_are_one_relation(steps: list[Step]) -> None:
    """Whatever is linked or unlinked from either side, both sides show the same pairs."""
    held = World().organisation
    products, deals = held.sides["Products", "Deals"], held.sides["Deals", "Products"]
    pairs: set[tuple[str, str]] = set()
    for what, turned, left, right in steps:
        pair = (str(left), str(right))
        side, near, far = (deals, *pair[::-1]) if turned else (products, *pair)
        if what == "link":
            assert side.link(near, far, None) == (pair not in pairs)
            pairs.add(pair)
        else:
            assert side.unlink(near, [far, far]) == ({1} if pair in pairs else {0, 1})
            pairs.discard(pair)
        assert pairs == {(p, d) for p in products.parents() for d in products.related(p)}
        assert pairs == {(p, d) for d in deals.parents() for p in deals.related(d)}


PACKAGE = Path(bulkops.emulator.__file__).parent


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_the_emulator_is_an_island(path: Path) -> None:
    """It imports the standard library, aiohttp, orjson, structlog and itself."""
    import sys

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            root = name.split(".")[0]
            assert (
                root in sys.stdlib_module_names
                or root in {"aiohttp", "orjson", "structlog"}
                or name.startswith("bulkops.emulator")
            ), name
