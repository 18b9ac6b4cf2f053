"""
The verb that shows a run to people who were not there: `report`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import bulkops
from bulkops.cli.common import AsJson, ConfigPath, RunArgument, begin, print_json
from bulkops.cli.console import say


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("report")(report)


def report(
    run: RunArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write here instead of RUN/report.html."
        ),
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """
    Write the report of a run as one HTML file, and say where; works while it runs.

    With --json the figures are printed too. The file loads nothing from anywhere.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    made = bulkops.report(run, output, loaded)
    if as_json:
        print_json({**made.figures, "report": str(made.path.absolute())})
    else:
        say(str(made.path))
