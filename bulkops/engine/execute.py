"""
Carry out a prepared run from the lock to the last derived file, and say how it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import structlog

from bulkops.engine.derive import derive, is_derived
from bulkops.engine.recorder import Thresholds
from bulkops.engine.rig import Manner, rigged
from bulkops.engine.runner import Runner, Settings
from bulkops.engine.signals import draining
from bulkops.engine.telemetry import Errand, Telemetry, telling
from bulkops.errors import BulkopsError, ExitCode
from bulkops.files.checkpoint import Checkpoint, header
from bulkops.files.config import Config
from bulkops.files.prepare import Prepared
from bulkops.files.rundir import sync_folder
from bulkops.files.so_far import final_code, progress_of, tally_of
from bulkops.files.talk import Talk
from bulkops.model import Api, Status
from bulkops.rules import pacing
from bulkops.rules.progress import Progress
from bulkops.rules.retrying import Policy
from bulkops.rules.tally import Tally
from bulkops.rules.verdicts import RIGHT_CODES
from bulkops.rules.watches import Intervals
from bulkops.wire.stop import Stop

#: Is given what returns where a run stands, for whoever shows it.
Watch = Callable[[Callable[[], Mapping[str, Any]]], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a run ended. `reason` is empty unless it ended before every line was settled.
    """

    code: ExitCode
    reason: str
    tally: Tally


async def execute(
    prepared: Prepared,
    config: Config,
    *,
    watch: Watch = lambda _status: None,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
    stop: Stop | None = None,
) -> Ended:
    """
    Run, or go on with, a prepared plan, holding its lock.

    `watch` is given, once, what returns where the run stands (`Steering.status`). Whoever holds
    `stop` may ask for the end; so do signals, if `manner` says that they mean something: the first
    SIGINT or SIGTERM drains, the second stops at once, SIGHUP reads the limits again. Raises
    `LockedError`, or what keeps the run from starting.
    """
    with prepared.run.locked():
        # What reads a whole log, or writes it out anew, holds no loop up that others share.
        progress = await asyncio.to_thread(progress_of, prepared, mend=True)
        reopened = progress.reopen() if manner.resume_stopped else 0
        tally = await asyncio.to_thread(tally_of, prepared, progress)
        if prepared.run.checkpoint.exists() and progress.finished and not progress.unknown:
            ended = Ended(final_code(tally), "", tally)
            if not is_derived(prepared.run):
                await asyncio.to_thread(derive, prepared, ended.code, finished=True)
            return ended
        stop = stop or Stop()
        forbidden, unknown = False, frozenset(progress.unknown)
        signals = draining(stop, signals=manner.signals)
        errand = Errand(name="run", run=prepared.run.name, prepared=prepared)
        with signals, structlog.contextvars.bound_contextvars(run=prepared.run.name):
            async with telling(config, errand) as telemetry:
                forbidden = await _run(
                    prepared,
                    config,
                    progress=progress,
                    tally=tally,
                    stop=stop,
                    manner=manner,
                    reopened=reopened,
                    unknown=unknown,
                    watch=watch,
                    telemetry=telemetry,
                )
                if telemetry is not None:
                    told = _ended(progress, tally, stop, unknown, forbidden=forbidden)
                    telemetry.ended(told.code, told.reason)
        ended = _ended(progress, tally, stop, unknown, forbidden=forbidden)
        with draining(stop, signals=manner.signals):
            await asyncio.to_thread(derive, prepared, ended.code, finished=progress.finished)
        return ended


def _ended(
    progress: Progress, tally: Tally, stop: Stop, unknown: Collection[int], *, forbidden: bool
) -> Ended:
    """
    Return how a run ends that comes to its end now.

    Lines that were `unknown` as it began, and are to be asked about, are not settled by that.
    """
    cut_short = stop.asked and not progress.unknown.isdisjoint(unknown)
    if progress.finished and not cut_short:
        lacking = forbidden and not tally.statuses[Status.SUCCEEDED]
        return Ended(ExitCode.AUTH if lacking else final_code(tally), "", tally)
    reason = stop.reason or BulkopsError(
        "the run ended with lines unsettled; run the same command again"
    )
    return Ended(ExitCode(reason.exit_code), str(reason), tally)


async def _run(
    prepared: Prepared,
    config: Config,
    *,
    progress: Progress,
    tally: Tally,
    stop: Stop,
    manner: Manner,
    reopened: int,
    unknown: Collection[int],
    watch: Watch,
    telemetry: Telemetry | None,
) -> bool:
    """Run inside all that must be closed again; return whether permission was lacking."""
    log = Talk("bulkops.run")
    settings = settings_of(config)
    async with AsyncExitStack() as stack:
        checkpoint = await stack.enter_async_context(
            Checkpoint(prepared.run.checkpoint, fsync=config.run.durability == "fsync")
        )
        if not progress.plan:
            # The name of the log must survive a power cut as well as what will stand in it.
            sync_folder(prepared.run.path)
            checkpoint.append(**header(prepared.run.name, prepared.digest, prepared.rows))
        if reopened:
            checkpoint.append(type="note", event="run.reopened", lines=reopened)
        rig = await stack.enter_async_context(
            rigged(
                prepared.run.path,
                config,
                manner,
                checkpoint=checkpoint,
                policy=settings.policy,
                stop=stop,
                tally=tally,
            )
        )
        runner = Runner(
            settings,
            wire=rig.wire,
            checkpoint=checkpoint,
            progress=progress,
            stop=stop,
            tally=tally,
            telemetry=telemetry,
        )
        log.info("run.started", rows=prepared.rows, settled=len(progress.settled))
        checkpoint.append(type="note", event="run.started")
        stack.enter_context(rig.steering.kept())
        watch(rig.steering.status)
        if telemetry is not None:
            telemetry.watch(rig.steering.status)
        try:
            if not stop.asked:
                await runner.run(plan=prepared.run.plan, rows=prepared.run.rows)
        finally:
            forbidden = any(halt.code in RIGHT_CODES for halt in runner.halts)
            ended = _ended(progress, tally, stop, unknown, forbidden=forbidden)
            event = "run.stopped" if ended.reason else "run.finished"
            reason = ended.reason or str(stop.reason or "")
            facts = {"calls": tally.fresh_calls, "latency_s": tally.latency_s}
            checkpoint.append(
                type="note", event=event, exit=int(ended.code), reason=reason, **facts
            )
            log.info(event, reason=reason, settled=len(progress.settled))
        return forbidden


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
        thresholds=Thresholds(
            config.stop.failed_ratio, config.stop.failed_after, config.stop.failed_in_a_row
        ),
        read_many=config.follow.bulk_read == "auto",
        capture=config.run.capture == "fields",
    )
