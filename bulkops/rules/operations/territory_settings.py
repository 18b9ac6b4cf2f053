"""
Territories of the organisation: transfer and delete, and the list of them.

https://www.zoho.com/crm/developer/docs/api/v7/transfer-delete-territories.html
https://www.zoho.com/crm/developer/docs/api/v7/get-territories.html

At most 10 a call. A territory that others are transferred to must still stand while they go, so
calls are made one at a time, sources before their targets. Deleting twice answers "Given
Territoryid isn't valid one", which is our own success only if our first try met silence.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkops.model import Api, Item, Json, Operation, Request, Route
from bulkops.rules.pages import PAGE
from bulkops.rules.reads import Before, Probe
from bulkops.rules.spec import Column, Kind, Spec, Wish
from bulkops.rules.verdicts import Answer, Verdict

_MOST = 10


def _delete(api: Api, _route: Route, items: Sequence[Item]) -> Request:
    path = f"{api.prefix}/settings/territories/actions/transfer_and_delete"
    return Request("POST", path, body={"territories": [_entry(item) for item in items]})


def _entry(item: Item) -> Json:
    target = item.fields.get("transfer_to_id")
    previous = str(item.fields.get("delete_previous_forecasts") or "").casefold() == "true"
    return {
        "id": item.id,
        **({"transfer_to_id": target} if target else {}),
        "delete_previous_forecasts": previous,
    }


def _judge_delete(answer: Answer) -> Verdict | None:
    if answer.code == "INVALID_DATA" and answer.says("Given Territoryid isn't valid"):
        return Verdict.ECHO
    return None


def _undo(_route: Route, _operation: Operation, _before: Before | None) -> str:
    return "a deleted territory cannot be brought back"


def list_territories(api: Api, page: int) -> Request:
    """Read a page of the organisation's territories, 200 a page, from 1."""
    query = {"page": str(page), "per_page": str(PAGE)}
    return Request("GET", f"{api.prefix}/settings/territories", query)


def territory_ids(body: Json) -> tuple[frozenset[str], bool]:
    """Return the ids on a page of the list, and whether more pages follow."""
    if not isinstance(body, dict):
        return frozenset(), False
    listed = body.get("territories")
    info = body.get("info")
    ids = frozenset(
        str(each["id"])
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and "id" in each
    )
    return ids, isinstance(info, dict) and info.get("more_records") is True


def _read_each(api: Api, _route: Route, items: Sequence[Item]) -> tuple[Request, ...]:
    path = f"{api.prefix}/settings/territories"
    return tuple(Request("GET", f"{path}/{item.id}") for item in items)


def _present(body: Json) -> frozenset[tuple[str, str]]:
    ids, _ = territory_ids(body)
    return frozenset((each, "") for each in ids)


SPECS = (
    Spec(
        name="delete_territory",
        op="delete_territory",
        summary="delete territories, handing what they hold to another",
        page="https://www.zoho.com/crm/developer/docs/api/v7/transfer-delete-territories.html",
        columns=(
            Column("territory_id", Kind.ID),
            Column("transfer_to_id", Kind.ID, required=False),
            Column("delete_previous_forecasts", Kind.FLAG, required=False),
        ),
        field_columns=("transfer_to_id", "delete_previous_forecasts"),
        route=(),
        item="territory_id",
        family="territory",
        wish=Wish.ABSENT,
        request=_delete,
        probe=Probe(_read_each, _present, frozenset({"INVALID_DATA"})),
        undo=_undo,
        must_be_listed=True,
        judge=_judge_delete,
        capacity=lambda _limits: _MOST,
        envelope="territories",
        ordered_by="transfer_to_id",
        unavailable={"bigin": "Bigin has no territories"},
    ),
)
