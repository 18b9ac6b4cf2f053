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

from bulkops.model import Api, Item, Json, Request, Route
from bulkops.spec import CallLimits, Column, Kind, Probe, Spec, Wish
from bulkops.verdicts import Answer, Verdict

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
_NUMERIC = frozenset({"list_price"})
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


def _path(api: Api, route: Route) -> str:
    return f"{api.prefix}/{route.module}/{route.record_id}/{route.related_list}"


def _unlink(api: Api, route: Route, items: Sequence[Item]) -> Request:
    return Request("DELETE", _path(api, route), {"ids": ",".join(item.id for item in items)})


def _link(api: Api, route: Route, items: Sequence[Item]) -> Request:
    data = [{"id": item.id, **_typed(item.fields)} for item in items]
    return Request("PUT", _path(api, route), body={"data": data})


def _typed(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {name: _number(value) if name in _NUMERIC else value for name, value in fields.items()}


def _number(value: Json) -> Json:
    """Return the number a text stands for in JSON, or the text itself for the server to refuse."""
    if isinstance(value, str) and _JSON_NUMBER.fullmatch(value):
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
        judge=_judge_link,
        capacity=_capacity,
        relation_fields=("Contact_Role", "Member_Status", "Status", "list_price"),
    ),
)
