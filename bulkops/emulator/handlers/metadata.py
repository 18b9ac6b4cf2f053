"""
What an organisation is made of: modules, fields, related lists, and the user of the token.

As much as clients ask for before they work; the values are true of the world, the rest of the
documented keys is left out.
https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html
https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html
https://www.zoho.com/crm/developer/docs/api/v8/related-list-meta.html
https://www.zoho.com/crm/developer/docs/api/v8/get-users.html
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from bulkops.emulator.call import Answer, Call, Refused
from bulkops.emulator.catalogue import TERRITORY_MODULES, offers, shown, standard_modules
from bulkops.emulator.envelope import refuse
from bulkops.emulator.handlers.guards import Action, check_scope, module_of
from bulkops.emulator.handlers.request import missing_parameter

_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "bigint"),
    (float, "double"),
    (dict, "lookup"),
)
#: The field that every record of a module has beside its id, where it is not `Name`.
_NAME_FIELDS = {
    "Leads": "Last_Name",
    "Contacts": "Last_Name",
    "Accounts": "Account_Name",
    "Deals": "Deal_Name",
    "Products": "Product_Name",
    "Campaigns": "Campaign_Name",
    "Price_Books": "Price_Book_Name",
}


def modules(call: Call) -> Answer:
    """GET /settings/modules."""
    check_scope(call, "settings", Action.READ, "modules")
    return Answer(200, {"modules": [_module(call, each) for each in _names(call)]})


def module(call: Call) -> Answer:
    """GET /settings/modules/{Module}, by name or id."""
    asked = call.path[2]
    by_id = {_id_of(call, "module", each): each for each in _names(call)}
    name = by_id[asked] if asked in by_id else module_of(call, asked)
    check_scope(call, "settings", Action.READ, "modules")
    return Answer(200, {"modules": [_module(call, name)]})


def fields(call: Call) -> Answer:
    """GET /settings/fields?module=: the fields that any record of the module has."""
    name = _asked_module(call, "fields")
    types = {"id": "bigint", _NAME_FIELDS.get(name, "Name"): "text"}
    for record in call.organisation.records.get(name, {}).values():
        for field, value in (record or {}).items():
            types.setdefault(field, _type_of(value))
    if name in TERRITORY_MODULES and call.version.product == "crm":
        types["Territories"] = "multiselectlookup"
    return Answer(200, {"fields": [_field(call, name, *each) for each in types.items()]})


def related_lists(call: Call) -> Answer:
    """GET /settings/related_lists?module=: the lists that can be called; 204 if there are none."""
    name = _asked_module(call, "related_lists")
    held = call.organisation
    rows = [
        _related_list(call, name, side.name, side.other)
        for side in held.sides.values()
        if side.module == name
        and (
            offers(call.version, name, side.name)
            if (name, side.name) not in held.custom_names
            else call.version.product == "crm"
        )
    ]
    return Answer(200, {"related_lists": rows}) if rows else Answer(204)


def users(call: Call) -> Answer:
    """GET /users: the one user there is, whose token every app has."""
    check_scope(call, "users", Action.READ)
    whole = {
        "id": user(call)["id"],
        "full_name": user(call)["name"],
        "last_name": "User",
        "email": f"user@{call.organisation.id}.example",
        "status": "active",
        "confirm": True,
    }
    info = {"per_page": 200, "count": 1, "page": 1, "more_records": False}
    return Answer(200, {"users": [whole], "info": info})


def user(call: Call) -> dict[str, str]:
    """The user, as records name whoever did something."""
    return {"name": "Emulated User", "id": _id_of(call, "user")}


def _asked_module(call: Call, part: str) -> str:
    check_scope(call, "settings", Action.READ, part)
    name = call.query.get("module", "")
    if not name:
        raise missing_parameter("module")
    try:
        return module_of(call, name)
    except Refused as error:
        message = "the module name given seems to be invalid"
        raise refuse(400, "INVALID_MODULE", message, {"param_name": "module"}) from error


def _names(call: Call) -> Iterable[str]:
    """Every module of the organisation under its own name, the standard ones first."""
    own: set[str] = set()
    if call.version.product == "crm":
        held = call.organisation
        own = {*held.records, *(each for each, _ in held.custom_names)}
    standard = standard_modules(call.version)
    return [*sorted(standard), *sorted(own - standard)]


def _id_of(call: Call, *what: str) -> str:
    """An id that is the same whenever it is asked for."""
    return f"{call.organisation.id}{zlib.crc32('/'.join(what).encode()):010d}"


def _module(call: Call, name: str) -> dict[str, Any]:
    api_name = shown(call.version, name)
    is_custom = name not in standard_modules(call.version)
    return {
        "id": _id_of(call, "module", name),
        "api_name": api_name,
        "module_name": api_name,
        "singular_label": api_name.removesuffix("s").replace("_", " "),
        "plural_label": api_name.replace("_", " "),
        "generated_type": "custom" if is_custom else "default",
        "status": "visible",
        "visible": True,
        "viewable": True,
        "creatable": True,
        "editable": True,
        "deletable": True,
        "api_supported": True,
    }


def _type_of(value: object) -> str:
    return next((word for kind, word in _TYPES if isinstance(value, kind)), "text")


def _field(call: Call, module_name: str, name: str, data_type: str) -> dict[str, Any]:
    return {
        "id": _id_of(call, "field", module_name, name),
        "api_name": name,
        "field_label": name.replace("_", " "),
        "display_label": name.replace("_", " "),
        "data_type": data_type,
        "json_type": {"boolean": "boolean", "bigint": "long", "double": "double"}.get(
            data_type, "string"
        ),
        "custom_field": False,
        "system_mandatory": False,
        "read_only": name == "id",
        "visible": True,
    }


def _related_list(call: Call, name: str, list_name: str, other: str) -> dict[str, Any]:
    other_name = shown(call.version, other)
    list_shown = shown(call.version, list_name)
    return {
        "id": _id_of(call, "related_list", name, list_name),
        "api_name": list_shown,
        "name": list_shown.replace("_", " "),
        "display_label": list_shown.replace("_", " "),
        "module": {"api_name": other_name, "id": _id_of(call, "module", other)},
        "href": f"{shown(call.version, name)}/{{ENTITYID}}/{list_shown}",
        "type": "default",
        "status": "visible",
        "visible": True,
    }
