"""
Taken back and read back: a run and its undo leave the organisation as it was.
"""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Sample
from tests.e2e.harness import (
    Bench,
    closed_window,
    emulator,
    interrupt,
    read_rows,
    truth,
    wait_for,
)

CAPTURE = {"BULKOPS_RUN__CAPTURE": "fields"}
AFTER = [{"kind": "status_after", "probability": 0.1}, {"kind": "cut_after", "probability": 0.05}]


@pytest.fixture
def manifest(tmp_path: Path, sample: Sample) -> Path:
    """The sample without what cannot be undone."""
    rows = [row for row in read_rows(sample.manifest) if row["op"] != "delete_territory"]
    path = tmp_path / "work.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def name_of_run(bench: Bench) -> str:
    """The run that is not an undo."""
    (found,) = (
        each.name for each in bench.folder.glob("runs/*/") if not each.name.endswith("-undo")
    )
    return found


@pytest.mark.parametrize("faults", [[], AFTER], ids=["calm", "answers lost"])
def test_a_run_and_its_undo_leave_the_world_as_it_was(
    tmp_path: Path, sample: Sample, manifest: Path, faults: list[dict[str, object]]
) -> None:
    """All operations at once, with fields and roles, duplicates and refusals among them."""
    with emulator(tmp_path, sample.world, job_seconds=0.2) as bench:
        bench.ask("faults", faults)
        ended = bench.run("run", str(manifest), "--yes", **CAPTURE)
        assert ended.returncode == 3, ended.stderr
        assert truth(sample.before) != truth(bench.world())
        bench.ask("faults", [])
        undone = bench.run("undo", name_of_run(bench), "--yes")
        assert undone.returncode == 0, undone.stderr
        assert truth(sample.before) == truth(bench.world())


def test_a_run_killed_in_the_middle_is_undone(
    tmp_path: Path, sample: Sample, manifest: Path
) -> None:
    """What was in flight when the program died was captured, and is put back as well."""
    with emulator(tmp_path, sample.world, job_seconds=0.2, latency_median_s=0.05) as bench:
        process = bench.begin("run", str(manifest), "--yes", **CAPTURE)
        wait_for(bench, outcomes=400, process=process)
        assert interrupt(process, signal.SIGKILL) == -signal.SIGKILL
        undone = bench.run("undo", name_of_run(bench), "--yes")
        assert undone.returncode in {0, 3}, undone.stderr
        assert truth(sample.before) == truth(bench.world())


def test_an_undo_is_undone(tmp_path: Path, sample: Sample, manifest: Path) -> None:
    """The undo is a run like any other."""
    with emulator(tmp_path, sample.world, job_seconds=0.2) as bench:
        bench.run("run", str(manifest), "--yes", **CAPTURE)
        after = truth(bench.world())
        name = name_of_run(bench)
        assert bench.run("undo", name, "--yes", **CAPTURE).returncode == 0
        again = bench.run("undo", f"{name}-undo", "--yes")
        assert again.returncode == 0, again.stderr
        assert after == truth(bench.world())


def test_what_a_later_run_changed_is_left_alone(tmp_path: Path, sample: Sample) -> None:
    """The later run had its reasons; the line is named, and the exit code is not 0."""
    unlinks = [
        row
        for row in read_rows(sample.manifest)
        if row["op"] == "unlink" and row["related_list"] == "Deals"
    ]
    held = truth(sample.before)[0]
    chosen = next(
        row
        for row in unlinks
        if frozenset(
            {f"{row['module']}/{row['record_id']}", f"{row['related_list']}/{row['related_id']}"}
        )
        in held
    )
    for name, op in (("first.csv", "unlink"), ("later.csv", "link")):
        columns = ["op", "module", "record_id", "related_list", "related_id"]
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerow({**{key: chosen[key] for key in columns}, "op": op})
    with emulator(tmp_path, sample.world) as bench:
        for name in ("first.csv", "later.csv"):
            ended = bench.run("run", str(tmp_path / name), "--yes", **CAPTURE)
            assert ended.returncode == 0, ended.stderr
        (first,) = (each.name for each in bench.folder.glob("runs/first-*/"))
        undone = bench.run("undo", first, "--yes")
        assert undone.returncode == 3, undone.stderr
        assert "another run has changed it since" in undone.stderr
        assert list(bench.folder.glob("runs/*-undo/")) == []


@pytest.mark.parametrize("verb", ["verify", "undo"])
def test_outside_the_window_a_run_is_neither_read_back_nor_undone(
    tmp_path: Path, verb: str
) -> None:
    """Exit 5 without a call, with when to come back; `--wait` waits, which is no wrong option."""
    (tmp_path / "world.json").write_text('{"relations": {"Products/5/Deals": ["91"]}}')
    (tmp_path / "m.csv").write_text(
        "op,module,record_id,related_list,related_id\nunlink,Products,5,Deals,91\n"
    )
    with emulator(tmp_path, tmp_path / "world.json") as bench:
        assert bench.run("run", "m.csv", "--yes").returncode == 0
        words = (verb, name_of_run(bench), *(("--all",) if verb == "verify" else ("--yes",)))
        before = bench.ledger()
        shut = bench.run(*words, BULKOPS_RUN__WINDOW=closed_window())
        assert shut.returncode == 5, shut.stderr
        assert "outside the window" in shut.stderr
        assert before == bench.ledger()
        assert bench.run(*words, "--wait").returncode == 0


def test_verify_agrees_with_a_true_run_and_finds_a_false_one(
    tmp_path: Path, sample: Sample, manifest: Path
) -> None:
    """All lines of a run are read back and agree; after an undo the same claims are false."""
    with emulator(tmp_path, sample.world, job_seconds=0.2) as bench:
        bench.run("run", str(manifest), "--yes", **CAPTURE)
        name = name_of_run(bench)
        agreed = bench.run("verify", name, "--all", "--json")
        found = json.loads(agreed.stdout)
        assert (agreed.returncode, found["lines"]) == (0, []), agreed.stderr
        told = [
            each
            for each in bench.run("outcomes", name, "--format", "jsonl").stdout.splitlines()
            if json.loads(each)["status"] in {"succeeded", "unchanged", "failed"}
        ]
        assert found["checked"] == len(told)
        assert json.loads((bench.folder / "runs" / name / "verification.json").read_bytes())
        bench.run("undo", name, "--yes")
        denied = bench.run("verify", name, "--all", "--json")
        assert denied.returncode == 3
        lines = json.loads(denied.stdout)["lines"]
        changed = {
            json.loads(each)["line"] for each in told if json.loads(each)["status"] == "succeeded"
        }
        assert changed == {each["line"] for each in lines if each["status"] == "succeeded"}
        one = bench.run("verify", name, "--lines", str(lines[0]["line"]), "--json")
        assert json.loads(one.stdout)["checked"] == 1
