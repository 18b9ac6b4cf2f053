"""The check of an organisation: what it tells, what it hides, and what each means for a run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkops.emulator import Behaviour, Emulator, world_from
from bulkops.engine.check import Finding, State, Wants, exit_code, look_here, look_there
from bulkops.errors import ExitCode
from bulkops.files.config import Config
from bulkops.files.credits import ledger_of

CLIENT = {"client_id": "me", "client_secret": "secret", "refresh_token": "refresh"}
WANTS = Wants(modules=("Leads",), lists=(("Leads", "Campaigns"),), territories=True)


def config_of(url: str, folder: Path, **limits: Any) -> Config:
    return Config.model_validate(
        {
            "api": {"base_url": url},
            "auth": {**CLIENT, "token_cache": str(folder / "cache" / "tokens.json")},
            "limits": {"ledger": str(folder / "credits"), **limits},
            "run": {"directory": str(folder / "runs")},
        }
    )


async def looked(
    folder: Path,
    *,
    scopes: tuple[str, ...] = ("ZohoCRM.modules.ALL", "ZohoCRM.settings.ALL", "ZohoCRM.org.ALL"),
    wants: Wants = WANTS,
    clock_off: float = 0.0,
    seed: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    **knobs: Any,
) -> tuple[dict[str, Finding], int, int]:
    """Return what is found, how many calls came there, and how many are in the ledger."""
    world = world_from(
        {
            "edition": "enterprise",
            "clients": [{**CLIENT, "scopes": list(scopes)}],
            "relations": {"Leads/1/Campaigns": ["5"]},
            **(seed or {}),
        }
    )
    async with Emulator(world=world, behaviour=Behaviour().changed(knobs)) as emulator:
        config = config_of(emulator.url, folder, **(limits or {}))
        found = await look_there(
            config,
            wants,
            remember_secret=lambda _secret: None,
            clock=lambda: time.time() + clock_off,
        )
        calls = sum(row.path.startswith("/crm/") for row in emulator.service.ledger.rows)
    booked = ledger_of(config).read().used(time.time())
    return {each.subject: each for each in found}, calls, booked


async def test_all_is_well(tmp_path: Path) -> None:
    """Every line is ok, and what it cost is in the ledger."""
    found, calls, booked = await looked(tmp_path)
    assert {each.state for each in found.values()} == {State.OK}
    assert (5, 5) == (calls, booked)
    assert exit_code(list(found.values())) is ExitCode.OK


async def test_what_a_token_may_not_see_is_not_known(tmp_path: Path) -> None:
    """A run needs no settings: it would work, and the scope that is missing is named."""
    found, _, _ = await looked(
        tmp_path,
        scopes=("ZohoCRM.modules.ALL",),
        wants=Wants(("Leads",), (("Leads", "Campaigns"),)),
    )
    hidden = {name for name, each in found.items() if each.state is State.UNKNOWN}
    assert hidden == {"edition", "modules", "related lists of Leads"}
    assert "ZohoCRM.settings.modules.READ" in found["modules"].mend
    assert exit_code(list(found.values())) is ExitCode.OK


async def test_rights_that_a_run_needs_are_needed_now(tmp_path: Path) -> None:
    """6, with the scope to ask for."""
    found, _, _ = await looked(tmp_path, scopes=("ZohoCRM.settings.modules.ALL",))
    assert found["rights on Leads"].state is State.WRONG
    assert "ZohoCRM.modules.ALL" in found["rights on Leads"].mend
    assert found["territories"].state is State.WRONG
    assert exit_code(list(found.values())) is ExitCode.AUTH


async def test_territories_that_are_off(tmp_path: Path) -> None:
    """A run would skip every row of them."""
    found, _, _ = await looked(tmp_path, seed={"rights": {"territory_management": "off"}})
    assert (State.WRONG, ExitCode.USAGE) == (found["territories"].state, found["territories"].code)


async def test_names_that_the_organisation_does_not_have(tmp_path: Path) -> None:
    """Each with the one that may be meant."""
    wants = Wants(("Lead",), (("Leads", "Campaign"),))
    found, _, _ = await looked(tmp_path, wants=wants)
    assert found["module Lead"].mend == "did you mean Leads?"
    assert found["related list Leads.Campaign"].mend == "did you mean Campaigns?"
    assert exit_code(list(found.values())) is ExitCode.USAGE


@pytest.mark.parametrize(("off", "words"), [(600.0, "ahead of"), (-600.0, "behind")])
async def test_a_clock_that_is_wrong(tmp_path: Path, off: float, words: str) -> None:
    """Credits, windows and tokens go by it."""
    found, _, _ = await looked(tmp_path, clock_off=off)
    assert found["clock"].state is State.LOOK
    assert words in found["clock"].found


async def test_an_edition_that_allows_less(tmp_path: Path) -> None:
    """More calls in flight than were bought are refused by the hundred."""
    found, _, _ = await looked(tmp_path, seed={"edition": "standard"})
    assert found["edition"].mend == 'set limits.edition = "standard"'


async def test_no_credits_left(tmp_path: Path) -> None:
    """A check spends none that a run must not, and says when they come back."""
    config = config_of("http://127.0.0.1:9", tmp_path)
    assert ledger_of(config)  # the books of another address: untouched by what follows
    found, calls, _ = await looked(tmp_path, limits={"credits_per_day": 3, "leave_credits": "0"})
    assert calls == 3
    assert exit_code(list(found.values())) is ExitCode.PAUSED
    assert "the next come back" in found["our credits"].found


async def test_a_kept_token_that_was_revoked_is_renewed(tmp_path: Path) -> None:
    """As a run would: only a refusal of a new one is news."""
    (tmp_path / "cache").mkdir(mode=0o700)
    world = world_from({"edition": "enterprise", "clients": [dict(CLIENT)]})
    async with Emulator(world=world) as emulator:
        config = config_of(emulator.url, tmp_path)
        for _ in range(2):
            found = await look_there(config, Wants(), remember_secret=lambda _secret: None)
            assert exit_code(found) is ExitCode.OK
            emulator.client.revoke_issued()


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """Before the first row is planned."""
    (tmp_path / "file").write_text("")
    config = config_of("", tmp_path, ledger=str(tmp_path / "file" / "credits"))
    found = {each.subject: each for each in look_here(config)}
    assert found["ledger of credits"].state is State.WRONG
    assert "limits.ledger" in found["ledger of credits"].mend
    assert found["run directories"].state is State.OK
    assert not (tmp_path / "runs").exists()


def test_runs_that_others_can_read_are_told(tmp_path: Path) -> None:
    """They hold the records of an organisation."""
    for name, mode in (("shut", 0o700), ("open", 0o755)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        folder.chmod(mode)
    found = {each.subject: each for each in look_here(config_of("", tmp_path))}
    assert found["privacy of runs"].mend == f"chmod 700 {tmp_path / 'runs' / 'open'}"
