"""
A reconciliation on the real program: the world becomes what DESIRED says, and nothing else moves.

The oracle is sets: the world before, with the rows of the scope replaced by those of DESIRED.
"""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Bench, emulator, interrupt, is_write

#: (campaign, lead) -> Member_Status
Members = dict[tuple[str, str], str]
_ANY = ("--max-change", "", "--max-unlink", "-1")
_NIGHTLY = Path(__file__).parents[2] / "jobs" / "nightly-reconciliation.toml"
_COLUMNS = ("module", "record_id", "related_list", "related_id", "Member_Status")
_FIRST_LEAD = 500_000


@dataclass(frozen=True)
class Case:
    """A world of members of campaigns, with others outside the scope, and what is desired."""

    world: dict[str, Any]
    inside: Members
    outside: Members
    desired: Members


def make_case(campaigns: int, each: int, *, share: float, seed: int = 7) -> Case:
    """Return a world and a DESIRED that differs in `share` of the links of each kind."""
    chance = random.Random(seed)
    leads = [str(_FIRST_LEAD + n) for n in range(each * 3)]
    links = {
        (str(100 + n), lead): chance.choice(["Active", "Planning"])
        for n in range(campaigns + 3)
        for lead in chance.sample(leads, each)
    }
    inside = {pair: said for pair, said in links.items() if int(pair[0]) < 100 + campaigns}
    outside = {pair: said for pair, said in links.items() if pair not in inside}
    count = max(1, int(len(inside) * share))
    changed = chance.sample(sorted(inside), 2 * count)
    desired = dict(inside)
    for pair in changed[:count]:
        del desired[pair]
    for pair in changed[count:]:
        desired[pair] = "Invited"
    while len(desired) < len(inside):
        pair = str(100 + chance.randrange(campaigns)), chance.choice(leads)
        if pair not in links:
            desired[pair] = "Active"
    return Case(as_world(links, leads), inside, outside, desired)


def as_world(links: Members, leads: Sequence[str]) -> dict[str, Any]:
    relations: dict[str, Any] = {}
    for (campaign, lead), said in links.items():
        relations.setdefault(f"Campaigns/{campaign}/Leads", {})[lead] = {"Member_Status": said}
    return {"records": {"Leads": list(leads)}, "relations": relations}


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_desired(folder: Path, desired: Members) -> Path:
    rows = [("Campaigns", pair[0], "Leads", pair[1], said) for pair, said in desired.items()]
    return write_rows(folder / "desired.csv", _COLUMNS, rows)


def members(bench: Bench) -> Members:
    """Return what the organisation holds."""
    found: Members = {}
    for key, others in bench.world()["relations"].items():
        module, record, related = key.split("/")
        said = others if isinstance(others, dict) else dict.fromkeys(others)
        for other, fields in said.items():
            assert {module, related} == {"Campaigns", "Leads"}
            pair = (record, other) if module == "Campaigns" else (other, record)
            found[pair] = (fields or {}).get("Member_Status", "")
    return found


def writes(bench: Bench) -> int:
    return sum(is_write(call) for call in bench.ledger())


def told(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what the program printed for machines."""
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def seeded(folder: Path, world: Mapping[str, Any]) -> Path:
    path = folder / "world.json"
    path.write_text(json.dumps(world))
    return path


@pytest.mark.parametrize(
    ("campaigns", "each"), [(20, 100), pytest.param(100, 500, marks=pytest.mark.large)]
)
def test_the_world_becomes_what_is_desired_and_stays(
    tmp_path: Path, campaigns: int, each: int
) -> None:
    """
    Within the scope the world is DESIRED, outside nothing moves, and the second run sends nothing.
    """
    case = make_case(campaigns, each, share=0.01)
    desired = write_desired(tmp_path, case.desired)
    with emulator(tmp_path, seeded(tmp_path, case.world)) as bench:
        ended = bench.run("reconcile", str(desired), "--prune", "--yes", "--json", *_ANY)

        assert ended.returncode == 0, ended.stderr
        assert {**case.outside, **case.desired} == members(bench)
        found = told(ended)
        count = int(len(case.inside) * 0.01)
        assert (count, count, count) == (found["missing"], found["surplus"], found["differs"])
        assert len(case.inside) == found["actual"]
        assert -(-each // 200) * campaigns == found["reads"]
        sent = writes(bench)
        plan = json.loads((Path(found["run"]) / "summary.json").read_bytes())
        assert plan["plan"]["total"]["calls"] == sent

        again = bench.run("reconcile", str(desired), "--prune", "--yes", "--json")
        assert again.returncode == 0, again.stderr
        assert sent == writes(bench)
        assert told(again)["run"] != found["run"]


_SLOW = {"latency_median_s": 0.05, "latency_sigma": 0.2}
_NARROW = {"BULKOPS_LIMITS__CONCURRENCY": "2"}


def is_read(call: Mapping[str, Any]) -> bool:
    return call["method"] == "GET" and call["path"].startswith("/crm/")


def wait_for_calls(bench: Bench, kind: Callable[[Mapping[str, Any]], bool], count: int) -> None:
    """Return once the emulator has answered so many calls of a kind."""
    deadline = time.monotonic() + 60
    while sum(map(kind, bench.ledger())) < count:
        assert time.monotonic() < deadline, "too few calls in a minute"
        time.sleep(0.02)


@pytest.mark.parametrize(("kind", "count"), [(is_read, 8), (is_write, 5)])
def test_killed_and_run_again_ends_the_same(
    tmp_path: Path, kind: Callable[[Mapping[str, Any]], bool], count: int
) -> None:
    """Killed while it reads or while it sends, the same command ends as if nothing had been."""
    case = make_case(30, 20, share=0.1)
    words = ("reconcile", str(write_desired(tmp_path, case.desired)), "--prune", "--yes", *_ANY)
    with emulator(tmp_path, seeded(tmp_path, case.world), **_SLOW) as bench:
        process = bench.begin(*words, **_NARROW)
        wait_for_calls(bench, kind, count)
        assert interrupt(process, signal.SIGKILL) == -signal.SIGKILL

        ended = bench.run(*words, "--json", **_NARROW)
        assert ended.returncode == 0, ended.stderr
        assert {**case.outside, **case.desired} == members(bench)
        assert 1 == len(list(tmp_path.glob("runs/desired-*")))
        # What was read whole is not read again, but for what was under way or not on disk yet.
        lists = [call for call in bench.ledger() if is_read(call)]
        assert 30 <= len(lists) <= 30 + 6


@pytest.mark.parametrize("by_signal", [True, False])
def test_reading_that_was_stopped_goes_on_where_it_was(tmp_path: Path, by_signal: bool) -> None:
    """SIGINT ends it with 130 and used-up credits with 5; nothing was read twice, nothing sent."""
    case = make_case(20, 10, share=0.1)
    words = ("reconcile", str(write_desired(tmp_path, case.desired)), "--prune", "--yes", *_ANY)
    with emulator(tmp_path, seeded(tmp_path, case.world), **_SLOW) as bench:
        if by_signal:
            process = bench.begin(*words, **_NARROW)
            wait_for_calls(bench, is_read, 5)
            assert interrupt(process, signal.SIGINT) == 130
        else:
            ended = bench.run(*words, "--max-credits", "5", **_NARROW)
            assert ended.returncode == 5, ended.stderr
            assert 5 == sum(map(is_read, bench.ledger()))
        assert 0 == writes(bench)

        ended = bench.run(*words)
        assert ended.returncode == 0, ended.stderr
        assert {**case.outside, **case.desired} == members(bench)
        # What was under way at the signal is given up, and read again.
        assert 20 <= sum(map(is_read, bench.ledger())) <= 22


def test_beyond_a_limit_nothing_is_sent(tmp_path: Path) -> None:
    """Exit 8 with the numbers; nobody to confirm is exit 8 too; with both it goes on."""
    case = make_case(5, 40, share=0.05)
    words = ("reconcile", str(write_desired(tmp_path, case.desired)), "--prune")
    with emulator(tmp_path, seeded(tmp_path, case.world)) as bench:
        ended = bench.run(*words, "--yes")
        assert ended.returncode == 8
        assert "30 changes are 15.0% of the 200" in ended.stderr
        assert bench.run(*words, "--max-change", "15%").returncode == 8
        assert 0 == writes(bench)

        ended = bench.run(*words, "--max-change", "15%", "--yes")
        assert ended.returncode == 0, ended.stderr
        assert {**case.outside, **case.desired} == members(bench)
        assert 5 == sum(map(is_read, bench.ledger()))


def test_what_could_not_be_read_is_no_0(tmp_path: Path) -> None:
    """The rest is carried out; the records that were not read are as before, and are listed."""
    case = make_case(5, 40, share=0.05)
    words = ("reconcile", str(write_desired(tmp_path, case.desired)), "--prune", "--yes", *_ANY)
    with emulator(tmp_path, seeded(tmp_path, case.world)) as bench:
        fault = {"kind": "status", "method": "GET", "path": "Campaigns/101/Leads", "status": 500}
        bench.ask("faults", [fault])
        ended = bench.run(*words, "--json", BULKOPS_LIMITS__ATTEMPTS="2")

        assert ended.returncode == 3, ended.stderr
        after = {**case.outside, **case.desired}
        as_before = {pair: said for pair, said in case.inside.items() if pair[0] == "101"}
        after = {pair: said for pair, said in after.items() if pair[0] != "101"} | as_before
        assert after == members(bench)
        unread = (Path(told(ended)["run"]) / "unread.csv").read_text(encoding="utf-8")
        assert "Campaigns,101,Leads" in unread
        assert not [call for call in bench.ledger() if is_write(call) and "/101/" in call["path"]]


def test_roles_and_territories_follow_a_job_file(tmp_path: Path) -> None:
    """`bulkops run JOB.toml` reconciles what the job desires, twice in a row as a timer would."""
    world = {
        "roles": {"90": "Buyer", "91": "User"},
        "contact_roles": {"1": {"5": "90", "6": "91"}, "2": {"5": "90"}},
        "territories": [
            {"id": "100", "name": "All", "parent_id": None},
            *({"id": str(n), "name": str(n), "parent_id": "100"} for n in (101, 102, 103)),
        ],
        "record_territories": {"Accounts": {"7": ["101", "102"], "8": ["101"], "9": ["103"]}},
    }
    write_rows(
        tmp_path / "should.csv",
        ("module", "record_id", "related_list", "Contact", "role_id", "territory_id"),
        [
            ("Deals", "1", "Contact_Roles", "5", "91", ""),
            ("Deals", "1", "Contact_Roles", "7", "90", ""),
            ("Accounts", "7", "", "", "", "102;103"),
            ("Accounts", "8", "", "", "", "101"),
        ],
    )
    job = tmp_path / "nightly.toml"
    job.write_text(
        'desired = "should.csv"\nconfirm = false\n[columns]\nrelated_id = "Contact"\n'
        '[reconcile]\nprune = true\nmax_change = ""\n'
    )
    world["records"] = {"Contacts": ["7"]}
    with emulator(tmp_path, seeded(tmp_path, world)) as bench:
        for expected in (5, 0):
            ended = bench.run("run", str(job), "--json")
            assert ended.returncode == 0, ended.stderr
            found = told(ended)
            assert expected == found["missing"] + found["surplus"] + found["differs"]
        after = bench.world()
        assert {"1": {"5": "91", "7": "90"}, "2": {"5": "90"}} == after["contact_roles"]
        held = {
            record: set(territories)
            for record, territories in after["record_territories"]["Accounts"].items()
        }
        assert {"7": {"102", "103"}, "8": {"101"}, "9": {"103"}} == held
        refused = bench.run("plan", str(job))
        assert refused.returncode == 2
        assert "a reconciliation has no plan before" in refused.stderr


def test_the_nightly_job_runs_two_nights_in_a_row(tmp_path: Path) -> None:
    """The job of the repository, as a timer starts it: within its guards, and then at rest."""
    case = make_case(10, 200, share=0.005)
    job = tmp_path / _NIGHTLY.name
    # The window of the job is for the night; tests run at any time.
    job.write_text(_NIGHTLY.read_text(encoding="utf-8").replace('"22:00-06:00"', '""'))
    rows = [(*pair, said) for pair, said in case.desired.items()]
    write_rows(tmp_path / "campaign-members.csv", ("Campaign Id", "Lead Id", "Status"), rows)
    with emulator(tmp_path, seeded(tmp_path, case.world)) as bench:
        for expected in (30, 0):
            ended = bench.run("run", str(job), "--json")
            assert ended.returncode == 0, ended.stderr
            found = told(ended)
            assert expected == found["missing"] + found["surplus"] + found["differs"]
        assert {**case.outside, **case.desired} == members(bench)
