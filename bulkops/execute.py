"""
Carry out a prepared run from the lock to the last derived file, and say how it ended.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import aiohttp
import orjson
import structlog

from bulkops import pacing
from bulkops.auth import TokenSource
from bulkops.checkpoint import Checkpoint, header
from bulkops.config import Config
from bulkops.errors import (
    BulkopsError,
    ExitCode,
    PausedError,
    PlanStaleError,
    SignalledError,
)
from bulkops.follow import Intervals
from bulkops.limiter import Limiter
from bulkops.model import Api, Status
from bulkops.outcomes import copy_outcomes, count_outcomes, write_failed
from bulkops.prepare import Prepared
from bulkops.progress import Progress
from bulkops.recorder import Thresholds
from bulkops.resume import read_progress
from bulkops.retrying import Policy
from bulkops.rundir import sync_folder, write_atomically
from bulkops.runner import Runner, Settings
from bulkops.stop import Stop
from bulkops.tally import Tally
from bulkops.transport import Transport, proxy_for
from bulkops.wire import Credits, Wire

_WINDOW_CHECK_S = 15.0
_PERMISSION = frozenset(
    {"AUTHORIZATION_FAILED", "NO_PERMISSION", "OAUTH_SCOPE_MISMATCH", "PERMISSION_DENIED"}
)


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a run ended. `reason` is empty unless it ended before every line was settled.
    """

    code: ExitCode
    reason: str
    tally: Tally


def progress_of(prepared: Prepared, *, mend: bool) -> Progress:
    """
    Return where the run stands. Raises `PlanStaleError` if its log belongs to another plan.
    """
    progress = read_progress(prepared.run.checkpoint, mend=mend)
    if progress.plan and progress.plan != prepared.digest:
        raise PlanStaleError(
            f"{prepared.run.checkpoint}: the log belongs to another plan than "
            f"{prepared.run.plan.name}; start over with --new"
        )
    progress.rows = prepared.rows
    return progress


def tally_of(prepared: Prepared, progress: Progress) -> Tally:
    """Return the counts to go on from."""
    return Tally(
        rows=prepared.rows,
        planned_calls=prepared.summary.total.calls,
        statuses=progress.statuses.copy(),
        calls=progress.calls.count + progress.reads,
    )


async def execute(
    prepared: Prepared,
    config: Config,
    *,
    remember_secret: Callable[[str], None],
    watch: Callable[[Tally], None] = lambda _tally: None,
) -> Ended:
    """
    Run, or go on with, a prepared plan, holding its lock.

    `watch` is given the live counts once. The first SIGINT or SIGTERM drains, the second stops
    at once. Raises `LockedError`, or what keeps the run from starting.
    """
    with prepared.run.locked():
        progress = progress_of(prepared, mend=True)
        tally = tally_of(prepared, progress)
        if prepared.run.checkpoint.exists() and progress.finished and not progress.unknown:
            return Ended(final_code(tally), "", tally)
        watch(tally)
        stop = Stop()
        forbidden = False
        with _signals(stop), structlog.contextvars.bound_contextvars(run=prepared.run.name):
            forbidden = await _run(
                prepared,
                config,
                progress=progress,
                tally=tally,
                stop=stop,
                remember_secret=remember_secret,
            )
        reason = stop.reason if not progress.finished else None
        if reason is None and not progress.finished:
            reason = BulkopsError("the run ended with lines unsettled; run the same command again")
        code = reason.exit_code if reason else final_code(tally)
        if reason is None and forbidden and not tally.statuses[Status.SUCCEEDED]:
            code = ExitCode.AUTH
        derive(prepared)
        return Ended(ExitCode(code), str(reason or ""), tally)


def final_code(tally: Tally) -> ExitCode:
    """Return the exit code of a run whose every line is settled."""
    return ExitCode.OK if tally.wanted else ExitCode.INCOMPLETE


async def _run(
    prepared: Prepared,
    config: Config,
    *,
    progress: Progress,
    tally: Tally,
    stop: Stop,
    remember_secret: Callable[[str], None],
) -> bool:
    """Run inside all that must be closed again; return whether permission was lacking."""
    log = structlog.get_logger("bulkops.run")
    limits = config.limits
    async with AsyncExitStack() as stack:
        checkpoint = await stack.enter_async_context(
            Checkpoint(prepared.run.checkpoint, fsync=config.run.durability == "fsync")
        )
        if not progress.plan:
            # The name of the log must survive a power cut as well as what will stand in it.
            sync_folder(prepared.run.path)
            checkpoint.append(**header(prepared.run.name, prepared.digest, prepared.rows))
        transport = await stack.enter_async_context(
            Transport(config.api.api_url, connections=limits.ceiling, timeout_s=limits.timeout_s)
        )
        accounts = await stack.enter_async_context(
            aiohttp.ClientSession(proxy=proxy_for(config.api.accounts_host))
        )
        leave = limits.leave(limits.credits)
        wire = Wire(
            transport=transport,
            tokens=TokenSource(config=config, session=accounts, remember_secret=remember_secret),
            limiter=Limiter(ceiling=limits.ceiling, calls_per_second=limits.calls_per_second),
            credits=Credits(leave=leave, own=limits.credits - leave),
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
        log.info("run.started", rows=prepared.rows, settled=len(progress.settled))
        checkpoint.append(type="note", event="run.started")
        keeper = asyncio.create_task(_keep_window(config.run.window, stop))
        try:
            if _is_open(config.run.window, stop):
                await runner.run(plan=prepared.run.plan, rows=prepared.run.rows)
        finally:
            keeper.cancel()
            event = "run.finished" if progress.finished else "run.stopped"
            checkpoint.append(type="note", event=event, reason=str(stop.reason or ""))
            log.info(event, reason=str(stop.reason or ""), settled=len(progress.settled))
        return any(halt.code in _PERMISSION for halt in runner.halts)


def settings_of(config: Config) -> Settings:
    """Return how to run, from the configuration."""
    limits = config.limits
    waits = pacing.Waits(retry_s=limits.retry_wait_s, locked_s=limits.locked_wait_s)
    return Settings(
        api=Api(config.api.product, config.api.version),
        workers=limits.ceiling,
        policy=Policy(limits.attempts, waits),
        intervals=Intervals(
            config.follow.first_interval_s,
            config.follow.max_interval_s,
            config.follow.timeout_s,
        ),
        thresholds=Thresholds(config.stop.failed_ratio, config.stop.failed_after),
        read_many=config.follow.bulk_read == "auto",
    )


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Drain at the first SIGINT or SIGTERM, stop at once at the second."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def take(number: int) -> None:
        code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED
        if isinstance(stop.reason, SignalledError):
            task.cancel()
        else:
            stop.ask(SignalledError("interrupted; run the same command again to go on", code))

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, take, number)
    try:
        yield
    except asyncio.CancelledError:
        if not isinstance(stop.reason, SignalledError):
            raise
        # The second signal: what was under way is in the log as sent, and so in doubt.
        task.uncancel()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _is_open(window: str, stop: Stop) -> bool:
    """Ask for a stop if the time of day is outside `window`; return whether to go on."""
    if not pacing.within(_times(window), datetime.now().astimezone().time()):
        stop.ask(
            PausedError(
                f"outside the window {window} of [run]; run the same command again inside it"
            )
        )
    return not stop.asked


async def _keep_window(window: str, stop: Stop) -> None:
    while window and _is_open(window, stop):
        await stop.sleep(_WINDOW_CHECK_S)


def _times(window: str) -> tuple[time, time] | None:
    if not window:
        return None
    start, _, end = window.partition("-")
    return time.fromisoformat(start), time.fromisoformat(end)


def derive(prepared: Prepared) -> dict[str, Any]:
    """Write the derived files of a run: `outcomes.csv`, `failed.csv`, `summary.json`."""
    run = prepared.run
    copy_outcomes(run, run.path / "outcomes.csv")
    plan = prepared.description["plan"]
    failed = write_failed(run, prepared.description)
    summary = {
        "run": run.name,
        "manifest": prepared.description["manifest"],
        "rows": prepared.rows,
        "not_in_wanted_state": failed,
        "outcomes": count_outcomes(run),
        "plan": plan["summary"],
    }
    write_atomically(run.path / "summary.json", orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    return summary
