"""
The verbs for after a run: `verify` what it claims, and `undo` what it did.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import bulkops
from bulkops import Takeback, Verification
from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    Quiet,
    RunArgument,
    Verbose,
    Wait,
    Yes,
    begin,
    manner_of,
    pairs,
    print_json,
    talk,
)
from bulkops.cli.console import say
from bulkops.cli.results import result_json
from bulkops.cli.terminal import Terminal
from bulkops.errors import ExitCode, UsageError
from bulkops.library.verifying import CLAIMS, parse_lines

Lines = Annotated[
    str | None, typer.Option("--lines", metavar="5,7-9", help="These lines of the manifest alone.")
]
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
    wait: Wait = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Read back from the organisation what a run claims; exit with 3 if a line disagrees.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    directory = bulkops.find_run(run, loaded)

    def told(count: int) -> None:
        if not quiet and not as_json:
            talk().print(f"Reading back {count:,} lines of {escape(directory.name)} …")

    found = asyncio.run(
        bulkops.verify(
            directory,
            share=None if sample is None else _share(sample),
            lines=None if lines is None else _lines(lines),
            everything=everything,
            config=loaded,
            manner=manner_of(redactor, config, wait=wait),
            told=told,
        )
    )
    code = ExitCode.OK if found.holds else ExitCode.INCOMPLETE
    if as_json:
        disagreeing = [each.to_json() for each in found.disagreements]
        facts = {"run": str(directory), "exit": int(code), **found.to_json(), "lines": disagreeing}
        print_json({"v": 1, **facts})
    elif not quiet:
        _tell(directory, found)
    sys.exit(int(code))


def _share(text: str) -> float:
    """Read a share. Raises `UsageError` for what is none."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"--sample {text}: expected a share such as 1% or 0.01")
    return share


def _lines(text: str) -> frozenset[int]:
    try:
        return parse_lines(text)
    except ValueError:
        raise UsageError(f"--lines {text}: expected line numbers such as 5,7-9") from None


def _tell(run: Path, found: Verification) -> None:
    read = found.checked.total()
    none = "" if read else "; none of those asked for claims anything (--all asks for all)"
    say(f"{run.name}: {read:,} lines read back{none}")
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
    wait: Wait = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Take back what a run changed, as a run of its own: planned, logged, resumable.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    directory = bulkops.find_run(run, loaded)
    taking = bulkops.undo(
        directory,
        lines=None if lines is None else _lines(lines),
        where=pairs(where, "--where"),
        config=loaded,
    )
    if not quiet:
        _tell_left_out(taking)
    kept = {"left_out": sum(taking.left_out.values())}
    if taking.plan is None:
        code = taking.code()
        if not quiet:
            talk().print("There is nothing to take back.")
        if as_json:
            print_json({"v": 1, "run": str(directory), "exit": int(code), "lines": 0, **kept})
        sys.exit(int(code))
    seat = Terminal(yes=yes, quiet=quiet)
    manner = manner_of(redactor, config, wait=wait)
    finished = bulkops.carry_out(taking.plan, manner=manner, seat=seat)
    code = taking.code(finished.code)
    if not quiet and code is not finished.code:
        talk().print(f"Exit code {int(code)}: some lines are left as they are.")
    if as_json:
        told = result_json(taking.plan, replace(finished, code=code))
        print_json({**told, "undone": str(directory), **kept})
    sys.exit(int(code))


def _tell_left_out(taking: Takeback) -> None:
    console = talk()
    for why, number in taking.left_out.items():
        console.print(f"{number:,} lines are left as they are: {escape(why)}", soft_wrap=True)
    if taking.left_out:
        console.print(f"They are listed in {escape(str(taking.rest))}.", soft_wrap=True)
