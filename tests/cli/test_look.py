"""The verbs that look at a run, as the program that people start."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.harness import Bench

_WARNED = {"PYTHONWARNINGS": "error::ResourceWarning"}


def planned(folder: Path) -> tuple[Bench, str]:
    """Plan a manifest of two rows, and write the log of a run that settled one."""
    bench = Bench(folder, "http://127.0.0.1:9")
    manifest = folder / "few.csv"
    manifest.write_text(
        "op,module,record_id,related_list,related_id\n"
        "unlink,Leads,1,Campaigns,2\nunlink,Leads,1,Campaigns,3\n",
        encoding="utf-8",
    )
    ended = bench.run("plan", str(manifest), "--json")
    assert ended.returncode == 0, ended.stderr
    plan = json.loads(ended.stdout)
    records = (
        {"type": "run", "v": 1, "plan": plan["digest"], "rows": 2, "t": 1.0},
        {"type": "outcome", "line": 2, "status": "unchanged", "batch": 1, "t": 1.0},
    )
    text = "".join(json.dumps(each) + "\n" for each in records)
    (bench.run_directory / "checkpoint.jsonl").write_text(text, encoding="utf-8")
    return bench, bench.run_directory.name


def test_outcomes_are_the_same_in_a_file_which_is_closed(tmp_path: Path) -> None:
    """What `--output` names is whole and closed; what goes to standard output leaves that open."""
    bench, run = planned(tmp_path)
    file = tmp_path / "outcomes.jsonl"
    printed = bench.run("outcomes", run, **_WARNED)
    written = bench.run("outcomes", run, "--output", str(file), **_WARNED)

    assert (0, "") == (written.returncode, written.stdout)
    assert "ResourceWarning" not in printed.stderr + written.stderr
    assert printed.stdout == file.read_text(encoding="utf-8")
    assert [2] == [json.loads(line)["line"] for line in printed.stdout.splitlines()]


def test_the_status_of_a_run_is_for_machines_too(tmp_path: Path) -> None:
    """One object of JSON, with what the log says."""
    bench, run = planned(tmp_path)
    status = json.loads(bench.run("status", run, "--json", **_WARNED).stdout)

    assert ("unfinished", 2, 1) == (status["state"], status["rows"], status["settled"])
