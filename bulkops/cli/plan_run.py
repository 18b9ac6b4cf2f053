"""
The verbs that plan and send: `plan`, `run`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    Fields,
    InputFormat,
    Maps,
    New,
    Op,
    Quiet,
    RunDir,
    Sets,
    Verbose,
    begin,
    confirm,
    pairs,
    print_json,
    talk,
)
from bulkops.cli.console import say
from bulkops.cli.display import planning, watching
from bulkops.cli.ending import print_end
from bulkops.cli.job_run import IfLocked, Way, in_turn, run_job
from bulkops.cli.log import Redactor
from bulkops.cli.measure import MetricsPath, measuring, with_metrics
from bulkops.cli.preview import Explain, Latency, Sample, tell_about, tell_sample
from bulkops.cli.words import plan_table, print_plan
from bulkops.engine.execute import Ended, execute, final_code, progress_of, tally_of
from bulkops.engine.hooks import FINISHED, Ending, announcing
from bulkops.engine.jobs import Start
from bulkops.engine.rig import Manner
from bulkops.errors import ExitCode, UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config, load_config
from bulkops.files.manifest import Format
from bulkops.files.manifest.places import say_place
from bulkops.files.outcomes import count_outcomes
from bulkops.files.prepare import Asked, Prepared, ask, prepare
from bulkops.files.preview import Cost, cost_of

Manifests = Annotated[
    list[Path],
    typer.Argument(
        metavar="MANIFEST...|JOB.toml",
        help="What is to be done: files or patterns of them, - for standard input; or a job file.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for the window and for credits; do not exit with 5.")
]
MaxCredits = Annotated[
    int | None,
    typer.Option("--max-credits", min=1, metavar="N", help="Spend at most so many, then exit 5."),
]
ResumeStopped = Annotated[
    bool,
    typer.Option("--resume-stopped", help="Send the lines of aborted groups again, once mended."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("plan")(plan)
    app.command("run")(run)


def plan(
    manifest: Manifests,
    *,
    op: Op = None,
    fixed: Sets = None,
    columns: Maps = None,
    fields: Fields = None,
    file_format: InputFormat = None,
    config: ConfigPath = None,
    run_dir: RunDir = None,
    new: New = False,
    latency: Latency = None,
    sample: Sample = None,
    explain: Explain = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """
    Plan a manifest without sending anything, and show what it costs.
    """
    loaded, _ = begin(config, verbose=verbose, quiet=False)
    asked, loaded = _ask(
        manifest,
        loaded,
        op=op,
        fixed=fixed,
        columns=columns,
        fields=fields,
        file_format=file_format,
    )
    if asked.job and asked.job.retry:
        raise UsageError(
            f"{manifest[0]}: what it tries again is known when it starts; bulkops run shows it "
            "and asks"
        )
    with planning(talk(), quiet=False) as told:
        prepared = prepare(asked, loaded, run_dir=run_dir, new=new, told=told)
    if explain is not None:
        return tell_about(prepared, loaded, explain, as_json=as_json)
    if sample is not None:
        return tell_sample(prepared, loaded, sample, as_json=as_json)
    cost = cost_of(prepared, loaded, now=time.time(), latency_s=latency)
    if as_json:
        return print_json(plan_json(prepared, loaded, cost))
    return say(plan_table(prepared, cost, width=None), nl=False)


def _ask(
    manifests: list[Path],
    config: Config,
    *,
    op: str | None,
    fixed: list[str] | None,
    columns: list[str] | None,
    fields: list[str] | None,
    file_format: Format | None,
) -> tuple[Asked, Config]:
    """Return what the words of the command line ask for."""
    if reconciles(manifests):
        raise UsageError(
            f"{manifests[0]}: a reconciliation has no plan before it has read what is there; "
            "bulkops run or reconcile reads, shows its plan and asks"
        )
    return ask(
        tuple(manifests),
        config,
        op=op,
        fixed=pairs(fixed, "--set"),
        columns=pairs(columns, "--map"),
        fields=tuple(fields or ()),
        file_format=file_format,
    )


def reconciles(targets: Sequence[Path]) -> bool:
    """Return whether a job file of a reconciliation is named alone."""
    named = len(targets) == 1 and targets[0].suffix == ".toml"
    return named and jobfile.load_job(targets[0]).reconciles


def plan_json(prepared: Prepared, config: Config, cost: Cost) -> dict[str, object]:
    """Return the plan in its machine-readable form."""
    return {
        "v": 1,
        "run": str(prepared.run.path),
        "rows": prepared.rows,
        "digest": prepared.digest,
        **prepared.summary.to_json(),
        "concurrency": config.limits.ceiling,
        "seconds": round(cost.seconds, 1),
        "cost": cost.to_json(),
        "credits_of_day": config.limits.credits,
        "files": [
            {"file": part.name, "first_line": part.first_line, "rows": part.rows}
            for part in prepared.parts
        ],
        "warnings": [
            {**hint.to_json(), "places": [say_place(prepared.parts, line) for line in hint.lines]}
            for hint in prepared.hints
        ],
    }


def run(
    manifest: Manifests,
    *,
    op: Op = None,
    fixed: Sets = None,
    columns: Maps = None,
    fields: Fields = None,
    file_format: InputFormat = None,
    config: ConfigPath = None,
    run_dir: RunDir = None,
    new: New = False,
    yes: Yes = False,
    wait: Wait = False,
    max_credits: MaxCredits = None,
    metrics_file: MetricsPath = None,
    resume_stopped: ResumeStopped = False,
    if_locked: IfLocked = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Plan a manifest, ask, and send it; the same command again goes on where it stopped.
    """
    way = Way(if_locked=if_locked, run_dir=run_dir, new=new, as_json=as_json, quiet=quiet)
    if reconciles(manifest):
        # That verb carries out what it finds as this one does, and so stands above it.
        from bulkops.cli.reconcile import reconcile_files

        if metrics_file:
            raise UsageError("--metrics-file: a reconciliation has `metrics_file` in [run] instead")
        if op or resume_stopped:
            raise UsageError(
                "--op and --resume-stopped: a reconciliation finds out what is to be done"
            )
        reconciling = partial(
            reconcile_files,
            manifest,
            fixed=fixed,
            columns=columns,
            fields=fields,
            file_format=file_format,
            config=config,
            run_dir=run_dir,
            new=new,
            yes=yes,
            wait=wait,
            max_credits=max_credits,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
        )
        job = jobfile.load_job(manifest[0])
        code = in_turn(job, _reload(manifest, config), way, partial(_ending_of, reconciling))
        sys.exit(int(code))
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    asked, loaded = _ask(
        manifest,
        loaded,
        op=op,
        fixed=fixed,
        columns=columns,
        fields=fields,
        file_format=file_format,
    )
    loaded = with_metrics(loaded, metrics_file)
    manner = Manner(
        wait=wait,
        max_credits=max_credits,
        resume_stopped=resume_stopped,
        reload=lambda: _reload(manifest, config),
    )

    def send(start: Start) -> ExitCode:
        return carry_out(
            start.asked,
            start.prepared,
            loaded,
            redactor,
            yes=yes,
            as_json=as_json,
            quiet=quiet,
            manner=manner,
            follows=start.more,
        )

    if asked.job:
        sys.exit(int(run_job(asked, loaded, way, carry_out=send)))
    if if_locked:
        raise UsageError("--if-locked is for job files; a manifest's run is locked by itself")
    # What somebody mistyped is nobody else's news: they hear of runs alone, and of jobs.
    with planning(talk(), quiet=quiet) as told:
        prepared = prepare(asked, loaded, run_dir=run_dir, new=new, told=told)
    with announcing(loaded.hooks) as ending:
        ending.about(prepared.run)
        ending.code = send(Start(asked, prepared))
    sys.exit(int(ending.code))


def _ending_of(reconciling: Callable[[], None]) -> Ending:
    """Reconcile, and return how it ended."""
    try:
        reconciling()
    except SystemExit as end:
        return Ending(code=ExitCode(int(end.code or 0)))
    return Ending()


def _reload(targets: Sequence[Path], config: Path | None) -> Config:
    """Read the configuration again, and the job over it if there is one."""
    loaded = load_config(config)
    for target in targets:
        if target.suffix == ".toml":
            loaded = jobfile.apply(jobfile.load_job(target), loaded)
    return loaded


def carry_out(
    asked: Asked,
    prepared: Prepared,
    config: Config,
    redactor: Redactor,
    *,
    yes: bool,
    as_json: bool,
    quiet: bool,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
    follows: bool = False,
) -> ExitCode:
    """
    Show the plan, ask, run, and show the end.

    A finished run is told about and left alone, unless `manner` opens lines of it again. If
    another run `follows` this one once it is finished, JSON is left to that one.
    """
    console = talk()
    if prepared.rows == 0:
        words = " ".join(map(str, asked.inputs))
        console.print(f"{words}: no rows; nothing to do", highlight=False)
        return ExitCode.OK
    progress = progress_of(prepared, mend=False)
    stopped = sum(map(len, progress.stopped.values()))
    if manner.resume_stopped:
        progress.reopen()
    if prepared.run.checkpoint.exists() and progress.finished and not progress.unknown:
        tally = tally_of(prepared, progress)
        ended = Ended(final_code(tally), "", tally)
        with measuring(asked, prepared, config, tally.to_json()) as measured:
            measured.code = ended.code
        if not quiet:
            console.print(
                f"Run {prepared.run.name} is finished already; nothing is sent. To do it all over "
                "again, add --new."
            )
            if stopped:
                console.print(
                    f"{stopped:,} lines went with calls that the server refuses altogether. Once "
                    "that is mended, --resume-stopped sends them again."
                )
        return _tell(prepared, ended, as_json=as_json and not follows, quiet=quiet)
    if not quiet:
        cost = cost_of(prepared, config, now=time.time(), latency_s=None)
        print_plan(console, prepared, cost, settled=len(progress.settled))
    if prepared.summary.total.calls:
        calls = f"{prepared.summary.total.calls:,} calls"
        confirm(f"Send {calls} to {config.api.api_url}?", yes=yes or not asked.confirm)
    planned = {"rows": prepared.rows, "planned_calls": prepared.summary.total.calls}
    with (
        measuring(asked, prepared, config, planned) as measured,
        watching(console, measured.take, quiet=quiet) as watch,
    ):
        ended = asyncio.run(
            execute(
                prepared,
                config,
                remember_secret=redactor.register_secret,
                watch=watch,
                manner=manner,
            )
        )
        measured.code = ended.code
    as_json = as_json and not (follows and ended.code in FINISHED)
    return _tell(prepared, ended, as_json=as_json, quiet=quiet)


def _tell(prepared: Prepared, ended: Ended, *, as_json: bool, quiet: bool) -> ExitCode:
    if as_json:
        print_json(
            {
                "v": 1,
                "run": str(prepared.run.path),
                "exit": int(ended.code),
                "reason": ended.reason,
                "rows": prepared.rows,
                "statuses": {status.value: n for status, n in ended.tally.statuses.items()},
                "calls": ended.tally.calls,
                "outcomes": count_outcomes(prepared.run),
            }
        )
    if not quiet:
        print_end(talk(), prepared, ended)
    return ended.code
