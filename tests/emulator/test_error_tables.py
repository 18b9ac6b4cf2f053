"""
Every error that the vendor's pages and specifications list, asserted over a real socket.

A table for each group of calls; a row is one documented error: what to do, and the whole answer.
Where the sources contradict each other there is a row for each, with the knob that makes it. What
no state of an organisation leads to is given word for word by a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from bulkops.emulator import Fault, FaultKind

from .conftest import Reply, Start

WORLD: dict[str, Any] = {
    "records": {
        "Leads": ["1", "2"],
        "Campaigns": ["11", "12"],
        "Products": ["21"],
        "Price_Books": ["31"],
        "Deals": ["41"],
        "Contacts": ["51", "52"],
        "Accounts": ["61", "62"],
        "Notes": ["71"],
    },
    "relations": {"Leads/1/Campaigns": ["11"]},
    "roles": {"91": "Buyer"},
    "contact_roles": {"41": {"51": "91"}},
    "territories": [
        {"id": "100", "name": "All"},
        {"id": "101", "name": "West", "parent_id": "100"},
        {"id": "102", "name": "Coast", "parent_id": "101"},
        {"id": "103", "name": "East", "parent_id": "100"},
    ],
    "record_territories": {
        "Accounts": {"61": {"101": "manually", "102": "automatically"}},
        "Leads": {"1": ["101"]},
        "Deals": {"41": ["101"]},
    },
}
RELATED = "/crm/v8/Leads/1/Campaigns"
ROLES = "/crm/v8/Deals/41/Contact_Roles"
REMOVE = "/crm/v8/Accounts/actions/remove_territories"
ASSIGN = "/crm/v8/Accounts/actions/assign_territories"
TERRITORIES = "/crm/v8/settings/territories"
TRANSFER = f"{TERRITORIES}/actions/transfer_and_delete"
HUNDRED_AND_ONE = ",".join(["11"] * 101)


@dataclass(frozen=True)
class Row:
    """One documented error: how to come to it, and the whole answer."""

    method: str
    url: str
    status: int
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    #: the error is an item of the answer's array; else it is the whole body
    wrapped: bool = False
    #: which item
    item: int = 0
    rights: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    token: str = "emulator-access"
    scopes: tuple[str, ...] = ()
    #: the answer is no rule of the emulator's; a fault gives it
    given: bool = False

    @property
    def error(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "details": dict(self.details),
            "message": self.message,
            "status": "error",
        }


def data(*items: Any) -> dict[str, Any]:
    return {"data": list(items)}


def moves(*items: Any) -> dict[str, Any]:
    return {"territories": list(items)}


def named(record_id: Any, *territories: Any) -> dict[str, Any]:
    return {"id": record_id, "Territories": [{"id": each} for each in territories]}


def at(path: str, name: str = "id") -> dict[str, Any]:
    return {"api_name": name, "json_path": path}


def index(number: int) -> dict[str, Any]:
    return {"resource_path_index": number}


async def outcome(start: Start, row: Row) -> Reply:
    """The answer to the row's call, in the organisation that the row asks for."""
    seed = {**WORLD, "rights": dict(row.rights)}
    if row.scopes:
        seed["clients"] = [
            {"client_id": "a", "access_token": row.token, "scopes": list(row.scopes)}
        ]
    faults = []
    if row.given:
        payload = data(row.error) if row.wrapped else row.error
        faults = [Fault(FaultKind.STATUS, status=row.status, payload=payload)]
    client = await start(seed, faults=faults, **{"offload_from": 0, **row.knobs})
    headers = {"Authorization": f"Zoho-oauthtoken {row.token}"} if row.token else {}
    client.token = None
    return await client.send(row.method, row.url, body=row.body, headers=headers)


async def check(start: Start, row: Row) -> None:
    reply = await outcome(start, row)

    assert reply.status == row.status
    assert (reply.items[row.item] if row.wrapped else reply.body) == row.error


PRIVILEGE = "User does not have sufficient privilege to"
FORMAT = "either the request body or parameters is in wrong format"
INVALID_TOKEN = ("INVALID_TOKEN", "invalid oauth token")
SCOPE = ("OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")
BAD_PARENT = "the related id given seems to be invalid"
BAD_ID = "the id given seems to be invalid"
BAD_URL = "Please check if the URL trying to access is a correct one"
BAD_METHOD = "The http request method type is not a valid one"
MISSING = "One of the expected parameter is missing"
NO_FIELD = "required field not found"
LIMIT = "Limit Exceeded, You cannot give more than 100 record ids"

UNLINK = [
    Row("DELETE", f"{RELATED}?ids=12", 400, "INVALID_DATA", "relation not found", {"id": "12"},
        wrapped=True),
    Row("DELETE", f"{RELATED}?ids=11,12", 207, "INVALID_DATA", "relation not found", {"id": "12"},
        wrapped=True, item=1),
    Row("DELETE", f"{RELATED}/12", 400, "INVALID_DATA", "relation not found", {"id": "12"},
        wrapped=True),
    Row("DELETE", f"{RELATED}?ids={HUNDRED_AND_ONE}", 400, "LIMIT_EXCEEDED", LIMIT,
        {"limit": "100", "param_name": "ids"}),
    Row("DELETE", RELATED, 400, "MANDATORY_NOT_FOUND", MISSING, {"param_name": "ids"}),
    Row("DELETE", "/crm/v8/Leads/9/Campaigns?ids=11", 400, "INVALID_DATA", BAD_PARENT, index(1)),
    Row("DELETE", "/crm/v8/Leads/9/Campaigns?ids=11", 404, "INVALID_DATA",
        "The record does not exist", knobs={"missing_parent": "not_found"}),
    Row("DELETE", "/crm/v8/Leads/1/Kampaigns?ids=11", 400, "INVALID_DATA",
        "the relation name given seems to be invalid", index(2)),
    Row("DELETE", "/crm/v8/Leads/1/Kampaigns?ids=11", 400, "INVALID_DATA",
        "The related name given seems to be invalid", index(2),
        knobs={"bad_relation_message": "The related name given seems to be invalid"}),
    Row("DELETE", "/crm/v8/Leeds/1/Campaigns?ids=11", 400, "INVALID_MODULE",
        "The module name given seems to be invalid", index(0)),
    Row("DELETE", "/crm/v8/Notes/71/Leads?ids=11", 400, "NOT_SUPPORTED",
        "The given module is not supported in API", index(0)),
    Row("DELETE", "/crm/v8/Notes/71/Leads?ids=11", 400, "INVALID_MODULE",
        "The given module is not supported in API", index(0),
        knobs={"unsupported_module_code": "INVALID_MODULE"}),
    Row("DELETE", f"{RELATED}?ids=11,x", 400, "UNABLE_TO_PARSE_DATA_TYPE", FORMAT),
    Row("POST", f"{RELATED}?ids=11", 400, "INVALID_REQUEST_METHOD", BAD_METHOD),
    Row("DELETE", f"{RELATED}?ids=11", 400, "AUTHORIZATION_FAILED",
        f"{PRIVILEGE} delete related records data", rights={"unauthorised": ["Leads.delete"]}),
    Row("DELETE", f"{RELATED}?ids=11", 401, *INVALID_TOKEN, token="1000.unknown"),
    Row("DELETE", f"{RELATED}?ids=11", 401, *SCOPE, scopes=("ZohoCRM.modules.Leads.READ",)),
    Row("DELETE", f"{RELATED}?ids=11", 403, "NO_PERMISSION", "Permission denied to delete records",
        {"permissions": ["Crm_Implied_View_Leads"]}, rights={"denied": ["Leads.delete"]}),
    Row("DELETE", "/crm/v8/Leads/one/Campaigns?ids=11", 404, "INVALID_URL_PATTERN", BAD_URL),
    Row("DELETE", f"{RELATED}?ids=11", 500, "INTERNAL_ERROR", "Internal Server Error", given=True),
    Row("DELETE", f"{RELATED}?ids=11", 500, "INTERNAL_ERROR",
        "Unexpected and unhandled exception in Server", given=True),
    Row("DELETE", f"{RELATED}/11", 400, "CANNOT_BE_UPDATED", "record not deleted", {"id": "11"},
        wrapped=True, given=True),
]  # fmt: skip


@pytest.mark.parametrize("row", UNLINK, ids=lambda row: row.code)
async def test_errors_of_unlinking_related_records(start: Start, row: Row) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v8/delink.html and the specification's files."""
    await check(start, row)


LINK = [
    Row("PUT", RELATED, 207, "INVALID_DATA", "invalid data", {"id": "99"},
        body=data({"id": "12"}, {"id": "99"}), wrapped=True, item=1),
    Row("PUT", RELATED, 400, "INVALID_DATA", BAD_ID, at("$.data[0].id"), body=data({"id": "99"}),
        wrapped=True),
    Row("PUT", "/crm/v8/Products/21/Price_Books", 400, "MANDATORY_NOT_FOUND", NO_FIELD,
        at("$.data[0].list_price", "list_price"), body=data({"id": "31"}), wrapped=True),
    Row("PUT", RELATED, 400, "AUTHORIZATION_FAILED", f"{PRIVILEGE} update related records data",
        body=data({"id": "11"}), rights={"unauthorised": ["Leads.update"]}),
    Row("PUT", RELATED, 401, "AUTHORIZATION_FAILED", f"{PRIVILEGE} update related records data",
        body=data({"id": "11"}), rights={"unauthorised": ["Leads.update"]},
        knobs={"authorization_failed_status": 401}),
    Row("PUT", RELATED, 403, "NO_PERMISSION", "Permission denied to update records",
        {"permissions": ["Crm_Implied_View_Leads"]}, body=data({"id": "11"}),
        rights={"denied": ["Leads.update"]}),
    Row("PUT", "/crm/v8/Leads/9/Campaigns", 400, "INVALID_DATA", BAD_PARENT, index(1),
        body=data({"id": "11"})),
    Row("PUT", "/crm/v8/Notes/71/Leads", 400, "NOT_SUPPORTED",
        "The given module is not supported in API", index(0), body=data({"id": "1"})),
    Row("PUT", RELATED, 400, "UNABLE_TO_PARSE_DATA_TYPE", FORMAT, body=b"{"),
    Row("PUT", RELATED, 401, *SCOPE, body=data({"id": "11"}),
        scopes=("ZohoCRM.modules.Leads.READ",)),
    Row("PUT", f"{RELATED}/11", 400, "LIMIT_EXCEEDED",
        "Limit Exceeded, You cannot give more than 1 records",
        {"limit": 1, **at("$.data", "data")}, body=data({}, {})),
    Row("PUT", RELATED, 400, "LIMIT_EXCEEDED",
        "Limit Exceeded, You cannot give more than 100 records",
        {"limit": 100, **at("$.data", "data")}, body=data(*[{"id": "11"}] * 101)),
    Row("PUT", "/bigin/v1/Products/21/Contacts", 202, "INVALID_DATA", BAD_ID, at("$.data[0].id"),
        body=data({"id": "99"}), wrapped=True),
    Row("PUT", "/bigin/v1/Products/21/Contacts", 202, "MANDATORY_NOT_FOUND", NO_FIELD,
        at("$.data[0].id"), body=data({}), wrapped=True),
    Row("PUT", RELATED, 400, "DUPLICATE_LINKING_DATA", "duplicate association",
        {"linking_fields": ["Bugs_MxN", "CM_MxN"], "id": "5"}, body=data({"id": "11"}),
        wrapped=True, given=True),
    Row("PUT", RELATED, 500, "INTERNAL_ERROR", "Internal Server Error", body=data({"id": "11"}),
        given=True),
]  # fmt: skip


@pytest.mark.parametrize("row", LINK, ids=lambda row: row.code)
async def test_errors_of_linking_related_records(start: Start, row: Row) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v8/update-related-records.html"""
    await check(start, row)


PENDING = "You are trying to remove territories again from the record(s) while a job is already "
LOCKED = "Sorry, you cannot perform this operation as the record is locked."
SYSTEM = "Territory id which you are trying to remove was system assigned"
HERE, THERE = "$.data[0].id", "$.data[0].Territories[0].id"
OFF_FOR_LEADS = "the territory feature is not enabled for Leads Module"
LEADS = "/crm/v8/Leads/actions/remove_territories"
ONE = "/crm/v8/Accounts/61/actions/remove_territories"
RECORD_TERRITORIES = [
    Row("POST", REMOVE, 400, "INVALID_DATA", BAD_ID, at("$.data[0].Territories[1].id"),
        body=data(named("61", "101", "999")), wrapped=True),
    Row("POST", REMOVE, 400, "INVALID_DATA", BAD_ID, at(THERE), body=data(named("61", "103")),
        wrapped=True),
    Row("POST", REMOVE, 400, "INVALID_DATA", BAD_ID, at(HERE), body=data(named("69", "101")),
        wrapped=True),
    Row("POST", REMOVE, 400, "INVALID_DATA", BAD_ID, at(f" {HERE}"),
        body=data(named("69", "101")), wrapped=True, knobs={"json_path_space": True}),
    Row("POST", "/crm/v8/Accounts/69/actions/remove_territories", 400, "INVALID_DATA", BAD_ID,
        index(1), body=data({"Territories": [{"id": "101"}]})),
    Row("POST", REMOVE, 400, "MANDATORY_NOT_FOUND", NO_FIELD, at("$.data[0].Territories[1].id"),
        body=data({"id": "61", "Territories": [{"id": "101"}, {}]}), wrapped=True),
    Row("POST", REMOVE, 400, "NOT_ALLOWED", SYSTEM, at(THERE), body=data(named("61", "102")),
        wrapped=True),
    Row("POST", REMOVE, 403, "NOT_ALLOWED", SYSTEM, at(THERE), body=data(named("61", "102")),
        wrapped=True, knobs={"not_allowed_status": 403}),
    Row("POST", REMOVE, 400, "ALREADY_USED", "duplicate territory id found",
        {"exists_in": {"json_path": THERE}, **at("$.data[0].Territories[1].id")},
        body=data(named("61", "101", "101")), wrapped=True),
    Row("POST", REMOVE, 400, "RECORD_LOCKED", LOCKED, {"id": "61", "action": "record_locking"},
        body=data(named("61", "101")), wrapped=True, rights={"locked": ["61"]}),
    Row("POST", ONE, 400, "RECORD_LOCKED", LOCKED, index(1), rights={"locked": ["61"]},
        body=data({"Territories": [{"id": "101"}]})),
    Row("POST", ASSIGN, 400, "LIMIT_EXCEEDED",
        "Maximum limit of territories for that record exceeds",
        {**at("$.data[0].Territories", "Territories"), "limit": 2}, wrapped=True,
        body=data(named("61", "103")), knobs={"territories_per_record": 2}),
    Row("POST", "/crm/v8/Deals/actions/assign_territories", 400, "LIMIT_EXCEEDED",
        "Maximum limit of territories for that record exceeds", {"limit": 1}, wrapped=True,
        body=data(named("41", "103"))),
    Row("POST", ASSIGN, 400, "DUPLICATE_DATA", "Given Territory already exists for that record",
        at(THERE), body=data(named("61", "101")), wrapped=True),
    Row("POST", REMOVE, 400, "INVALID_DATA", "invalid data",
        {**at("$.data[0].Territories", "Territories"), "maximum_length": 100},
        body=data(named("61", *range(200, 301)))),
    Row("POST", REMOVE, 400, "INVALID_DATA", "invalid data",
        {**at("$.data[1].Territories", "Territories"), "maximum_length": 100},
        body=data(named("61", "101"), named("62", *range(200, 301)))),
    Row("POST", REMOVE, 400, "LIMIT_EXCEEDED",
        "Limit Exceeded, You cannot give more than 10 records",
        {"limit": 10, **at("$.data", "data")}, body=data(*[named("61", "101")] * 11)),
    Row("POST", "/crm/v8/Products/actions/remove_territories", 400, "NOT_SUPPORTED",
        "the api is not supported for this module", index(0), body=data(named("21", "101"))),
    Row("POST", "/crm/v8/Nothing/actions/remove_territories", 400, "INVALID_MODULE",
        "the module name given seems to be invalid", index(0), body=data(named("1", "101"))),
    Row("POST", REMOVE, 400, "FEATURE_NOT_ENABLED", "Territory Management is disabled",
        body=data(named("61", "101")), rights={"territory_management": "disabled"}),
    Row("POST", REMOVE, 400, "FEATURE_NOT_ENABLED", "Territory Management is not enabled",
        body=data(named("61", "101")), rights={"territory_management": "never enabled"}),
    Row("POST", REMOVE, 400, "FEATURE_NOT_ENABLED", "Territory Management Disabled",
        body=data(named("61", "101")), given=True),
    Row("POST", LEADS, 400, "FEATURE_NOT_ENABLED",
        "Territory Management is not enabled for Leads Module", body=data(named("1", "101")),
        given=True),
    Row("POST", LEADS, 400, "FEATURE_NOT_ENABLED", OFF_FOR_LEADS, body=data(named("1", "101")),
        rights={"territories_for_leads": False}),
    Row("POST", LEADS, 403, "TERRITORY_NOT_ENABLED", OFF_FOR_LEADS, body=data(named("1", "101")),
        rights={"territories_for_leads": False}, knobs={"leads_refusal": "TERRITORY_NOT_ENABLED"}),
    Row("POST", REMOVE, 401, "NO_PERMISSION",
        "User has no permission to add / remove the Territories", at("$.data[0].Territories"),
        body=data(named("61", "101")), wrapped=True, rights={"territories": ["101"]}),
    Row("POST", REMOVE, 403, "NO_PERMISSION",
        "User has no permission to add / remove the Territories", at("$.data[0].Territories"),
        body=data(named("61", "101")), wrapped=True, rights={"territories": ["101"]},
        knobs={"territory_permission_status": 403}),
    Row("POST", REMOVE, 403, "NO_PERMISSION", "User has no permission to update the record",
        at(HERE), body=data(named("61", "101")), wrapped=True, rights={"records": ["61"]}),
    Row("POST", REMOVE, 403, "NO_PERMISSION", "Permission denied to update records",
        {"permissions": ["Crm_Implied_View_Accounts"]}, body=data(named("61", "101")),
        rights={"denied": ["Accounts.update"]}),
    Row("POST", REMOVE, 401, "AUTHENTICATION_FAILURE", "Authentication failed", token="",
        body=data(named("61", "101"))),
    Row("POST", REMOVE, 400, "AUTHORIZATION_FAILED", f"{PRIVILEGE} update records",
        body=data(named("61", "101")), rights={"unauthorised": ["Accounts.update"]}),
    Row("POST", REMOVE, 401, "AUTHORIZATION_FAILED", f"{PRIVILEGE} update records",
        body=data(named("61", "101")), rights={"unauthorised": ["Accounts.update"]},
        knobs={"authorization_failed_status": 401}),
    Row("POST", REMOVE, 207, "INVALID_DATA", BAD_ID, at("$.data[1].id"), wrapped=True, item=1,
        body=data(named("61", "101"), named("69", "101"))),
    Row("POST", REMOVE, 200, "INVALID_DATA", BAD_ID, at("$.data[1].id"), wrapped=True, item=1,
        body=data(named("61", "101"), named("69", "101")), knobs={"mixed_status": 200}),
    Row("POST", REMOVE, 500, "INTERNAL_ERROR", "Internal Server Error", given=True,
        body=data(named("61", "101"))),
    Row("POST", REMOVE, 500, "INTERNAL_SERVER_ERROR", "Internal Server Error", given=True,
        body=data(named("61", "101"))),
]  # fmt: skip


@pytest.mark.parametrize("row", RECORD_TERRITORIES, ids=lambda row: row.code)
async def test_errors_of_territories_of_records(start: Start, row: Row) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v7/remove-territories-of-records.html"""
    await check(start, row)


async def test_a_record_with_a_scheduled_job_is_refused(start: Start) -> None:
    """Territories of records: ALREADY_SCHEDULED; its literal text and details are assumed."""
    client = await start(WORLD)
    await client.post(REMOVE, named("61", "101"))

    again = await client.post(REMOVE, named("61", "101"))

    assert (again.status, again.items) == (
        400,
        [{"code": "ALREADY_SCHEDULED", "details": {"id": "61"}, "status": "error",
          "message": f"{PENDING}scheduled."}],
    )  # fmt: skip


CONTACT_ROLES = [
    Row("PUT", "/crm/v8/Deals/49/Contact_Roles/51", 400, "INVALID_DATA", BAD_PARENT, index(1),
        body=data({"Contact_Role": {"id": "91"}})),
    Row("PUT", f"{ROLES}/59", 400, "INVALID_DATA", BAD_ID, {"id": "59"}, wrapped=True,
        body=data({"Contact_Role": {"id": "91"}})),
    Row("PUT", f"{ROLES}/51", 400, "INVALID_DATA", "invalid data",
        at("$.data[0].Contact_Role", "Contact_Role"), wrapped=True,
        body=data({"Contact_Role": {"id": "99"}})),
    Row("PUT", f"{ROLES}/51", 400, "MANDATORY_NOT_FOUND", NO_FIELD,
        at("$.data[0].Contact_Role", "Contact_Role"), body=data({"x": 1}), wrapped=True),
    Row("DELETE", f"{ROLES}/52", 400, "MANDATORY_NOT_FOUND", "relation not found", {"id": "52"},
        wrapped=True),
    Row("DELETE", f"{ROLES}/52", 400, "INVALID_DATA", "contact role not deleted", {"id": "52"},
        wrapped=True, knobs={"absent_contact_role": "contact role not deleted"}),
    Row("DELETE", f"{ROLES}?ids=51,52", 207, "MANDATORY_NOT_FOUND", "relation not found",
        {"id": "52"}, wrapped=True, item=1),
    Row("GET", ROLES, 400, "REQUIRED_PARAM_MISSING", MISSING, {"param_name": "fields"}),
    Row("PUT", f"{ROLES}/51", 403, "NO_PERMISSION", "Permission denied to update records",
        {"permissions": ["Crm_Implied_View_Potentials"]}, rights={"denied": ["Deals.update"]},
        body=data({"Contact_Role": {"id": "91"}})),
    Row("DELETE", f"{ROLES}/51", 403, "NO_PERMISSION", "Permission denied to delete records",
        {"permissions": ["Crm_Implied_View_Contacts"]}, rights={"denied": ["Contacts.delete"]}),
    Row("DELETE", f"{ROLES}/51", 401, *SCOPE, scopes=("ZohoCRM.modules.deals.ALL",)),
    Row("DELETE", "/crm/v8/Deals/49/Contact_Roles/51", 401, *SCOPE,
        scopes=("ZohoCRM.modules.deals.ALL",)),
    Row("DELETE", "/crm/v8/Deals/49/Contact_Roles/51", 403, "NO_PERMISSION",
        "Permission denied to delete records", {"permissions": ["Crm_Implied_View_Contacts"]},
        rights={"denied": ["Contacts.delete"]}),
]  # fmt: skip


@pytest.mark.parametrize("row", CONTACT_ROLES, ids=lambda row: row.code)
async def test_errors_of_contact_roles(start: Start, row: Row) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v8/add-contact-roles-to-a-specific-deal.html"""
    await check(start, row)


FIRST, TARGET = "$.territories[0].id", "$.territories[0].transfer_to_id"
HIERARCHY = [
    Row("POST", TRANSFER, 400, "INVALID_DATA", "Given Territoryid isn't valid one", at(FIRST),
        body=moves({"id": "999"}), wrapped=True),
    Row("POST", TRANSFER, 400, "INVALID_DATA", "Given transfer_to_id isn't valid one",
        at(TARGET, "transfer_to_id"), body=moves({"id": "101", "transfer_to_id": "999"}),
        wrapped=True),
    Row("POST", TRANSFER, 400, "INVALID_DATA", "Transfer_to_id is same as current parent territory",
        at(TARGET, "transfer_to_id"), body=moves({"id": "101", "transfer_to_id": "101"}),
        wrapped=True),
    Row("POST", TRANSFER, 400, "INVALID_DATA",
        "Transfer_to_id is not at a higher heirarchy than current parent territory",
        at(TARGET, "transfer_to_id"), body=moves({"id": "101", "transfer_to_id": "103"}),
        wrapped=True),
    Row("POST", TRANSFER, 400, "INVALID_DATA",
        "Can't update the Org Territory Properties Except its Name", at(FIRST),
        body=moves({"id": "100", "transfer_to_id": "101"}), wrapped=True),
    Row("POST", TRANSFER, 400, "DEPENDENT_FIELD_MISSING",
        "This territory has its child. Please Give the transfer_to_id field value",
        {**at(TARGET, "transfer_to_id"), "dependee": at(FIRST)}, body=moves({"id": "101"}),
        wrapped=True),
    Row("POST", TRANSFER, 400, "FEATURE_NOT_ENABLED", "Territory Management is disabled",
        body=moves({"id": "101"}), rights={"territory_management": "disabled"}),
    Row("POST", TRANSFER, 401, "AUTHENTICATION_FAILURE", "Authentication failed", token="",
        body=moves({"id": "101"})),
    Row("POST", TRANSFER, 500, "INTERNAL_ERROR", "Internal Server Error", given=True,
        body=moves({"id": "101"})),
    Row("DELETE", f"{TERRITORIES}?ids={','.join(map(str, range(11)))}", 400, "INVALID_REQUEST",
        "unable to process your request. please verify whether you have entered proper method "
        "name, parameter and parameter values."),
    Row("DELETE", f"{TERRITORIES}?ids=101", 400, "NOT_ALLOWED",
        "This territory has a child territory associated with it. It can't be deleted directly as "
        "transfer of child territory is required.", {"id": "101"}, wrapped=True),
    Row("DELETE", f"{TERRITORIES}/100", 400, "NOT_ALLOWED",
        "The territory you are trying to delete is the Org Territory", {"id": "100"}, wrapped=True),
    Row("DELETE", f"{TERRITORIES}/103", 401, "PERMISSION_DENIED",
        "You don't have a permission to delete the Territory",
        rights={"denied": ["Territories.delete"]}),
    Row("DELETE", f"{TERRITORIES}/999", 400, "INVALID_DATA", "Given Territoryid isn't valid one",
        {"id": "999"}, wrapped=True),
]  # fmt: skip


async def check_territory(start: Start, row: Row) -> None:
    reply = await outcome(start, row)

    found = reply.body["territories"][row.item] if row.wrapped else reply.body
    assert (reply.status, found) == (row.status, row.error)


@pytest.mark.parametrize("row", HIERARCHY, ids=lambda row: row.code)
async def test_errors_of_deleting_territories(start: Start, row: Row) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v7/transfer-delete-territories.html"""
    await check_territory(start, row)


PAGES = [
    Row("GET", "/crm/v8/Leads?fields=id&page=3&per_page=2", 400,
        "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
        "You can only get the first 4 records without using page_token param", {"limit": 4},
        knobs={"page_wall": 4}),
    Row("GET", "/crm/v8/Leads?fields=id&per_page=201", 400, "LIMIT_EXCEEDED",
        "Limit Exceeded, You cannot give more than 200 as per_page",
        {"limit": 200, "param_name": "per_page"}),
    Row("GET", "/crm/v8/Leads", 400, "REQUIRED_PARAM_MISSING", MISSING, {"param_name": "fields"}),
    Row("GET", f"{RELATED}", 400, "REQUIRED_PARAM_MISSING", MISSING, {"param_name": "fields"}),
    Row("GET", f"{RELATED}?fields=id&ids={HUNDRED_AND_ONE}", 400, "LIMIT_EXCEEDED", LIMIT,
        {"limit": "100", "param_name": "ids"}),
    Row("GET", f"{TERRITORIES}/actions/scheduled_run_rule_jobs", 400, "REQUIRED_PARAM_MISSING",
        MISSING, {"param_name": "job_id"}),
]  # fmt: skip


@pytest.mark.parametrize("row", PAGES, ids=lambda row: row.code)
async def test_errors_of_reading(start: Start, row: Row) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v7/get-related-records.html"""
    await check(start, row)


TOKENS = [
    Row("GET", "/crm/v8/Leads/1", 401, *INVALID_TOKEN, token="1000.expired.or.unknown"),
    Row("GET", "/crm/v8/Leads/1", 401, "AUTHENTICATION_FAILURE", "Authentication failed", token=""),
    Row("GET", "/crm/v8/Leads/1", 401, "INVALID_OAUTHTOKEN", "invalid oauth token", given=True),
    Row("GET", "/crm/v8/Leads/1", 401, *SCOPE, scopes=("ZohoCRM.settings.ALL",)),
    Row("GET", "/crm/v8/Leads/1", 400, "INVALID_HOST", "invalid host", given=True),
]  # fmt: skip


@pytest.mark.parametrize("row", TOKENS, ids=lambda row: row.code)
async def test_errors_of_access_tokens(start: Start, row: Row) -> None:
    """https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html and status codes."""
    await check(start, row)


THROTTLED = {
    "error_description": (
        "You have made too many requests continuously. Please try again after some time."
    ),
    "error": "Access Denied",
    "status": "failure",
}


@pytest.mark.parametrize(
    ("changed", "asked_before", "status", "body", "knobs"),
    [
        ({"refresh_token": "x"}, 0, 200, {"error": "invalid_code"}, {}),
        ({"client_id": "x"}, 0, 200, {"error": "invalid_client"}, {}),
        ({"client_secret": "x"}, 0, 200, {"error": "invalid_client_secret"}, {}),
        ({"grant_type": "x"}, 0, 200, {"error": "unsupported_grant_type"}, {}),
        ({}, 10, 400, THROTTLED, {}),
        ({}, 10, 200, THROTTLED, {"token_throttle_status": 200}),
    ],
)
async def test_errors_of_the_token_endpoint(
    start: Start,
    changed: dict[str, str],
    asked_before: int,
    status: int,
    body: dict[str, str],
    knobs: dict[str, Any],
) -> None:
    """https://help.zoho.com/portal/en/community/topic/kaizen-43-tokens-and-limitations"""
    client = await start(WORLD, **knobs)
    form = {
        "grant_type": "refresh_token",
        "client_id": client.emulator.client_id,
        "client_secret": client.emulator.client_secret,
        "refresh_token": client.emulator.refresh_token,
    }
    for _ in range(asked_before):
        await client.send("POST", "/oauth/v2/token", body=urlencode(form).encode())

    reply = await client.send(
        "POST", "/oauth/v2/token", body=urlencode({**form, **changed}).encode()
    )

    assert (reply.status, reply.body) == (status, body)
