"""
The verb that sends again what did not end well: `retry`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import bulkops
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
    talk,
)
from bulkops.cli.display import planning
from bulkops.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("retry")(retry)


def retry(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs, by name or directory.")
    ],
    *,
    config: ConfigPath = None,
    run_dir: RunDir = None,
    new: New = False,
    yes: Yes = False,
    wait: Wait = False,
    max_credits: MaxCredits = None,
    metrics_file: MetricsPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Send again the rows of finished runs that are not in their wanted state, as one new run.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    with planning(talk(), quiet=quiet) as told:
        plan = bulkops.retry(
            *runs, config=loaded, run_dir=run_dir, new=new, metrics_file=metrics_file, told=told
        )
    finished = bulkops.carry_out(
        plan,
        manner=manner_of(redactor, config, wait=wait, max_credits=max_credits),
        seat=Terminal(yes=yes, as_json=as_json, quiet=quiet),
    )
    sys.exit(int(finished.code))
