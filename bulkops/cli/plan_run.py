"""
The verbs that plan and send: `plan`, `run`, `retry`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    Fields,
    Maps,
    New,
    Op,
    Quiet,
    RunDir,
    Sets,
    Verbose,
    begin,
    confirm,
    named_run,
    pairs,
    talk,
)
from bulkops.cli.display import watching
from bulkops.cli.words import plan_table, print_end, print_plan
from bulkops.config import Config
from bulkops.errors import ExitCode
from bulkops.execute import Ended, execute, final_code, progress_of, tally_of
from bulkops.log import Redactor
from bulkops.outcomes import count_outcomes
from bulkops.prepare import Asked, Prepared, ask, prepare
from bulkops.retry import retry_of

Manifest = Annotated[Path, typer.Argument(metavar="MANIFEST|JOB.toml", help="What is to be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("plan")(plan)
    app.command("run")(run)
    app.command("retry")(retry)


def plan(
    manifest: Manifest,
    *,
    op: Op = None,
    fixed: Sets = None,
    columns: Maps = None,
    fields: Fields = None,
    config: ConfigPath = None,
    run_dir: RunDir = None,
    new: New = False,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """
    Plan a manifest without sending anything, and show what it costs.
    """
    loaded, _ = begin(config, verbose=verbose, quiet=False)
    asked, loaded = _ask(manifest, loaded, op=op, fixed=fixed, columns=columns, fields=fields)
    prepared = prepare(asked, loaded, run_dir=run_dir, new=new)
    if as_json:
        _print_json(plan_json(prepared, loaded))
    else:
        typer.echo(plan_table(prepared, loaded, width=None), nl=False)


def _ask(
    manifest: Path,
    config: Config,
    *,
    op: str | None,
    fixed: list[str] | None,
    columns: list[str] | None,
    fields: list[str] | None,
) -> tuple[Asked, Config]:
    """Return what the words of the command line ask for."""
    return ask(
        manifest,
        config,
        op=op,
        fixed=pairs(fixed, "--set"),
        columns=pairs(columns, "--map"),
        fields=tuple(fields or ()),
    )


def plan_json(prepared: Prepared, config: Config) -> dict[str, object]:
    """Return the plan in its machine-readable form."""
    return {
        "v": 1,
        "run": str(prepared.run.path),
        "rows": prepared.rows,
        "digest": prepared.digest,
        **prepared.summary.to_json(),
        "concurrency": config.limits.ceiling,
        "seconds": round(prepared.summary.seconds(config.limits.ceiling), 1),
        "credits_of_day": config.limits.credits,
    }


def run(
    manifest: Manifest,
    *,
    op: Op = None,
    fixed: Sets = None,
    columns: Maps = None,
    fields: Fields = None,
    config: ConfigPath = None,
    run_dir: RunDir = None,
    new: New = False,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Plan a manifest, ask, and send it; the same command again goes on where it stopped.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    asked, loaded = _ask(manifest, loaded, op=op, fixed=fixed, columns=columns, fields=fields)
    prepared = prepare(asked, loaded, run_dir=run_dir, new=new)
    code = carry_out(asked, prepared, loaded, redactor, yes=yes, as_json=as_json, quiet=quiet)
    sys.exit(int(code))


def retry(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, by name or directory.")],
    *,
    config: ConfigPath = None,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Send again the rows of a finished run that are not in their wanted state, as a new run.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    asked, run_dir = retry_of(named_run(loaded, run))
    prepared = prepare(asked, loaded, run_dir=run_dir)
    code = carry_out(asked, prepared, loaded, redactor, yes=yes, as_json=as_json, quiet=quiet)
    sys.exit(int(code))


def carry_out(
    asked: Asked,
    prepared: Prepared,
    config: Config,
    redactor: Redactor,
    *,
    yes: bool,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Show the plan, ask, run, and show the end. A finished run is told about and left alone."""
    console = talk()
    if prepared.rows == 0:
        console.print(f"{asked.manifest}: no rows; nothing to do", highlight=False)
        return ExitCode.OK
    progress = progress_of(prepared, mend=False)
    if prepared.run.checkpoint.exists() and progress.finished and not progress.unknown:
        ended = Ended(final_code(tally_of(prepared, progress)), "", tally_of(prepared, progress))
        if not quiet:
            console.print(
                f"Run {prepared.run.name} is finished already; nothing is sent. To do it all over "
                "again, add --new."
            )
        return _tell(prepared, ended, as_json=as_json, quiet=quiet)
    if not quiet:
        print_plan(console, prepared, config, settled=len(progress.settled))
    if prepared.summary.total.calls:
        calls = f"{prepared.summary.total.calls:,} calls"
        confirm(f"Send {calls} to {config.api.api_url}?", yes=yes or not asked.confirm)
    with watching(console, quiet=quiet) as watch:
        ended = asyncio.run(
            execute(prepared, config, remember_secret=redactor.register_secret, watch=watch)
        )
    return _tell(prepared, ended, as_json=as_json, quiet=quiet)


def _tell(prepared: Prepared, ended: Ended, *, as_json: bool, quiet: bool) -> ExitCode:
    if as_json:
        _print_json(
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


def _print_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
