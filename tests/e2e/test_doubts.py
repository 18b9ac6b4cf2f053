"""
A run that was killed with several silent calls of one batch, and what the next one makes of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.harness import Bench, emulator


def begun(bench: Bench, manifest: Path, *records: dict[str, Any]) -> None:
    """Plan a manifest, and write the log of a run that was killed after `records`."""
    ended = bench.run("plan", str(manifest), "--json")
    assert ended.returncode == 0, ended.stderr
    plan = json.loads(ended.stdout)
    head = {"type": "run", "v": 1, "plan": plan["digest"], "rows": plan["rows"], "t": 1.0}
    with (bench.run_directory / "checkpoint.jsonl").open("w", encoding="utf-8") as log:
        log.writelines(json.dumps(each, separators=(",", ":")) + "\n" for each in (head, *records))


def test_two_silent_calls_of_a_batch_are_doubted_apart(tmp_path: Path) -> None:
    """
    One of them did nothing, the other did its work: what it did is ours, the rest is not.

    A gateway let only two ids through then, and lets all four through now.
    """
    world = {"records": {"Deals": ["1", "2", "3", "4"]}, "relations": {"Products/5/Deals": ["1"]}}
    seed, manifest = tmp_path / "world.json", tmp_path / "few.csv"
    seed.write_text(json.dumps(world), encoding="utf-8")
    rows = [f"unlink,Products,5,Deals,{deal}" for deal in range(1, 5)]
    columns = "op,module,record_id,related_list,related_id"
    manifest.write_text("\n".join([columns, *rows, ""]), encoding="utf-8")
    with emulator(tmp_path, seed) as bench:
        begun(
            bench,
            manifest,
            {"type": "sent", "batch": 1, "attempt": 1, "call": 1, "lines": [1, 2], "t": 1.0},
            {"type": "sent", "batch": 1, "attempt": 1, "call": 2, "lines": [3, 4], "t": 1.0},
        )
        ended = bench.run("run", str(manifest), "--yes")
        assert ended.returncode == 0, ended.stderr
        found = {
            each["line"]: (each["status"], each.get("learnt"))
            for each in bench.records()
            if each["type"] == "outcome"
        }

    assert {
        1: ("succeeded", None),
        2: ("unchanged", None),
        3: ("succeeded", "echo"),
        4: ("succeeded", "echo"),
    } == found


def test_a_start_that_cannot_ask_about_unknown_lines_says_why(tmp_path: Path) -> None:
    """
    Every line has an outcome, but the start was for those that nobody knows of: it says what
    kept it from asking, and not that it finished. The next one asks.
    """
    world = {"records": {"Deals": ["1", "2"]}, "relations": {"Products/5/Deals": []}}
    seed, manifest = tmp_path / "world.json", tmp_path / "few.csv"
    seed.write_text(json.dumps(world), encoding="utf-8")
    columns = "op,module,record_id,related_list,related_id"
    rows = [f"unlink,Products,5,Deals,{deal}" for deal in (1, 2)]
    manifest.write_text("\n".join([columns, *rows, ""]), encoding="utf-8")
    known = {"type": "outcome", "line": 1, "status": "succeeded", "batch": 1, "t": 1.0}
    with emulator(tmp_path, seed) as bench:
        begun(
            bench,
            manifest,
            {"type": "sent", "batch": 1, "attempt": 1, "call": 1, "t": 1.0},
            known,
            known | {"line": 2, "status": "unknown", "code": "no_answer"},
        )
        command = ("run", str(manifest), "--yes")
        refused = bench.run(*command, BULKOPS_AUTH__REFRESH_TOKEN="revoked")
        assert (refused.returncode, "invalid_code" in refused.stderr) == (6, True), refused.stderr
        asked = bench.run(*command)
        assert asked.returncode == 0, asked.stderr
        last = [each for each in bench.records() if each["type"] == "outcome"][-1]
    assert (last["line"], last["status"], last["learnt"]) == (2, "succeeded", "echo")
