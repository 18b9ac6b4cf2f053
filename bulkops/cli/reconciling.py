"""
A reconciliation as a person sees it: what reading costs, how far it is, what differs, how it ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import structlog
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bulkops.cli.common import begin, print_json, talk
from bulkops.cli.log import Redactor
from bulkops.cli.plan_run import carry_out
from bulkops.engine.execute import progress_of
from bulkops.engine.hooks import announcing
from bulkops.engine.reconcile import Asking, Found, Home, Means, Preview, reconcile, settle
from bulkops.engine.rig import Manner
from bulkops.errors import ExitCode, UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config, load_config, merged
from bulkops.files.jobfile import Job
from bulkops.files.outcomes import count_outcomes
from bulkops.files.prepare import prepare

_EVERY_S = 5.0


def reconcile_as_asked(
    asking: Asking,
    config_path: Path | None,
    *,
    rules: Mapping[str, Any],
    run_dir: Path | None,
    new: bool,
    yes: bool,
    manner: Manner,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> ExitCode:
    """
    Reconcile from the lock of the reconciliation to its end; return the exit code.

    `rules` are those of `[reconcile]` that the command line gives; a job file among the files
    of `asking` is laid under both.
    """
    loaded, redactor = begin(config_path, verbose=verbose, quiet=quiet)
    job = job_among(asking.desired)
    if job is not None:
        asking, loaded = of_job(job, asking), jobfile.apply(job, loaded)
    loaded = _ruled(loaded, rules)

    def reload() -> Config:
        again = load_config(config_path)
        return _ruled(jobfile.apply(job, again) if job else again, rules)

    manner = replace(manner, reload=reload)
    home = Home.of(asking, loaded)
    with announcing(loaded.hooks, job=job.name if job else "") as ending, home.locked():
        found = _find(
            asking, loaded, redactor, home, run_dir=run_dir, new=new, manner=manner, quiet=quiet
        )
        if not quiet:
            _print_found(found)
        ended, finished = ExitCode.OK, True
        if found.numbers.changes:
            asked = replace(found.asked(confirm=asking.confirm), job=job)
            prepared = prepare(asked, loaded, run_dir=found.run.path)
            ending.about(prepared.run)
            if manner.max_credits is not None:
                left = max(1, manner.max_credits - found.reads)
                manner = replace(manner, max_credits=left)
            ended = carry_out(
                asked,
                prepared,
                loaded,
                redactor,
                yes=yes,
                as_json=False,
                quiet=quiet,
                manner=manner,
            )
            finished = progress_of(prepared, mend=False).finished
        code = ending.code = settle(home, found, ended, finished=finished)
    if as_json:
        _print_json(found, code)
    if not quiet and code is not ended:
        talk().print(f"Exit code {int(code)}: not all could be read or compared.")
    return code


def job_among(targets: tuple[Path, ...]) -> Job | None:
    """
    Return the job file that is named alone, if there is one.

    Raises `UsageError` for one that is of no reconciliation.
    """
    if len(targets) != 1 or targets[0].suffix != ".toml":
        return None
    job = jobfile.load_job(targets[0])
    if not job.reconciles:
        raise UsageError(f"{targets[0]}: is no job of a reconciliation; expected the key desired")
    return job


def of_job(job: Job, asking: Asking) -> Asking:
    """Return what a job asks for; the command line's words come before the job's."""
    return replace(
        asking,
        desired=job.manifest if isinstance(job.manifest, tuple) else (job.manifest,),
        columns={**job.columns, **asking.columns},
        fixed={**job.fixed, **asking.fixed},
        fields=(*job.fields, *asking.fields),
        file_format=asking.file_format or job.format,
        parents=asking.parents or job.parents,
        territories=asking.territories or frozenset(job.territories),
        actual=asking.actual or job.actual,
        confirm=job.confirm,
    )


def _ruled(config: Config, rules: Mapping[str, Any]) -> Config:
    """Return the configuration with what the command line says of `[reconcile]`."""
    if not rules:
        return config
    tables = merged(config.model_dump(exclude_unset=True), {"reconcile": rules})
    return Config.model_validate(tables).read_from(config.source)


def _find(
    asking: Asking,
    config: Config,
    redactor: Redactor,
    home: Home,
    *,
    run_dir: Path | None,
    new: bool,
    manner: Manner,
    quiet: bool,
) -> Found:
    """Read and compare, and show what reading costs before and while it goes on."""

    def preview(costs: Preview) -> None:
        before = f"; {costs.read_already:,} are read already" if costs.read_already else ""
        share = costs.calls / config.limits.credits
        if not quiet:
            talk().print(
                f"Reading what is there takes at least {costs.calls:,} calls for {costs.records:,} "
                f"questions{before}: {share:.1%} of the {config.limits.credits:,} credits of a day."
            )

    with _watching(quiet=quiet) as told:
        means = Means(remember_secret=redactor.register_secret, manner=manner, told=told)
        return asyncio.run(
            reconcile(asking, config, home, means, run_dir=run_dir, new=new, preview=preview)
        )


@contextmanager
def _watching(*, quiet: bool) -> Iterator[Callable[[int, int, Sequence[str]], None]]:
    """Yield what is told how far reading is: a bar on a terminal, elsewhere a line at times."""
    console, log = talk(), structlog.get_logger("bulkops.reconcile")
    next_line = time.monotonic() + _EVERY_S
    with Progress(
        TextColumn("reading"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[held]}"),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as progress:
        bar = progress.add_task("reading", total=None, held="")

        def told(count: int, total: int, held: Sequence[str]) -> None:
            nonlocal next_line
            words = f"held by {'; '.join(held)}" if held else ""
            progress.update(bar, completed=count, total=total, held=words)
            if time.monotonic() > next_line and progress.disable and not quiet:
                next_line = time.monotonic() + _EVERY_S
                log.info("reconcile.progressed", read=count, questions=total, held_by=held)

        yield told


def _print_found(found: Found) -> None:
    """Show the numbers of both sides and of the difference."""
    numbers, console = found.numbers, talk()
    console.print(
        f"DESIRED wishes {numbers.desired:,}, {numbers.actual:,} are there: {numbers.missing:,} to "
        f"link or assign, {numbers.differs:,} to update, {numbers.surplus:,} to take away."
    )
    if numbers.kept:
        console.print(f"{numbers.kept:,} more are there and are left alone.")
    for number, what, file in (
        (numbers.unread, "records could not be read: nothing is planned for them", "unread.csv"),
        (numbers.refused, "rows of DESIRED say nothing that could be compared", "refused.csv"),
    ):
        if number:
            path = found.run.path / file
            console.print(f"{number:,} {what}; see {path}", markup=False, soft_wrap=True)
    if not numbers.changes:
        console.print("Nothing to change; nothing is sent.")


def _print_json(found: Found, code: ExitCode) -> None:
    begun = found.numbers.changes and found.run.checkpoint.exists()
    print_json(
        {
            "v": 1,
            "run": str(found.run.path),
            "exit": int(code),
            "rows": found.rows,
            "reads": found.reads,
            **asdict(found.numbers),
            "outcomes": count_outcomes(found.run) if begun else [],
        }
    )
