"""
The verbs that plan and send: `plan`, `run`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import bulkops
from bulkops import Locked
from bulkops.cli.asking import Fields, InputFormat, Maps, Op, Sets
from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    MaxCredits,
    MetricsPath,
    New,
    Quiet,
    RunDir,
    Verbose,
    Wait,
    Yes,
    begin,
    manner_of,
    pairs,
    print_json,
    print_to,
    talk,
)
from bulkops.cli.display import planning
from bulkops.cli.plan_words import print_plan
from bulkops.cli.preview import Explain, Latency, Sample, tell_about, tell_sample
from bulkops.cli.results import plan_json
from bulkops.cli.terminal import Terminal

Manifests = Annotated[
    list[Path],
    typer.Argument(
        metavar="MANIFEST...|JOB.toml",
        help="What is to be done: files or patterns of them, - for standard input; or a job file.",
    ),
]
ResumeStopped = Annotated[
    bool,
    typer.Option("--resume-stopped", help="Send the lines of aborted groups again, once mended."),
]
IfLocked = Annotated[
    Locked | None,
    typer.Option("--if-locked", help="Of a job that runs already: fail (7), wait, or skip (0)."),
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
    with planning(talk(), quiet=False) as told:
        made = bulkops.plan(
            *manifest,
            config=loaded,
            op=op,
            fixed=pairs(fixed, "--set"),
            columns=pairs(columns, "--map"),
            fields=fields or (),
            file_format=file_format,
            run_dir=run_dir,
            new=new,
            told=told,
        )
    if explain is not None:
        return tell_about(made, explain, as_json=as_json)
    if sample is not None:
        return tell_sample(made, sample, as_json=as_json)
    cost = made.cost(latency_s=latency)
    if as_json:
        return print_json(plan_json(made, cost))
    return print_plan(print_to(sys.stdout), made, cost)


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
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    code = bulkops.start(
        *manifest,
        config=loaded,
        op=op,
        fixed=pairs(fixed, "--set"),
        columns=pairs(columns, "--map"),
        fields=fields or (),
        file_format=file_format,
        run_dir=run_dir,
        new=new,
        metrics_file=metrics_file,
        if_locked=if_locked,
        manner=manner_of(
            redactor, config, wait=wait, max_credits=max_credits, resume_stopped=resume_stopped
        ),
        seat=Terminal(yes=yes, as_json=as_json, quiet=quiet),
    )
    sys.exit(int(code))
