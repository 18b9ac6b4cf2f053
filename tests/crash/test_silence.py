"""
A call that met silence, held against who did it: cases that chance found, made certain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.crash.oracle import Tally
from tests.crash.story import Story, emulator_on

_PATIENT = {"BULKOPS_LIMITS__RETRY_WAIT_S": "0.6", "BULKOPS_LIMITS__CONCURRENCY": "1"}


def told(
    folder: Path,
    world: dict[str, Any],
    lines: Sequence[str],
    faults: Sequence[dict[str, Any]],
    settings: dict[str, str] = _PATIENT,
    **knobs: Any,
) -> Story:
    """Run a few lines to their end against a server with some faults, and compare."""
    seed, manifest = folder / "world.json", folder / "few.csv"
    seed.write_text(json.dumps(world))
    columns = "op,module,record_id,related_list,related_id,territory_id,transfer_to_id,role_id"
    manifest.write_text("\n".join([columns, *lines, ""]))
    with emulator_on(folder, seed, faults=faults, **knobs) as bench:
        full: dict[str, Any] = bench.world()
        story = Story(bench, manifest, full, settings)
        story.finish()
        story.judge()
    return story


def test_jobs_of_a_silent_call_that_fail_one_by_one(tmp_path: Path, totals: Tally) -> None:
    """That one record's job failed says nothing about the jobs that the same call scheduled."""
    accounts = [str(number) for number in range(1, 11)]
    world = {
        "territories": [{"id": "100", "name": "All"}, {"id": "101", "parent_id": "100"}],
        "record_territories": {"Accounts": {each: ["101"] for each in accounts}},
    }
    lines = [f"remove_territories,Accounts,{each},,,101,," for each in accounts]
    silent = {"kind": "cut_after", "nth": 1, "path": "remove_territories"}
    story = told(tmp_path, world, lines, [silent], job_seconds=0.05, job_failure_ratio=0.4, seed=3)
    totals.add(story.tally)
    assert not story.tally.mismatches, "\n".join(story.tally.mismatches)
    assert story.tally.statuses["succeeded"] >= 5


@pytest.mark.parametrize("op", ["remove_territories", "assign_territories"])
def test_jobs_of_a_silent_call_that_are_pending_when_attempts_run_out(
    tmp_path: Path, totals: Tally, op: str
) -> None:
    """A record that shows no effect yet may have a job of ours: that is no failure."""
    accounts = [str(number) for number in range(1, 6)]
    held = {each: ["101"] if op == "remove_territories" else ["100"] for each in accounts}
    world = {
        "territories": [{"id": "100", "name": "All"}, {"id": "101", "parent_id": "100"}],
        "record_territories": {"Accounts": held},
        "records": {"Products": [*map(str, range(20, 60))], "Deals": [*map(str, range(20, 60))]},
    }
    lines = [f"{op},Accounts,{each},,,101,," for each in accounts]
    # A server that serves nobody is an outage, and nothing is given up then; so it serves others.
    lines += [f"unlink,Products,{each},Deals,{each},,," for each in range(20, 60)]
    faults = [
        {"kind": "cut_after", "nth": 1, "path": op},
        {"kind": "status", "nth": 2, "path": op},
    ]
    hasty = {"BULKOPS_LIMITS__ATTEMPTS": "2", "BULKOPS_LIMITS__CONCURRENCY": "2"}
    slow = {"latency_median_s": 0.03, "job_seconds": 3.0}
    story = told(tmp_path, world, lines, faults, hasty, **slow)
    totals.add(story.tally)
    assert not story.tally.mismatches, "\n".join(story.tally.mismatches)
    assert story.tally.statuses == {"succeeded": 5, "unchanged": 40}


def test_a_list_of_territories_that_fails_in_passing(tmp_path: Path, totals: Tally) -> None:
    """What could not be looked up just now is not known: it is no failure, and asked again."""
    accounts = [str(number) for number in range(1, 6)]
    world = {
        "territories": [{"id": "100", "name": "All"}, {"id": "101", "parent_id": "100"}],
        "record_territories": {"Accounts": {each: ["101"] for each in accounts}},
    }
    lines = [f"remove_territories,Accounts,{each},,,101,," for each in accounts]
    faults = [
        {"kind": "cut_after", "nth": 1, "path": "remove_territories"},
        {"kind": "truncated", "nth": 1, "run": 2, "path": "settings/territories"},
    ]
    hasty = {"BULKOPS_LIMITS__ATTEMPTS": "2"}
    story = told(tmp_path, world, lines, faults, hasty, offload_from=0)
    totals.add(story.tally)
    assert not story.tally.mismatches, "\n".join(story.tally.mismatches)
    assert story.tally.statuses == {"succeeded": 5}


def test_a_silent_call_that_did_its_work_is_ours(tmp_path: Path, totals: Tally) -> None:
    """Unlinks whose answer was lost are told as done by us, and as read from an echo."""
    deals = [str(number) for number in range(1, 11)]
    world = {"relations": {"Products/5/Deals": deals}}
    lines = [f"unlink,Products,5,Deals,{deal},,," for deal in deals]
    story = told(tmp_path, world, lines, [{"kind": "cut_after", "nth": 1}])
    totals.add(story.tally)
    assert not story.tally.mismatches, "\n".join(story.tally.mismatches)
    assert story.tally.echoes == 10
    assert story.tally.echoes_not_ours == 0


def test_a_silent_call_that_did_nothing_leaves_nothing_in_doubt(
    tmp_path: Path, totals: Tally
) -> None:
    """If the repeated call does work, the first did none: what was never so is not ours."""
    deals = [str(number) for number in range(1, 11)]
    world = {"records": {"Deals": deals}, "relations": {"Products/5/Deals": deals[:5]}}
    lines = [f"unlink,Products,5,Deals,{deal},,," for deal in deals]
    story = told(tmp_path, world, lines, [{"kind": "cut_before", "nth": 1}])
    totals.add(story.tally)
    assert not story.tally.mismatches, "\n".join(story.tally.mismatches)
    assert story.tally.echoes == 0
    assert story.tally.statuses == {"succeeded": 5, "unchanged": 5}
