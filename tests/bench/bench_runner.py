"""
What a call costs the runner beside the least that aiohttp can do, and the memory of a long run.

    python tests/bench/bench_runner.py --calls 5000 --rounds 3 --rows 1000000

Calls that remove 100 links each, or one (`--width 1`), go to `bulkops emulator`, 25 at a time, from
two clients in turn, each in a process of its own: a bare aiohttp client that sends and reads and
does nothing else, and the runner with all it does for a call: read the plan, write to the log that
it leaves, hold the limits, spend a credit, parse, settle, write the outcome of every row. What is
compared is the CPU time of the client process, all threads, from the first call to the last: the
machine is noisy, compare within one run. Then a manifest of a million rows is planned, and run by
the real program to its last derived file; the peak of its memory is compared with that of an
interpreter that does nothing.

Ends with 1 if a promise is not kept: at most 2.5 times the CPU of the bare client, and less than
200 MiB above the interpreter. With `--profile` it prints where the runner's time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import io
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
import structlog

from bulkops.engine.execute import settings_of
from bulkops.engine.runner import Runner
from bulkops.files.checkpoint import Checkpoint, header
from bulkops.files.config import Config
from bulkops.files.credits import budget_of, ledger_of
from bulkops.files.plan_file import read_batches
from bulkops.files.prepare import Asked, Prepared, prepare
from bulkops.rules.progress import Progress
from bulkops.rules.tally import Tally
from bulkops.wire.auth import TokenSource
from bulkops.wire.call import Wire
from bulkops.wire.holds import Holds
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import Stop
from bulkops.wire.transport import Transport

_FIRST_PRODUCT = 4_150_868_000_001_000_000
_FIRST_DEAL = 4_150_868_000_100_000_000
_HUB = 100
_IN_FLIGHT = 25
_TOKEN = "emulator-access"


def deals_of(hub: int, width: int) -> list[str]:
    return [str(_FIRST_DEAL + hub * _HUB + each) for each in range(width)]


def write_world(path: Path, hubs: range, width: int) -> None:
    relations = {f"Products/{_FIRST_PRODUCT + hub}/Deals": deals_of(hub, width) for hub in hubs}
    path.write_bytes(orjson.dumps({"relations": relations}))


def write_manifest(path: Path, hubs: range, width: int) -> None:
    with path.open("w") as file:
        file.write("op,module,record_id,related_list,related_id\n")
        for hub in hubs:
            product = _FIRST_PRODUCT + hub
            file.writelines(
                f"unlink,Products,{product},Deals,{deal}\n" for deal in deals_of(hub, width)
            )


def config_of(folder: Path, url: str) -> Config:
    limits = {
        "concurrency": _IN_FLIGHT,
        "credits_per_day": 10**9,
        "leave_credits": "0",
        "ledger": str(folder / "credits"),
    }
    return Config(
        api={"base_url": url},
        auth={"access_token": _TOKEN},
        limits=limits,
        run={"directory": folder / "runs"},
    )


@contextmanager
def emulator(world: Path) -> Iterator[str]:
    """The address of an emulator without limits, in a process of its own."""
    words = [sys.executable, "-m", "bulkops", "emulator", "--port", "0", "--seed", str(world)]
    words += ["--knob", "concurrency=0", "--knob", "credits_per_day=1000000000"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def send_barely(url: str, hubs: range, width: int) -> float:
    """Send and read; return the seconds of CPU it took."""
    headers = {"Authorization": f"Zoho-oauthtoken {_TOKEN}"}
    products = f"{url}/crm/v8/Products"
    targets = iter(
        [
            f"{products}/{_FIRST_PRODUCT + hub}/Deals?ids={','.join(deals_of(hub, width))}"
            for hub in hubs
        ]
    )

    async with aiohttp.ClientSession(headers=headers) as session:

        async def work() -> None:
            for target in targets:
                async with session.delete(target) as reply:
                    await reply.read()

        begun = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(_IN_FLIGHT):
                group.create_task(work())
        return time.process_time() - begun


async def run_plan(prepared: Prepared, config: Config, log: Path) -> float:
    """Carry out a plan as the program does; return the seconds of CPU it took."""
    stop, tally, progress = Stop(), Tally(), Progress(rows=prepared.rows)
    async with AsyncExitStack() as stack:
        checkpoint = await stack.enter_async_context(Checkpoint(log))
        checkpoint.append(**header("bench", prepared.digest, prepared.rows))
        transport = await stack.enter_async_context(
            Transport(config.api.api_url, connections=_IN_FLIGHT, timeout_s=60.0)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        limiter = Limiter(ceiling=_IN_FLIGHT, found=_IN_FLIGHT)
        holds = Holds(limiter, changed=lambda _name, _words: None)
        wire = Wire(
            transport=transport,
            tokens=TokenSource(config=config, session=session, remember_secret=lambda _: None),
            limiter=limiter,
            purse=Purse(ledger_of(config), budget=budget_of(config), stop=stop, holds=holds),
            stop=stop,
            tally=tally,
        )
        runner = Runner(
            settings_of(config),
            wire=wire,
            checkpoint=checkpoint,
            progress=progress,
            stop=stop,
            tally=tally,
        )
        begun = time.process_time()
        await runner.run(plan=prepared.run.plan, rows=prepared.run.rows)
        took = time.process_time() - begun
    if len(progress.settled) != prepared.rows:
        raise RuntimeError(f"{len(progress.settled)} of {prepared.rows} lines: {stop.reason}")
    return took


def be_client(kind: str, folder: Path, url: str, hubs: range, *, width: int, profile: bool) -> None:
    """Be one of the two clients, and print the CPU seconds of all calls."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    if kind == "bare":
        print(asyncio.run(send_barely(url, hubs, width)))
        return
    config = config_of(folder, url)
    manifest = folder / f"part{hubs.start}.csv"
    write_manifest(manifest, hubs, width)
    prepared = prepare(Asked(manifest), config)
    begun = time.process_time()
    for _ in read_batches(prepared.run.plan):
        pass
    reading = time.process_time() - begun
    log = folder / f"part{hubs.start}.jsonl"
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    took = asyncio.run(run_plan(prepared, config, log))
    profiler.disable()
    print(took, reading)
    if profile:
        text = io.StringIO()
        stats = pstats.Stats(profiler, stream=text)
        stats.sort_stats("tottime").print_stats(35)
        print(text.getvalue(), file=sys.stderr)


def client(
    kind: str, folder: Path, url: str, hubs: range, *, width: int, profile: bool = False
) -> list[float]:
    words = [sys.executable, __file__, "--client", kind, str(folder), url]
    words += [str(hubs.start), str(hubs.stop), "--width", str(width)]
    words += ["--profile"] if profile else []
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
    return [float(each) for each in done.stdout.split()]


def compare(*, calls: int, rounds: int, width: int, profile: bool) -> bool:
    """Measure both clients in turn; return whether the promise is kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_world(folder / "world.json", range(calls * rounds * 2), width)
        bare, ours, reading = [], [], []
        with emulator(folder / "world.json") as url:
            for number in range(rounds):
                start = number * 2 * calls
                (cpu,) = client("bare", folder, url, range(start, start + calls), width=width)
                bare.append(cpu / calls * 1000)
                hubs = range(start + calls, start + 2 * calls)
                cpu, read = client("runner", folder, url, hubs, width=width, profile=profile)
                ours.append(cpu / calls * 1000)
                reading.append(read / calls * 1000)
    ratio = statistics.median(one / two for one, two in zip(ours, bare, strict=True))
    print(f"{rounds} rounds of {calls:,} calls of {width} rows, CPU ms a call, medians:")
    print(f"  bare aiohttp {statistics.median(bare):.3f}, runner {statistics.median(ours):.3f}")
    print(f"  of which reading the plan {statistics.median(reading):.3f}")
    print(f"  ratio {ratio:.2f} (at most 2.5)")
    return ratio <= 2.5


@dataclass
class Memory:
    """What a program had in memory, in MiB: at most while it sent, and at most in all."""

    sending: float = 0.0
    peak: float = 0.0
    #: while it sent: megabytes of the log, and memory
    samples: list[tuple[float, float]] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Return what the second half of the sending added to the most of the first half."""
        middle = self.samples[-1][0] / 2 if self.samples else 0.0
        first = [mib for log, mib in self.samples if log <= middle]
        return self.sending - max(first, default=self.sending)


def memory_of(words: list[str], environ: dict[str, str], output: Path, runs: Path) -> Memory:
    """Run a program and watch it from outside."""
    found = Memory()
    with (
        output.open("wb") as file,
        subprocess.Popen(words, env=environ, stdout=file, stderr=file) as process,
    ):
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            time.sleep(0.01)
            text = status.read_text() if status.exists() else ""
            if "VmHWM:" not in text:
                continue
            # What the kernel calls the peak also holds what was there before `exec`: not this.
            found.peak = max(found.peak, int(text.split("VmHWM:")[1].split()[0]) / 1024)
            logs = list(runs.glob("*/checkpoint.jsonl"))
            derived = [*runs.glob("*/bulkops-*"), *runs.glob("*/outcomes.csv*")]
            if logs and not derived:
                mib = int(text.split("VmRSS:")[1].split()[0]) / 1024
                found.sending = max(found.sending, mib)
                found.samples.append((logs[0].stat().st_size / 1e6, mib))
    if process.returncode:
        raise RuntimeError(f"{words}: exit {process.returncode}: {output.read_text()[-2000:]}")
    return found


def remember(*, rows: int) -> bool:
    """Measure the memory of the real program; return whether the promise is kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hubs = range(rows // _HUB)
        write_world(folder / "world.json", hubs, _HUB)
        write_manifest(folder / "manifest.csv", hubs, _HUB)
        with emulator(folder / "world.json") as url:
            environ = {
                **{key: each for key, each in os.environ.items() if "BULKOPS" not in key},
                "BULKOPS_API__BASE_URL": url,
                "BULKOPS_AUTH__ACCESS_TOKEN": _TOKEN,
                "BULKOPS_RUN__DIRECTORY": str(folder / "runs"),
                "BULKOPS_LIMITS__CONCURRENCY": str(_IN_FLIGHT),
                "BULKOPS_LIMITS__CREDITS_PER_DAY": "1000000000",
                "BULKOPS_LIMITS__LEDGER": str(folder / "credits"),
                "XDG_STATE_HOME": str(folder / "state"),
            }
            output, runs = folder / "output.txt", folder / "runs"

            def watched(*words: str) -> Memory:
                return memory_of([sys.executable, *words], environ, output, runs)

            manifest = str(folder / "manifest.csv")
            start = watched("-c", "import time; time.sleep(0.2)").peak
            loaded = watched("-c", "import bulkops.cli, duckdb, time; time.sleep(0.2)").peak
            plan = watched("-m", "bulkops", "plan", manifest).peak
            run = watched("-m", "bulkops", "run", manifest, "--yes", "--quiet")
    print(f"{rows:,} rows in {len(hubs):,} calls, peak of memory in MiB:")
    print(f"  interpreter {start:.0f}, program loaded {loaded:.0f}, plan {plan:.0f}")
    print(f"  run: while it sends {run.sending:.0f}, its second half adds {run.growth:.0f}")
    print(f"  run: derived files and all {run.peak:.0f}")
    above = run.peak - start
    print(f"  all of the run above the interpreter {above:.0f} (less than 200)")
    return above < 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=5000, help="a round and client")
    parser.add_argument("--width", type=int, default=_HUB, help="rows a call, at most 100")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the long run; 0: none")
    parser.add_argument("--profile", action="store_true", help="of the runner (slows it down)")
    parser.add_argument("--client", nargs=5, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.client:
        kind, folder, url, start, stop = words.client
        hubs = range(int(start), int(stop))
        be_client(kind, Path(folder), url, hubs, width=words.width, profile=words.profile)
        return
    kept = not words.rounds or compare(
        calls=words.calls, rounds=words.rounds, width=words.width, profile=words.profile
    )
    kept &= not words.rows or remember(rows=words.rows)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
