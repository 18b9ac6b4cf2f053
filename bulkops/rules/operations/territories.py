"""
Territories of records: remove and assign, read back.

https://www.zoho.com/crm/developer/docs/api/v7/remove-territories-of-records.html
https://www.zoho.com/crm/developer/docs/api/v7/assign-territories-to-records.html
https://www.zoho.com/crm/developer/docs/api/v7/get-territories-of-a-record.html

One item a record. The server takes or refuses an item as a whole; a refusal usually names one
territory by `$.data[i].Territories[j].id`. How many records a call may hold is given as 10 in
one source and as 100 in another, so it is learnt from the server. "Not assigned" and "no such
territory" are one answer, told apart by the organisation's list of territories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bulkops.model import Api, Item, Json, Operation, Request, Route
from bulkops.rules.pages import Cursor, rows_of
from bulkops.rules.reads import Before, Capture, Held, Listing, Probe, Question, Shown
from bulkops.rules.spec import CallLimits, Column, Kind, Row, Spec, Undo, Wish
from bulkops.rules.verdicts import Answer, Verdict

_MODULES = ("Leads", "Accounts", "Contacts", "Deals")
_COLUMNS = (
    Column("module", Kind.NAME),
    Column("record_id", Kind.ID),
    Column("territory_id", Kind.IDS),
)
_NO_TERRITORIES = {"bigin": "Bigin has no territories"}
#: Most records in a call by the most generous source.
_MOST_RECORDS = 100
#: How a territory is assigned that only the organisation's rules can take away again.
BY_RULE = "automatically"


def _body(items: Sequence[Item]) -> Json:
    return {
        "data": [
            {"id": item.id, "Territories": [{"id": member} for member in item.members]}
            for item in items
        ]
    }


def _remove(api: Api, route: Route, items: Sequence[Item]) -> Request:
    path = f"{api.prefix}/{route.module}/actions/remove_territories"
    return Request("POST", path, body=_body(items))


def _assign(api: Api, route: Route, items: Sequence[Item]) -> Request:
    path = f"{api.prefix}/{route.module}/actions/assign_territories"
    return Request("POST", path, body=_body(items))


def _judge_remove(answer: Answer) -> Verdict | None:
    too_long = "maximum_length" in answer.details
    if answer.code == "INVALID_DATA" and "Territories[" in answer.path and not too_long:
        return Verdict.LOOKUP
    return None


def _judge_assign(answer: Answer) -> Verdict | None:
    if answer.code == "DUPLICATE_DATA":
        return Verdict.ALREADY
    return None


def _capacity(limits: CallLimits) -> int:
    return limits.territory_records_per_call or _MOST_RECORDS


def read_territories(api: Api, module: str, record_id: str) -> Request:
    """Read one record, for its `Territories`."""
    return Request("GET", f"{api.prefix}/{module}/{record_id}")


def read_many_territories(api: Api, module: str, record_ids: Sequence[str]) -> Request:
    """
    Read the `Territories` of at most 100 records in one call.

    That a list read returns them is not documented: a caller must accept an answer without.
    """
    query = {"ids": ",".join(record_ids), "fields": "id,Territories"}
    return Request("GET", f"{api.prefix}/{module}", query)


def territories_of(body: Json) -> dict[str, dict[str, str] | None]:
    """
    Return record id -> (territory id -> `manually`, `automatically` or '').

    `None` for a record that the answer holds without a list of them.
    """
    records = body.get("data") if isinstance(body, dict) else None
    found: dict[str, dict[str, str] | None] = {}
    for record in records if isinstance(records, list) else ():
        if not isinstance(record, dict) or "id" not in record:
            continue
        listed = record.get("Territories", False)
        found[str(record["id"])] = (
            {
                str(each["id"]): str(each.get("$assigned") or "")
                for each in listed or ()
                if isinstance(each, dict) and "id" in each
            }
            if listed is None or isinstance(listed, list)
            else None
        )
    return found


def _read_many(api: Api, route: Route, items: Sequence[Item]) -> tuple[Request, ...]:
    ids = [item.id for item in items]
    return tuple(
        read_many_territories(api, route.module, ids[start : start + _MOST_RECORDS])
        for start in range(0, len(ids), _MOST_RECORDS)
    )


def _read_each(api: Api, route: Route, items: Sequence[Item]) -> tuple[Request, ...]:
    return tuple(read_territories(api, route.module, item.id) for item in items)


def _present(body: Json) -> frozenset[tuple[str, str]] | None:
    held = territories_of(body)
    if body is not None and (not held or None in held.values()):
        return None
    return frozenset((record, each) for record, found in held.items() for each in found or ())


def _held(body: Json) -> Mapping[str, Mapping[str, Json]] | None:
    """Return the territories of each record that a person gave it: only those can be restored."""
    if _present(body) is None:
        return None
    return {
        record: {"territory_id": [each for each, how in (found or {}).items() if how != BY_RULE]}
        for record, found in territories_of(body).items()
    }


def _list_many(api: Api, question: Question, _cursor: Cursor) -> Request:
    return read_many_territories(api, question.module, question.holders)


def _list_each(api: Api, question: Question, _cursor: Cursor) -> Request:
    (holder,) = question.holders
    return read_territories(api, question.module, holder)


def _shown(body: Json, question: Question, cursor: Cursor) -> Shown | str:
    """Read the territories of several records, or say in words why they cannot be believed."""
    page = rows_of(body, cursor)
    return page if isinstance(page, str) else _told(body, question)


def _shown_alone(body: Json, question: Question, _cursor: Cursor) -> Shown | str:
    """Read the territories of one record, whose answer has no `info`."""
    return _told(body, question)


def _told(body: Json, question: Question) -> Shown | str:
    found = territories_of(body)
    if not set(found) <= set(question.holders):
        return "the answer has records that were not asked for"
    told = {record: held for record, held in found.items() if held is not None}
    if len(told) < len(found):
        return "the answer has a record without its territories"
    held = tuple(
        Held(record, each, ours=how != BY_RULE)
        for record, territories in told.items()
        for each, how in territories.items()
    )
    return Shown(frozenset(told), held)


def _undo(op: str, *, had: bool) -> Undo:
    """Give back what a record `had`, or take away what it had not."""

    def undo(route: Route, operation: Operation, before: Before | None) -> Sequence[Row] | str:
        if before is not None and before.values is None:
            return ()
        held = before.values["territory_id"] if before is not None and before.values else None
        members = [each for each in operation.members if held is None or (each in held) == had]
        row = {"op": op, "module": route.module, "record_id": operation.item}
        return ({**row, "territory_id": ";".join(members)},) if members else ()

    return undo


_PROBE = Probe(_read_many, _present, singly=Probe(_read_each, _present))
_CAPTURE = Capture(_read_many, _held, singly=Capture(_read_each, _held))
_LISTING = Listing(
    "territory_id",
    _list_many,
    _shown,
    holders_per_call=_MOST_RECORDS,
    singly=Listing("territory_id", _list_each, _shown_alone),
)

SPECS = (
    Spec(
        name="remove_territories",
        op="remove_territories",
        summary="take territories off records",
        page="https://www.zoho.com/crm/developer/docs/api/v7/remove-territories-of-records.html",
        columns=_COLUMNS,
        modules=_MODULES,
        route=("module",),
        item="record_id",
        member="territory_id",
        family="record_territory",
        wish=Wish.ABSENT,
        request=_remove,
        probe=None,
        settled_probe=_PROBE,
        capture=_CAPTURE,
        undo=_undo("assign_territories", had=True),
        judge=_judge_remove,
        capacity=_capacity,
        learns_capacity=True,
        unavailable=_NO_TERRITORIES,
    ),
    Spec(
        name="assign_territories",
        op="assign_territories",
        summary="give records territories",
        page="https://www.zoho.com/crm/developer/docs/api/v7/assign-territories-to-records.html",
        columns=_COLUMNS,
        modules=_MODULES,
        route=("module",),
        item="record_id",
        member="territory_id",
        family="record_territory",
        wish=Wish.PRESENT,
        request=_assign,
        probe=None,
        settled_probe=_PROBE,
        capture=_CAPTURE,
        listing=_LISTING,
        undo=_undo("remove_territories", had=False),
        judge=_judge_assign,
        capacity=_capacity,
        learns_capacity=True,
        unavailable=_NO_TERRITORIES,
    ),
)
