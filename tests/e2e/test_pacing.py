"""
The real program against limits that nobody tells it: found, kept, remembered, and waited for.
"""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Bench, emulator, interrupt, wait_for

ROWS = 400


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A call for each of many leads, and the world it is meant for."""
    relations = {f"Leads/{1000 + each}/Campaigns": ["7"] for each in range(ROWS)}
    (tmp_path / "world.json").write_text(json.dumps({"relations": relations}))
    path = tmp_path / "many.csv"
    lines = [f"unlink,Leads,{1000 + each},Campaigns,7\n" for each in range(ROWS)]
    path.write_text("op,module,record_id,related_list,related_id\n" + "".join(lines))
    return path


def by_lead(**more: str) -> dict[str, str]:
    """One row a call, so that there are many calls."""
    return {"BULKOPS_LIMITS__IDS_PER_CALL": "1", "BULKOPS_LIMITS__EDITION": "ultimate", **more}


def statuses(bench: Bench) -> Counter[str]:
    told = [each for each in bench.records() if each["type"] == "outcome"]
    assert len({each["line"] for each in told}) == len(told)
    return Counter(each["status"] for each in told)


def notes(bench: Bench, event: str) -> list[dict[str, Any]]:
    return [each for each in bench.records() if each.get("event") == event]


def counters(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bench.ask("counters"))
    return found


def test_a_limit_is_found_and_remembered(tmp_path: Path, manifest: Path) -> None:
    """The first run meets the limit a few times; the next begins just there and hardly does."""
    with emulator(tmp_path, tmp_path / "world.json", concurrency=7, latency_median_s=0.03) as bench:
        first = bench.run("run", str(manifest), "--yes", **by_lead())
        assert first.returncode == 0, first.stderr
        assert statuses(bench) == {"succeeded": ROWS}
        refused = counters(bench)["refused_429"]
        assert 1 <= refused <= 8
        (path,) = (tmp_path / "state").rglob("levels.json")
        (level,) = json.loads(path.read_bytes()).values()
        assert 6 <= level <= 7
        bench.ask("reset", {})
        second = bench.run("run", str(manifest), "--yes", "--new", **by_lead())
        assert second.returncode == 0, second.stderr
        assert counters(bench)["peak_in_flight"] <= 8
        assert counters(bench)["refused_429"] <= 3


def test_the_ceiling_is_kept_however_much_the_server_takes(tmp_path: Path, manifest: Path) -> None:
    """Without a word of the configuration it is the edition's number, even if more would do."""
    with emulator(tmp_path, tmp_path / "world.json", concurrency=0, latency_median_s=0.02) as bench:
        ended = bench.run("run", str(manifest), "--yes", **by_lead(BULKOPS_LIMITS__EDITION="free"))
        assert ended.returncode == 0, ended.stderr
        assert counters(bench)["peak_in_flight"] == 5


def test_refusals_of_everything_are_waited_through(tmp_path: Path, manifest: Path) -> None:
    """A limit of a minute, say: one call at a time asks, it is told why, and the run goes on."""
    with emulator(tmp_path, tmp_path / "world.json", latency_median_s=0.01) as bench:
        bench.ask("faults", {"kind": "status", "status": 429, "nth": 100, "run": 20})
        waits = {"BULKOPS_LIMITS__RETRY_WAIT_S": "0.01"}
        ended = bench.run("run", str(manifest), "--yes", **by_lead(**waits))
        assert ended.returncode == 0, ended.stderr
        assert statuses(bench) == {"succeeded": ROWS}
        assert [each["reason"] for each in notes(bench, "run.held")] == ["refusals"]
        assert [each["reason"] for each in notes(bench, "run.released")] == ["refusals"]
        assert '"reason": "rate"' in ended.stderr


def test_refusals_without_end_pause_the_run(tmp_path: Path, manifest: Path) -> None:
    """Nothing is settled by them: the same command goes on when the server does."""
    with emulator(tmp_path, tmp_path / "world.json") as bench:
        bench.ask("faults", {"kind": "status", "status": 429, "nth": 100, "run": 10**6})
        waits = {"BULKOPS_LIMITS__RETRY_WAIT_S": "0"}
        ended = bench.run("run", str(manifest), "--yes", **by_lead(**waits))
        assert ended.returncode == 5, ended.stderr
        assert "every call is refused" in ended.stderr
        assert set(statuses(bench)) == {"succeeded"}
        take_faults_away(bench)
        again = bench.run("run", str(manifest), "--yes", **by_lead())
        assert again.returncode == 0, again.stderr
        assert statuses(bench) == {"succeeded": ROWS}
        assert counters(bench)["repeated"] == 0


def test_credits_that_run_out_pause_the_run(tmp_path: Path, manifest: Path) -> None:
    """By the server's own count, although the configuration believes in more: exit 5."""
    with emulator(tmp_path, tmp_path / "world.json", credits_per_day=150) as bench:
        more = {"BULKOPS_LIMITS__LEAVE_CREDITS": "0", "BULKOPS_LIMITS__CREDITS_PER_DAY": "50000"}
        ended = bench.run("run", str(manifest), "--yes", **by_lead(**more))
        assert ended.returncode == 5, ended.stderr
        assert "credits" in ended.stderr
        assert set(statuses(bench)) == {"succeeded"}
        assert counters(bench)["credits"] <= 150


def test_one_interrupt_ends_a_pause_of_minutes(tmp_path: Path, manifest: Path) -> None:
    """What waits for its turn has not left: it is no doubt, and nobody waits for it."""
    with emulator(tmp_path, tmp_path / "world.json", latency_median_s=0.01) as bench:
        told_to_wait = {"kind": "status", "status": 429, "retry_after_s": 100, "nth": 100, "run": 9}
        bench.ask("faults", told_to_wait)
        process = bench.begin("run", str(manifest), "--yes", **by_lead())
        wait_for(bench, outcomes=90, process=process)
        deadline = time.monotonic() + 30
        while not counters(bench)["faults"] and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        begun = time.monotonic()
        assert interrupt(process, signal.SIGINT) == 130
        assert time.monotonic() - begun < 20
        take_faults_away(bench)
        again = bench.run("run", str(manifest), "--yes", **by_lead())
        assert again.returncode == 0, again.stderr
        assert statuses(bench) == {"succeeded": ROWS}
        assert not [each for each in bench.records() if each.get("learnt")]


def take_faults_away(bench: Bench) -> None:
    """Take all faults away."""
    request = urllib.request.Request(f"{bench.url}/_emulator/faults", method="DELETE")
    urllib.request.urlopen(request, timeout=30).close()
