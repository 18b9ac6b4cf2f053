"""
What the organisation is and what its calls cost.

https://www.zoho.com/crm/developer/docs/api/v7/list-available-rest-apis.html
https://www.zoho.com/crm/developer/docs/api/v7/get-org-data.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bulkops.emulator.call import Answer, Call
from bulkops.emulator.handlers.guards import Action, check_scope
from bulkops.emulator.limits import VIEW_PRICE

#: Paths as `__apis` shows them, with the methods that cost one credit each.
_PRICED = (
    ("/{module}/{id}/{related_list}", ("GET", "PUT", "DELETE")),
    ("/{module}/{id}/{related_list}/{id}", ("GET", "PUT", "DELETE")),
)
#: The same, of the CRM alone.
_PRICED_IN_CRM = (
    ("/{module}/actions/remove_territories", ("POST",)),
    ("/{module}/actions/assign_territories", ("POST",)),
    ("/{module}/actions/get_feature_specific_info", ("GET",)),
    ("/settings/territories", ("GET",)),
    ("/settings/territories/actions/transfer_and_delete", ("POST",)),
)


def apis(call: Call) -> Answer:
    """GET /__apis: one credit a call, as the page of API limits has it, but for custom views."""
    check_scope(call, "apis", Action.READ)
    priced = _PRICED + (_PRICED_IN_CRM if call.version.product == "crm" else ())
    rows = [_row(call, "/{module}", ("GET",), most=VIEW_PRICE)]
    rows += [_row(call, path, methods, most=1) for path, methods in priced]
    return Answer(200, {"__apis": rows})


def _row(call: Call, path: str, methods: Iterable[str], *, most: int) -> dict[str, Any]:
    return {
        "path": f"/{call.version.path}{path}",
        "operation_types": [
            {"method": method, "min_credits": 1, "max_credits": most} for method in methods
        ],
    }


def organisation(call: Call) -> Answer:
    """GET /org."""
    check_scope(call, "org", Action.READ)
    held = call.organisation
    return Answer(
        200,
        {
            "org": [
                {
                    "id": held.id,
                    "zgid": held.id,
                    "company_name": held.name,
                    "license_details": {
                        "paid": held.edition != "free",
                        "paid_type": held.edition,
                        "users_license_purchased": held.users,
                    },
                    "territories_enabled": held.rights.territory_management == "on",
                }
            ]
        },
    )
