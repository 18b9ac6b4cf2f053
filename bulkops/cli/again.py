"""
The verb that sends again what did not end well: `retry`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    New,
    Quiet,
    RunDir,
    Verbose,
    begin,
    named_run,
    talk,
)
from bulkops.cli.display import planning
from bulkops.cli.measure import MetricsPath, with_metrics
from bulkops.cli.plan_run import MaxCredits, Wait, Yes, carry_out
from bulkops.engine.hooks import announcing
from bulkops.engine.retry import free_beside, retry_of
from bulkops.engine.rig import Manner
from bulkops.files.config import load_config
from bulkops.files.prepare import prepare


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
    loaded = with_metrics(loaded, metrics_file)
    asked, usual = retry_of(*(named_run(loaded, run) for run in runs))
    if run_dir is None:
        run_dir = free_beside(usual) if new else usual
    with planning(talk(), quiet=quiet) as told:
        prepared = prepare(asked, loaded, run_dir=run_dir, new=new, told=told)
    with announcing(loaded.hooks) as ending:
        ending.about(prepared.run)
        manner = Manner(wait=wait, max_credits=max_credits, reload=lambda: load_config(config))
        ending.code = carry_out(
            asked, prepared, loaded, redactor, yes=yes, as_json=as_json, quiet=quiet, manner=manner
        )
    sys.exit(int(ending.code))
