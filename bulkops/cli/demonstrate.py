"""
The verb `demo`: a real run that needs no organisation.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import bulkops
from bulkops import Manner
from bulkops.cli.common import AsJson, Quiet, Verbose, begin, talk
from bulkops.cli.demo import begun_emulator, demo_config, write_demo
from bulkops.cli.display import planning
from bulkops.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add the verb of this file to `app`."""
    app.command("demo")(demo)


def demo(
    *,
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the demonstration's files go.")
    ] = Path("bulkops-demo"),
    rows: Annotated[int, typer.Option(min=300, help="Rows of the manifest.")] = 20_000,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Watch a real job: a mixed manifest, planned and run against the built-in emulator.

    The manifest has bad rows on purpose, so that the true exit code is 3.
    """
    _, redactor = begin(None, verbose=verbose, quiet=quiet)
    console = talk()
    manifest, world = write_demo(directory, rows=rows)
    with begun_emulator(world, directory / "emulator.log") as url:
        if not quiet:
            console.print(f"An emulated organisation answers at {url}; the manifest is {manifest}.")
        config = demo_config(directory, url)
        with planning(console, quiet=quiet) as told:
            plan = bulkops.plan(manifest, config=config, new=True, told=told)
        finished = bulkops.carry_out(
            plan,
            manner=Manner(signals=True, remember_secret=redactor.register_secret),
            seat=Terminal(yes=True, as_json=as_json, quiet=quiet, passing=True),
        )
    if not quiet:
        console.print(
            "The emulated organisation has ended with the demonstration. What a run can do besides "
            "(retry, undo, verify) needs one that stays: see Rehearse in the README."
        )
    sys.exit(int(finished.code))
