"""
The whole job while the server makes trouble: every line still ends as the world says.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Sample
from tests.e2e.harness import Bench, emulator, hold_against_world, interrupt, read_rows, wait_for

_WRITES = {"method": "", "path": "^/crm/v8/(?!.*get_feature)"}
_TROUBLE: dict[str, list[dict[str, Any]]] = {
    "refused for too many calls": [{"kind": "status", "status": 429, "probability": 0.2}],
    "told to wait": [
        {"kind": "status", "status": 429, "retry_after_s": 0.2, "probability": 0.1, **_WRITES}
    ],
    "internal errors before the effect": [{"kind": "status", "probability": 0.15, **_WRITES}],
    "internal errors after the effect": [{"kind": "status_after", "probability": 0.15, **_WRITES}],
    "pages of a gateway": [
        {"kind": "status", "status": 502, "body": "html", "probability": 0.1},
        {"kind": "status", "status": 503, "body": "empty", "probability": 0.05},
    ],
    "connections cut": [
        {"kind": "cut_before", "probability": 0.08},
        {"kind": "cut_after", "probability": 0.08},
        {"kind": "cut_body", "probability": 0.05},
        {"kind": "close_after", "probability": 0.1},
    ],
    "answers cut short": [
        {"kind": "truncated", "probability": 0.1},
        {"kind": "missing_item", "probability": 0.1},
    ],
    "tokens revoked": [{"kind": "revoke_tokens", "every": 40, "times": 2}],
    "records locked": [{"kind": "record_locked", "probability": 0.1}],
    "odd but right": [
        {"kind": "shuffled", "probability": 0.3},
        {"kind": "path_space", "probability": 0.3},
        {"kind": "mixed_as_200", "probability": 0.5},
    ],
}


@pytest.mark.parametrize("faults", _TROUBLE.values(), ids=_TROUBLE)
def test_trouble_changes_no_ending(
    tmp_path: Path, sample: Sample, faults: list[dict[str, Any]]
) -> None:
    """Passing faults cost calls, never an outcome: the log agrees with the world."""
    with emulator(tmp_path, sample.world, job_seconds=0.3) as bench:
        bench.ask("faults", faults)
        ended = bench.run("run", str(sample.manifest), "--yes", BULKOPS_LIMITS__ATTEMPTS="12")
        assert ended.returncode == 3, ended.stderr
        statuses = hold_against_world(bench, read_rows(sample.manifest), sample.before)
        assert statuses["unknown"] == 0
        assert statuses["skipped"] == 0
        struck = json.loads(bench.ask("counters"))["faults"]
        assert sum(struck.values()) > 0


def test_jobs_that_outlive_the_program_are_adopted(tmp_path: Path, sample: Sample) -> None:
    """Killed while remote jobs are pending, the next run follows them and sends none again."""
    with emulator(tmp_path, sample.world, job_seconds=4.0) as bench:
        process = bench.begin("run", str(sample.manifest), "--yes")
        wait_for(bench, outcomes=1400, process=process)
        assert interrupt(process, signal.SIGKILL) == -signal.SIGKILL
        pending = [each for each in bench.records() if each["type"] == "job"]
        assert pending
        ended = bench.run("run", str(sample.manifest), "--yes")
        assert ended.returncode == 3, ended.stderr
        hold_against_world(bench, read_rows(sample.manifest), sample.before)
        counters = json.loads(bench.ask("counters"))
        assert counters["repeated"] == 0


def test_jobs_without_effect_are_sent_once_more_and_then_fail(
    tmp_path: Path, sample: Sample
) -> None:
    """A job that ends and leaves the record as it was is told as failed, after one more try."""
    with emulator(tmp_path, sample.world, job_seconds=0.2, job_failure_ratio=0.3) as bench:
        ended = bench.run("run", str(sample.manifest), "--yes")
        assert ended.returncode == 3, ended.stderr
        hold_against_world(bench, read_rows(sample.manifest), sample.before)
        codes = [each.get("code") for each in bench.records() if each["type"] == "outcome"]
        assert "job_without_effect" in codes


def test_jobs_that_never_end_pause_the_run(tmp_path: Path, sample: Sample) -> None:
    """Lines whose job does not end are left scheduled, and the exit code says run again."""
    with emulator(tmp_path, sample.world, job_seconds=0.2, job_stuck_ratio=0.2) as bench:
        ended = bench.run("run", str(sample.manifest), "--yes", BULKOPS_FOLLOW__TIMEOUT_S="2")
        assert ended.returncode == 5, ended.stderr
        assert "wait for jobs of the server" in ended.stderr
        listed = bench.run("outcomes", bench.run_directory.name, "--status", "scheduled")
        assert listed.stdout


def test_another_jobs_record_is_waited_for(tmp_path: Path) -> None:
    """`ALREADY_SCHEDULED` is no failure: the line waits and then tells what became of it."""
    world = {
        "territories": [{"id": "100", "name": "All"}, {"id": "101", "parent_id": "100"}],
        "record_territories": {"Accounts": {"1": ["101"], "2": ["101"]}},
        "jobs": [
            {
                "id": "900",
                "module": "Accounts",
                "record_id": "1",
                "kind": "manual_territory_removal",
                "territories": ["101"],
                "looks": 2,
            }
        ],
    }
    (tmp_path / "world.json").write_text(json.dumps(world))
    manifest = tmp_path / "two.csv"
    manifest.write_text(
        "op,module,record_id,territory_id\n"
        "remove_territories,Accounts,1,101\nremove_territories,Accounts,2,101\n"
    )
    with emulator(tmp_path, tmp_path / "world.json", job_looks=1) as bench:
        ended = bench.run("run", str(manifest), "--yes")
        assert ended.returncode == 0, ended.stderr
        statuses = _statuses(bench)
        assert statuses == {1: "unchanged", 2: "succeeded"}


def test_a_poisoned_call_is_halved_until_the_row_stands_alone(tmp_path: Path) -> None:
    """A batch refused without naming its member loses that row alone, in few calls."""
    deals = [str(number) for number in range(1, 101)]
    world = {"relations": {"Products/500/Deals": deals}}
    (tmp_path / "world.json").write_text(json.dumps(world))
    manifest = tmp_path / "star.csv"
    lines = [f"unlink,Products,500,Deals,{deal}\n" for deal in deals]
    manifest.write_text("op,module,record_id,related_list,related_id\n" + "".join(lines))
    with emulator(tmp_path, tmp_path / "world.json") as bench:
        bench.ask("faults", {"kind": "poison", "ids": ["37"]})
        ended = bench.run("run", str(manifest), "--yes")
        assert ended.returncode == 3, ended.stderr
        statuses = _statuses(bench)
        assert [line for line, status in statuses.items() if status == "failed"] == [37]
        assert sum(status == "succeeded" for status in statuses.values()) == 99
        # Twice the logarithm of 100, rounded up, and one.
        assert sum(each["type"] == "sent" for each in bench.records()) <= 15


def test_a_group_that_is_refused_lets_the_others_run(tmp_path: Path) -> None:
    """A feature that is off aborts its own lines; nothing more of the kind is sent."""
    leads = [str(number) for number in range(1, 51)]
    world = {
        "territories": [{"id": "100", "name": "All"}],
        "records": {"Leads": leads},
        "relations": {"Campaigns/900/Leads": leads},
        "rights": {"territory_management": "disabled"},
    }
    (tmp_path / "world.json").write_text(json.dumps(world))
    manifest = tmp_path / "mixed.csv"
    rows = [f"remove_territories,Leads,{lead},,,100\n" for lead in leads]
    rows += [f"unlink,Campaigns,900,Leads,{lead},\n" for lead in leads]
    manifest.write_text(
        "op,module,record_id,related_list,related_id,territory_id\n" + "".join(rows)
    )
    narrow = {"BULKOPS_LIMITS__CONCURRENCY": "1", "BULKOPS_STOP__FAILED_RATIO": "0.05"}
    with emulator(tmp_path, tmp_path / "world.json") as bench:
        ended = bench.run("run", str(manifest), "--yes", **narrow)
        assert ended.returncode == 3, ended.stderr
        statuses = _statuses(bench)
        assert {"succeeded"} == {statuses[line] for line in range(51, 101)}
        assert {"failed", "skipped"} == {statuses[line] for line in range(1, 51)}
        calls = [call for call in bench.ledger() if call["path"].endswith("remove_territories")]
        assert len(calls) == 1


def test_a_line_that_waits_is_skipped_as_soon_as_its_group_is_refused(tmp_path: Path) -> None:
    """A locked record may be due in an hour: the run does not sit that out for nothing."""
    relations = {f"Products/90{number}/Deals": [f"7{number}"] for number in range(3)}
    (tmp_path / "world.json").write_text(json.dumps({"relations": relations}))
    manifest = tmp_path / "links.csv"
    rows = [f"unlink,Products,90{number},Deals,7{number}\n" for number in range(3)]
    manifest.write_text("op,module,record_id,related_list,related_id\n" + "".join(rows))
    patient = {"BULKOPS_LIMITS__CONCURRENCY": "1", "BULKOPS_LIMITS__LOCKED_WAIT_S": "3600"}
    with emulator(tmp_path, tmp_path / "world.json") as bench:
        bench.ask("faults", {"kind": "record_locked", "nth": 1})
        refusal = {"code": "NO_PERMISSION", "details": {}, "message": "no", "status": "error"}
        bench.ask("faults", {"kind": "status", "status": 403, "nth": 2, "payload": refusal})
        ended = bench.run("run", str(manifest), "--yes", **patient)
        assert ended.returncode == 6, ended.stderr
        assert ["failed", "skipped", "skipped"] == sorted(_statuses(bench).values())


def test_no_server_at_all_pauses_and_loses_nothing(tmp_path: Path, sample: Sample) -> None:
    """With nobody there the run ends with 5, and goes on when somebody is."""
    with emulator(tmp_path, sample.world) as bench:
        nowhere = {
            "BULKOPS_API__BASE_URL": "http://127.0.0.1:9",
            "BULKOPS_API__ACCOUNTS_URL": bench.url,
            "BULKOPS_LIMITS__ATTEMPTS": "2",
        }
        paused = bench.run("run", str(sample.manifest), "--yes", **nowhere)
        assert paused.returncode == 5, paused.stderr
        assert "does not answer" in paused.stderr
        ended = bench.run("run", str(sample.manifest), "--yes")
        assert ended.returncode == 3, ended.stderr
        hold_against_world(bench, read_rows(sample.manifest), sample.before)


def test_too_many_failures_stop_the_run(tmp_path: Path, sample: Sample) -> None:
    """Past the threshold the run drains and ends with 4; the same command goes on."""
    with emulator(tmp_path, sample.world) as bench:
        limits = {"BULKOPS_STOP__FAILED_RATIO": "0.0", "BULKOPS_STOP__FAILED_AFTER": "5"}
        stopped = bench.run("run", str(sample.manifest), "--yes", **limits)
        assert stopped.returncode == 4, stopped.stderr
        assert "failed_ratio" in stopped.stderr
        ended = bench.run("run", str(sample.manifest), "--yes")
        assert ended.returncode == 3, ended.stderr
        hold_against_world(bench, read_rows(sample.manifest), sample.before)


def _statuses(bench: Bench) -> dict[int, str]:
    return {each["line"]: each["status"] for each in bench.records() if each["type"] == "outcome"}
