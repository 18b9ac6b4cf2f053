"""
One night after the other: guards, what goes on and what begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bulkops.emulator import Fault, FaultKind
from bulkops.engine.reconcile import Asking, Found, GuardError, conclude
from bulkops.engine.reconcile.difference import Numbers
from bulkops.engine.reconcile.guards import beyond
from bulkops.engine.reconcile.home import Home
from bulkops.engine.reconcile.reading_log import cut_torn_tail
from bulkops.errors import CheckpointError, ExitCode, LockedError
from bulkops.files.reconcile_section import Reconcile
from tests.engine.reconcile.desk import Desk, changes, desk, member

_WORLD: dict[str, Any] = {
    "records": {"Leads": ["900"]},
    "relations": {
        f"Campaigns/{n}/Leads": [str(1000 + each) for each in range(10)] for n in range(1, 11)
    },
}
_SAME = [member(str(n), str(1000 + each)) for n in range(1, 11) for each in range(10)]


@pytest.mark.parametrize(
    ("rules", "before", "expected"),
    [
        ({}, [], ["3 changes are 3.0% of the 100"]),
        ({"max_change": "3%"}, [], []),
        ({"max_change": ""}, [], []),
        ({"max_change": "3%", "max_unlink": 1}, [], ["2 would be taken away; max_unlink is 1"]),
        ({"max_change": "3%", "max_unlink": 2}, [], []),
        ({"max_change": "3%", "max_unlink": -1}, [], []),
        ({"max_change": "3%"}, [100, 130, 126], ["99 rows, and had 126"]),
        ({"max_change": "3%"}, [100, 110, 90], []),
        ({"max_change": "3%", "max_deviation": ""}, [1000], []),
        ({"max_unlink": 0, "max_change": "0%"}, [10], ["3 changes", "2 would", "99 rows"]),
    ],
)
def test_limits_tell_their_numbers(
    rules: dict[str, Any], before: Sequence[int], expected: list[str]
) -> None:
    """Each limit that is passed is told, with what was found and what is allowed."""
    numbers = Numbers(desired=99, actual=100, missing=1, surplus=2)
    found = beyond(numbers, Reconcile(**rules), rows=99, before=before)
    assert len(expected) == len(found)
    assert all(words in each for words, each in zip(expected, found, strict=True))


def test_nothing_to_change_passes_no_limit() -> None:
    """Whatever became of DESIRED, a run that sends nothing needs nobody to look."""
    assert [] == beyond(Numbers(desired=0, actual=0), Reconcile(), rows=1, before=[1000])


async def test_an_empty_organisation_is_beyond_any_share(tmp_path: Path) -> None:
    """A read that shows nothing where much was is the disaster that the guards are for."""
    async with desk(tmp_path, {"records": {"Leads": ["1000"], "Campaigns": ["1"]}}) as here:
        with pytest.raises(GuardError, match="max_change is 50%") as raised:
            await here.find([member("1", "1000")], max_change="50%")
        assert ExitCode.UNCONFIRMED is raised.value.exit_code


async def test_beyond_a_guard_the_same_command_goes_on_without_reading_again(
    tmp_path: Path,
) -> None:
    """What was read is kept; the difference lies there to be looked at; nothing is planned."""
    async with desk(tmp_path, _WORLD) as here:
        with pytest.raises(GuardError, match=r"5 would be taken away"):
            await here.find(_SAME[5:], max_unlink=4)
        (run,) = _runs(here)
        assert 5 == len((run / "proposed.jsonl").read_bytes().splitlines())
        assert not (run / "changes.jsonl").exists()
        read = len(here.reads())
        assert 10 == read

        found = await here.find(_SAME[5:], max_unlink=5)
        assert run == found.run.path
        assert read == len(here.reads())
        assert 5 == len(changes(found))


def _runs(here: Desk) -> list[Path]:
    return sorted((here.folder / "runs").glob("desired-*"))


def _end(here: Desk, found: Found) -> ExitCode:
    home = Home.of(Asking(desired=(here.folder / "desired.jsonl",)), here.config)
    return conclude(home, found, ExitCode.OK, finished=True)


async def test_what_the_last_runs_had_is_remembered(tmp_path: Path) -> None:
    """DESIRED that lost half its rows over night is not believed."""
    async with desk(tmp_path, _WORLD) as here:
        assert ExitCode.OK is _end(here, await here.find(_SAME))
        with pytest.raises(GuardError, match="DESIRED has 50 rows, and had 100"):
            await here.find(_SAME[::2], max_deviation="20%")


async def test_an_ended_run_is_followed_by_a_new_one(tmp_path: Path) -> None:
    """It reads again, since that is what it is for."""
    async with desk(tmp_path, _WORLD) as here:
        first = await here.find(_SAME)
        assert 0 == first.numbers.changes
        assert ExitCode.OK is _end(here, first)

        second = await here.find(_SAME)
        assert first.run.path != second.run.path
        assert 20 == len(here.reads())


async def test_a_new_content_leaves_what_was_begun_for_the_old(tmp_path: Path) -> None:
    """Yesterday's difference may be the wrong way round today: it is not sent any more."""
    async with desk(tmp_path, _WORLD) as here:
        first = await here.find(_SAME[1:])
        assert {("unlink", "1", "1000")} == changes(first)

        second = await here.find(_SAME)
        assert set() == changes(second)
        third = await here.find(_SAME, new=True)
        assert 3 == len({first.run.path, second.run.path, third.run.path})


async def test_what_was_read_too_long_ago_is_read_again(tmp_path: Path) -> None:
    """An interrupted reading goes on, but not for ever."""
    late = Fault(FaultKind.STATUS, path="Campaigns/10/", status=503, body="empty")
    async with desk(tmp_path, _WORLD, faults=[late]) as here:
        with pytest.raises(GuardError):
            await here.find(_SAME[5:], max_unlink=0)
        here.emulator.faults.clear()
        before = len(here.reads())
        with pytest.raises(GuardError):
            await here.find(_SAME[5:], max_unlink=0)
        assert ["/crm/v8/Campaigns/10/Leads"] == here.reads()[before:]
        with pytest.raises(GuardError):
            await here.find(_SAME[5:], max_unlink=0, max_age_h=1e-9)
        assert before + 1 + 10 == len(here.reads())


async def test_a_second_start_is_kept_out(tmp_path: Path) -> None:
    """One reconciliation at a time, whichever of its runs it is on."""
    async with desk(tmp_path, _WORLD) as here:
        home = Home.of(Asking(desired=(tmp_path / "desired.jsonl",)), here.config)
        with home.locked(), pytest.raises(LockedError), home.locked():
            pass


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", b""),
        (b"torn", b""),
        (b"one\n", b"one\n"),
        (b"one\ntwo", b"one\n"),
        (b"one\n" + b"x" * 3_000_000, b"one\n"),
    ],
)
def test_a_torn_tail_is_cut(tmp_path: Path, content: bytes, expected: bytes) -> None:
    """Only whole lines stay, however long the torn one is."""
    path = tmp_path / "actual.jsonl"
    path.write_bytes(content)
    cut_torn_tail(path)
    assert expected == path.read_bytes()


async def test_a_log_that_lacks_pages_is_not_believed(tmp_path: Path) -> None:
    """Each record's count stands in the log; where pages are gone, nothing is planned."""
    async with desk(tmp_path, _WORLD) as here:
        with pytest.raises(GuardError):
            await here.find(_SAME[5:], max_unlink=0)
        (run,) = _runs(here)
        log = run / "actual.jsonl"
        lines = log.read_bytes().splitlines(keepends=True)
        at = next(n for n, line in enumerate(lines) if b'"page"' in line)
        log.write_bytes(b"".join([*lines[:at], *lines[at + 1 :]]))
        with pytest.raises(CheckpointError, match="damaged"):
            await here.find(_SAME[5:], max_unlink=0)
        log.write_bytes(b"".join([*lines[:at], b"{broken\n", *lines[at:]]))
        with pytest.raises(CheckpointError, match="damaged"):
            await here.find(_SAME[5:], max_unlink=0)


async def test_a_difference_that_nobody_confirmed_in_time_is_found_anew(tmp_path: Path) -> None:
    """It would be sent in the right direction still, but it would not be all of it."""
    async with desk(tmp_path, _WORLD) as here:
        first = await here.find(_SAME[1:])
        assert first.run.path == (await here.find(_SAME[1:])).run.path
        assert first.run.path != (await here.find(_SAME[1:], max_age_h=1e-9)).run.path
