"""
Jobs as a timer starts them, and what others hear of it: the real program, over and over.

A day passes by time zones: at one moment it is another date in `_MONDAY` than in `_TUESDAY`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Bench, emulator, is_write, wait_for_socket
from tests.listening import listening

_MONDAY, _TUESDAY = "Etc/GMT+12", "Etc/GMT-14"
_WORLD = {
    "relations": {"Leads/7/Campaigns": [str(each) for each in range(90, 99)]},
    "records": {"Leads": ["8"]},
}
_HEADER = "op,module,record_id,related_list,related_id\n"
#: No campaign of this id exists, tonight or any other night.
_HOPELESS = "link,Leads,8,Campaigns,555\n"
_NIGHTLY = 'manifest = "rows.csv"\nconfirm = false\neach = "day"\n'
#: Writes its input to the file it is given, and its run and exit code behind it.
_TELL = """
import os, sys
open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')
name = os.environ['BULKOPS_RUN'] + os.environ['BULKOPS_EXIT']
open(sys.argv[1] + '.env', 'a').write(name + '\\n')
assert not [name for name in os.environ if name.startswith('BULKOPS_AUTH')]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An emulator with a handful of relations, and a folder of jobs."""
    (tmp_path / "world.json").write_text(json.dumps(_WORLD))
    (tmp_path / "jobs").mkdir()
    with emulator(tmp_path, tmp_path / "world.json") as ready:
        yield ready


def job(bench: Bench, text: str = _NIGHTLY, name: str = "nightly") -> str:
    """Write a job file and return its path."""
    file = bench.folder / "jobs" / f"{name}.toml"
    file.write_text(text)
    return str(file)


def rows(bench: Bench, *related: int, more: str = "", name: str = "jobs/rows.csv") -> str:
    """Write a manifest that unlinks these campaigns of the lead 7."""
    lines = (f"unlink,Leads,7,Campaigns,{each}\n" for each in related)
    (bench.folder / name).write_text(_HEADER + "".join(lines) + more)
    return str(bench.folder / name)


def runs(bench: Bench) -> list[str]:
    return sorted(each.name for each in bench.folder.glob("runs/[!.]*"))


def writes(bench: Bench) -> int:
    return sum(map(is_write, bench.ledger()))


def journal(bench: Bench, name: str = "nightly") -> list[dict[str, Any]]:
    lines = (bench.folder / "runs" / ".jobs" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def listed(bench: Bench, name: str = "nightly") -> dict[str, Any]:
    """What `bulkops jobs` says of a job."""
    told = json.loads(bench.run("jobs", "--json").stdout)
    (found,) = (each for each in told["jobs"] if each["job"] == name)
    return dict(found)


def held(bench: Bench, *words: str, **more: str) -> subprocess.Popen[str]:
    """Start a job that is held by the pause file of all runs as soon as it has begun."""
    pause = bench.folder / "runs" / "pause"
    pause.parent.mkdir(exist_ok=True)
    pause.touch()
    process = bench.begin("run", *words, **more)
    wait_for_socket(bench, process)
    return process


def release(bench: Bench, process: subprocess.Popen[str]) -> int:
    (bench.folder / "runs" / "pause").unlink()
    process.communicate(timeout=60)
    return process.returncode


def test_the_nightly_job_twice_as_the_timer_would(bench: Bench) -> None:
    """A run each night; the second takes what the first left; a third start has nothing to do."""
    nightly = job(bench, _NIGHTLY + "include_failed = true\n")
    rows(bench, 90, 91, more=_HOPELESS)
    first = bench.run("run", nightly, "--json", TZ=_MONDAY)
    assert first.returncode == 3, first.stderr
    rows(bench, 92)
    second = bench.run("run", nightly, "--json", TZ=_TUESDAY)
    assert second.returncode == 3, second.stderr
    told = [json.loads(each.stdout) for each in (first, second)]
    assert [3, 2] == [each["rows"] for each in told]
    assert [{"succeeded": 2, "failed": 1}, {"succeeded": 1, "failed": 1}] == [
        each["statuses"] for each in told
    ]
    monday, tuesday = runs(bench)
    assert (monday < tuesday, monday[:8], tuesday[:8]) == (True, "nightly-", "nightly-")
    assert f"Including 1 rows that {monday} left." in second.stderr

    sent = writes(bench)
    third = bench.run("run", nightly, TZ=_TUESDAY)
    assert (third.returncode, writes(bench), runs(bench)) == (3, sent, [monday, tuesday])
    assert "finished already" in third.stderr
    last = listed(bench)
    assert (last["exit"], last["run"], last["rows"], last["running"]) == (3, tuesday, 2, False)


def test_a_night_that_was_killed_is_finished_before_the_next(bench: Bench) -> None:
    """By its own manifest, though another lies there by now; then today's, with one JSON."""
    nightly = job(bench)
    rows(bench, 90, 91)
    killed = held(bench, nightly, TZ=_MONDAY)
    assert listed(bench)["running"]
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert "it was killed" in bench.run("jobs").stdout
    (bench.folder / "runs" / "pause").unlink()
    rows(bench, 92, more=_HOPELESS)
    ended = bench.run("run", nightly, "--json", TZ=_TUESDAY)
    assert ended.returncode == 3, ended.stderr
    monday, tuesday = runs(bench)
    assert Path(json.loads(ended.stdout)["run"]).name == tuesday
    status = json.loads(bench.run("status", monday, "--json").stdout)
    assert (status["state"], status["statuses"]) == ("finished", {"succeeded": 2})
    left = bench.world()["relations"]["Leads/7/Campaigns"]
    assert sorted(left) == [str(each) for each in range(93, 99)]


def test_a_second_start_fails_is_left_out_or_waits(bench: Bench) -> None:
    """Exit 7; or 0 and a trace; or after the first, which it finds finished."""
    nightly = job(bench)
    rows(bench, 90)
    first = held(bench, nightly)
    # Another manifest would make another run; it is the same job all the same.
    rows(bench, 91)
    for words in ([], ["--if-locked", "fail"], ["--new"]):
        refused = bench.run("run", nightly, *words)
        assert refused.returncode == 7, refused.stderr
        assert f"process {first.pid} on" in refused.stderr
    job(bench, _NIGHTLY + 'if_locked = "skip"\n')
    skipped = bench.run("run", nightly, "--json")
    assert (skipped.returncode, json.loads(skipped.stdout)["skipped"]) == (0, True)
    assert "left out" in skipped.stderr
    events = [each["event"] for each in journal(bench)]
    assert events == ["started", "locked", "locked", "locked", "skipped"]
    assert listed(bench)["skipped"] == 4

    waiting = bench.begin("run", nightly, "--if-locked", "wait")
    assert waiting.poll() is None
    assert release(bench, first) == 0
    words, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, len(runs(bench))) == (0, 1), words
    assert "finished already" in words


def test_what_is_old_is_removed_and_told(bench: Bench) -> None:
    """Finished runs beyond `keep`; the unfinished one, however old, and the last one stay."""
    nightly = job(bench, _NIGHTLY.replace('"day"', '"run"') + 'keep = "90d"\n')
    for related in (90, 91):
        rows(bench, related)
        assert bench.run("run", nightly).returncode == 0
    old, last = runs(bench)
    for each in (old, last):
        os.utime(bench.folder / "runs" / each / "checkpoint.jsonl", (0, 0))
    rows(bench, 92)
    ended = bench.run("run", nightly)
    assert ended.returncode == 0, ended.stderr
    # The one before is old as well, now that there is a later one.
    assert f"older than 90d: {old}, {last}" in ended.stderr
    assert journal(bench)[-1]["runs"] == [old, last]
    assert len(runs(bench)) == 1


def test_hooks_hear_of_a_run_and_change_nothing(bench: Bench) -> None:
    """A command, a webhook and a health check, once a run; what fails is a warning."""
    told = bench.folder / "told"
    manifest = rows(bench, 90, more=_HOPELESS)
    with listening() as listener:
        listener.answers = [200, 500, 503, 503, 503]
        hooks = {
            "BULKOPS_HOOKS__ON_FINISH": json.dumps([sys.executable, "-c", _TELL, str(told)]),
            "BULKOPS_HOOKS__WEBHOOK": f"{listener.url}/hook",
            "BULKOPS_HOOKS__WEBHOOK_SECRET": "hush",
            "BULKOPS_HOOKS__HEALTH_CHECK": f"{listener.url}/check",
        }
        ended = bench.run("run", manifest, "--yes", "--json", **hooks)
        assert ended.returncode == 3, ended.stderr
        again = bench.run("run", manifest, "--yes", **hooks)
        assert again.returncode == 3
        paths = [each.path for each in listener.calls]
        hook = json.loads(listener.calls[1].body)
    first = ["/check/start", "/hook", *["/check/fail"] * 3]
    assert paths == [*first, "/check/start", "/check/fail"]
    # Standard output is the answer of the program alone.
    run = Path(json.loads(ended.stdout)["run"])
    assert (hook["run"], hook["exit"], hook["rows"]) == (run.name, 3, 2)
    assert [hook] == [json.loads(line) for line in told.read_text().splitlines()]
    assert (bench.folder / "told.env").read_text() == f"{run.name}3\n"
    assert ended.stderr.count("hook.failed") == 2
    assert "hush" not in ended.stderr + (run / "run.json").read_text()


def test_a_job_that_cannot_start_is_told(bench: Bench) -> None:
    """No manifest, no run: the exit code is 2, the hook hears of it, and so does the journal."""
    told = bench.folder / "told"
    nightly = job(
        bench,
        f"{_NIGHTLY}[hooks]\non_stop = {json.dumps([sys.executable, '-c', _TELL, str(told)])}\n",
    )
    assert bench.run("run", nightly).returncode == 2
    (fact,) = (json.loads(line) for line in told.read_text().splitlines())
    assert (fact["event"], fact["job"], fact["run"], fact["exit"]) == ("stop", "nightly", "", 2)
    assert "rows.csv" in fact["reason"]
    assert (listed(bench)["exit"], runs(bench)) == (2, [])


def test_a_retry_of_two_runs_and_of_that(bench: Bench) -> None:
    """One run of what both left; once more; anew under another name; and as a job."""
    left = []
    for number in (90, 91):
        hopeless = _HOPELESS.replace("555", f"55{number}")
        manifest = rows(bench, number, more=hopeless, name=f"m{number}.csv")
        ended = bench.run("run", manifest, "--yes", "--json")
        left.append(Path(json.loads(ended.stdout)["run"]).name)
    once = bench.run("retry", *left, "--yes", "--json")
    told = json.loads(once.stdout)
    assert (once.returncode, told["rows"], told["statuses"]) == (3, 2, {"failed": 2})
    name = Path(told["run"]).name
    assert name == f"{left[0]}-and-1-more-retry"
    twice = json.loads(bench.run("retry", name, "--yes", "--json").stdout)
    assert (Path(twice["run"]).name, twice["rows"]) == (f"{name}-retry", 2)
    anew = json.loads(bench.run("retry", *left, "--new", "--yes", "--json").stdout)
    assert Path(anew["run"]).name == f"{name}-2"
    there = bench.run("retry", left[0], "--run-dir", str(bench.folder / "x"), "--yes", "--json")
    assert json.loads(there.stdout)["run"] == str(bench.folder / "x")

    other = bench.run("run", manifest, "--set", "role_name=a", "--yes", "--json")
    differing = bench.run("retry", left[0], Path(json.loads(other.stdout)["run"]).name, "--yes")
    assert differing.returncode == 2
    assert "the fixed values" in differing.stderr


def test_a_job_tries_again_what_others_left(bench: Bench) -> None:
    """Nothing yet is 0; then their rows; then its own rest."""
    again = job(bench, 'retry = ["nightly"]\nconfirm = false\n', name="retry-failed")
    early = bench.run("run", again)
    assert (early.returncode, runs(bench)) == (0, [])
    assert "nothing to try again" in early.stderr
    rows(bench, 90, more=_HOPELESS)
    assert bench.run("run", job(bench)).returncode == 3
    for _ in range(2):
        ended = bench.run("run", again, "--json")
        assert ended.returncode == 3, ended.stderr
        assert json.loads(ended.stdout)["rows"] == 1
    assert "retry-failed-" in ended.stderr
    assert bench.run("plan", again).returncode == 2


def test_a_folder_with_a_broken_job_is_told(bench: Bench) -> None:
    """Exit 2 with file and key; the others are listed all the same."""
    job(bench)
    assert (bench.run("jobs").returncode, listed(bench)["started"]) == (0, None)
    job(bench, 'manifest = "m.csv"\nmanifset = 1\n', name="broken")
    job(bench, 'manifest = "m.csv"\n[limits]\nconcurrency = 900\n', name="greedy")
    ended = bench.run("jobs", "jobs")
    assert ended.returncode == 2
    for words in ("broken.toml: manifset: unknown key", "limits.concurrency", "never started"):
        assert words in ended.stdout
    assert bench.run("jobs", str(bench.folder / "nothing")).returncode == 2
    manifest = rows(bench, 90)
    assert bench.run("run", manifest, "--yes", "--if-locked", "skip").returncode == 2


def test_a_reconciliation_is_a_job_like_others(bench: Bench) -> None:
    """Its turn, its journal, its hooks (also where nothing had to change), and its old runs."""
    text = 'desired = "should.csv"\nconfirm = false\nkeep = "90d"\n[reconcile]\nmax_change = ""\n'
    nightly = job(bench, text)
    should = (
        "module,record_id,related_list,related_id\nLeads,7,Campaigns,90\nLeads,8,Campaigns,91\n"
    )
    (bench.folder / "jobs" / "should.csv").write_text(should)
    with listening() as listener:
        hooks = {
            "BULKOPS_HOOKS__WEBHOOK": f"{listener.url}/hook",
            "BULKOPS_HOOKS__HEALTH_CHECK": f"{listener.url}/check",
        }
        first = held(bench, nightly, **hooks)
        assert bench.run("run", nightly, **hooks).returncode == 7
        assert release(bench, first) == 0
        (changed,) = runs(bench)
        assert listed(bench)["run"] == changed
        assert bench.run("run", nightly, **hooks).returncode == 0
        paths = [each.path for each in listener.calls]
    assert paths == ["/check/start", "/hook", "/check", "/check/start", "/check"]
    assert (listed(bench)["exit"], listed(bench)["run"]) == (0, "")
    assert json.loads((bench.folder / "runs" / changed / "run.json").read_text())["job"]["name"]

    (idle,) = set(runs(bench)) - {changed}
    assert bench.run("run", nightly).returncode == 0
    for each in bench.folder.glob("runs/[!.]*/*"):
        os.utime(each, (0, 0))
    ended = bench.run("run", nightly)
    assert ended.returncode == 0, ended.stderr
    # Of those that sent something the last one stays, of the others the one of today.
    assert idle in ended.stderr
    assert changed in runs(bench)
    assert len(runs(bench)) == 2
