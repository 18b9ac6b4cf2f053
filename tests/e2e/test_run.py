"""
The whole job on the real program: plan, run, interrupt, kill, resume, retry.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkops.cli.demo import write_demo
from tests.e2e.conftest import Sample
from tests.e2e.harness import (
    CREDENTIALS,
    Bench,
    emulator,
    hold_against_world,
    interrupt,
    is_write,
    read_rows,
    wait_for,
    wait_for_socket,
)

#: Slow enough to be interrupted in the middle, quick enough to wait for.
_SLOW = {"latency_median_s": 0.06, "latency_sigma": 0.3, "job_seconds": 0.5}
_NARROW = {"BULKOPS_LIMITS__CONCURRENCY": "5"}


@pytest.fixture
def bench(tmp_path: Path, sample: Sample) -> Iterator[Bench]:
    """A slow emulator that holds the sample's world."""
    with emulator(tmp_path, sample.world, **_SLOW) as ready:
        yield ready


def test_a_run_settles_every_line_as_the_world_says(bench: Bench, sample: Sample) -> None:
    """Every line has one outcome; the world is the wish; the calls are those of the plan."""
    manifest = sample.manifest
    planned = bench.run("plan", str(manifest), "--json")
    assert planned.returncode == 0, planned.stderr
    calls = json.loads(planned.stdout)["total"]["calls"]

    ended = bench.run("run", str(manifest), "--yes")

    assert ended.returncode == 3, ended.stderr
    statuses = hold_against_world(bench, read_rows(manifest), sample.before)
    assert {"succeeded", "unchanged", "failed", "invalid", "conflict", "duplicate"} == set(statuses)
    assert calls == sum(is_write(call) for call in bench.ledger())
    assert calls == sum(each["type"] == "sent" for each in bench.records())
    again = bench.run("run", str(manifest), "--yes")
    assert again.returncode == 3
    assert "finished already" in again.stderr
    assert calls == sum(is_write(call) for call in bench.ledger())


def test_interrupted_and_run_again_ends_the_same(bench: Bench, sample: Sample) -> None:
    """SIGINT drains with 130; the same command goes on, and no line is settled twice."""
    manifest = sample.manifest
    process = bench.begin("run", str(manifest), "--yes", **_NARROW)
    wait_for(bench, outcomes=300, process=process)

    assert interrupt(process, signal.SIGINT) == 130
    sent = {each["call"] for each in bench.records() if each["type"] == "sent"}
    status = json.loads(bench.run("status", bench.run_directory.name, "--json").stdout)
    assert status["state"] == "unfinished"
    assert 0 < status["settled"] < status["rows"]

    ended = bench.run("run", str(manifest), "--yes")
    assert ended.returncode == 3, ended.stderr
    hold_against_world(bench, read_rows(manifest), sample.before)
    # A drain leaves nothing in doubt: no effect was asked for twice.
    counters = json.loads(bench.ask("counters"))
    assert counters["repeated"] == 0
    assert max(sent) < max(each["call"] for each in bench.records() if each["type"] == "sent")


@pytest.mark.parametrize("settled", [1, 400, 800, 1200])
def test_killed_and_run_again_ends_the_same(bench: Bench, sample: Sample, settled: int) -> None:
    """Whenever SIGKILL comes, the next run settles every line, and the world is the wish."""
    manifest = sample.manifest
    process = bench.begin("run", str(manifest), "--yes", **_NARROW)
    wait_for(bench, outcomes=settled, process=process)

    assert interrupt(process, signal.SIGKILL) == -signal.SIGKILL
    ended = bench.run("run", str(manifest), "--yes")

    assert ended.returncode == 3, ended.stderr
    statuses = hold_against_world(bench, read_rows(manifest), sample.before)
    assert statuses["unknown"] == 0


def test_secrets_are_in_no_output(bench: Bench, sample: Sample) -> None:
    """Neither the credentials nor any token stand in a log, a file of the run, or an error."""
    manifest = sample.manifest
    ended = bench.run("run", str(manifest), "--yes", "-vv")
    wrong = bench.run(
        "run", str(manifest), "--yes", "--new", BULKOPS_AUTH__REFRESH_TOKEN="hunter2-secret"
    )
    assert wrong.returncode == 6, wrong.stderr
    token = json.loads((bench.folder / "tokens.json").read_bytes())
    secrets = [*CREDENTIALS.values(), "hunter2-secret"]
    secrets += [entry["value"] for entry in token.values()]
    texts = [ended.stdout, ended.stderr, wrong.stdout, wrong.stderr]
    files = [path for path in bench.folder.glob("runs/**/*") if path.is_file()]
    texts += [path.read_bytes().decode(errors="replace") for path in files]
    assert [each for each in secrets if any(each in text for text in texts)] == []


def test_retry_sends_the_rest_again(bench: Bench, sample: Sample) -> None:
    """`retry` makes a run of exactly the rows that are not in their wanted state."""
    manifest = sample.manifest
    bench.run("run", str(manifest), "--yes")
    name = bench.run_directory.name
    left = bench.run("outcomes", name, "--status", "failed,invalid,conflict,skipped,unknown")
    count = len(left.stdout.splitlines())
    assert count > 0

    again = bench.run("retry", name, "--yes", "--json")

    assert again.returncode == 3, again.stderr
    assert json.loads(again.stdout)["rows"] == count


def test_a_second_run_on_one_directory_is_refused(bench: Bench, sample: Sample) -> None:
    """Two processes never work on one run: the second exits 7 and names the first."""
    manifest = sample.manifest
    pause = bench.folder / "runs" / "pause"
    pause.parent.mkdir(exist_ok=True)
    # Held, the first is on its run for as long as the second takes to begin.
    pause.touch()
    process = bench.begin("run", str(manifest), "--yes", **_NARROW)
    wait_for_socket(bench, process)
    second = bench.run("run", str(manifest), "--yes")
    assert second.returncode == 7
    assert f"process {process.pid}" in second.stderr
    assert interrupt(process, signal.SIGTERM) == 143


def test_a_changed_manifest_is_refused(bench: Bench, sample: Sample) -> None:
    """A run half done is not mixed with another content of its manifest."""
    manifest = sample.manifest
    process = bench.begin("run", str(manifest), "--yes", **_NARROW)
    wait_for(bench, outcomes=300, process=process)
    assert interrupt(process, signal.SIGINT) == 130
    with manifest.open("a") as file:
        file.write("unlink,Leads,1,Campaigns,2,,,,,late\n")

    refused = bench.run("run", str(manifest), "--yes")

    assert refused.returncode == 8
    assert "has changed since run" in refused.stderr
    assert "--new" in refused.stderr


def test_an_unconfirmed_plan_sends_nothing(bench: Bench, sample: Sample) -> None:
    """Without a terminal and without --yes nothing is sent, and the exit code is 8."""
    refused = bench.run("run", str(sample.manifest))
    assert refused.returncode == 8
    assert bench.ledger() == []


def test_the_demonstration_ends_with_its_true_code(tmp_path: Path) -> None:
    """
    `bulkops demo` runs to its end and says what became of the rows.

    Its organisation ends with it, so that it advises nothing that would be sent there.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "bulkops", "demo", "--rows", "1000", "--dir", str(tmp_path / "d")],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode == 3, ended.stderr
    assert "What became of the rows" in ended.stderr
    assert "Exit code 3" in ended.stderr
    assert not {"bulkops retry", "bulkops undo"} & set(re.findall(r"bulkops \w+", ended.stderr))
    assert "bulkops outcomes" in ended.stderr


@pytest.mark.large
@pytest.mark.timeout(600)
def test_two_hundred_thousand_rows(tmp_path: Path) -> None:
    """A large mixed manifest ends with the planned calls and with the world as wished."""
    manifest, world = write_demo(tmp_path, rows=200_000)
    before = json.loads(world.read_bytes())
    with emulator(tmp_path, world, job_seconds=1.0) as bench:
        planned = json.loads(bench.run("plan", str(manifest), "--json").stdout)
        process = bench.begin("run", str(manifest), "--yes")
        process.communicate(timeout=500)
        assert process.returncode == 3
        statuses = hold_against_world(bench, read_rows(manifest), before)
        calls = sum(is_write(call) for call in bench.ledger())
        assert planned["total"]["calls"] == calls
        assert calls == sum(each["type"] == "sent" for each in bench.records())
        assert statuses.total() == 200_000
