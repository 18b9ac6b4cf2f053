"""Worlds from rows: CSV and JSON lines, as exports and manifests have them."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from bulkops.emulator import SeedError, World, load_saved, load_world, save_world, write_world

CSV = """\
op;module;record_id;related_list;related_id;territory_id;role_id;Member_Status;name;parent_id
unlink;Products;5;Deals;1;;;;;
unlink;Products;5;Deals;2;;;;;
link;Leads;7;Campaigns;8;;;Active;;
link;Deals;1;Contact_Roles;9;;90;;;
remove_territories;Leads;7;;;101;;;;
remove_territories;Leads;8;;;101;102;;;
;Accounts;4;;;;;;Acme;
;;;;;101;;;West;100
;;;;;100;;;All;
"""
JSONL = """\
{"role_id": "90", "role_name": "Buyer"}
{"module": "Deals", "record_id": 1, "related_list": "Contact_Roles", "related_id": 9, "role_id": 90}

{"module": "Leads", "record_id": "7", "Last_Name": "Doe", "Old_Id": "x"}
{"module": "Leads", "record_id": "7", "territory_id": "101;102", "assigned": "automatically"}
"""


def read(tmp_path: Path, name: str, text: str) -> World:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_world(path)


def test_a_manifest_is_a_world(tmp_path: Path) -> None:
    """Relations, roles, assignments, records and territories; the columns decide."""
    world = write_world(read(tmp_path, "manifest.csv", CSV))

    assert world["relations"] == {
        "Products/5/Deals": ["1", "2"],
        "Leads/7/Campaigns": {"8": {"Member_Status": "Active"}},
    }
    assert world["contact_roles"] == {"1": {"9": "90"}}
    assert world["roles"] == {"90": "Role 90"}
    assert world["records"]["Accounts"] == {"4": {"name": "Acme"}}
    assert world["record_territories"] == {
        "Leads": {"7": {"101": "manually"}, "8": {"101": "manually"}}
    }
    names = {each["id"]: (each["name"], each["parent_id"]) for each in world["territories"]}
    assert (names["101"], names["100"]) == (("West", "100"), ("All", None))


def test_json_lines(tmp_path: Path) -> None:
    """Ids may be numbers; territories that nothing describes hang under the organisation's own."""
    world = write_world(read(tmp_path, "world.jsonl", JSONL))

    assert (world["roles"], world["contact_roles"]) == ({"90": "Buyer"}, {"1": {"9": "90"}})
    assert world["records"]["Leads"] == {"7": {"Last_Name": "Doe", "Old_Id": "x"}}
    assert world["record_territories"]["Leads"]["7"] == {
        "101": "automatically",
        "102": "automatically",
    }
    assert [each["parent_id"] for each in world["territories"]] == [None, *["7000000001"] * 2]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "{", r"a\.jsonl: line 1: not JSON"),
        ("a.jsonl", "\n[1]", r"a\.jsonl: line 2: found list, expected an object"),
        ("a.jsonl", '{"x": 1}', r"line 1: found the columns \['x'\], expected `module`"),
        ("a.csv", "module,record_id\nLeads,1x\n", r"a\.csv: line 2: record_id: found '1x'"),
        ("a.csv", "module,record_id\nLeads,\n", r"line 2: record_id: found None"),
        (
            "a.csv",
            "module,record_id,related_list,related_id\nLeads,1,Deals,2\n",
            r"line 2: found 'Leads' and 'Deals', expected a module and its list",
        ),
        (
            "a.csv",
            "module,record_id,territory_id,assigned\nLeads,1,2,no\n",
            r"assigned: found 'no', expected one of",
        ),
        (
            "a.csv",
            "module,record_id,related_list,related_id\nDeals,1,Contact_Roles,2\n",
            r"role_id: found None, expected an id of digits",
        ),
    ],
)
def test_bad_rows(tmp_path: Path, name: str, text: str, message: str) -> None:
    """The message names the file, the line, what was found and what was expected."""
    with pytest.raises(SeedError, match=message):
        read(tmp_path, name, text)


def test_bad_rows_of_a_manifest_are_left_out(tmp_path: Path) -> None:
    """Real manifests have them, and are to be rehearsed with all the same."""
    text = (
        "op,module,record_id,related_list,related_id\n"
        "unlink,Products,5,Deals,1\nunlink,Products,4.15E+18,Deals,2\nTotal,,,,30\n"
    )
    with structlog.testing.capture_logs() as said:
        world = read(tmp_path, "a.csv", text)
    assert {"Products/5/Deals": ["1"]} == write_world(world)["relations"]
    assert [("seed.left_out", 2)] == [(each["event"], each["rows"]) for each in said]
    assert said[0]["first"].startswith("line 3: record_id: found '4.15E+18'")


def test_a_saved_world_is_whole_or_not_there(tmp_path: Path) -> None:
    """It is written beside and moved into place; what is saved is what is loaded."""
    world = read(tmp_path, "world.jsonl", JSONL)
    path = tmp_path / "kept.json"

    save_world(world, path, now=1_700_000_000.0)
    save_world(world, path, now=1_700_000_001.0)
    loaded, saved_at = load_saved(path)

    assert (write_world(loaded), saved_at) == (write_world(world), 1_700_000_001.0)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["kept.json", "world.jsonl"]
