"""
What holds for any manifest: nothing vanishes, nothing is sent twice, no call is too large.

The planner is compared with a model of a few lines in plain Python, over manifests whose rows
come from so small a world that they repeat and contradict each other all the time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.model import Batch, Outcome, Status, merge_items
from bulkops.rules.operations import SPECS
from bulkops.rules.operations.related_records import MIRRORS
from bulkops.rules.spec import CallLimits

Row = Mapping[str, str]
#: What a row is about -> what it wishes of it.
Wishes = Mapping[tuple[str, ...], tuple[str, ...]]

_RELATIONS = (
    ("Leads", "Campaigns"),
    ("Campaigns", "Leads"),
    ("Products", "Deals"),
    ("Deals", "Products"),
    ("Contacts", "Deals"),
    ("Deals", "Contact_Roles"),
    ("Products", "Price_Books"),
)
_OTHER_SIDE = {
    ("Leads", "Campaigns"): ("Campaigns", "Leads"),
    ("Products", "Deals"): ("Deals", "Products"),
    ("Deals", "Contact_Roles"): ("Contacts", "Deals"),
}
_IDS = st.sampled_from(["1", "2", "02", "4150868000000000001", "40000000000000000000"])
_PRICES = st.sampled_from(["", "10", "10.0", "1e1", "9.50", "-0", "0", "ten", "007", " 10"])
_TERRITORIES = st.sampled_from(["5", "6", "7", "8"])
_BAD_IDS = st.sampled_from(["", "x", " 1", "1 ", "1.2E+18", "1.0", "1;2", "1" * 21, "é", '"', "\\"])


@st.composite
def edge_rows(draw: st.DrawFn) -> Row:
    """A link or unlink, fields and roles included."""
    module, related_list = draw(st.sampled_from(_RELATIONS))
    op = draw(st.sampled_from(["link", "unlink"]))
    row = {
        "op": op,
        "module": module,
        "record_id": draw(_IDS),
        "related_list": related_list,
        "related_id": draw(_IDS),
    }
    if related_list == "Contact_Roles":
        return row | ({"role_id": draw(st.sampled_from(["1", "2"]))} if op == "link" else {})
    if related_list == "Price_Books":
        return row | {"list_price": draw(_PRICES)}
    return row | {"Member_Status": draw(st.sampled_from(["", "Active", 'a "b", ü']))}


@st.composite
def territory_rows(draw: st.DrawFn) -> Row:
    """Territories taken from or given to a record, in any spelling of a list."""
    ids = draw(st.lists(_TERRITORIES, min_size=1, max_size=3))
    as_json = draw(st.booleans())
    return {
        "op": draw(st.sampled_from(["remove_territories", "assign_territories"])),
        "module": draw(st.sampled_from(["Leads", "Deals"])),
        "record_id": draw(_IDS),
        "territory_id": "[" + ", ".join(ids) + "]" if as_json else ";".join(ids),
    }


@st.composite
def deletion_rows(draw: st.DrawFn) -> Row:
    """A territory to be deleted, perhaps handed to another one (or, wrongly, to itself)."""
    return {
        "op": "delete_territory",
        "territory_id": draw(_TERRITORIES),
        "transfer_to_id": draw(st.one_of(st.just(""), _TERRITORIES)),
        "delete_previous_forecasts": draw(st.sampled_from(["", "", "no", "true"])),
    }


@st.composite
def bad_rows(draw: st.DrawFn) -> Row:
    """A row of the others, with something in it that nobody can read."""
    row = draw(st.one_of(edge_rows(), territory_rows()))
    spoilt = draw(st.sampled_from(["op", "module", "record_id"]))
    if spoilt == "op":
        return {**row, "op": draw(st.sampled_from(["", "delete", "LINK"]))}
    if spoilt == "module":
        return {**row, "module": draw(st.sampled_from(["", "Price Books", "a/b"]))}
    return {**row, "record_id": draw(_BAD_IDS)}


_MANIFESTS = st.lists(
    st.one_of(edge_rows(), territory_rows(), deletion_rows(), bad_rows()), min_size=1, max_size=60
)
_SPELLINGS: Mapping[str, Sequence[Any]] = {
    "": ("", None, False),
    "no": ("no", False, "False", 0),
    "true": ("true", True, "YES", 1),
}


@st.composite
def as_json(draw: st.DrawFn, row: Row) -> Mapping[str, Any]:
    """The same row in JSON: ids as numbers, lists as lists, what is empty as null or left out."""
    spelt: dict[str, Any] = {}
    for name, text in row.items():
        ways: Sequence[Any] = [text] if text else [text, None]
        if name == "delete_previous_forecasts":
            ways = _SPELLINGS[text]
        elif name == "territory_id" and row["op"] != "delete_territory":
            ways = [text, [draw(st.sampled_from([each, int(each)])) for each in ids_in(text)]]
        elif name.endswith("_id") and text.isascii() and text.isdigit() and text[0] != "0":
            ways = [text, int(text)]
        spelt[name] = draw(st.sampled_from(ways))
    kept = spelt.items() if draw(st.booleans()) else [each for each in spelt.items() if each[1]]
    return dict(draw(st.permutations(list(kept))))


_LIMITS = st.builds(
    CallLimits,
    ids_per_call=st.integers(1, 4),
    territory_records_per_call=st.one_of(st.none(), st.integers(1, 3)),
    contact_roles_bulk=st.booleans(),
)


def wishes_of(row: Row) -> Wishes:
    """Return the wishes of a row, none if it is no operation. The model, in plain words."""
    op = row["op"]
    if op == "delete_territory":
        target = row["transfer_to_id"]
        flag = str(row["delete_previous_forecasts"] == "true")
        if target == row["territory_id"]:
            return {}
        return {("territory", row["territory_id"]): ("gone", target, flag)}
    if not (row["record_id"].isascii() and row["record_id"].isdigit()):
        return {}
    if len(row["record_id"]) > 20 or not row["module"].isidentifier():
        return {}
    if op in {"remove_territories", "assign_territories"}:
        members = members_of(row)
        return {("of", row["module"], row["record_id"], each): (op,) for each in members}
    if op not in {"link", "unlink"}:
        return {}
    side = (row["module"], row["related_list"])
    ids = (row["record_id"], row["related_id"])
    if side in _OTHER_SIDE:
        side, ids = _OTHER_SIDE[side], (ids[1], ids[0])
    said = fields_of(row)
    price = said.get("list_price", "")
    if price in {"10", "10.0", "1e1", "9.50", "-0", "0"}:
        # What is sent as a number is the same however it is spelt.
        said = {"list_price": str(float(price) + 0.0)}
    return {("relation", *side, *ids): (op, *said.values())}


def fields_of(row: Row) -> dict[str, str]:
    """Return what the item of a row says beside its id."""
    if row["op"] == "delete_territory":
        flag = "true" if row["delete_previous_forecasts"] == "true" else "false"
        names, more = ("transfer_to_id",), {"delete_previous_forecasts": flag}
    else:
        names, more = ("role_id", "Member_Status", "list_price") if row["op"] == "link" else (), {}
    return {name: row[name] for name in names if row.get(name)} | more


def ids_in(text: str) -> list[str]:
    return [each.strip() for each in text.strip("[]").replace(",", ";").split(";")] if text else []


def members_of(row: Row) -> tuple[str, ...]:
    return tuple(sorted(set(ids_in(row.get("territory_id", "")))))


def expected(rows: Sequence[Row], *, last_wins: bool) -> dict[int, tuple[str, int | None]]:
    """Return line -> status and `of_line`, `sent` for what is to be sent."""
    wished = {line: wishes_of(row) for line, row in enumerate(rows, 1)}
    found: dict[int, tuple[str, int | None]] = {}
    about = defaultdict(list)
    for line, wishes in wished.items():
        for key, wish in wishes.items():
            about[key].append((line, wish))
    held: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {}
    for line, wishes in reversed(wished.items()):
        if not wishes:
            found[line] = ("invalid", None)
            continue
        if last_wins:
            rivals = [
                held[key][0] for key, wish in wishes.items() if held.get(key, (0, wish))[1] != wish
            ]
        else:
            rivals = [
                other for key, wish in wishes.items() for other, said in about[key] if said != wish
            ]
        if rivals:
            found[line] = ("conflict", min(rivals))
        else:
            held = {key: (line, wish) for key, wish in wishes.items()} | held
    first: dict[object, int] = {}
    for line, wishes in wished.items():
        if line not in found:
            of_line = first.setdefault(frozenset(wishes.items()), line)
            found[line] = ("sent", None) if of_line == line else ("duplicate", of_line)
    return found | _circles({line: rows[line - 1] for line in found if found[line][0] == "sent"})


def _circles(rows: Mapping[int, Row]) -> dict[int, tuple[str, int | None]]:
    """Return the lines of territories from which a way leads back to them."""
    targets = {
        row["territory_id"]: row["transfer_to_id"]
        for row in rows.values()
        if row["op"] == "delete_territory"
    }

    def comes_back(item: str) -> bool:
        here = targets[item]
        for _ in targets:
            if here == item:
                return True
            here = targets.get(here, "")
        return False

    return {
        line: ("invalid", None)
        for line, row in rows.items()
        if row["op"] == "delete_territory" and comes_back(row["territory_id"])
    }


def check_batch(batch: Batch, rows: Sequence[Row], limits: CallLimits) -> None:
    """Check that all of a batch may travel in one call, and says what its rows say."""
    spec = SPECS[batch.spec]
    items = merge_items(batch.operations)
    joined = ",".join(item.id for item in items)
    assert 1 <= len(items) <= spec.capacity(limits)
    assert spec.id_characters is None or len(joined) <= spec.id_characters
    for each in batch.operations:
        row = from_side_of(batch, rows[each.line - 1])
        assert row["op"] == spec.op
        assert (row.get("related_list") == "Contact_Roles") == (spec.related_list is not None)
        assert {
            name: row[name] if name in spec.route else ""
            for name in ("module", "record_id", "related_list")
        } == {
            "module": batch.route.module,
            "record_id": batch.route.record_id,
            "related_list": batch.route.related_list,
        }
        assert (row[spec.item], members_of(row) if spec.member else ()) == (
            each.item,
            each.members,
        )
        assert fields_of(row) == {name: said for name, said in each.fields.items() if said}


def from_side_of(batch: Batch, row: Row) -> Row:
    """Return a row about a relation of two sides as it reads from the side that is called."""
    side = (row.get("module", ""), row.get("related_list", ""))
    called = (batch.route.module, batch.route.related_list)
    if side == called or MIRRORS.get(side) != called:
        return row
    ends = {"record_id": row["related_id"], "related_id": row["record_id"]}
    return {**row, "module": called[0], "related_list": called[1], **ends}


def nothing_is_parted(batches: Sequence[Batch]) -> bool:
    """Tell whether no two calls of one route, and no two operations, have an item in common."""
    seen = [
        (batch.spec, batch.route, item.id)
        for batch in batches
        for item in merge_items(batch.operations)
    ]
    return len(seen) == len(set(seen))


def steps_are_right(steps: Sequence[tuple[int, Batch]]) -> bool:
    """Tell whether deletions go last and every target after its sources, level by level."""
    level = {each.item: step for step, batch in steps if step for each in batch.operations}
    ordered = [step for step, _ in steps] == sorted(step for step, _ in steps)
    deletions = all((step > 0) == (batch.spec == "delete_territory") for step, batch in steps)
    targets = all(
        level[each.item] < level.get(str(each.fields.get("transfer_to_id")), 99)
        for step, batch in steps
        if step
        for each in batch.operations
    )
    return ordered and deletions and targets


def coded(made: Any) -> dict[int, tuple[Any, ...]]:
    """What becomes of the lines that are not sent; the words show cells as they are spelt."""
    return {
        line: (each.status, each.code, each.of_line, *_unless_spelt(each))
        for line, each in made.refusals.items()
    }


def _unless_spelt(outcome: Outcome) -> tuple[str, ...]:
    return (outcome.message,) if outcome.status is not Status.INVALID else ()


@settings(max_examples=8, deadline=None)
@given(rows=_MANIFESTS, limits=_LIMITS, last_wins=st.booleans(), data=st.data())
def test_every_line_has_one_fate(
    plan: Callable[..., Any],
    rows: Sequence[Row],
    limits: CallLimits,
    last_wins: bool,
    data: st.DataObject,
) -> None:
    """
    Each line is sent in exactly one call, or is a repeat, a conflict or invalid: as the model
    says. Calls keep their limits, have one route, and carry exactly what their rows wish; all
    rows of an item are in one of them. The same rows as JSON lines have the same plan, however
    their values are spelt.
    """
    made = plan(rows, limits=limits, last_wins=last_wins)
    sent = [line for lines in made.lines for line in lines]
    fates = made.statuses | dict.fromkeys(sent, ("sent", None))

    assert len(sent) == len(set(sent))
    assert not set(sent) & set(made.statuses)
    assert expected(rows, last_wins=last_wins) == fates
    assert list(range(1, len(made.batches) + 1)) == [batch.number for batch in made.batches]
    for batch in made.batches:
        check_batch(batch, rows, limits)
    assert nothing_is_parted(made.batches)
    assert steps_are_right(made.steps)
    assert (len(rows), len(sent), len(made.batches)) == (
        made.planned.summary.total.rows,
        made.planned.summary.total.sent,
        made.planned.summary.total.calls,
    )

    spelt = "".join(json.dumps(data.draw(as_json(row))) + "\n" for row in rows)
    again = plan(spelt, name="manifest.jsonl", limits=limits, last_wins=last_wins)

    assert made.steps == again.steps
    assert coded(made) == coded(again)
    assert (made.planned.summary, made.planned.digest) == (
        again.planned.summary,
        again.planned.digest,
    )
