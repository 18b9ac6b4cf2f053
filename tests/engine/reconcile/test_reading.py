"""
Fail closed: what cannot be read for certain is unread, and nothing is planned for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkops.emulator import Behaviour, Fault, FaultKind
from bulkops.errors import AuthError, ExitCode, PausedError
from tests.engine.reconcile.desk import changes, desk, member, territory, unread

#: Campaign 1 has more members than a page holds; 2 has two, and both differ from what is desired.
_MANY = {str(1000 + n): {"Member_Status": "Active"} for n in range(450)}
_WORLD: dict[str, Any] = {
    "records": {"Leads": ["9"]},
    "relations": {
        "Campaigns/1/Leads": _MANY,
        "Campaigns/2/Leads": {"5": {"Member_Status": "Active"}, "6": {"Member_Status": "Active"}},
    },
}
#: Of campaign 1 all but one are wished, and one that is not there.
_DESIRED = [
    *(member("1", lead, "Active") for lead in list(_MANY)[1:]),
    member("1", "9", "Active"),
    member("2", "5", "Planning"),
    member("2", "9", "Active"),
]
_OF_FIRST = {("unlink", "1", "1000"), ("link", "1", "9", "Active")}
_OF_SECOND = {
    ("link", "2", "5", "Planning"),
    ("link", "2", "9", "Active"),
    ("unlink", "2", "6"),
}
_INFO = {"per_page": 200, "page": 2, "next_page_token": None}
_ROW = [{"id": "1200", "Member_Status": "Active"}]


async def test_pages_are_read_to_their_end(tmp_path: Path) -> None:
    """450 members are three pages; the difference is exact, and each kind of it is there."""
    async with desk(tmp_path, _WORLD) as here:
        found = await here.find(_DESIRED)

        assert _OF_FIRST | _OF_SECOND == changes(found)
        assert ["/crm/v8/Campaigns/1/Leads"] * 3 == [path for path in here.reads() if "/1/" in path]
        assert ExitCode.OK is found.at_best
        assert 452 == found.numbers.actual


async def test_pages_go_on_beyond_what_page_numbers_reach(tmp_path: Path) -> None:
    """Where `page` ends, the mark of the next page leads on."""
    async with desk(tmp_path, _WORLD, behaviour=Behaviour(page_wall=200)) as here:
        assert _OF_FIRST | _OF_SECOND == changes(await here.find(_DESIRED))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"data": _ROW, "info": {**_INFO, "count": 2, "more_records": False}}, "says that it has"),
        ({"data": _ROW}, "does not say whether more"),
        ({"data": _ROW, "info": {**_INFO, "count": 1}}, "more_records = None"),
        ({"data": [], "info": {**_INFO, "count": 0, "more_records": True}}, "more_records = True"),
        ({"data": _ROW * 2, "info": {**_INFO, "count": 2, "more_records": False}}, "a row twice"),
        ({"data": [{}], "info": {**_INFO, "count": 1, "more_records": False}}, "without an id"),
        (
            {"data": _ROW, "info": {**_INFO, "page": 1, "count": 1, "more_records": False}},
            "is page 1",
        ),
        (
            {"data": [{"id": "1000"}], "info": {**_INFO, "count": 1, "more_records": False}},
            "on two pages",
        ),
    ],
)
async def test_a_page_that_does_not_add_up_is_not_believed(
    tmp_path: Path, payload: dict[str, Any], words: str
) -> None:
    """Nothing is planned for the record; it is listed with why, and the end is no 0."""
    fault = Fault(FaultKind.STATUS, path="Campaigns/1/Leads", nth=2, status=200, payload=payload)
    async with desk(tmp_path, _WORLD, faults=[fault]) as here:
        found = await here.find(_DESIRED)

        assert _OF_SECOND == changes(found)
        assert ["1"] == list(unread(found))
        assert words in unread(found)["1"]
        assert ExitCode.INCOMPLETE is found.at_best


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(FaultKind.STATUS, path="Campaigns/1/Leads", status=500), "INTERNAL_ERROR"),
        (Fault(FaultKind.TRUNCATED, path="Campaigns/1/Leads"), "unreadable"),
        (
            Fault(
                FaultKind.STATUS,
                path="Campaigns/1/Leads",
                status=400,
                payload={
                    "code": "INVALID_DATA",
                    "details": {"resource_path_index": 1},
                    "message": "the related id given seems to be invalid",
                    "status": "error",
                },
            ),
            "the related id given",
        ),
    ],
)
async def test_a_record_that_answers_an_error_is_unread(
    tmp_path: Path, fault: Fault, words: str
) -> None:
    """Others are served meanwhile, and planned; for this one there is nothing."""
    async with desk(tmp_path, _WORLD, faults=[fault]) as here:
        found = await here.find(_DESIRED)

        assert _OF_SECOND == changes(found)
        assert words in unread(found)["1"]
        assert ExitCode.INCOMPLETE is found.at_best


async def test_a_passing_fault_is_asked_again(tmp_path: Path) -> None:
    """One 500, one cut body and one dying token cost a call each, and nothing else."""
    faults = [
        Fault(FaultKind.STATUS, method="GET", nth=1, status=500),
        Fault(FaultKind.TRUNCATED, method="GET", nth=4),
        Fault(FaultKind.CUT_BEFORE, method="GET", nth=6),
    ]
    async with desk(tmp_path, _WORLD, faults=faults, attempts=4) as here:
        assert _OF_FIRST | _OF_SECOND == changes(await here.find(_DESIRED))


async def test_a_relation_between_two_unread_ends_is_left_alone(tmp_path: Path) -> None:
    """What an unread record could have held is not planned from the other side either."""
    fault = Fault(FaultKind.STATUS, path="Leads/5/Campaigns", status=500)
    other = {"module": "Leads", "record_id": "5", "related_list": "Campaigns", "related_id": "7"}
    world = {**_WORLD, "records": {"Leads": ["9"], "Campaigns": ["7"]}}
    async with desk(tmp_path, world, faults=[fault]) as here:
        found = await here.find([member("2", "9", "Active"), member("2", "6", "Active"), other])

        assert {("link", "2", "9", "Active")} == changes(found)
        assert ["5"] == list(unread(found))


def _with_scopes(*scopes: str) -> dict[str, Any]:
    client = {
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "access_token": "only",
        "scopes": list(scopes),
    }
    return {**_WORLD, "clients": [client], "records": {"Leads": ["9"], "Products": ["3"]}}


async def test_a_wrong_scope_reads_nothing_and_ends_as_a_lack_of_permission(
    tmp_path: Path,
) -> None:
    """No operation is planned, and not every record is asked in vain."""
    world = _with_scopes("ZohoCRM.modules.accounts.ALL")
    desired = [member(str(n), "9", "Active") for n in range(1, 200)]
    async with desk(tmp_path, world) as here:
        found = await here.find(desired)

        assert set() == changes(found)
        assert 199 == len(unread(found))
        assert ExitCode.AUTH is found.at_best
        assert len(here.reads()) < 40


async def test_a_scope_for_some_modules_plans_for_those(tmp_path: Path) -> None:
    """What may be read is compared; the rest is unread and the end is no 0."""
    world = _with_scopes("ZohoCRM.modules.campaigns.ALL", "ZohoCRM.modules.leads.ALL")
    product = {"module": "Products", "record_id": "3", "related_list": "Deals", "related_id": "8"}
    async with desk(tmp_path, world) as here:
        found = await here.find([*_DESIRED, product])

        assert _OF_FIRST | _OF_SECOND == changes(found)
        assert ["3"] == list(unread(found))
        assert ExitCode.INCOMPLETE is found.at_best


async def test_a_token_that_dies_ends_reading_and_the_same_command_goes_on(
    tmp_path: Path,
) -> None:
    """Nothing is planned; what was read whole until then is not read again."""
    dying = Fault(
        FaultKind.STATUS,
        nth=4,
        run=1000,
        status=401,
        payload={"code": "INVALID_TOKEN", "details": {}, "message": "gone", "status": "error"},
    )
    async with desk(tmp_path, _WORLD, faults=[dying], concurrency=1) as here:
        with pytest.raises(AuthError):
            await here.find(_DESIRED)
        before = len(here.reads())
        (run,) = (tmp_path / "runs").glob("desired-*")
        assert not (run / "changes.jsonl").exists()

        here.emulator.faults.clear()
        found = await here.find(_DESIRED)
        assert run == found.run.path
        assert _OF_FIRST | _OF_SECOND == changes(found)
        assert ["/crm/v8/Campaigns/2/Leads"] == here.reads()[before:]


async def test_a_server_that_is_down_pauses(tmp_path: Path) -> None:
    """Exit 5, and nothing is planned: silence is not an empty organisation."""
    down = Fault(FaultKind.STATUS, status=503, body="empty")
    async with desk(tmp_path, _WORLD, faults=[down]) as here:
        with pytest.raises(PausedError):
            await here.find(_DESIRED)


_TERRITORIES: dict[str, Any] = {
    "records": {"Accounts": ["1", "2", "3"]},
    "territories": [
        {"id": "100", "name": "All", "parent_id": None},
        *({"id": str(each), "name": str(each), "parent_id": "100"} for each in (101, 102, 103)),
    ],
    "record_territories": {
        "Accounts": {"1": ["101"], "2": {"102": "automatically", "103": "manually"}, "3": ["101"]}
    },
}


@pytest.mark.parametrize(
    ("behaviour", "calls"),
    [(Behaviour(), 1), (Behaviour(list_returns_territories=False), 1 + 2)],
)
async def test_territories_are_read_together_where_the_server_allows(
    tmp_path: Path, behaviour: Behaviour, calls: int
) -> None:
    """What a rule assigned is left alone; records that DESIRED does not name are not touched."""
    async with desk(tmp_path, _TERRITORIES, behaviour=behaviour) as here:
        found = await here.find([territory("1", "101", "102"), territory("2", "101")])

        assert {
            ("assign_territories", "1", "102"),
            ("assign_territories", "2", "101"),
            ("remove_territories", "2", "103"),
        } == changes(found)
        assert 1 == found.numbers.kept
        assert calls == len(here.reads())


@pytest.mark.parametrize("together", [True, False])
async def test_a_record_that_is_not_shown_is_unread(tmp_path: Path, together: bool) -> None:
    """An answer that leaves a record out says nothing of its territories."""
    behaviour = Behaviour(list_returns_territories=together)
    async with desk(tmp_path, _TERRITORIES, behaviour=behaviour) as here:
        found = await here.find([territory("1", "102"), territory("77", "101")])

        assert {
            ("assign_territories", "1", "102"),
            ("remove_territories", "1", "101"),
        } == changes(found)
        assert {"77": "the server does not show this record"} == unread(found)


async def test_contact_roles_go_by_their_id(tmp_path: Path) -> None:
    """A role that differs is given anew, one that is not wished is taken away."""
    world = {
        "roles": {"90": "Buyer", "91": "User"},
        "contact_roles": {"1": {"5": "90", "6": "91", "7": "90"}},
        "records": {"Contacts": ["8"]},
    }
    where = {"module": "Deals", "record_id": "1", "related_list": "Contact_Roles"}
    desired = [
        {**where, "related_id": "5", "role_id": "91"},
        {**where, "related_id": "6", "role_id": "91", "role_name": "as it was called once"},
        {**where, "related_id": "8", "role_id": "90"},
    ]
    async with desk(tmp_path, world) as here:
        assert {
            ("link", "1", "5", "91"),
            ("link", "1", "8", "90"),
            ("unlink", "1", "7"),
        } == changes(await here.find(desired))
