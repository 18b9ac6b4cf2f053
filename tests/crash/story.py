"""
An emulator and a run that is killed, cut, starved and run again, with all that must be compared.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulkops.files.outcomes import read_outcomes
from bulkops.files.rundir import RunDirectory
from tests.crash.oracle import Effect, Tally, compare, effects_of, ended_jobs
from tests.e2e.harness import Bench, is_write, read_rows

WRAPPED = Path(__file__).with_name("wrapped.py")
#: Exit codes of a run that ended, and of one that says: run me again.
ENDED, AGAIN = frozenset({0, 3}), frozenset({5})
_LONGEST_S = 90.0
_QUICK = {"BULKOPS_FOLLOW__FIRST_INTERVAL_S": "0.1", "BULKOPS_FOLLOW__MAX_INTERVAL_S": "0.4"}


@dataclass
class Story:
    """
    One manifest, one world, one emulator, and a run that is begun as often as it takes.

    `settings` are environment variables of every run. An emulator may be replaced: what the
    earlier one booked is `booked` and `finished_jobs`. A story may begin anew in the middle: the
    first `forgotten_jobs` that ended are then no part of it.
    """

    bench: Bench
    manifest: Path
    before: dict[str, Any]
    settings: Mapping[str, str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    booked: list[dict[str, Any]] = field(default_factory=list)
    finished_jobs: list[Any] = field(default_factory=list)
    forgotten_jobs: int = 0

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows of the manifest."""
        return read_rows(self.manifest)

    @property
    def words(self) -> tuple[str, ...]:
        """The command: always the same one."""
        return ("run", str(self.manifest), "--yes")

    def begin(self, *wrapping: str, **more: str) -> subprocess.Popen[str]:
        """Start the program, in a wrapper if words for it are given; its talk goes to a file."""
        self.tally.runs += 1
        command = self.bench.command(*self.words)
        if wrapping:
            command = [sys.executable, str(WRAPPED), *wrapping, "--", *self.words]
        with (self.bench.folder / "talk.txt").open("w") as talk:
            return subprocess.Popen(
                command,
                cwd=self.bench.folder,
                env=self.bench.environment(**{**_QUICK, **self.settings, **more}),
                stdout=subprocess.DEVNULL,
                stderr=talk,
                text=True,
            )

    def end(self, process: subprocess.Popen[str]) -> int:
        """Wait for the end; return the exit code."""
        return process.wait(timeout=_LONGEST_S)

    def run(self, *wrapping: str, **more: str) -> int:
        """Run to the end."""
        return self.end(self.begin(*wrapping, **more))

    def kill(self, process: subprocess.Popen[str]) -> bool:
        """Kill it; return whether it was still alive to be killed."""
        process.send_signal(signal.SIGKILL)
        killed = process.wait(timeout=30) == -signal.SIGKILL
        self.tally.kills += killed
        return killed

    @property
    def talk(self) -> str:
        """What the last run said on standard error."""
        return (self.bench.folder / "talk.txt").read_text()

    @property
    def log(self) -> Path | None:
        """The log, if there is one yet."""
        return next(iter(self.bench.folder.glob("runs/*/checkpoint.jsonl")), None)

    def count(self, mark: bytes) -> int:
        """Return how often the log holds `mark`."""
        log = self.log
        try:
            return log.read_bytes().count(mark) if log else 0
        except FileNotFoundError:
            return 0

    def wait_for(self, mark: bytes, number: int, process: subprocess.Popen[str]) -> bool:
        """Return once the log holds `number` of `mark`, or the program has ended."""
        deadline = time.monotonic() + _LONGEST_S
        while time.monotonic() < deadline:
            if self.count(mark) >= number:
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        raise AssertionError(f"{number} of {mark!r} did not come: {self.talk}")

    def first_run(self, mark: bytes, number: int, *wrapping: str) -> None:
        """Run until the log holds so many of `mark`, and kill it there."""
        process = self.begin(*wrapping)
        assert self.wait_for(mark, number, process), self.talk
        assert self.kill(process)
        self.settle_down()

    def finish(self, *, most: int = 8) -> int:
        """Run until every line has its outcome and none is `unknown`; return the exit code."""
        code = -1
        for _ in range(most):
            code = self.run()
            assert code in ENDED | AGAIN, f"exit {code}: {self.talk}"
            if code in ENDED and not self.unknown():
                break
        assert code in ENDED, f"exit {code}: {self.talk}"
        return code

    def unknown(self) -> list[int]:
        """Return the lines that are told `unknown` and nothing after it."""
        last = {each["line"]: each for each in self.records() if each["type"] == "outcome"}
        return [line for line, each in last.items() if each["status"] == "unknown"]

    def records(self) -> list[dict[str, Any]]:
        """Return the log, but for a torn last line."""
        return self.bench.records()

    def settle_down(self) -> None:
        """Return once the emulator works on nothing any more."""
        for _ in range(1000):
            if json.loads(self.bench.ask("counters"))["in_flight"] == 0:
                return
            time.sleep(0.005)
        raise AssertionError("calls are in flight for ever")

    def ledger(self) -> list[dict[str, Any]]:
        """Return every call, of earlier emulators too."""
        return [*self.booked, *self.bench.ledger()]

    def writes(self) -> int:
        """Return how many calls arrived that may change something."""
        return sum(is_write(call) for call in self.ledger())

    def effects(self) -> Counter[Effect]:
        """Return every effect there was."""
        ended = self.ended_jobs()[self.forgotten_jobs :]
        return effects_of(self.ledger(), [*self.finished_jobs, *ended])

    def ended_jobs(self) -> list[Any]:
        """Return the jobs that this emulator has ended, in the order they ended."""
        return ended_jobs(json.loads(self.bench.ask("jobs")))

    def begin_anew(self) -> None:
        """Take the world as it is, once all jobs have ended, for the one of the beginning."""
        self.bench.ask("clock/advance", {"seconds": 60})
        self.before = self.bench.world()
        self.forgotten_jobs = len(self.ended_jobs())
        self.bench.ask("reset", {})

    def plan(self) -> None:
        """Make the run and its plan, and send nothing."""
        planned = self.bench.run("plan", str(self.manifest), **self.settings)
        assert planned.returncode == 0, planned.stderr

    def judge(self, earlier: Counter[Effect] | None = None) -> Tally:
        """
        Compare log, world and ledger; the tally is of the whole story.

        First all jobs of the server end, for what is told must still be true then. `earlier` are
        effects of ours that no book of this emulator has.
        """
        self.settle_down()
        self.bench.ask("clock/advance", {"seconds": 60})
        after = self.bench.world()
        compared = compare(
            records=self.records(),
            rows=self.rows,
            before=self.before,
            after=after,
            effects=self.effects() + (earlier or Counter()),
        )
        compared.stories = 1
        compared.calls = self.writes()
        for call in self.ledger():
            if call["fault"]:
                compared.faults.update(call["fault"].split(","))
        compared.mismatches += told_twice(self.bench, rows=len(self.rows))
        self.tally.add(compared)
        return self.tally


def told_twice(bench: Bench, *, rows: int) -> list[str]:
    """Say where `bulkops outcomes` does not print each line of the manifest once."""
    lines = [each["line"] for each in read_outcomes(RunDirectory(bench.run_directory))]
    if lines == list(range(1, rows + 1)):
        return []
    return [f"`bulkops outcomes` prints {len(lines)} lines, {len(set(lines))} of them distinct"]


def kill_at_random(story: Story, chance: random.Random) -> bool:
    """
    Begin the program and kill it somewhere; return whether it was killed before its end.

    Mostly while calls are under way; now and then while it starts, plans, or writes its files.
    """
    seen = story.count(b'"type":"sent"')
    process = story.begin()
    if chance.random() < 0.12:
        time.sleep(chance.uniform(0.2, 1.0))
    else:
        mark = chance.choice([b'"type":"sent"', b'"type":"sent"', b'"type":"outcome"'])
        begun = seen if mark == b'"type":"sent"' else story.count(mark)
        steps = chance.randrange(1, 14) if mark == b'"type":"sent"' else chance.randrange(1, 120)
        story.wait_for(mark, begun + steps, process)
        time.sleep(chance.choice([0.0, 0.0, chance.uniform(0, 0.05)]))
    return story.kill(process)


@contextmanager
def emulator_on(
    folder: Path, world: Path, *, port: int = 0, faults: Sequence[object] = (), **knobs: Any
) -> Iterator[Bench]:
    """Serve `world` in a process of its own, on a chosen port if one is given."""
    words = [w for name, each in knobs.items() for w in ("--knob", f"{name}={json.dumps(each)}")]
    serving = ["emulator", "--port", str(port), "--seed", str(world)]
    command = [sys.executable, "-m", "bulkops", *serving]
    with (
        (folder / f"emulator-{os.urandom(3).hex()}.log").open("wb") as errors,
        subprocess.Popen(
            [*command, *words], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            bench = Bench(folder, process.stdout.readline().strip())
            if faults:
                bench.ask("faults", list(faults))
            yield bench
        finally:
            process.terminate()
