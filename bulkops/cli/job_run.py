"""
One start of a job: its turn, its run, its end, and the removal of what is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bulkops.cli.common import print_json, talk
from bulkops.cli.display import planning
from bulkops.engine.hooks import FINISHED, Ending, announcing
from bulkops.engine.jobs import JobHome, Start, remove_old, start_of
from bulkops.engine.jobs.runs import all_runs, runs_of
from bulkops.engine.reconcile.asking import Asking
from bulkops.engine.reconcile.home import Home
from bulkops.errors import BulkopsError, ExitCode, LockedError, UsageError
from bulkops.files.config import Config
from bulkops.files.jobfile import Job
from bulkops.files.prepare import Asked, prepare
from bulkops.files.rundir import RunDirectory


class Locked(StrEnum):
    """What a start of a job does while another one runs."""

    #: End with exit code 7.
    FAIL = "fail"
    #: Wait for the other's end, then start.
    WAIT = "wait"
    #: Leave this start out: a line in the journal, and exit code 0.
    SKIP = "skip"


IfLocked = Annotated[
    Locked | None,
    typer.Option("--if-locked", help="Of a job that runs already: fail (7), wait, or skip (0)."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How this start was asked for on the command line."""

    if_locked: Locked | None = None
    run_dir: Path | None = None
    new: bool = False
    as_json: bool = False
    quiet: bool = False


def run_job(
    asked: Asked, config: Config, way: Way, *, carry_out: Callable[[Start], ExitCode]
) -> ExitCode:
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
                start = _start(job, asked, config, way)
                if start is not None:
                    ending.about(start.prepared.run)
                    ending.code = carry_out(start)
            if start is None or not start.more or ending.code not in FINISHED:
                break
            earlier = max(earlier, ending.code)
        ending.code = ending.code or earlier
        return ending

    return in_turn(job, config, way, work)


def _start(job: Job, asked: Asked, config: Config, way: Way) -> Start | None:
    """Return the run of this start; each manifest its own, unless the job says otherwise."""
    if way.run_dir is not None and job.retry:
        raise UsageError(f"{job.source}: --run-dir with a job that retries; expected --new at most")
    if way.run_dir is not None or job.each == "manifest":
        with planning(talk(), quiet=way.quiet) as told:
            prepared = prepare(asked, config, run_dir=way.run_dir, new=way.new, told=told)
        return Start(asked, prepared)
    today = datetime.now().astimezone().date()
    return start_of(job, asked, config, today=today, new=way.new, tell=_teller(way))


def in_turn(job: Job, config: Config, way: Way, work: Callable[[], Ending]) -> ExitCode:
    """
    Do `work` while holding the job's lock, and write down its begin and its end.

    What a start does that finds the job locked, the command line says, or the job.
    """
    home = JobHome.of(job, config)
    how = way.if_locked or Locked(job.if_locked)
    with ExitStack() as stack:
        try:
            stack.enter_context(home.locked(wait=how is Locked.WAIT))
        except LockedError as error:
            home.note("skipped" if how is Locked.SKIP else "locked", reason=str(error))
            if how is not Locked.SKIP:
                raise
            return _skipped(home, way)
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
        _remove_old(job, home, config, way)
    return ending.code


def _planned_since(job: Job, config: Config, begun: datetime) -> RunDirectory | None:
    """Return the run that a reconciliation planned since then, if there is one."""
    known = runs_of(job.name, all_runs(config.run.directory)) if job.reconciles else ()
    last = known[-1] if known else None
    return last.run if last and datetime.fromisoformat(last.planned_at) >= begun else None


def _skipped(home: JobHome, way: Way) -> ExitCode:
    words = f"Job {home.name} runs already; this start is left out, as {home.journal} says."
    if not way.quiet:
        talk().print(words, markup=False, soft_wrap=True)
    if way.as_json:
        print_json({"v": 1, "run": None, "exit": 0, "reason": words, "skipped": True})
    return ExitCode.OK


def _remove_old(job: Job, home: JobHome, config: Config, way: Way) -> None:
    if job.days_kept is None:
        return
    ended = _reconciled(job, config) if job.reconciles else ()
    removed = remove_old(
        home, config.run.directory, days=job.days_kept, now=time.time(), ended=ended
    )
    if removed:
        home.note("removed", runs=removed)
        _teller(way)(
            f"Removed finished runs of {job.name} older than {job.keep}: {', '.join(removed)}"
        )


def _reconciled(job: Job, config: Config) -> list[RunDirectory]:
    """Return the folders of a job's reconciliations that came to their end."""
    # It carries out what it finds as a run does, and so stands above this module.
    from bulkops.cli.reconciling import of_job

    home = Home.of(of_job(job, Asking(desired=())), config)
    return [RunDirectory(Path(each["run"])) for each in home.history() if each["type"] == "ended"]


def _teller(way: Way) -> Callable[[str], None]:
    def tell(words: str) -> None:
        if not way.quiet:
            talk().print(escape(words), soft_wrap=True)

    return tell
