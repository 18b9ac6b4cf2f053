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

from bulkops.model import Api, Item, Json, Request, Route
from bulkops.operations.related_records import PROBE
from bulkops.spec import Column, Kind, Spec, Wish
from bulkops.verdicts import Answer, Verdict

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
        capacity=lambda limits: limits.ids_per_call if limits.contact_roles_bulk else 1,
        unavailable=_NO_ROLES,
    ),
)
