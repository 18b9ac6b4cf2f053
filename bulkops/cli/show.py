"""
The verb that shows a run to people who were not there: `report`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli.common import AsJson, ConfigPath, begin, named_run, print_json
from bulkops.cli.console import say
from bulkops.engine.report import read_figures, to_json, write_report
from bulkops.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("report")(report)


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, by name or directory.")],
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
    directory = named_run(loaded, run)
    figures = read_figures(directory)
    try:
        written = write_report(directory, output, figures=figures)
    except OSError as error:
        raise UsageError(f"{output or directory.path}: cannot be written ({error})") from error
    if as_json:
        print_json({**to_json(figures), "report": str(written.absolute())})
    else:
        say(str(written))
