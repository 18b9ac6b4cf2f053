"""
Link and unlink related records.

https://www.zoho.com/crm/developer/docs/api/v8/delink.html
https://www.zoho.com/crm/developer/docs/api/v8/update-related-records.html
https://www.zoho.com/bigin/developer/docs/apis/delink.html

At most 100 ids a call; the `ids` value at most 2,000 characters. Both repeat safely: a link is
an update, and an absent relation answers `INVALID_DATA` "relation not found". That answer also
hides a related id that never existed, so it is `unchanged`, not `succeeded`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from bulkops.model import Api, Item, Json, Operation, Request, Route
from bulkops.rows import PlainItems, ids_in
from bulkops.rules.pages import Cursor, rows_of
from bulkops.rules.reads import Before, Capture, Held, Listing, Probe, Question, Shown
from bulkops.rules.spec import CallLimits, Column, Kind, Row, Spec, Wish
from bulkops.rules.verdicts import Answer, Verdict

_MODULE = Column("module", Kind.NAME)
_RECORD = Column("record_id", Kind.ID)
_LIST = Column("related_list", Kind.NAME)
_RELATED = Column("related_id", Kind.ID)

_PAIRS = (
    (("Campaigns", "Leads"), ("Leads", "Campaigns")),
    (("Campaigns", "Contacts"), ("Contacts", "Campaigns")),
    (("Products", "Leads"), ("Leads", "Products")),
    (("Products", "Accounts"), ("Accounts", "Products")),
    (("Products", "Contacts"), ("Contacts", "Products")),
    (("Products", "Deals"), ("Deals", "Products")),
    (("Products", "Potentials"), ("Potentials", "Products")),
    (("Products", "Pipelines"), ("Pipelines", "Products")),
    (("Products", "Price_Books"), ("Price_Books", "Products")),
    (("Appointments__s", "Services__s"), ("Services__s", "Appointments__s")),
    (("Appointments", "Services"), ("Services", "Appointments")),
    (("Contacts", "Deals"), ("Deals", "Contact_Roles")),
)

#: The same relation from its other side, in the documented lists. Both directions are in it.
MIRRORS: Mapping[tuple[str, str], tuple[str, str]] = {
    **dict(_PAIRS),
    **{right: left for left, right in _PAIRS},
}

#: Relation fields whose JSON type is a number; a CSV cell of them is sent as one.
#: https://www.zoho.com/crm/developer/docs/api/v8/update-related-records.html
NUMERIC = frozenset({"list_price"})
#: How a text looks that is sent as a number.
NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?"


def _path(api: Api, route: Route) -> str:
    return f"{api.prefix}/{route.module}/{route.record_id}/{route.related_list}"


def _unlink(api: Api, route: Route, items: Sequence[Item]) -> Request:
    return Request("DELETE", _path(api, route), {"ids": ",".join(ids_in(items))})


def _link(api: Api, route: Route, items: Sequence[Item]) -> Request:
    if isinstance(items, PlainItems):
        data: Json = [{"id": each} for each in items.ids]
    else:
        data = [{"id": item.id, **_typed(item.fields)} for item in items]
    return Request("PUT", _path(api, route), body={"data": data})


def _typed(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {name: _number(value) if name in NUMERIC else value for name, value in fields.items()}


def _number(value: Json) -> Json:
    """Return the number a text stands for in JSON, or the text itself for the server to refuse."""
    if isinstance(value, str) and re.fullmatch(NUMBER, value):
        return json.loads(value)
    return value


def read_related(api: Api, route: Route, items: Sequence[Item]) -> tuple[Request, ...]:
    """
    Ask which of `items` a related list holds.

    https://www.zoho.com/crm/developer/docs/api/v7/get-related-records.html
    """
    query = {"fields": "id", "per_page": "200", "ids": ",".join(item.id for item in items)}
    return (Request("GET", _path(api, route), query),)


def present_ids(body: Json) -> frozenset[tuple[str, str]] | None:
    """Return the ids that a read of a related list shows; no body is an empty list."""
    listed = [] if body is None else body.get("data") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        return None
    return frozenset(
        (str(each["id"]), "") for each in listed if isinstance(each, dict) and "id" in each
    )


PROBE = Probe(read_related, present_ids)

#: The fields that a relation carries, by the module or list that is at either end of it.
#: https://www.zoho.com/crm/developer/docs/api/v8/update-related-records.html
#: That a read of the related list gives them back under the same names is assumed.
_CARRIED = {
    "Campaigns": ("Member_Status",),
    "Price_Books": ("list_price",),
}


def capture_related(api: Api, route: Route, items: Sequence[Item]) -> tuple[Request, ...]:
    """Ask which of `items` a related list holds, and with which relation fields."""
    known = (*_CARRIED.get(route.module, ()), *_CARRIED.get(route.related_list, ()))
    names = dict.fromkeys([*known, *(name for item in items for name in sorted(item.fields))])
    query = {
        "fields": ",".join(["id", *names]),
        "per_page": "200",
        "ids": ",".join(item.id for item in items),
    }
    return (Request("GET", _path(api, route), query),)


def held_relations(body: Json) -> Mapping[str, Mapping[str, Json]] | None:
    """Return the fields of each relation that a read shows, by related id."""
    if present_ids(body) is None:
        return None
    return {
        str(each["id"]): {
            name: value for name, value in each.items() if name != "id" and value is not None
        }
        for each in (body or {}).get("data", ())
        if isinstance(each, dict) and "id" in each
    }


#: Most ids of a read that asks of some alone.
_MOST_ASKED = 100


def list_related(api: Api, question: Question, cursor: Cursor) -> Request:
    """Read a page of a related list, with the fields that matter."""
    (holder,) = question.holders
    route = Route(question.module, holder, question.related_list)
    query = {
        "fields": ",".join(["id", *question.fields]),
        **({"ids": ",".join(question.only)} if question.only else {}),
        **cursor.query,
    }
    return Request("GET", _path(api, route), query)


def shown_related(body: Json, question: Question, cursor: Cursor) -> Shown | str:
    """Read a page of a related list, or say in words why it cannot be believed."""
    (holder,) = question.holders
    page = rows_of(body, cursor)
    if isinstance(page, str):
        return page
    held = tuple(Held(holder, str(each["id"]), _values(each)) for each in page.rows)
    if question.only and not {each.id for each in held} <= set(question.only):
        return "the answer has records that were not asked for"
    return Shown(frozenset({holder}), held, page.after)


def _values(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields of a relation; one that points at a record is the id of that."""
    return {
        name: value["id"] if isinstance(value, dict) and "id" in value else value
        for name, value in record.items()
        if name != "id"
    }


LISTING = Listing("related_id", list_related, shown_related, only=_MOST_ASKED)


def row_of(op: str, route: Route, operation: Operation) -> dict[str, Json]:
    """Return the manifest row of a relation."""
    return {
        "op": op,
        "module": route.module,
        "record_id": route.record_id,
        "related_list": route.related_list,
        "related_id": operation.item,
    }


def undo_unlink(route: Route, operation: Operation, before: Before | None) -> Sequence[Row] | str:
    """Link again, with the fields that the relation had if they were captured."""
    if before is not None and before.values is None:
        return ()
    values = before.values if before is not None and before.values else {}
    return ({**row_of("link", route, operation), **values},)


def undo_link(route: Route, operation: Operation, before: Before | None) -> Sequence[Row] | str:
    """Unlink what was not there before; give back its fields to what was."""
    if before is None:
        return (
            "whether the relation was there before is not known, since the server answers the "
            'same either way; capture = "fields" in [run] writes it down'
        )
    if before.values is None:
        return (row_of("unlink", route, operation),)
    return ({**row_of("link", route, operation), **before.values},) if operation.fields else ()


def _judge_unlink(answer: Answer) -> Verdict | None:
    if not answer.flat and answer.says("relation not found"):
        return Verdict.ALREADY
    return None


def _judge_link(answer: Answer) -> Verdict | None:
    if not answer.flat and answer.code in {"DUPLICATE_DATA", "DUPLICATE_LINKING_DATA"}:
        return Verdict.ALREADY
    return None


def _capacity(limits: CallLimits) -> int:
    return limits.ids_per_call


SPECS = (
    Spec(
        name="unlink",
        op="unlink",
        summary="take related records off a record",
        page="https://www.zoho.com/crm/developer/docs/api/v8/delink.html",
        columns=(_MODULE, _RECORD, _LIST, _RELATED),
        route=("module", "record_id", "related_list"),
        item="related_id",
        family="relation",
        wish=Wish.ABSENT,
        request=_unlink,
        probe=PROBE,
        capture=Capture(capture_related, held_relations),
        undo=undo_unlink,
        judge=_judge_unlink,
        capacity=_capacity,
        relations=frozenset(MIRRORS) - {("Deals", "Contact_Roles")},
        id_characters=2000,
    ),
    Spec(
        name="link",
        op="link",
        summary="relate records, or update the fields of the relation",
        page="https://www.zoho.com/crm/developer/docs/api/v8/update-related-records.html",
        columns=(_MODULE, _RECORD, _LIST, _RELATED),
        route=("module", "record_id", "related_list"),
        item="related_id",
        family="relation",
        wish=Wish.PRESENT,
        request=_link,
        probe=PROBE,
        capture=Capture(capture_related, held_relations),
        listing=LISTING,
        undo=undo_link,
        judge=_judge_link,
        capacity=_capacity,
        relation_fields=("Contact_Role", "Member_Status", "Status", "list_price"),
    ),
)
