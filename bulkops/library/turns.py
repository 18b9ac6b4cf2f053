"""
One start of a job: its turn, its run, its end, and the removal of what is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from bulkops.engine.hooks import FINISHED, Ending, announcing
from bulkops.engine.jobs import JobHome, Start, remove_old, start_of
from bulkops.engine.jobs.runs import all_runs, runs_of
from bulkops.engine.reconcile.asking import Asking, of_job
from bulkops.engine.reconcile.home import Home
from bulkops.engine.rig import Manner
from bulkops.engine.telemetry import is_wanted
from bulkops.errors import BulkopsError, ExitCode, LockedError, UsageError
from bulkops.files.config import Config
from bulkops.files.jobfile import Job
from bulkops.files.prepare import Asked
from bulkops.files.rundir import RunDirectory
from bulkops.library.carrying import carried_out
from bulkops.library.planning import Plan, planned
from bulkops.library.seat import Seat


class Locked(StrEnum):
    """What a start of a job does while another one runs."""

    #: End with exit code 7.
    FAIL = "fail"
    #: Wait for the other's end, then start.
    WAIT = "wait"
    #: Leave this start out: a line in the journal, and exit code 0.
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How this start was asked for; `if_locked` goes before what the job says."""

    if_locked: Locked | None = None
    run_dir: Path | None = None
    new: bool = False


def run_job(asked: Asked, config: Config, way: Way, *, manner: Manner, seat: Seat) -> ExitCode:
    """
    Carry out what a start of a job has to do, once it is its turn; return the exit code.

    A run of an earlier day that is unfinished goes first, and the day's follows.
    """
    job = asked.job
    assert job is not None

    def work() -> Ending:
        earlier = ExitCode.OK
        while True:
            with announcing(config.hooks, job=job.name) as ending:
                start = _start(job, asked, config, way, seat)
                if start is None:
                    words = f"Job {job.name} has nothing to try again; this start is left out."
                    seat.skipped(words, code=earlier)
                else:
                    plan = Plan(start.prepared, start.asked, config)
                    ending.about(plan.prepared.run)
                    finished = carried_out(plan, manner=manner, seat=seat)
                    ending.code = finished.code
                    follows = start.more and ending.code in FINISHED
                    if not follows:
                        # What is said last is what the start ends with, all its runs considered.
                        finished = replace(finished, code=finished.code or earlier)
                    seat.ended(plan, finished, last=not follows)
            if start is None or not start.more or ending.code not in FINISHED:
                break
            earlier = max(earlier, ending.code)
        ending.code = ending.code or earlier
        return ending

    return in_turn(job, config, way, work, seat=seat)


def _start(job: Job, asked: Asked, config: Config, way: Way, seat: Seat) -> Start | None:
    """Return the run of this start; each manifest its own, unless the job says otherwise."""
    if way.run_dir is not None and job.retry:
        raise UsageError(f"{job.source}: --run-dir with a job that retries; expected --new at most")
    if way.run_dir is not None or job.each == "manifest":
        with seat.planning() as told:
            plan = planned(asked, config, run_dir=way.run_dir, new=way.new, told=told)
        return Start(asked, plan.prepared)
    # It would be refused all the same, after all that planning takes.
    is_wanted(config)
    today = datetime.now().astimezone().date()
    return start_of(job, asked, config, today=today, new=way.new, tell=seat.tell)


def in_turn(
    job: Job, config: Config, way: Way, work: Callable[[], Ending], *, seat: Seat
) -> ExitCode:
    """
    Do `work` while holding the job's lock, and write down its begin and its end.

    What a start does that finds the job locked, `way` says, or the job.
    """
    home = JobHome.of(job, config)
    how = Locked(way.if_locked or job.if_locked)
    with ExitStack() as stack:
        try:
            stack.enter_context(home.locked(wait=how is Locked.WAIT))
        except LockedError as error:
            home.note("skipped" if how is Locked.SKIP else "locked", reason=str(error))
            if how is not Locked.SKIP:
                raise
            seat.skipped(
                f"Job {home.name} runs already; this start is left out, as {home.journal} says."
            )
            return ExitCode.OK
        begun = datetime.now(tz=UTC)
        home.note("started", file=str(job.source.absolute()))
        try:
            ending = work()
        except BulkopsError as error:
            home.note("ended", exit=int(error.exit_code), reason=str(error))
            raise
        ending.run = ending.run or _planned_since(job, config, begun)
        facts = ending.facts()
        kept = ("run", "exit", "reason", "rows", "statuses")
        home.note("ended", **{name: facts[name] for name in kept})
        _remove_old(job, home, config, seat)
    return ending.code


def _planned_since(job: Job, config: Config, begun: datetime) -> RunDirectory | None:
    """Return the run that a reconciliation planned since then, if there is one."""
    known = runs_of(job.name, all_runs(config.run.directory)) if job.reconciles else ()
    last = known[-1] if known else None
    return last.run if last and datetime.fromisoformat(last.planned_at) >= begun else None


def _remove_old(job: Job, home: JobHome, config: Config, seat: Seat) -> None:
    if job.days_kept is None:
        return
    ended = _reconciled(job, config) if job.reconciles else ()
    removed = remove_old(
        home, config.run.directory, days=job.days_kept, now=time.time(), ended=ended
    )
    if removed:
        home.note("removed", runs=removed)
        seat.tell(
            f"Removed finished runs of {job.name} older than {job.keep}: {', '.join(removed)}"
        )


def _reconciled(job: Job, config: Config) -> list[RunDirectory]:
    """Return the folders of a job's reconciliations that came to their end."""
    home = Home.of(of_job(job, Asking(desired=())), config)
    return [RunDirectory(Path(each["run"])) for each in home.history() if each["type"] == "ended"]
