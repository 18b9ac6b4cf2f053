"""
The verb that makes the organisation hold what a file says: `reconcile`, and its job files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import bulkops
from bulkops import Asking
from bulkops.cli.asking import Fields, InputFormat, Maps, Sets
from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    MaxCredits,
    New,
    Quiet,
    RunDir,
    Verbose,
    Wait,
    Yes,
    begin,
    manner_of,
    pairs,
)
from bulkops.cli.terminal import Terminal

Desired = Annotated[
    list[Path],
    typer.Argument(
        metavar="DESIRED...|JOB.toml",
        help="What should be there: files or patterns of them, without an op; or a job file.",
    ),
]
Prune = Annotated[
    bool | None,
    typer.Option("--prune/--no-prune", help="Take away what is there and not in DESIRED."),
]
Parents = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Records that are in the scope too, though they should hold nothing."
    ),
]
ScopeTerritories = Annotated[
    str, typer.Option("--scope-territories", metavar="ID,...", help="Only these territories.")
]
Actual = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Believe this export instead of reading.")
]
MaxChange = Annotated[
    str | None, typer.Option(metavar="SHARE", help='Exit 8 if more would change; "" for any.')
]
MaxUnlink = Annotated[
    int | None,
    typer.Option(metavar="N", min=-1, help="Exit 8 if more would be taken away; -1 for any."),
]
MaxDeviation = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE", help='Exit 8 if DESIRED has so many more or fewer rows; "" for any.'
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("reconcile")(reconcile_files)


def reconcile_files(
    desired: Desired,
    *,
    fixed: Sets = None,
    columns: Maps = None,
    fields: Fields = None,
    file_format: InputFormat = None,
    parents: Parents = None,
    scope_territories: ScopeTerritories = "",
    actual: Actual = None,
    prune: Prune = None,
    max_change: MaxChange = None,
    max_unlink: MaxUnlink = None,
    max_deviation: MaxDeviation = None,
    config: ConfigPath = None,
    run_dir: RunDir = None,
    new: New = False,
    yes: Yes = False,
    wait: Wait = False,
    max_credits: MaxCredits = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """
    Make the organisation hold what a file says: read, compare, ask, and send the difference.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=quiet)
    rules = {
        "prune": prune,
        "max_change": max_change,
        "max_unlink": max_unlink,
        "max_deviation": max_deviation,
    }
    asking = Asking(
        desired=tuple(desired),
        columns=pairs(columns, "--map"),
        fixed=pairs(fixed, "--set"),
        fields=tuple(fields or ()),
        file_format=file_format,
        parents=parents,
        territories=frozenset(each.strip() for each in scope_territories.split(",") if each),
        actual=actual,
    )
    code = bulkops.reconcile(
        asking,
        loaded,
        rules={name: value for name, value in rules.items() if value is not None},
        run_dir=run_dir,
        new=new,
        manner=manner_of(redactor, config, wait=wait, max_credits=max_credits),
        seat=Terminal(yes=yes, as_json=as_json, quiet=quiet),
    )
    sys.exit(int(code))
