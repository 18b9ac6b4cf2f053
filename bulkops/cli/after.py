"""
The verbs for after a run: `verify` what it claims, and `undo` what it did.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    Quiet,
    Verbose,
    begin,
    named_run,
    pairs,
    print_json,
    talk,
)
from bulkops.cli.console import say
from bulkops.cli.look import RunArgument
from bulkops.cli.plan_run import Yes, carry_out
from bulkops.engine.hooks import announcing
from bulkops.engine.undo import Undoing, undo_of
from bulkops.engine.verify import CLAIMS, Claims, Verification, Which, parse_lines, verified
from bulkops.errors import ExitCode, PlanStaleError, UsageError
from bulkops.files.config import Config
from bulkops.files.prepare import Asked, Prepared, prepare
from bulkops.files.rundir import RunDirectory
from bulkops.model import WANTED

Lines = Annotated[
    str | None, typer.Option("--lines", metavar="5,7-9", help="These lines of the manifest alone.")
]
_SHARE = 0.01
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("verify")(verify_run)
    app.command("undo")(undo)


def verify_run(
    run: RunArgument,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every line that was sent, failed ones as well.")
    ] = False,
    sample: Annotated[
        str | None,
        typer.Option("--sample", metavar="1%", help="A share of the lines (default: 1%)."),
    ] = None,
    lines: Lines = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Read back from the organisation what a run claims; exit with 3 if a line disagrees.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    directory = named_run(loaded, run)
    claims = Claims(directory, _which(everything=everything, sample=sample, lines=lines))
    if not quiet and not as_json:
        talk().print(f"Reading back {claims.count:,} lines of {escape(directory.name)} …")
    found = asyncio.run(
        verified(directory, claims, loaded, remember_secret=redactor.register_secret)
    )
    if as_json:
        told = [each.to_json() for each in found.disagreements]
        print_json({"v": 1, "run": str(directory.path), **found.to_json(), "lines": told})
    elif not quiet:
        _tell(directory, found)
    sys.exit(int(ExitCode.OK if found.holds else ExitCode.INCOMPLETE))


def _which(*, everything: bool, sample: str | None, lines: str | None) -> Which:
    """Read which lines are meant. Raises `UsageError` for what is no share and no line."""
    if lines is not None:
        return Which(CLAIMS, lines=_lines(lines))
    if everything and sample is None:
        return Which(CLAIMS)
    statuses = CLAIMS if everything else tuple(WANTED)
    if sample is None:
        return Which(statuses, _SHARE)
    try:
        share = float(sample.removesuffix("%")) / (100 if sample.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"--sample {sample}: expected a share such as 1% or 0.01")
    return Which(statuses, share)


def _lines(text: str) -> frozenset[int]:
    try:
        return parse_lines(text)
    except ValueError:
        raise UsageError(f"--lines {text}: expected line numbers such as 5,7-9") from None


def _tell(run: RunDirectory, found: Verification) -> None:
    say(f"{run.name}: {found.checked.total():,} lines read back")
    for status in CLAIMS:
        if found.checked[status]:
            say(
                f"  {status.value:<10} {found.checked[status]:>10,} read, "
                f"{found.disagreeing[status]:,} disagree, {found.unreadable[status]:,} unreadable"
            )
    for each in found.disagreements[:_SHOWN]:
        holds = {True: "its wish holds", False: "its wish does not hold", None: "not readable"}
        why = f" ({each.why})" if each.why else ""
        say(f"  line {each.line}: {each.status.value}, but {holds[each.holds]}{why}")
    if len(found.disagreements) > _SHOWN:
        say(f"  … and {len(found.disagreements) - _SHOWN:,} more in verification.jsonl")


def undo(
    run: RunArgument,
    *,
    lines: Lines = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Lines with this in their outcome."),
    ] = None,
    config: ConfigPath = None,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Take back what a run changed, as a run of its own: planned, logged, resumable.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    directory = named_run(loaded, run)
    with directory.locked():
        undoing = undo_of(
            directory,
            lines=None if lines is None else _lines(lines),
            where=pairs(where, "--where"),
            others=_others(directory),
            relations=loaded.relations,
        )
    if not quiet:
        _tell_left_out(undoing)
    code = ExitCode.OK
    if undoing.lines:
        prepared = _prepared(undoing, loaded)
        with announcing(loaded.hooks) as ending:
            ending.about(prepared.run)
            code = ending.code = carry_out(
                undoing.asked, prepared, loaded, redactor, yes=yes, as_json=as_json, quiet=quiet
            )
    elif as_json:
        print_json({"v": 1, "run": str(directory.path), "lines": 0})
    elif not quiet:
        talk().print("There is nothing to take back.")
    if code is ExitCode.OK and undoing.left_out:
        code = ExitCode.INCOMPLETE
    sys.exit(int(code))


def _others(run: RunDirectory) -> list[RunDirectory]:
    """Return the runs beside `run` that may have changed something since it did."""
    found = [RunDirectory(each.parent) for each in run.path.parent.glob("*/checkpoint.jsonl")]
    return sorted(
        (each for each in found if each.path != run.path and each.plan.exists()),
        key=lambda each: each.name,
    )


def _prepared(undoing: Undoing, config: Config) -> Prepared:
    """Return the undo's run: the one that was begun for the same lines, or a new one."""
    asked: Asked = undoing.asked
    for number in count(1):
        run_dir = Path(f"{undoing.run_dir}-{number}" if number > 1 else undoing.run_dir)
        try:
            return prepare(asked, config, run_dir=run_dir)
        except PlanStaleError:
            # Made for other lines of the same run.
            continue
    raise AssertionError


def _tell_left_out(undoing: Undoing) -> None:
    console = talk()
    for why, number in undoing.left_out.most_common():
        console.print(f"{number:,} lines are left as they are: {escape(why)}", soft_wrap=True)
    if undoing.left_out:
        console.print(f"They are listed in {escape(str(undoing.rest))}.", soft_wrap=True)
