"""
Every reason to hold or to end a run, met by the real program: the window, credits, people.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bulkops.engine.ctl import ask
from tests.e2e.harness import Bench, closed_window, emulator, interrupt, wait_for, wait_for_socket

_HEADER = "op,module,record_id,related_list,related_id\n"
#: Every row is a call of its own, and a slow one.
_SINGLY = {"BULKOPS_LIMITS__IDS_PER_CALL": "1", "BULKOPS_LIMITS__CONCURRENCY": "4"}
_SLOW = {"latency_median_s": 0.1, "latency_sigma": 0.0}


def couples(folder: Path, rows: int, *, name: str = "couples", bad: int = 0) -> tuple[Path, Path]:
    """Write a world of `rows` products with a deal each, and a manifest that parts them."""
    pairs = [(str(5000 + number), str(1000 + number)) for number in range(rows)]
    world, manifest = folder / "world.json", folder / f"{name}.csv"
    relations = {f"Products/{product}/Deals": [deal] for product, deal in pairs}
    world.write_text(json.dumps({"relations": relations}))
    lines = [f"unlink,Products,{product},Deals,{deal}\n" for product, deal in pairs]
    lines += [f"unlink,Products,{9000 + number},Deals,1000\n" for number in range(bad)]
    manifest.write_text(_HEADER + "".join(lines))
    return manifest, world


def credits_used(bench: Bench) -> int:
    (organisation,) = json.loads(bench.ask("counters"))["organisations"].values()
    return int(organisation["credits_used"])


def settled(bench: Bench) -> dict[int, str]:
    return {each["line"]: each["status"] for each in bench.records() if each["type"] == "outcome"}


def ctl(bench: Bench, *words: str) -> dict[str, Any]:
    """Ask the only run there is, and return the status."""
    ended = bench.run("ctl", str(bench.run_directory), *words, "--json")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def status_of(bench: Bench) -> dict[str, Any]:
    """Ask as `ctl` does, without starting a program for it."""
    return ask(bench.run_directory, "status")


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return once something is true of a running process."""
    deadline = time.monotonic() + 30
    while not true():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def listens(bench: Bench) -> bool:
    return bool(list(bench.folder.glob("runs/*/ctl.sock")))


def hurry(bench: Bench) -> None:
    """Let calls take no time from here on."""
    bench.ask("behaviour", {"latency_median_s": 0.0})


def finish(process: subprocess.Popen[str], expected: int) -> str:
    said = process.communicate(timeout=60)[0]
    assert process.returncode == expected, said
    return said


def test_failures_in_a_row_stop_the_run(tmp_path: Path) -> None:
    """When everything begins to fail the run ends with 4, long before a ratio shows it."""
    manifest, world = couples(tmp_path, 30, bad=100)
    limits = {**_SINGLY, "BULKOPS_LIMITS__CONCURRENCY": "1"}
    with emulator(tmp_path, world) as bench:
        stopped = bench.run(
            "run", str(manifest), "--yes", **limits, BULKOPS_STOP__FAILED_IN_A_ROW="10"
        )
        assert stopped.returncode == 4, stopped.stderr
        assert "failed_in_a_row" in stopped.stderr
        failed = [line for line, status in settled(bench).items() if status == "failed"]
        assert 10 <= len(failed) < 40
        ended = bench.run("run", str(manifest), "--yes", **limits)
        assert ended.returncode == 3, ended.stderr
        assert len(settled(bench)) == 130


def test_outside_the_window_nothing_is_sent(tmp_path: Path) -> None:
    """Without --wait the run ends with 5 at once; the same command goes on inside it."""
    manifest, world = couples(tmp_path, 5)
    with emulator(tmp_path, world) as bench:
        paused = bench.run("run", str(manifest), "--yes", BULKOPS_RUN__WINDOW=closed_window())
        assert paused.returncode == 5, paused.stderr
        assert "outside the window" in paused.stderr
        assert credits_used(bench) == 0
        ended = bench.run("run", str(manifest), "--yes")
        assert ended.returncode == 0, ended.stderr


def test_waiting_for_the_window_is_seen_and_can_be_interrupted(tmp_path: Path) -> None:
    """With --wait the run holds, says for what, and Ctrl-C ends it at once."""
    manifest, world = couples(tmp_path, 5)
    with emulator(tmp_path, world) as bench:
        words = ("run", str(manifest), "--yes", "--wait")
        process = bench.begin(*words, BULKOPS_RUN__WINDOW=closed_window())
        wait_for_socket(bench, process)
        status = status_of(bench)
        assert status["state"] == "holding"
        assert "which opens at" in status["held"]["window"]
        # Wishing to go is no reason against a reason to hold.
        assert "window" in ctl(bench, "resume")["held"]
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = finish(process, 130)
        assert time.monotonic() - begun < 5
        assert '"run.held"' in said
        assert credits_used(bench) == 0
        assert not listens(bench)


def test_credits_used_up_pause_the_run_with_the_time_to_come_back(tmp_path: Path) -> None:
    """Not one call more than our part of the day; then the same command goes on."""
    manifest, world = couples(tmp_path, 120)
    poor = {
        **_SINGLY,
        "BULKOPS_LIMITS__CREDITS_PER_DAY": "60",
        "BULKOPS_LIMITS__LEAVE_CREDITS": "10",
    }
    with emulator(tmp_path, world) as bench:
        paused = bench.run("run", str(manifest), "--yes", **poor)
        assert paused.returncode == 5, paused.stderr
        tomorrow = datetime.now().astimezone() + timedelta(days=1, minutes=5)
        assert "come back at" in paused.stderr
        assert f"{tomorrow:%Y-%m-%d}" in paused.stderr
        assert credits_used(bench) == 50
        again = bench.run("run", str(manifest), "--yes", **poor)
        assert again.returncode == 5, again.stderr
        assert credits_used(bench) == 50
        ended = bench.run("run", str(manifest), "--yes", **_SINGLY)
        assert ended.returncode == 0, ended.stderr
        assert credits_used(bench) == 120


def test_two_runs_and_a_killed_one_share_the_day(tmp_path: Path) -> None:
    """However many processes there are, and however they die, the floor holds."""
    first, world = couples(tmp_path, 150)
    second = tmp_path / "second.csv"
    second.write_text(first.read_text())
    poor = {
        **_SINGLY,
        "BULKOPS_LIMITS__CREDITS_PER_DAY": "150",
        "BULKOPS_LIMITS__LEAVE_CREDITS": "30",
    }
    with emulator(tmp_path, world, latency_median_s=0.01) as bench:
        killed = bench.begin("run", str(first), "--yes", **poor)
        wait_for(bench, outcomes=20, process=killed)
        interrupt(killed, signal.SIGKILL)
        runs = [bench.begin("run", str(each), "--yes", **poor) for each in (first, second)]
        for each in runs:
            assert "leave_credits" in finish(each, 5)
        # What the killed one had in hand stays booked: up to a lot, and never the other way.
        assert 120 - 20 - 4 <= credits_used(bench) <= 120


def test_waiting_for_credits_is_seen(tmp_path: Path) -> None:
    """With --wait a run without credits holds, and its status says until when."""
    manifest, world = couples(tmp_path, 50)
    poor = {
        **_SINGLY,
        "BULKOPS_LIMITS__CREDITS_PER_DAY": "20",
        "BULKOPS_LIMITS__LEAVE_CREDITS": "10",
    }
    with emulator(tmp_path, world) as bench:
        process = bench.begin("run", str(manifest), "--yes", "--wait", **poor)
        wait_for_socket(bench, process)
        until(lambda: "credits" in status_of(bench)["held"], process)
        assert "come back at" in status_of(bench)["held"]["credits"]
        assert credits_used(bench) == 10
        process.send_signal(signal.SIGINT)
        finish(process, 130)
        assert credits_used(bench) == 10


def test_the_server_knows_better_what_is_left(tmp_path: Path) -> None:
    """Others have used the day: the header counts, and the last credits are left alone."""
    manifest, world = couples(tmp_path, 150)
    modest = {**_SINGLY, "BULKOPS_LIMITS__LEAVE_CREDITS": "20"}
    with emulator(tmp_path, world, credits_per_day=100) as bench:
        paused = bench.run("run", str(manifest), "--yes", **modest)
        assert paused.returncode == 5, paused.stderr
        assert "leave_credits" in paused.stderr
        # What was in flight as the header came counts as used: at most the concurrency is lost.
        assert 80 - 2 * 4 <= credits_used(bench) <= 80
        assert json.loads(bench.ask("counters"))["organisations"]


def test_a_quota_429_pauses_the_run(tmp_path: Path) -> None:
    """With nothing left alone the server itself refuses; the run ends with 5, nothing is lost."""
    manifest, world = couples(tmp_path, 60)
    with emulator(tmp_path, world, credits_per_day=40) as bench:
        greedy = {**_SINGLY, "BULKOPS_LIMITS__LEAVE_CREDITS": "0"}
        paused = bench.run("run", str(manifest), "--yes", **greedy)
        assert paused.returncode == 5, paused.stderr
        assert credits_used(bench) <= 40
        bench.ask("behaviour", {"credits_per_day": 1000})
        (tmp_path / "credits").rename(tmp_path / "yesterday")
        ended = bench.run("run", str(manifest), "--yes", **greedy)
        assert ended.returncode == 0, ended.stderr


def test_one_run_spends_no_more_than_it_is_told(tmp_path: Path) -> None:
    """--max-credits is exact, for this time; the next time begins anew."""
    manifest, world = couples(tmp_path, 20)
    with emulator(tmp_path, world) as bench:
        for spent in (7, 14):
            paused = bench.run("run", str(manifest), "--yes", "--max-credits", "7", **_SINGLY)
            assert paused.returncode == 5, paused.stderr
            assert "--max-credits" in paused.stderr
            assert credits_used(bench) == spent
        ended = bench.run("run", str(manifest), "--yes", **_SINGLY)
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("everywhere", [False, True], ids=["of one run", "of all runs"])
def test_a_pause_file_holds_until_it_is_deleted(tmp_path: Path, everywhere: bool) -> None:
    """It holds a run that is under way, and one that begins, before its first call."""
    manifest, world = couples(tmp_path, 1500)
    with emulator(tmp_path, world, **_SLOW) as bench:
        process = bench.begin("run", str(manifest), "--yes", **_SINGLY)
        wait_for(bench, outcomes=8, process=process)
        pause = tmp_path / "runs" / "pause" if everywhere else bench.run_directory / "pause"
        pause.touch()
        until(lambda: status_of(bench)["state"] == "holding", process)
        assert list(status_of(bench)["held"]) == [
            "pause file of all runs" if everywhere else "pause file"
        ]
        assert_nothing_leaves(bench, process)
        assert interrupt(process, signal.SIGTERM) == 143
        used = credits_used(bench)
        process = bench.begin("run", str(manifest), "--yes", **_SINGLY)
        wait_for_socket(bench, process)
        assert status_of(bench)["state"] == "holding"
        assert credits_used(bench) == used
        hurry(bench)
        pause.unlink()
        finish(process, 0)


def assert_nothing_leaves(bench: Bench, process: subprocess.Popen[str]) -> None:
    """Once the calls under way are home there are no more of them."""
    until(lambda: status_of(bench)["in_flight"] == 0, process)
    used = credits_used(bench)
    assert status_of(bench)["in_flight"] == 0
    assert credits_used(bench) == used


def test_people_pause_resume_and_drain(tmp_path: Path) -> None:
    """`ctl` holds a run, lets it go on, and ends it so that the same command goes on."""
    manifest, world = couples(tmp_path, 1500)
    with emulator(tmp_path, world, **_SLOW) as bench:
        process = bench.begin("run", str(manifest), "--yes", **_SINGLY)
        wait_for(bench, outcomes=8, process=process)
        assert ctl(bench, "status")["state"] == "running"
        assert (bench.run_directory / "ctl.sock").stat().st_mode & 0o777 == 0o600
        before = ctl(bench, "pause")
        assert (before["state"], list(before["held"])) == ("holding", ["ctl"])
        assert_nothing_leaves(bench, process)
        # Those that had left when the answer came, and no others.
        assert status_of(bench)["calls"] <= before["calls"]
        assert ctl(bench, "resume")["held"] == {}
        count = credits_used(bench)
        until(lambda: credits_used(bench) > count, process)
        assert "drained" in ctl(bench, "drain")["ending"]
        said = finish(process, 5)
        assert "drained" in said
        notes = [each for each in bench.records() if each["type"] == "note"]
        assert ("run.held", "ctl") in [(each["event"], each.get("reason")) for each in notes]
        nobody = bench.run("ctl", str(bench.run_directory), "status")
        assert nobody.returncode == 2
        assert "no process is on this run" in nobody.stderr
        hurry(bench)
        ended = bench.run("run", str(manifest), "--yes", **_SINGLY)
        assert ended.returncode == 0, ended.stderr


def test_people_change_the_limits(tmp_path: Path) -> None:
    """`ctl set` counts from the next call on, within the configuration, all or nothing."""
    manifest, world = couples(tmp_path, 1500)
    with emulator(tmp_path, world, **_SLOW) as bench:
        process = bench.begin("run", str(manifest), "--yes", **_SINGLY)
        wait_for(bench, outcomes=8, process=process)
        status = ctl(bench, "set", "concurrency=1", "calls_per_second=4")
        assert (status["concurrency"], status["slots"], status["calls_per_second"]) == (1, 1, 4)
        until(lambda: status_of(bench)["in_flight"] <= 1, process)
        refused = bench.run(
            "ctl", str(bench.run_directory), "set", "concurrency=9", "calls_per_second=1"
        )
        assert refused.returncode == 2
        assert "from 1 to 4" in refused.stderr
        assert status_of(bench)["calls_per_second"] == 4
        begun, used = time.monotonic(), credits_used(bench)
        until(lambda: credits_used(bench) >= used + 4, process)
        assert time.monotonic() - begun > 0.5
        assert ask(bench.run_directory, "set", concurrency=4)["concurrency"] == 4
        ask(bench.run_directory, "drain")
        finish(process, 5)


def test_sighup_reads_the_limits_again(tmp_path: Path) -> None:
    """Changed limits count from the next call on; a file that is wrong changes nothing."""
    manifest, world = couples(tmp_path, 1500)
    config = tmp_path / "own.toml"
    config.write_text("[limits]\nids_per_call = 1\nconcurrency = 4\n")
    with emulator(tmp_path, world, **_SLOW) as bench:
        process = bench.begin("run", str(manifest), "--yes", "--config", str(config))
        wait_for(bench, outcomes=8, process=process)
        config.write_text("[limits]\nids_per_call = 1\nconcurrency = 2\ncalls_per_second = 50\n")
        process.send_signal(signal.SIGHUP)
        until(lambda: status_of(bench)["concurrency"] == 2, process)
        assert status_of(bench)["calls_per_second"] == 50
        config.write_text("[limits]\nconcurency = 3\n")
        process.send_signal(signal.SIGHUP)
        assert status_of(bench)["concurrency"] == 2
        config.write_text("[limits]\nids_per_call = 1\nconcurrency = 20\n")
        process.send_signal(signal.SIGHUP)
        until(lambda: status_of(bench)["concurrency"] == 4, process)
        ask(bench.run_directory, "drain")
        said = finish(process, 5)
        assert '"limits.kept"' in said
        assert '"limits.capped"' in said


def test_a_terminal_that_goes_away_ends_the_run_in_peace(tmp_path: Path) -> None:
    """The system sends the same signal then; nobody is there to steer, so the run drains."""
    manifest, world = couples(tmp_path, 1500)
    with emulator(tmp_path, world, **_SLOW) as bench:
        terminal, end = pty.openpty()
        process = subprocess.Popen(
            bench.command("run", str(manifest), "--yes", "--quiet"),
            cwd=tmp_path,
            env=bench.environment(**_SINGLY),
            stdin=end,
            stdout=end,
            stderr=end,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(end)
        wait_for(bench, outcomes=8, process=process)
        os.close(terminal)
        assert process.wait(timeout=60) == 143
        last = bench.records()[-1]
        assert (last["event"], "interrupted" in last["reason"]) == ("run.stopped", True)


def test_the_plan_says_how_many_days_it_takes(tmp_path: Path) -> None:
    """Where our part of a day's credits is too little, in words and before anything is sent."""
    manifest, world = couples(tmp_path, 25)
    few = {"BULKOPS_LIMITS__CREDITS_PER_DAY": "12", "BULKOPS_LIMITS__LEAVE_CREDITS": "2"}
    with emulator(tmp_path, world) as bench:
        told = bench.run("plan", str(manifest), **_SINGLY, **few)
        assert "That takes 3 days: 10 credits are ours now, 10 a day" in " ".join(
            told.stdout.split()
        )
        assert credits_used(bench) == 0


def test_what_went_with_an_aborted_group_is_sent_again_when_asked_for(tmp_path: Path) -> None:
    """The cause mended, --resume-stopped makes an end of it; without it the run stays finished."""
    leads = [str(number) for number in range(1, 31)]
    records = {lead: {"100": "manually"} for lead in leads}
    world = {
        "territories": [
            {"id": "100", "name": "All"},
            {"id": "101", "name": "x", "parent_id": "100"},
        ],
        "records": {"Leads": leads},
        "record_territories": {"Leads": records},
        "rights": {"territory_management": "disabled"},
    }
    (tmp_path / "world.json").write_text(json.dumps(world))
    manifest = tmp_path / "leads.csv"
    manifest.write_text(
        "op,module,record_id,territory_id\n"
        + "".join(f"remove_territories,Leads,{lead},100\n" for lead in leads)
    )
    with emulator(tmp_path, tmp_path / "world.json", job_seconds=0.1) as bench:
        narrow = {"BULKOPS_LIMITS__CONCURRENCY": "1"}
        stopped = bench.run("run", str(manifest), "--yes", **narrow)
        assert stopped.returncode == 3, stopped.stderr
        assert {"failed", "skipped"} == set(settled(bench).values())
        bench.ask("seed", {**world, "rights": {}})
        finished = bench.run("run", str(manifest), "--yes", **narrow)
        assert finished.returncode == 3
        assert "--resume-stopped" in finished.stderr
        resumed = bench.run("run", str(manifest), "--yes", "--resume-stopped", **narrow)
        assert resumed.returncode == 0, resumed.stderr
        assert set(settled(bench).values()) == {"succeeded"}
        told = bench.run("outcomes", str(bench.run_directory))
        assert [json.loads(line)["status"] for line in told.stdout.splitlines()] == [
            "succeeded"
        ] * len(leads)
        assert not any(bench.world()["record_territories"].get("Leads", {}).values())


def test_a_socket_of_a_dead_process_and_a_long_path_are_no_trouble(tmp_path: Path) -> None:
    """The socket lies in the run directory, however deep that is, and a stale one is replaced."""
    deep = tmp_path.joinpath(*("d" * 50 for _ in range(3)))
    manifest, world = couples(tmp_path, 1500)
    with emulator(tmp_path, world, **_SLOW) as bench:
        where = {**_SINGLY, "BULKOPS_RUN__DIRECTORY": str(deep)}

        def running() -> list[Path]:
            return list(deep.glob("*/ctl.sock"))

        process = bench.begin("run", str(manifest), "--yes", **where)
        until(lambda: bool(running()), process)
        interrupt(process, signal.SIGKILL)
        (stale,) = running()
        nobody = bench.run("ctl", str(stale.parent), "status")
        assert nobody.returncode == 2
        assert "no process is on this run" in nobody.stderr
        inode = stale.stat().st_ino
        process = bench.begin("run", str(manifest), "--yes", **where)
        until(lambda: bool(running()) and stale.stat().st_ino != inode, process)
        assert bench.run("ctl", str(stale.parent), "drain").returncode == 0
        finish(process, 5)
        assert running() == []
