"""Rows that are no operation: each is `invalid`, with its line, a code, and words to act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bulkops.model import Outcome, Status
from bulkops.rules.operations import OPS

_OPS = ", ".join(OPS)
_UNLINK = {
    "op": "unlink",
    "module": "Leads",
    "record_id": "1",
    "related_list": "Campaigns",
    "related_id": "2",
}
_ROLE = {
    "op": "link",
    "module": "Deals",
    "record_id": "1",
    "related_list": "Contact_Roles",
    "related_id": "2",
}
_REMOVE = {"op": "remove_territories", "module": "Leads", "record_id": "1", "territory_id": "9"}
_DELETE = {"op": "delete_territory", "territory_id": "5"}
_UNSAFE = (
    " is not a relation that the API documents for unlinking. Where a list owns its records "
    "(Notes, Attachments) the same call may delete the record itself. If this list only relates "
    "records, declare it under [relations]"
)
_NOT_DIGITS = "is not an id; expected digits, at most 20"
_MANGLED = (
    "is a number mangled by a spreadsheet: its last digits are lost; expected the id as digits"
)
_DECIMAL = "is a number with a decimal part, as spreadsheets write it; expected the id as digits"
_SPACED = "has white space around it; expected digits alone"
_SEVERAL = "looks like several ids; expected one"
_EXPORTED = "has the prefix of an export by Zoho; expected the digits after zcrm_ alone"
_KEPT_AS_TEXT = "has the marks by which a spreadsheet keeps text; expected the digits alone"
_THOUSANDS = "is a number with separators of thousands, or several ids; expected the id as digits"
_NOT_A_LIST = "is not a list of ids; expected an id, ids joined with ;, or a JSON list of ids"
_WITH_TERRITORIES = "Leads or Accounts or Contacts or Deals"
_NOT_A_NAME = "is not an API name; expected letters, digits and _, at most 100"

#: What is wrong -> the row, the code and the words.
BAD: Mapping[str, tuple[dict[str, str], str, str]] = {
    "no op": (_UNLINK | {"op": ""}, "missing_op", f"op is empty; expected {_OPS}"),
    "unknown op": (
        _UNLINK | {"op": "delete"},
        "unknown_op",
        f"'delete' is not an operation; expected {_OPS}",
    ),
    "op in other letters": (
        _UNLINK | {"op": "Unlink"},
        "unknown_op",
        f"'Unlink' is not an operation; expected {_OPS}",
    ),
    "empty module": (
        _UNLINK | {"module": ""},
        "missing_value",
        "module is empty; unlink needs module, record_id, related_list, related_id",
    ),
    "empty id": (
        _UNLINK | {"record_id": ""},
        "missing_value",
        "record_id is empty; unlink needs module, record_id, related_list, related_id",
    ),
    "empty related list": (
        _UNLINK | {"related_list": ""},
        "missing_value",
        "related_list is empty; unlink needs module, record_id, related_list, related_id",
    ),
    "empty related id": (
        _UNLINK | {"op": "link", "related_id": ""},
        "missing_value",
        "related_id is empty; link needs module, record_id, related_list, related_id",
    ),
    "letters": (
        _UNLINK | {"record_id": "lead_12"},
        "not_an_id",
        f"record_id 'lead_12' {_NOT_DIGITS}",
    ),
    "a sign": (_UNLINK | {"related_id": "-5"}, "not_an_id", f"related_id '-5' {_NOT_DIGITS}"),
    "digits of another script": (
        _UNLINK | {"related_id": "\uff11\uff12"},
        "not_an_id",
        f"related_id '\uff11\uff12' {_NOT_DIGITS}",
    ),
    "an apostrophe of a spreadsheet": (
        _UNLINK | {"related_id": "'12"},
        "not_an_id",
        f"related_id ''12' {_KEPT_AS_TEXT}",
    ),
    "long text": (
        _UNLINK | {"record_id": "x" * 70},
        "not_an_id",
        f"record_id '{'x' * 60}…' {_NOT_DIGITS}",
    ),
    "space before": (
        _UNLINK | {"record_id": " 12"},
        "not_an_id",
        f"record_id ' 12' {_SPACED}",
    ),
    "space after": (
        _UNLINK | {"related_id": "12 "},
        "not_an_id",
        f"related_id '12 ' {_SPACED}",
    ),
    "hard space after": (
        _UNLINK | {"related_id": "12\u00a0"},
        "not_an_id",
        f"related_id '12\u00a0' {_SPACED}",
    ),
    "scientific": (
        _UNLINK | {"record_id": "1.2E+18"},
        "mangled_number",
        f"record_id '1.2E+18' {_MANGLED}",
    ),
    "scientific with a comma": (
        _UNLINK | {"related_id": "4,15087E+18"},
        "mangled_number",
        f"related_id '4,15087E+18' {_MANGLED}",
    ),
    "decimal": (
        _UNLINK | {"record_id": "123.0"},
        "mangled_number",
        f"record_id '123.0' {_DECIMAL}",
    ),
    "21 digits": (
        _UNLINK | {"record_id": "1" * 21},
        "not_an_id",
        f"record_id '{'1' * 21}' has 21 digits; expected at most 20",
    ),
    "prefix of Zoho's exports": (
        _UNLINK | {"record_id": "zcrm_123"},
        "not_an_id",
        f"record_id 'zcrm_123' {_EXPORTED}",
    ),
    **{
        f"kept as text like {cell}": (
            _UNLINK | {"record_id": cell},
            "not_an_id",
            f"record_id '{cell}' {_KEPT_AS_TEXT}",
        )
        for cell in ('="123"', '"123"')
    },
    **{
        f"thousands like {cell}": (
            _UNLINK | {"record_id": cell},
            "not_an_id",
            f"record_id '{cell}' {_THOUSANDS}",
        )
        for cell in ("4,150,868", "4.150.868", "4 150 868")
    },
    **{
        f"several ids joined with {joint!r}": (
            _UNLINK | {"related_id": f"12{joint}34"},
            "not_an_id",
            f"related_id '12{joint}34' {_SEVERAL}",
        )
        for joint in (",", ";", " ", "|", "/", ", ")
    },
    "module with a space": (
        _UNLINK | {"module": "Price Books"},
        "not_a_name",
        f"module 'Price Books' {_NOT_A_NAME}",
    ),
    "module with a way out of the path": (
        _UNLINK | {"module": "../settings"},
        "not_a_name",
        f"module '../settings' {_NOT_A_NAME}",
    ),
    "module that begins with a digit": (
        _UNLINK | {"module": "1Leads"},
        "not_a_name",
        f"module '1Leads' {_NOT_A_NAME}",
    ),
    "module that is too long": (
        _UNLINK | {"module": "M" * 101},
        "not_a_name",
        f"module '{'M' * 60}…' {_NOT_A_NAME}",
    ),
    "related list with a slash": (
        _UNLINK | {"related_list": "Campaigns/2"},
        "not_a_name",
        f"related_list 'Campaigns/2' {_NOT_A_NAME}",
    ),
    "flag": (
        _DELETE | {"delete_previous_forecasts": "maybe"},
        "not_a_flag",
        "delete_previous_forecasts 'maybe'; expected true or false",
    ),
    "no territory": (
        _REMOVE | {"territory_id": ""},
        "missing_value",
        "territory_id is empty; remove_territories needs module, record_id, territory_id",
    ),
    "bad member of a joined list": (
        _REMOVE | {"territory_id": "9;x;8"},
        "not_an_id",
        f"territory_id 'x' {_NOT_DIGITS}",
    ),
    "mangled member of a joined list": (
        _REMOVE | {"territory_id": "9;1.2E+18"},
        "mangled_number",
        f"territory_id '1.2E+18' {_MANGLED}",
    ),
    "bad member of a JSON list": (
        _REMOVE | {"territory_id": '["9", "x"]'},
        "not_an_id",
        f"territory_id 'x' {_NOT_DIGITS}",
    ),
    "null in a JSON list": (
        _REMOVE | {"territory_id": '["9", null]'},
        "not_an_id",
        f"territory_id 'null' {_NOT_DIGITS}",
    ),
    "list in a JSON list": (
        _REMOVE | {"territory_id": "[[9]]"},
        "not_an_id",
        f"territory_id '[9]' {_NOT_DIGITS}",
    ),
    "empty JSON list": (
        _REMOVE | {"territory_id": "[]"},
        "not_an_id",
        f"territory_id '[]' {_NOT_A_LIST}",
    ),
    "JSON list cut short": (
        _REMOVE | {"territory_id": '["9", '},
        "not_an_id",
        f"territory_id '[\"9\", ' {_NOT_A_LIST}",
    ),
    "list joined with commas": (
        _REMOVE | {"territory_id": "9,8"},
        "not_an_id",
        f"territory_id '9,8' {_SEVERAL}",
    ),
    "module without territories": (
        _REMOVE | {"module": "Tasks"},
        "unsupported_module",
        f"module 'Tasks' cannot be used with remove_territories; expected {_WITH_TERRITORIES}",
    ),
    "assigning to a module without territories": (
        _REMOVE | {"op": "assign_territories", "module": "Products"},
        "unsupported_module",
        f"module 'Products' cannot be used with assign_territories; expected {_WITH_TERRITORIES}",
    ),
    "contact roles of a lead": (
        _ROLE | {"module": "Leads", "role_id": "3"},
        "unsupported_module",
        "module 'Leads' cannot be used with link of Contact_Roles; expected Deals",
    ),
    "taking contact roles off a lead": (
        _ROLE | {"op": "unlink", "module": "Leads"},
        "unsupported_module",
        "module 'Leads' cannot be used with unlink of Contact_Roles; expected Deals",
    ),
    "a list that owns its records": (
        _UNLINK | {"module": "Accounts", "related_list": "Notes"},
        "unsafe_relation",
        f"'Accounts.Notes'{_UNSAFE}",
    ),
    "no role": (
        _ROLE,
        "missing_value",
        "role_id and role_name are empty; one of them is needed",
    ),
    "role that is no id": (
        _ROLE | {"role_id": "Buyer"},
        "not_an_id",
        f"role_id 'Buyer' {_NOT_DIGITS}",
    ),
    "territory given to itself": (
        _DELETE | {"transfer_to_id": "5"},
        "points_at_itself",
        "transfer_to_id is the territory_id itself",
    ),
    "the first of two troubles": (
        _UNLINK | {"record_id": "x", "related_id": "y"},
        "not_an_id",
        f"record_id 'x' {_NOT_DIGITS}",
    ),
}


@pytest.fixture(scope="module")
def refused(plan: Callable[..., Any]) -> Mapping[int, Outcome]:
    """All bad rows in one manifest, each followed by a good one."""
    rows: list[Mapping[str, str]] = []
    for number, (row, _, _) in enumerate(BAD.values()):
        rows += [row, _UNLINK | {"record_id": str(1000 + number)}]
    made = plan(rows)
    assert list(range(2, len(rows) + 1, 2)) == sorted(each.line for each in made.operations)
    return made.refusals


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_says_what_was_found_and_what_was_expected(
    refused: Mapping[int, Outcome], name: str
) -> None:
    """A bad row is `invalid` under its own line, with a code and words, and spoils no other."""
    line = 2 * list(BAD).index(name) + 1
    _, code, words = BAD[name]

    assert Outcome(line, Status.INVALID, code, words) == refused[line]


def test_every_bad_row_becomes_one_outcome(refused: Mapping[int, Outcome]) -> None:
    """Nothing vanishes: as many outcomes as bad rows, in the order of the manifest."""
    assert [2 * place + 1 for place in range(len(BAD))] == list(refused)


def test_any_white_space_around_an_id_is_named(plan: Callable[..., Any]) -> None:
    """Whatever white space stands around digits, the words say so."""
    cells = ["\t12", "12\n", "12\r\n", "\u00a012\u2003"]
    made = plan([_UNLINK | {"record_id": cell} for cell in cells])

    assert [f"record_id '{cell}' {_SPACED}" for cell in cells] == [
        each.message for each in made.refusals.values()
    ]


def test_a_list_of_ids_has_three_spellings(plan: Callable[..., Any]) -> None:
    """One id, ids joined with `;`, or a JSON list, whose numbers lose no digit."""
    spellings = {
        "9": ("9",),
        "9;8": ("8", "9"),
        "9; 8 ;7": ("7", "8", "9"),
        "9;9": ("9",),
        '["9", "8"]': ("8", "9"),
        "[9, 8]": ("8", "9"),
        "[12345678901234567890]": ("12345678901234567890",),
        "[99999999999999999999]": ("99999999999999999999",),
    }
    rows = [
        _REMOVE | {"record_id": str(number), "territory_id": cell}
        for number, cell in enumerate(spellings)
    ]

    assert list(spellings.values()) == [each.members for each in plan(rows).operations]


def test_a_json_list_of_mangled_ids_is_refused(plan: Callable[..., Any]) -> None:
    """A number that was rounded before it came here is not read as digits."""
    made = plan([_REMOVE | {"territory_id": "[4.15087E+18]"}])

    assert made.refusals[1].code == "mangled_number"


def test_a_mangled_id_in_a_list_is_shown_as_it_stands(plan: Callable[..., Any]) -> None:
    """A message shows what was found in the file, so that it can be searched for."""
    made = plan([_REMOVE | {"territory_id": "[4.15087E+18]"}])

    assert f"territory_id '4.15087E+18' {_MANGLED}" == made.refusals[1].message


def test_flags_have_six_spellings(plan: Callable[..., Any]) -> None:
    """`true`, `1` and `yes`, in any letters, are one thing; so are their opposites."""
    cells = {"true": "true", "1": "true", "Yes": "true", "FALSE": "false", "0": "false"}
    cells |= {"no": "false", "": "false"}
    rows = [
        {"op": "delete_territory", "territory_id": str(100 + n), "delete_previous_forecasts": cell}
        for n, cell in enumerate(cells)
    ]

    assert list(cells.values()) == [
        each.fields["delete_previous_forecasts"] for each in plan(rows).operations
    ]


@pytest.mark.parametrize(
    "relations",
    [
        pytest.param({"Accounts.Notes": ""}, id="from one side"),
        pytest.param({"Accounts.Notes": "Notes.Accounts"}, id="as the left side"),
        pytest.param({"Notes.Accounts": "Accounts.Notes"}, id="as the right side"),
    ],
)
def test_a_declared_relation_may_be_unlinked(
    plan: Callable[..., Any], relations: Mapping[str, str]
) -> None:
    """`[relations]` adds to the relations that are known to be safe."""
    made = plan([_UNLINK | {"module": "Accounts", "related_list": "Notes"}], relations=relations)

    assert ([[1]], {}) == (made.lines, made.refusals)


def test_a_declaration_frees_no_other_relation(plan: Callable[..., Any]) -> None:
    """What is declared for one module is not declared for its neighbour."""
    rows = [_UNLINK | {"module": "Contacts", "related_list": "Notes"}]
    made = plan(rows, relations={"Accounts.Notes": ""})

    assert f"'Contacts.Notes'{_UNSAFE}" == made.refusals[1].message


def test_any_list_may_be_linked(plan: Callable[..., Any]) -> None:
    """Linking deletes nothing, so it asks for no declaration."""
    made = plan([_UNLINK | {"op": "link", "module": "Accounts", "related_list": "Notes"}])

    assert {} == made.refusals


def test_territories_in_a_circle_can_go_in_no_order(plan: Callable[..., Any]) -> None:
    """Each row of a circle is refused with the way round; rows beside it go."""
    made = plan(
        [
            _DELETE | {"territory_id": "7", "transfer_to_id": "1"},
            _DELETE | {"territory_id": "1", "transfer_to_id": "2"},
            _DELETE | {"territory_id": "2", "transfer_to_id": "3"},
            _DELETE | {"territory_id": "3", "transfer_to_id": "1"},
            _DELETE | {"territory_id": "8", "transfer_to_id": "9"},
        ]
    )
    words = "transfer_to_id goes in a circle (1 -> 2 -> 3 -> 1)"

    assert {
        line: Outcome(line, Status.INVALID, "circular_order", words) for line in (2, 3, 4)
    } == made.refusals
    assert [[1, 5]] == made.lines


def test_two_circles_are_told_apart(plan: Callable[..., Any]) -> None:
    """Each row names its own circle."""
    pairs = [("1", "2"), ("3", "4"), ("2", "1"), ("4", "3")]
    made = plan([_DELETE | {"territory_id": one, "transfer_to_id": two} for one, two in pairs])
    words = {line: each.message.partition(" (")[2] for line, each in made.refusals.items()}

    assert {1: "1 -> 2 -> 1)", 2: "3 -> 4 -> 3)", 3: "1 -> 2 -> 1)", 4: "3 -> 4 -> 3)"} == words


def test_bigin_lacks_territories_and_contact_roles(plan: Callable[..., Any]) -> None:
    """A row of what the product has not is `invalid` with those words; the others go."""
    no_territories, no_roles = "Bigin has no territories", "Bigin has no contact roles"
    refused = [
        (_REMOVE, no_territories),
        (_REMOVE | {"op": "assign_territories"}, no_territories),
        (_DELETE, no_territories),
        (_ROLE | {"role_id": "3"}, no_roles),
        (_ROLE | {"op": "unlink"}, no_roles),
    ]
    pipelines = _UNLINK | {"module": "Products", "related_list": "Pipelines"}
    made = plan([*(row for row, _ in refused), pipelines], product="bigin")

    assert {
        line: Outcome(line, Status.INVALID, "not_in_product", words)
        for line, (_, words) in enumerate(refused, 1)
    } == made.refusals
    assert [[6]] == made.lines


def test_a_row_with_too_many_fields_is_invalid(plan: Callable[..., Any]) -> None:
    """A row that is broken as CSV is refused by itself, under its own line."""
    made = plan(
        "op,module,record_id,related_list,related_id\n"
        "unlink,Leads,1,Campaigns,2\n"
        "unlink,Leads,1,Campaigns,3,4\n"
        "unlink,Leads,1\n"
        "unlink,Leads,1,Campaigns,5\n"
    )
    names = "(op, module, record_id, related_list, related_id)"
    words = {
        2: ("too_many_fields", f"line 2: 6 fields, expected 5 {names}"),
        3: ("too_few_fields", f"line 3: 3 fields, expected 5 {names}"),
    }

    assert {
        line: Outcome(line, Status.INVALID, code, text) for line, (code, text) in words.items()
    } == made.refusals
    assert [[1, 4]] == made.lines
    assert made.planned.rows == 4


def test_a_json_line_that_is_no_object_is_invalid(plan: Callable[..., Any]) -> None:
    """Lists, numbers and torn objects are refused by themselves, under their own lines."""
    good = '{"op":"unlink","module":"Leads","record_id":"1","related_list":"Campaigns"'
    made = plan(
        f'{good},"related_id":"2"}}\n[1, 2]\n7\n{good}\n{good},"related_id":3}}\n',
        name="manifest.jsonl",
    )
    found = {line: (each.status, each.code) for line, each in made.refusals.items()}

    assert {
        2: (Status.INVALID, "not_an_object"),
        3: (Status.INVALID, "not_an_object"),
        4: (Status.INVALID, "not_json"),
    } == found
    assert made.refusals[2].message == "line 2: found a list, expected an object"
    assert made.planned.rows == 5
    assert [("2", 1), ("3", 5)] == [(each.item, each.line) for each in made.operations]


def test_json_may_have_ids_as_numbers_and_lists(plan: Callable[..., Any]) -> None:
    """Whole numbers keep every digit, a JSON list is a list, and a rounded number is refused."""
    made = plan(
        '{"op":"remove_territories","module":"Leads","record_id":12345678901234567890,'
        '"territory_id":[99999999999999999999,"8"]}\n'
        '{"op":"remove_territories","module":"Leads","record_id":1.2345678901234567e18,'
        '"territory_id":8}\n'
        '{"op":"remove_territories","module":"Leads","record_id":null,"territory_id":8}\n'
        '{"op":"remove_territories","module":"Leads","record_id":true,"territory_id":8}\n',
        name="manifest.jsonl",
    )

    assert [("12345678901234567890", ("8", "99999999999999999999"))] == [
        (each.item, each.members) for each in made.operations
    ]
    assert {
        2: "mangled_number",
        3: "missing_value",
        4: "not_an_id",
    } == {line: each.code for line, each in made.refusals.items()}
