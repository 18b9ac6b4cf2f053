"""
What has to wait, and what must not: locked records, refused groups, poisoned calls, outages.
"""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Bench, emulator, interrupt, is_write

_LOCKED = "Products/500"
_HEADER = "op,module,record_id,related_list,related_id\n"


@contextmanager
def products(
    folder: Path, *, locked_deals: int = 250, others: int = 20, **knobs: object
) -> Iterator[tuple[Bench, str]]:
    """A product of several batches and others of one, all to lose their deals."""
    held = {"500": [str(9000 + each) for each in range(locked_deals)]}
    for product in range(others):
        held[str(600 + product)] = [str(20000 + product * 10 + each) for each in range(3)]
    world = {"relations": {f"Products/{key}/Deals": deals for key, deals in held.items()}}
    (folder / "world.json").write_text(json.dumps(world))
    rows = [f"unlink,Products,{key},Deals,{deal}\n" for key in held for deal in held[key]]
    (folder / "manifest.csv").write_text(_HEADER + "".join(rows))
    with emulator(folder, folder / "world.json", **knobs) as bench:
        yield bench, str(folder / "manifest.csv")


def lock(bench: Bench, times: int) -> None:
    """Let the calls on the first product find it locked, so many times."""
    path = f"^/crm/v8/{_LOCKED}/"
    bench.ask("faults", {"kind": "record_locked", "ids": ["500"], "path": path, "times": times})


def parents(bench: Bench) -> list[str]:
    """The record of each writing call, in order of arrival."""
    return ["/".join(call["path"].split("/")[3:5]) for call in bench.ledger() if is_write(call)]


def statuses(bench: Bench) -> Counter[str]:
    return Counter(each["status"] for each in bench.records() if each["type"] == "outcome")


def clear_faults(bench: Bench) -> None:
    request = urllib.request.Request(f"{bench.url}/_emulator/faults", method="DELETE")
    urllib.request.urlopen(request, timeout=10).close()


def test_a_locked_record_holds_back_its_own_batches_and_no_others(tmp_path: Path) -> None:
    """One call at a time suffices for all others while the locked one waits."""
    with products(tmp_path) as (bench, manifest):
        lock(bench, times=1)
        one = {"BULKOPS_LIMITS__CONCURRENCY": "1", "BULKOPS_LIMITS__LOCKED_WAIT_S": "10"}
        ended = bench.run("run", manifest, "--yes", **one)
        assert ended.returncode == 0, ended.stderr
        called = parents(bench)
        assert called.count(_LOCKED) == 4
        # Refused first; everything else passes it; then its three batches, one after the other.
        assert (called[0], called[-3:]) == (_LOCKED, [_LOCKED] * 3)
        assert statuses(bench) == {"succeeded": 310}


def test_batches_of_one_record_are_never_in_flight_together(tmp_path: Path) -> None:
    """Neither when there are workers enough, nor when the first of them is parked."""
    with products(tmp_path, locked_deals=550, others=3, latency_median_s=0.05) as (bench, manifest):
        lock(bench, times=2)
        ended = bench.run("run", manifest, "--yes")
        assert ended.returncode == 0, ended.stderr
        sent = [each for each in bench.records() if each["type"] in {"sent", "answer", "outcome"}]
        of_locked = {each["batch"] for each in sent if each.get("line", 10**6) <= 550}
        assert len(of_locked) == 6
        under_way: set[int] = set()
        for each in sent:
            if each["type"] == "sent" and each["batch"] in of_locked:
                assert under_way <= {each["batch"]}
                under_way = {each["batch"]}
            elif each["type"] != "sent":
                under_way.discard(each["batch"])
        assert parents(bench).count(_LOCKED) == 8


def test_a_record_that_stays_locked_fails_alone(tmp_path: Path) -> None:
    """After its attempts, with the server's own code; nobody else notices."""
    with products(tmp_path, locked_deals=2) as (bench, manifest):
        lock(bench, times=0)
        few = {"BULKOPS_LIMITS__ATTEMPTS": "3", "BULKOPS_LIMITS__LOCKED_WAIT_S": "0.05"}
        ended = bench.run("run", manifest, "--yes", **few)
        assert ended.returncode == 3, ended.stderr
        assert statuses(bench) == {"succeeded": 60, "failed": 2}
        assert parents(bench).count(_LOCKED) == 3
        failed = [each for each in bench.records() if each.get("status") == "failed"]
        assert {("RECORD_LOCKED", 3)} == {(each["code"], each["attempts"]) for each in failed}


def test_a_stop_does_not_wait_for_what_is_parked(tmp_path: Path) -> None:
    """Its lines are not settled, and the same command sends them again."""
    with products(tmp_path) as (bench, manifest):
        lock(bench, times=1)
        process = bench.begin("run", manifest, "--yes", BULKOPS_LIMITS__LOCKED_WAIT_S="3600")
        deadline = time.monotonic() + 60
        while len(set(parents(bench))) < 21 and time.monotonic() < deadline:
            time.sleep(0.02)
        before = time.monotonic()
        assert interrupt(process, signal.SIGINT) == 130
        assert time.monotonic() - before < 10
        assert statuses(bench) == {"succeeded": 60}
        ended = bench.run("run", manifest, "--yes")
        assert ended.returncode == 0, ended.stderr
        assert statuses(bench) == {"succeeded": 310}
        assert parents(bench).count(_LOCKED) == 4


_REFUSALS: dict[str, tuple[int, str]] = {
    "no scope": (401, "OAUTH_SCOPE_MISMATCH"),
    "wrong module": (400, "INVALID_MODULE"),
}


@pytest.mark.parametrize(("status", "code"), _REFUSALS.values(), ids=_REFUSALS)
def test_an_aborted_group_costs_no_calls_and_lets_the_others_run(
    tmp_path: Path, status: int, code: str
) -> None:
    """Of 200 batches that are all refused none but those under way are sent."""
    campaigns = {
        str(700 + each): [str(30000 + each * 10 + n) for n in (1, 2)] for each in range(200)
    }
    deals = [str(9000 + each) for each in range(120)]
    world: dict[str, Any] = {"relations": {f"Campaigns/{c}/Leads": f for c, f in campaigns.items()}}
    world["relations"]["Products/500/Deals"] = deals
    (tmp_path / "world.json").write_text(json.dumps(world))
    rows = [
        f"unlink,Campaigns,{c},Leads,{each}\n" for c, found in campaigns.items() for each in found
    ]
    rows += [f"unlink,Products,500,Deals,{each}\n" for each in deals]
    (tmp_path / "manifest.csv").write_text(_HEADER + "".join(rows))
    with emulator(tmp_path, tmp_path / "world.json") as bench:
        payload = {"code": code, "details": {}, "message": "not for you", "status": "error"}
        fault = {"kind": "status", "status": status, "payload": payload, "path": "/Campaigns/"}
        bench.ask("faults", fault)
        limits = {"BULKOPS_LIMITS__CONCURRENCY": "4", "BULKOPS_STOP__FAILED_RATIO": "0.05"}
        ended = bench.run("run", str(tmp_path / "manifest.csv"), "--yes", **limits)
        assert ended.returncode == 3, ended.stderr
        refused = [each for each in parents(bench) if each.startswith("Campaigns/")]
        assert 1 <= len(refused) <= 4
        told = statuses(bench)
        assert (told["succeeded"], told["failed"], told["skipped"]) == (
            120,
            2 * len(refused),
            400 - 2 * len(refused),
        )


@pytest.mark.parametrize("bad", [{1}, {100}, {37, 38}, {5, 33, 66, 99}])
def test_poisoned_rows_are_found_in_few_calls(tmp_path: Path, bad: set[int]) -> None:
    """At most `2 * k * 7 + 1` calls for k bad of a hundred; every good row goes through."""
    with products(tmp_path, locked_deals=100, others=0) as (bench, manifest):
        bench.ask("faults", {"kind": "poison", "ids": [str(8999 + line) for line in bad]})
        ended = bench.run("run", manifest, "--yes")
        assert ended.returncode == 3, ended.stderr
        failed = {each["line"] for each in bench.records() if each.get("status") == "failed"}
        assert failed == bad
        assert statuses(bench)["succeeded"] == 100 - len(bad)
        assert len(parents(bench)) <= 2 * len(bad) * 7 + 1


def test_an_outage_in_the_middle_costs_few_calls_and_no_line(tmp_path: Path) -> None:
    """The run ends with 5 after some tens of calls, and goes on when the server does."""
    with products(tmp_path, locked_deals=2, others=400) as (bench, manifest):
        bench.ask("faults", {"kind": "status", "status": 503, "nth": 100, "run": 10**6})
        few = {"BULKOPS_LIMITS__ATTEMPTS": "4"}
        paused = bench.run("run", manifest, "--yes", **few)
        assert paused.returncode == 5, paused.stderr
        assert "does not answer" in paused.stderr
        assert statuses(bench).keys() <= {"succeeded"}
        assert len(parents(bench)) <= 99 + 50 + 20 + 4
        clear_faults(bench)
        ended = bench.run("run", manifest, "--yes")
        assert ended.returncode == 0, ended.stderr
        assert sum(statuses(bench).values()) == 1202
