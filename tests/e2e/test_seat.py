"""
The operator's seat, as people have it: status while a run goes on, its metrics, and its summary.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.e2e.harness import Bench, emulator, interrupt, wait_for
from tests.e2e.test_steering import couples, ctl, finish, hurry, until
from tests.files.test_metrics import Parsed, parse, value_of

_SINGLY = {"BULKOPS_LIMITS__IDS_PER_CALL": "1", "BULKOPS_LIMITS__CONCURRENCY": "4"}
_SLOW = {"latency_median_s": 0.1, "latency_sigma": 0.0}
_ESCAPE = "\x1b"


def metrics(path: Path) -> Parsed:
    return parse(path.read_text(encoding="utf-8"))


def by_log(bench: Bench) -> Counter[str]:
    """Lines by status, as the log says."""
    return Counter(each["status"] for each in bench.records() if each["type"] == "outcome")


def told_numbers(text: str) -> dict[str, int]:
    """The last row of the table of a summary, by the names of its columns."""
    table = text[text.index("What became of the rows") :].splitlines()
    header = next(line for line in table if line.strip().startswith("operation")).split()
    rows = [line.split() for line in table[table.index(header_line(table)) + 2 :]]
    last = next(row for row in reversed(rows[: rows.index([])]) if row)
    numbers = [0 if cell == "·" else int(cell.replace(",", "")) for cell in last[1:]]
    return dict(zip(header[1:], numbers, strict=True))


def header_line(table: list[str]) -> str:
    return next(line for line in table if line.strip().startswith("operation"))


def test_a_run_is_seen_from_another_terminal(tmp_path: Path) -> None:
    """`status` asks the process: rates, calls under way, holds; once it is gone, the log."""
    manifest, world = couples(tmp_path, 1500)
    with emulator(tmp_path, world, **_SLOW) as bench:
        process = bench.begin("run", str(manifest), "--yes", **_SINGLY)
        wait_for(bench, outcomes=8, process=process)
        run = str(bench.run_directory)
        ctl(bench, "pause")
        live = json.loads(bench.run("status", run, "--json").stdout)
        assert ("holding", process.pid, ["ctl"]) == (live["state"], live["pid"], list(live["held"]))
        assert live["end"]["seconds"] is None
        assert live["end"]["basis"].startswith("held")
        assert (1500, 4, None) == (live["planned_calls"], live["concurrency"], live["exit"])
        assert live["settled"] == sum(live["statuses"].values())
        text = bench.run("status", run).stdout
        assert "held by ctl: until `bulkops ctl RUN resume`" in text
        assert "in flight, " in text
        assert _ESCAPE not in text
        ctl(bench, "resume")
        assert interrupt(process, signal.SIGTERM) == 143
        after = json.loads(bench.run("status", run, "--json").stdout)
        assert "unfinished" == after["state"]
        assert dict(by_log(bench)) == after["statuses"]
        assert sum(each["type"] == "sent" for each in bench.records()) == after["calls"]
        assert "No process is on it" in bench.run("status", run).stdout


def test_watching_ends_with_the_run(tmp_path: Path) -> None:
    """Look after look, each an object; the last is what the log says."""
    manifest, world = couples(tmp_path, 200)
    with emulator(tmp_path, world, **_SLOW) as bench:
        process = bench.begin("run", str(manifest), "--yes", **_SINGLY)
        wait_for(bench, outcomes=8, process=process)
        run = str(bench.run_directory)
        words = ("status", run, "--watch", "--every", "0.05")
        bounded = bench.run(*words, "--times", "3")
        assert (0, 3) == (bounded.returncode, bounded.stdout.count(": running, process"))
        watching = bench.begin(*words)
        interrupted = bench.begin(*words)
        time.sleep(0.05)
        assert interrupted.stdout is not None
        interrupted.stdout.readline()
        assert 130 == interrupt(interrupted, signal.SIGINT)
        hurry(bench)
        finish(process, 0)
        seen = finish(watching, 0)
        last = seen[seen.rindex(f"{run}: ") :]
        assert "200 of 200 lines settled (100%)" in last
        assert "succeeded 200" in last


def test_the_metrics_of_a_run_follow_it_to_its_end(tmp_path: Path) -> None:
    """There from the begin, of this run and job, with the exit code and what the log says."""
    manifest, world = couples(tmp_path, 60, bad=4)
    job = tmp_path / "nightly.toml"
    file = tmp_path / "metrics" / "bulkops.prom"
    file.parent.mkdir()
    job.write_text(
        f'manifest = "{manifest.name}"\nconfirm = false\n[run]\nmetrics_file = "{file}"\n'
    )
    with emulator(tmp_path, world, **_SLOW) as bench:
        process = bench.begin("run", str(job), **_SINGLY)
        until(file.exists, process)
        begun = metrics(file)
        assert (1.0, 64.0, None) == (
            value_of(begun, "bulkops_up"),
            value_of(begun, "bulkops_rows", job="nightly"),
            value_of(begun, "bulkops_exit_code"),
        )
        hurry(bench)
        finish(process, 3)
        ended = metrics(file)
        log = by_log(bench)
        lines = {
            status: value_of(ended, "bulkops_lines", status=status, run=bench.run_directory.name)
            for status in log
        }
        assert {status: float(number) for status, number in log.items()} == lines
        assert (0.0, 3.0, None, 64.0) == (
            value_of(ended, "bulkops_up"),
            value_of(ended, "bulkops_exit_code"),
            value_of(ended, "bulkops_last_success_timestamp_seconds"),
            value_of(ended, "bulkops_calls_total"),
        )
        assert [file] == list(file.parent.iterdir())


def test_a_metrics_file_that_cannot_be_written_is_told_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    """Exit code 2, and no call."""
    manifest, world = couples(tmp_path, 3)
    with emulator(tmp_path, world) as bench:
        words = ("run", str(manifest), "--yes", "--metrics-file", str(tmp_path / "no" / "x.prom"))
        refused = bench.run(*words)
        assert 2 == refused.returncode
        assert "x.prom" in refused.stderr
        assert bench.ledger() == []


def test_the_summary_says_what_the_log_says_and_what_to_do(tmp_path: Path) -> None:
    """Numbers, reasons with their lines, and commands that work as they stand."""
    manifest, world = couples(tmp_path, 40)
    with manifest.open("a", encoding="utf-8") as file:
        # Contact roles are called by the deal alone, and these deals are not there.
        file.writelines(f"unlink,Deals,{number},Contact_Roles,1\n" for number in range(9000, 9007))
        file.write("unlink,Products,5000,Deals,4.15087E+18\nunlink,Products,5001,Deals,1001\n")
    with emulator(tmp_path, world) as bench:
        ended = bench.run("run", str(manifest), "--yes")
        assert ended.returncode == 3, ended.stderr
        assert _ESCAPE not in ended.stderr + ended.stdout
        assert dict(by_log(bench)) == told_numbers(ended.stderr)
        assert "49 of 49 lines settled" in ended.stderr
        assert "7 failed INVALID_DATA\n" in ended.stderr, ended.stderr
        assert "lines 41, 42, 43, …: the related id given seems to be invalid" in ended.stderr
        assert "1 invalid mangled_number\n" in ended.stderr
        assert "line 48: related_id '4.15087E+18'" in ended.stderr
        assert "What to do: export again with the id columns as text." in ended.stderr
        commands = re.findall(r"^  (bulkops .*)$", ended.stderr, re.MULTILINE)
        assert ["outcomes", "retry", "undo"] == [each.split()[1] for each in commands]
        printed = bench.run(*commands[0].split()[1:])
        assert 8 == len(printed.stdout.splitlines()), printed.stderr
        again = bench.run(*commands[1].split()[1:], "--yes")
        assert again.returncode == 3, again.stderr


def test_a_paused_run_names_the_command_that_goes_on(tmp_path: Path) -> None:
    """The same one; and for a run begun with --new, one that finds that very run."""
    manifest, world = couples(tmp_path, 12)
    with emulator(tmp_path, world) as bench:
        first = bench.run("run", str(manifest), "--yes", "--max-credits", "5", **_SINGLY)
        assert first.returncode == 5, first.stderr
        second = bench.run("run", str(manifest), "--yes", "--max-credits", "5", "--new", **_SINGLY)
        assert second.returncode == 5, second.stderr
        (command,) = re.findall(r"^  (bulkops run .*)$", second.stderr, re.MULTILINE)
        assert "--new" not in command
        ended = bench.run(*command.replace(" --max-credits 5", "").split()[1:], **_SINGLY)
        assert ended.returncode == 0, ended.stderr
        assert 2 == len(list(bench.folder.glob("runs/*/")))


def on_a_terminal(bench: Bench, *words: str, **more: str) -> str:
    """Run on a pseudo-terminal of 100 columns; return what it showed."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        bench.command(*words),
        cwd=bench.folder,
        env=bench.environment(TERM="xterm-256color", COLUMNS="100", LINES="40", **more),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        shown = b""
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    shown += os.read(master, 65_536)
                except OSError:
                    break
    os.close(master)
    return shown.decode()


def test_a_terminal_shows_bars_and_one_without_colour_lines(tmp_path: Path) -> None:
    """Drawn again where it stands; with NO_COLOR there is not one escape."""
    manifest, world = couples(tmp_path, 60)
    with emulator(tmp_path, world, **_SLOW) as bench:
        shown = on_a_terminal(bench, "run", str(manifest), "--yes", **_SINGLY)
        assert "━" in shown
        assert "of 60" in shown
        assert f"{_ESCAPE}[1A" in shown
        plain = on_a_terminal(bench, "run", str(manifest), "--yes", "--new", NO_COLOR="1")
        assert _ESCAPE not in plain
        assert "60 of 60 lines settled" in plain
