"""Zoho's official Python SDK against the emulator, with no patch to either side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Client, Start

pytest.importorskip(
    "zohocrmsdk", reason="Zoho's SDK is not installed; `pip install 'bulkops[sdk-test]'` adds it"
)
# Their warnings are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")

LEAD, OTHER_LEAD, CAMPAIGNS = 4150868000000001001, 4150868000000001002, (
    4150868000000002001, 4150868000000002002, 4150868000000002003,
)  # fmt: skip
DEAL, CONTACT, OTHER_CONTACT = 4150868000000003001, 4150868000000004001, 4150868000000004002
BUYER, SPONSOR = 4150868000000005001, 4150868000000005002
TOP, WEST, EAST = 4150868000000006001, 4150868000000006002, 4150868000000006003
SEED: dict[str, Any] = {
    "records": {"Leads": [LEAD, OTHER_LEAD], "Campaigns": [*CAMPAIGNS], "Contacts": [CONTACT]},
    "relations": {f"Leads/{LEAD}/Campaigns": [*CAMPAIGNS[:2]]},
    "roles": {str(BUYER): "Buyer", str(SPONSOR): "Executive Sponsor"},
    "contact_roles": {str(DEAL): {str(OTHER_CONTACT): str(BUYER)}},
    "territories": [
        {"id": TOP, "name": "All"},
        {"id": WEST, "name": "West", "parent_id": TOP},
        {"id": EAST, "name": "East", "parent_id": TOP},
    ],
    "record_territories": {"Leads": {str(LEAD): [WEST], str(OTHER_LEAD): [WEST]}},
}

Sdk = Callable[..., Any]


@pytest.fixture
async def client(start: Start, tmp_path: Path) -> Client:
    """An emulator, and the SDK initialised with a refresh token of it."""
    client = await start(SEED, offload_from=0)
    await asyncio.to_thread(initialise, client, tmp_path)
    return client


def initialise(client: Client, folder: Path) -> None:
    """What the SDK's own README tells its users to do, with the emulator's address."""
    from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
    from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
    from zohocrmsdk.src.com.zoho.crm.api import Initializer
    from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter

    url = client.emulator.url
    Initializer.initialize(
        environment=DataCenter.Environment(url, f"{url}/oauth/v2/token", url),
        token=OAuthToken(
            client_id=client.emulator.client_id,
            client_secret=client.emulator.client_secret,
            refresh_token=client.emulator.refresh_token,
        ),
        store=FileStore(str(folder / "tokens.txt")),
        resource_path=str(folder),
    )


def params(names: Any, **values: object) -> Any:
    """The SDK's parameter map; `names` is the class that it declares a call's parameters in."""
    from zohocrmsdk.src.com.zoho.crm.api import ParameterMap

    made = ParameterMap()
    for name, value in values.items():
        made.add(getattr(names, name), value)
    return made


def record(record_id: int, **values: object) -> Any:
    from zohocrmsdk.src.com.zoho.crm.api.record import Record

    made = Record()
    made.set_id(record_id)
    for name, value in values.items():
        made.add_key_value(name, value)
    return made


def said(reply: Any, of: str = "data") -> tuple[int, list[str]]:
    """Status and codes, as the SDK has read them."""
    items = getattr(reply.get_object(), f"get_{of}")()
    return reply.get_status_code(), [item.get_code().get_value() for item in items]


def calls(client: Client, *kinds: str) -> int:
    """How many calls of these kinds reached the emulator."""
    return sum(client.emulator.counters.calls[kind] for kind in kinds)


async def test_link_read_and_unlink(client: Client) -> None:
    """Related records: update, get, delink of many and of one."""
    from zohocrmsdk.src.com.zoho.crm.api.related_records import (
        BodyWrapper,
        DelinkRecordsParam,
        GetRelatedRecordsParam,
        RelatedRecordsOperations,
    )

    def work() -> list[Any]:
        operations = RelatedRecordsOperations("Campaigns", "Leads")
        body = BodyWrapper()
        body.set_data([record(CAMPAIGNS[2], Member_Status="Active"), record(7)])
        linked = operations.update_related_records(LEAD, body)
        read = operations.get_related_records(
            LEAD, params(GetRelatedRecordsParam, fields="id,Member_Status")
        )
        ids = ",".join(map(str, (*CAMPAIGNS[:2], 7)))
        removed = operations.delink_records(LEAD, params(DelinkRecordsParam, ids=ids))
        single = operations.delink_record(CAMPAIGNS[2], LEAD)
        none = operations.get_related_records(LEAD, params(GetRelatedRecordsParam, fields="id"))
        return [linked, read, removed, single, none]

    linked, read, removed, single, none = await asyncio.to_thread(work)

    assert said(linked) == (207, ["SUCCESS", "INVALID_DATA"])
    found = {each.get_id(): each.get_key_value("Member_Status") for each in
             read.get_object().get_data()}  # fmt: skip
    assert found == {**dict.fromkeys(CAMPAIGNS), CAMPAIGNS[2]: "Active"}
    assert said(removed) == (207, ["SUCCESS", "SUCCESS", "INVALID_DATA"])
    assert said(single) == (200, ["SUCCESS"])
    assert none.get_status_code() == 204
    assert calls(client, "link", "unlink", "unlink.single", "related.read") == 5


async def test_contact_roles(client: Client) -> None:
    """Give a contact its role in a deal, read the roles, take them away singly and in bulk."""
    from zohocrmsdk.src.com.zoho.crm.api.deal_contact_roles import (
        BodyWrapper,
        ContactRole,
        Data,
        DealContactRolesOperations,
        DeleteAssociatedContactRolesParam,
        GetAssociatedContactRolesParam,
    )

    def work() -> list[Any]:
        role, data, body = ContactRole(), Data(), BodyWrapper()
        role.set_id(SPONSOR)
        role.set_name("Executive Sponsor")
        data.set_contact_role(role)
        body.set_data([data])
        operations = DealContactRolesOperations()
        return [
            operations.associate_contact_role_to_deal(CONTACT, DEAL, body),
            operations.get_associated_contact_roles(
                DEAL, params(GetAssociatedContactRolesParam, fields="id,Contact_Role")
            ),
            operations.get_associated_contact_roles_specific_to_contact(CONTACT, DEAL),
            operations.delete_contact_role_relation(CONTACT, DEAL),
            operations.delete_associated_contact_roles(
                DEAL, params(DeleteAssociatedContactRolesParam, ids=str(OTHER_CONTACT))
            ),
            operations.delete_contact_role_relation(CONTACT, DEAL),
        ]

    given, many, one, removed, bulk, again = await asyncio.to_thread(work)

    assert [said(each) for each in (given, removed, bulk)] == [(200, ["SUCCESS"])] * 3
    found = {each.get_id(): each.get_contact_role().get_id() for each in
             many.get_object().get_data()}  # fmt: skip
    assert found == {CONTACT: SPONSOR, OTHER_CONTACT: BUYER}
    assert one.get_object().get_data()[0].get_contact_role().get_name() == "Executive Sponsor"
    assert said(again) == (400, ["INVALID_DATA"])


async def test_territories_of_records(client: Client) -> None:
    """Assign and remove, for several records and for one, and read them back."""
    from zohocrmsdk.src.com.zoho.crm.api.record import BodyWrapper, RecordOperations, Territory

    def named(*ids: int) -> list[Any]:
        made = []
        for each in ids:
            territory = Territory()
            territory.set_id(each)
            made.append(territory)
        return made

    def body(*records: Any) -> Any:
        wrapper = BodyWrapper()
        wrapper.set_data(list(records))
        return wrapper

    def work() -> list[Any]:
        operations = RecordOperations("Leads")
        both = [record(each, Territories=named(EAST)) for each in (LEAD, OTHER_LEAD)]
        single = record(LEAD, Territories=named(WEST))
        return [
            operations.assign_territories_to_multiple_records(body(*both)),
            operations.get_record(LEAD),
            operations.remove_territories_from_multiple_records(body(*both)),
            operations.remove_territories_from_record(LEAD, body(single)),
            operations.remove_territories_from_record(LEAD, body(single)),
            operations.assign_territory_to_record(LEAD, body(single)),
        ]

    assigned, read, removed, single, again, back = await asyncio.to_thread(work)

    assert [said(each) for each in (assigned, removed)] == [(200, ["SUCCESS"] * 2)] * 2
    assert [said(each) for each in (single, back)] == [(200, ["SUCCESS"])] * 2
    assert said(again) == (400, ["INVALID_DATA"])
    held = read.get_object().get_data()[0].get_key_value("Territories")
    assert {each.get_id() for each in held} == {WEST, EAST}
    assert client.emulator.world.organisation.record_territories.of("Leads", str(LEAD)) == {
        str(WEST): "manually"
    }


async def test_transfer_and_delete_of_territories(client: Client) -> None:
    """Read the hierarchy, give a territory's records to its parent and delete it."""
    from zohocrmsdk.src.com.zoho.crm.api.territories import (
        DeleteTerritoriesParam,
        TerritoriesOperations,
        TransferBodyWrapper,
        TransferTerritory,
    )

    def work() -> list[Any]:
        territory, body = TransferTerritory(), TransferBodyWrapper()
        territory.set_id(WEST)
        territory.set_transfer_to_id(TOP)
        territory.set_delete_previous_forecasts(False)
        body.set_territories([territory])
        operations = TerritoriesOperations()
        return [
            operations.get_territories(),
            operations.get_child_territory(TOP),
            operations.transfer_and_delete_territories(body),
            operations.delete_territories(
                params(DeleteTerritoriesParam, ids=str(EAST), delete_previous_forecasts=False)
            ),
            operations.get_territories(),
        ]

    before, children, moved, deleted, after = await asyncio.to_thread(work)

    def ids(reply: Any) -> set[int]:
        return {each.get_id() for each in reply.get_object().get_territories()}

    assert (ids(before), ids(children), ids(after)) == ({TOP, WEST, EAST}, {WEST, EAST}, {TOP})
    assert [said(each, "territories") for each in (moved, deleted)] == [(200, ["SUCCESS"])] * 2
    assert client.emulator.world.organisation.record_territories.of("Leads", str(LEAD)) == {
        str(TOP): "manually"
    }


async def test_external_ids(client: Client) -> None:
    """The SDK's calls by external id: link, read and unlink."""
    from zohocrmsdk.src.com.zoho.crm.api import HeaderMap
    from zohocrmsdk.src.com.zoho.crm.api.related_records import (
        BodyWrapper,
        GetRelatedRecordsUsingExternalIDHeader,
        GetRelatedRecordsUsingExternalIDParam,
        RelatedRecordsOperations,
    )

    held = client.emulator.world.organisation
    held.add_record("Leads", str(LEAD), {"Old_Id": "lead-1"})
    held.add_record("Campaigns", str(CAMPAIGNS[2]), {"Old_Id": "campaign-3"})

    def work() -> list[Any]:
        headers = HeaderMap()
        headers.add(
            GetRelatedRecordsUsingExternalIDHeader.x_external, "Leads.Old_Id,Campaigns.Old_Id"
        )
        operations = RelatedRecordsOperations("Campaigns", "Leads")
        item = record(CAMPAIGNS[2], Old_Id="campaign-3")
        body = BodyWrapper()
        body.set_data([item])
        return [
            operations.update_related_records_using_external_id("lead-1", body, headers),
            operations.get_related_records_using_external_id(
                "lead-1", params(GetRelatedRecordsUsingExternalIDParam, fields="id"), headers
            ),
            operations.delete_related_record_using_external_id("campaign-3", "lead-1", headers),
        ]

    linked, read, removed = await asyncio.to_thread(work)

    assert [said(each) for each in (linked, removed)] == [(200, ["SUCCESS"])] * 2
    assert len(read.get_object().get_data()) == 3


async def test_metadata_and_users(client: Client) -> None:
    """What the SDK looks up of its own accord, asked for by its user."""
    from zohocrmsdk.src.com.zoho.crm.api.fields import FieldsOperations, GetFieldsParam
    from zohocrmsdk.src.com.zoho.crm.api.modules import ModulesOperations
    from zohocrmsdk.src.com.zoho.crm.api.org import OrgOperations
    from zohocrmsdk.src.com.zoho.crm.api.related_lists import (
        GetRelatedListsParam,
        RelatedListsOperations,
    )

    def work() -> list[Any]:
        return [
            ModulesOperations().get_modules(),
            ModulesOperations().get_module_by_api_name("Leads"),
            FieldsOperations().get_fields(params(GetFieldsParam, module="Leads")),
            RelatedListsOperations(None).get_related_lists(
                params(GetRelatedListsParam, module="Deals")
            ),
            OrgOperations().get_organization(),
        ]

    modules, module, fields, lists, org = await asyncio.to_thread(work)

    assert "Leads" in {each.get_api_name() for each in modules.get_object().get_modules()}
    assert [each.get_api_name() for each in module.get_object().get_modules()] == ["Leads"]
    assert "Last_Name" in {each.get_api_name() for each in fields.get_object().get_fields()}
    hrefs = {each.get_api_name(): each.get_href() for each in
             lists.get_object().get_related_lists()}  # fmt: skip
    assert hrefs["Contact_Roles"] == "Deals/{ENTITYID}/Contact_Roles"
    assert org.get_object().get_org()[0].get_zgid() == "7000000001"


async def test_single_forms_and_counts(client: Client) -> None:
    """One link set and read by its URL, how many there are, and which roles there are."""
    from zohocrmsdk.src.com.zoho.crm.api.contact_roles import ContactRolesOperations
    from zohocrmsdk.src.com.zoho.crm.api.get_related_records_count import (
        BodyWrapper as CountWrapper,
    )
    from zohocrmsdk.src.com.zoho.crm.api.get_related_records_count import (
        GetRelatedRecordCount,
        GetRelatedRecordsCountOperations,
        RelatedList,
    )
    from zohocrmsdk.src.com.zoho.crm.api.related_records import (
        BodyWrapper,
        RelatedRecordsOperations,
    )

    def work() -> list[Any]:
        operations = RelatedRecordsOperations("Campaigns", "Leads")
        body = BodyWrapper()
        body.set_data([record(CAMPAIGNS[2], Member_Status="Active")])
        listed, asked, counts = RelatedList(), GetRelatedRecordCount(), CountWrapper()
        listed.set_api_name("Campaigns")
        asked.set_related_list(listed)
        counts.set_get_related_records_count([asked])
        return [
            operations.update_related_record(CAMPAIGNS[2], LEAD, body),
            operations.get_related_record(CAMPAIGNS[2], LEAD),
            GetRelatedRecordsCountOperations(LEAD, "Leads").get_related_records_count(counts),
            ContactRolesOperations().get_roles(),
        ]

    linked, read, counted, roles = await asyncio.to_thread(work)

    assert said(linked) == (200, ["SUCCESS"])
    assert read.get_object().get_data()[0].get_key_value("Member_Status") == "Active"
    (count,) = counted.get_object().get_get_related_records_count()
    assert (count.get_count(), count.get_related_list().get_api_name()) == (3, "Campaigns")
    known = {each.get_id(): each.get_name() for each in roles.get_object().get_contact_roles()}
    assert known == {BUYER: "Buyer", SPONSOR: "Executive Sponsor"}


async def test_single_territories_and_prices(client: Client) -> None:
    """One territory read, moved and deleted by its URL; records by ids; what calls cost."""
    from zohocrmsdk.src.com.zoho.crm.api.apis import APIsOperations
    from zohocrmsdk.src.com.zoho.crm.api.record import GetRecordsParam, RecordOperations
    from zohocrmsdk.src.com.zoho.crm.api.territories import (
        TerritoriesOperations,
        TransferBodyWrapper,
        TransferTerritory,
    )

    def work() -> list[Any]:
        operations = TerritoriesOperations()
        territory, body = TransferTerritory(), TransferBodyWrapper()
        territory.set_transfer_to_id(TOP)
        territory.set_delete_previous_forecasts(False)
        body.set_territories([territory])
        asked = {"fields": "id,Territories", "ids": f"{LEAD},{OTHER_LEAD}"}
        return [
            operations.get_territory(WEST),
            RecordOperations("Leads").get_records(params(GetRecordsParam, **asked)),
            operations.transfer_and_delete_territory(WEST, body),
            operations.delete_territory(EAST),
            APIsOperations().get_supported_api(),
        ]

    read, records, moved, deleted, prices = await asyncio.to_thread(work)

    assert read.get_object().get_territories()[0].get_name() == "West"
    held = [
        (each.get_id(), each.get_assigned(), each.get_assigned_by().get_name())
        for row in records.get_object().get_data()
        for each in row.get_key_value("Territories")
    ]
    assert held == [(WEST, "manually", "Emulated User")] * 2
    assert [said(each, "territories") for each in (moved, deleted)] == [(200, ["SUCCESS"])] * 2
    assert prices.get_status_code() == 200


async def test_the_sdk_asked_nobody_else(client: Client) -> None:
    """Token, user and organisation were asked of the emulator when it was initialised."""
    assert dict(client.emulator.counters.calls) == {"token": 1, "users": 1, "org": 1}
