"""
The machine fails: a full disk, a folder that is gone or cannot be written, a clock set back.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulkops.cli.demo import write_demo
from tests.crash.oracle import Tally
from tests.crash.story import Story, emulator_on
from tests.crash.test_power import asked_more_than_sent

_SENT = b'"type":"sent"'
_OUTCOME = b'"type":"outcome"'


@contextmanager
def telling(folder: Path, totals: Tally, *, rows: int = 400, **knobs: Any) -> Iterator[Story]:
    """A story against a slow server; judged at the end, and no line may be told wrongly."""
    manifest, world = write_demo(folder, rows=rows)
    before = json.loads(world.read_bytes())
    knobs = {"latency_median_s": 0.02, "job_seconds": 0.3, **knobs}
    with emulator_on(folder, world, **knobs) as bench:
        story = Story(bench, manifest, before, {"BULKOPS_LIMITS__CONCURRENCY": "4"})
        yield story
        tally = story.judge()
    totals.add(tally)
    assert not tally.mismatches, "\n".join(tally.mismatches)


def says_once(story: Story, words: str) -> bool:
    """Whether the last run said `words` once, and showed no traceback."""
    return "Traceback" not in story.talk and story.talk.count(words) == 1


@pytest.mark.parametrize("largest", [45_000])
def test_a_full_disk_stops_the_run(tmp_path: Path, totals: Tally, largest: int) -> None:
    """Nothing is sent that the log does not hold; with room again the same command finishes."""
    with telling(tmp_path, totals) as story:
        story.plan()
        assert story.run("--largest", str(largest)) == 1, story.talk
        assert says_once(story, "the checkpoint log cannot be written"), story.talk
        story.settle_down()
        assert asked_more_than_sent(story) == []
        story.finish()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_small_disk_stops_the_run(tmp_path: Path, totals: Tally) -> None:
    """The same on a file system that is truly full."""
    with small_disk(tmp_path / "runs", size="8m"), telling(tmp_path, totals) as story:
        story.plan()
        filler = tmp_path / "runs" / "filler"
        free = shutil.disk_usage(filler.parent).free
        filler.write_bytes(bytes(free - 32_768))
        assert story.run() == 1, story.talk
        assert says_once(story, "No space left on device"), story.talk
        story.settle_down()
        assert asked_more_than_sent(story) == []
        filler.unlink()
        story.finish()


@contextmanager
def small_disk(folder: Path, *, size: str) -> Iterator[None]:
    """Mount a disk of `size` for a while."""
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if subprocess.run(asked, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full_while_planning_is_told(tmp_path: Path, totals: Tally) -> None:
    """No room for the plan is exit 1 and one message; with room the same command finishes."""
    with telling(tmp_path, totals) as story:
        assert story.run("--largest", "20000") == 1, story.talk
        assert "Traceback" not in story.talk, story.talk
        assert story.ledger() == []
        story.finish()


def test_a_run_directory_that_is_removed_stops_the_run(tmp_path: Path, totals: Tally) -> None:
    """Without its log nothing more is sent; the same command plans anew and finishes."""
    with telling(tmp_path, totals) as story:
        process = story.begin()
        assert story.wait_for(_SENT, 12, process), story.talk
        log = story.log
        assert log is not None
        shutil.rmtree(log.parent)
        at_removal = story.writes()
        assert story.end(process) == 1, story.talk
        assert says_once(story, "the checkpoint log cannot be written"), story.talk
        story.settle_down()
        # Only what had its place in the log already: one call of each of the four workers.
        assert story.writes() - at_removal <= 4
        # What the lost log knew is lost: the new run begins with the world as it is.
        story.begin_anew()
        story.finish()


@pytest.fixture
def unwritable() -> Iterator[Any]:
    """A function that makes a folder unwritable until the end of the test."""
    with contextlib.ExitStack() as stack:

        @contextmanager
        def made_so(folder: Path) -> Iterator[None]:
            if os.geteuid() == 0:
                bind = ["mount", "--bind", str(folder), str(folder)]
                if subprocess.run(bind, check=False, capture_output=True).returncode:
                    pytest.skip("root can write everywhere, and nothing can be mounted here")
                stack.callback(
                    subprocess.run, ["umount", "-l", str(folder)], check=False, capture_output=True
                )
                subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
                yield
                subprocess.run(["umount", "-l", str(folder)], check=True)
            else:
                modes = {path: path.stat().st_mode for path in (folder, *folder.iterdir())}
                for path in modes:
                    path.chmod(0o500 if path.is_dir() else 0o400)
                yield
                for path, mode in modes.items():
                    path.chmod(mode)

        yield made_so


def test_a_run_directory_that_cannot_be_written_sends_nothing(
    tmp_path: Path, totals: Tally, unwritable: Any
) -> None:
    """The command ends with 1 and says why, before any call; made writable, it finishes."""
    with telling(tmp_path, totals) as story:
        story.first_run(_SENT, 12)
        log = story.log
        assert log is not None
        calls = story.writes()
        with unwritable(log.parent):
            assert story.run() == 1, story.talk
            assert "Traceback" not in story.talk, story.talk
            assert "Read-only" in story.talk or "Permission denied" in story.talk
        assert story.writes() == calls
        story.finish()


def test_a_clock_set_back_changes_nothing(tmp_path: Path, totals: Tally) -> None:
    """Times in the log are for people; a run that goes back in time resumes and ends the same."""
    with telling(tmp_path, totals, job_seconds=0.6) as story:
        process = story.begin("--back", "86400", "--after", "1.0")
        story.wait_for(_OUTCOME, 250, process)
        story.kill(process)
        story.finish()
        assert story.run() in {0, 3}
        assert "finished already" in story.talk


def test_an_emulator_that_is_restarted_is_found_again(tmp_path: Path, totals: Tally) -> None:
    """The server goes away and comes back with its world; the run goes on as if nothing was."""
    manifest, world = write_demo(tmp_path, rows=400)
    before = json.loads(world.read_bytes())
    slow = {"latency_median_s": 0.03, "job_seconds": 1.0}
    patient = {"BULKOPS_LIMITS__CONCURRENCY": "4", "BULKOPS_LIMITS__ATTEMPTS": "30"}
    with contextlib.ExitStack() as first:
        bench = first.enter_context(emulator_on(tmp_path, world, **slow))
        story = Story(bench, manifest, before, patient)
        process = story.begin()
        assert story.wait_for(_SENT, 20, process), story.talk
        process.send_signal(signal.SIGSTOP)
        story.settle_down()
        kept = tmp_path / "kept.json"
        kept.write_bytes(bench.ask("world"))
        story.booked = bench.ledger()
        story.finished_jobs = story.ended_jobs()
        first.close()
        port = int(bench.url.rsplit(":", 1)[1])
        process.send_signal(signal.SIGCONT)
        with emulator_on(tmp_path, kept, port=port, **slow) as again:
            story.bench = again
            assert story.end(process) in {3, 5}, story.talk
            story.finish()
            tally = story.judge()
    totals.add(tally)
    assert not tally.mismatches, "\n".join(tally.mismatches)
