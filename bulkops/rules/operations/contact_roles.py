"""
Contact roles of a deal.

https://www.zoho.com/crm/developer/docs/api/v8/add-contact-roles-to-a-specific-deal.html
https://www.zoho.com/crm/developer/docs/api/v7/remove-contact-role-from-a-specific-deal.html

Adding is documented for one contact a call; a form for up to 100 stands only in the vendor's
machine-readable specification and is used when `contact_roles_bulk` allows it. Removing takes
up to 100 ids. "Already removed" has two spellings: `INVALID_DATA` "contact role not deleted"
and `MANDATORY_NOT_FOUND` "relation not found".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bulkops.model import Api, Item, Json, Operation, Request, Route
from bulkops.rules.operations.related_records import (
    LISTING,
    PROBE,
    held_relations,
    list_related,
    shown_related,
    undo_link,
    undo_unlink,
)
from bulkops.rules.pages import Cursor
from bulkops.rules.reads import Before, Capture, Held, Question, Shown
from bulkops.rules.spec import Column, Kind, Row, Spec, Wish
from bulkops.rules.verdicts import Answer, Verdict

_ROUTE_COLUMNS = (
    Column("module", Kind.NAME),
    Column("record_id", Kind.ID),
    Column("related_list", Kind.NAME),
    Column("related_id", Kind.ID),
)
_NO_ROLES = {"bigin": "Bigin has no contact roles"}
_ROUTE = ("module", "record_id", "related_list")


def _path(api: Api, route: Route) -> str:
    return f"{api.prefix}/Deals/{route.record_id}/Contact_Roles"


def _link(api: Api, route: Route, items: Sequence[Item]) -> Request:
    """Use the documented form for one contact, the bulk form for several."""
    if len(items) == 1:
        (item,) = items
        body = {"data": [{"Contact_Role": _role(item.fields)}]}
        return Request("PUT", f"{_path(api, route)}/{item.id}", body=body)
    data = [{"id": item.id, "Contact_Role": _role(item.fields)} for item in items]
    return Request("PUT", _path(api, route), body={"data": data})


def _role(fields: Mapping[str, Json]) -> dict[str, Json]:
    named = {"name": fields.get("role_name"), "id": fields.get("role_id")}
    return {key: value for key, value in named.items() if value}


def _unlink(api: Api, route: Route, items: Sequence[Item]) -> Request:
    return Request("DELETE", _path(api, route), {"ids": ",".join(item.id for item in items)})


def _judge_unlink(answer: Answer) -> Verdict | None:
    if answer.says("contact role not deleted") or answer.says("relation not found"):
        return Verdict.ALREADY
    return None


def _capture(api: Api, route: Route, items: Sequence[Item]) -> tuple[Request, ...]:
    """Ask which contacts have a role in the deal, and which."""
    query = {
        "fields": "id,Contact_Role",
        "per_page": "200",
        "ids": ",".join(item.id for item in items),
    }
    return (Request("GET", _path(api, route), query),)


def _held(body: Json) -> Mapping[str, Mapping[str, Json]] | None:
    """Return the role of each contact that a read shows, in the manifest's columns."""
    found = held_relations(body)
    return None if found is None else {contact: _columns(each) for contact, each in found.items()}


def _columns(fields: Mapping[str, Json]) -> dict[str, Json]:
    role = fields.get("Contact_Role")
    named = role if isinstance(role, dict) else {"id": role}
    columns = {"role_id": named.get("id"), "role_name": named.get("name")}
    return {name: str(value) for name, value in columns.items() if value}


def _list(api: Api, question: Question, cursor: Cursor) -> Request:
    """Read a page of the contacts of a deal, with their roles."""
    return list_related(api, replace(question, fields=("Contact_Role",)), cursor)


def _shown(body: Json, question: Question, cursor: Cursor) -> Shown | str:
    """Read a page of the contacts of a deal, in the manifest's columns."""
    shown = shown_related(body, question, cursor)
    if isinstance(shown, str) or body is None:
        return shown
    roles = {str(each["id"]): _role_columns(each) for each in body["data"]}
    held = tuple(Held(each.holder, each.id, roles[each.id]) for each in shown.held)
    return replace(shown, held=held)


def _role_columns(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return both columns of a role, empty or not, if the record shows one at all."""
    if "Contact_Role" not in record:
        return {}
    return {"role_id": None, "role_name": None, **_columns(record)}


def _undo_unlink(route: Route, operation: Operation, before: Before | None) -> Sequence[Row] | str:
    if before is None:
        return 'the role is not known; capture = "fields" in [run] writes it down'
    return undo_unlink(route, operation, before)


_CAPTURE = Capture(_capture, _held)
#: A role goes by its id: the name may change.
_LISTING = replace(LISTING, request=_list, parse=_shown, decisive=("role_id", "role_name"))

SPECS = (
    Spec(
        name="unlink_contact_role",
        op="unlink",
        summary="take contacts and their roles off a deal",
        page="https://www.zoho.com/crm/developer/docs/api/v7/remove-contact-role-from-a-specific-deal.html",
        columns=_ROUTE_COLUMNS,
        related_list="Contact_Roles",
        modules=("Deals",),
        route=_ROUTE,
        item="related_id",
        family="relation",
        wish=Wish.ABSENT,
        request=_unlink,
        probe=PROBE,
        capture=_CAPTURE,
        undo=_undo_unlink,
        judge=_judge_unlink,
        capacity=lambda limits: limits.ids_per_call,
        id_characters=2000,
        unavailable=_NO_ROLES,
    ),
    Spec(
        name="link_contact_role",
        op="link",
        summary="give a contact its role in a deal",
        page="https://www.zoho.com/crm/developer/docs/api/v8/add-contact-roles-to-a-specific-deal.html",
        columns=(
            *_ROUTE_COLUMNS,
            Column("role_id", Kind.ID, required=False),
            Column("role_name", Kind.TEXT, required=False),
        ),
        related_list="Contact_Roles",
        modules=("Deals",),
        any_of=("role_id", "role_name"),
        field_columns=("role_id", "role_name"),
        route=_ROUTE,
        item="related_id",
        family="relation",
        wish=Wish.PRESENT,
        request=_link,
        probe=PROBE,
        capture=_CAPTURE,
        listing=_LISTING,
        undo=undo_link,
        capacity=lambda limits: limits.ids_per_call if limits.contact_roles_bulk else 1,
        unavailable=_NO_ROLES,
    ),
)
