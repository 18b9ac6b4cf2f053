"""
What the verbs share: options, the configuration, logging, and asking for a yes.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import orjson
import typer
from rich.console import Console

import bulkops
from bulkops.cli.console import PlainConsole, abandon
from bulkops.cli.log import Redactor, configure, json_printable
from bulkops.errors import NotConfirmedError, UsageError

if TYPE_CHECKING:
    # They bring the engine with them, which not every verb needs.
    from bulkops import Config, Manner

ConfigPath = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The configuration file.")
]
RunDir = Annotated[
    Path | None, typer.Option("--run-dir", metavar="DIR", help="Where the run lives.")
]
New = Annotated[bool, typer.Option("--new", help="Start over under a new name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for the window and for credits; do not exit with 5.")
]
MaxCredits = Annotated[
    int | None,
    typer.Option("--max-credits", min=1, metavar="N", help="Spend at most so many, then exit 5."),
]
MetricsPath = Annotated[
    Path | None,
    typer.Option("--metrics-file", metavar="FILE", help="Write metrics for Prometheus here."),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run, by name or directory.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Tell more.")]

_WIDTH = 120


def talk() -> Console:
    """Return the console for people: standard error. A file gets lines of a fixed width."""
    return _console(sys.stderr, stderr=True)


def print_to(stream: TextIO) -> Console:
    """Return a console for what a verb prints on `stream`."""
    return _console(stream, file=stream)


def _console(stream: TextIO, **where: Any) -> Console:
    """Return a console that writes no escapes where nobody wants them (https://no-color.org)."""
    wanted = stream.isatty() and not os.environ.get("NO_COLOR")
    width = None if stream.isatty() else _WIDTH
    return PlainConsole(highlight=False, width=width, force_terminal=wanted, **where)


class _StandardError(io.TextIOBase):
    """
    Standard error as it is at the time: what the log says stands above a live display.
    """

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def begin(config: Path | None, *, verbose: int, quiet: bool) -> tuple[Config, Redactor]:
    """Load the configuration and set up the log."""
    redactor = Redactor()
    level = "error" if quiet else ("warning", "info", "debug")[min(verbose, 2)]
    tty = sys.stderr.isatty()
    configure(
        stream=cast(TextIO, _StandardError()),
        json=not tty,
        level=level if tty or quiet else "info",
        redactor=redactor,
    )
    return bulkops.load_config(config), redactor


def manner_of(
    redactor: Redactor,
    config: Path | None,
    *,
    wait: bool = False,
    max_credits: int | None = None,
    resume_stopped: bool = False,
) -> Manner:
    """Return how the program goes about a run: it takes signals, and reads `config` again."""
    return bulkops.Manner(
        wait=wait,
        max_credits=max_credits,
        resume_stopped=resume_stopped,
        reload=lambda: bulkops.load_config(config),
        signals=True,
        remember_secret=redactor.register_secret,
    )


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """Read `NAME=VALUE` options."""
    found: dict[str, str] = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {each!r}: expected NAME=VALUE")
        found[name] = value
    return found


def confirm(question: str, *, yes: bool) -> None:
    """Return if somebody says yes; raise `NotConfirmedError` if not, or if nobody is there."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmedError(
            "nobody is here to confirm the plan; add --yes (or confirm = false in the job)"
        )
    try:
        confirmed = typer.confirm(question, err=True)
    except typer.Abort:
        # Ctrl-C at the question is a no, not a fault of ours.
        confirmed = False
    if not confirmed:
        raise NotConfirmedError("not confirmed; nothing was sent")


def print_json(value: object, *, more_to_come: bool = False) -> None:
    """
    Print a value for machines: JSON on standard output, on one line if there is `more_to_come`.

    That its reader has left ends the program if there is `more_to_come`; after the only value
    it changes nothing, not the exit code either.
    """
    try:
        sys.stdout.write(_as_json(value, option=0 if more_to_come else orjson.OPT_INDENT_2) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        if more_to_come:
            raise
        abandon(sys.stdout)


def _as_json(value: object, *, option: int) -> str:
    """Return a value as JSON that a terminal does not act upon."""
    try:
        text = orjson.dumps(value, option=option).decode()
    except orjson.JSONEncodeError:
        # A path whose bytes are no UTF-8; what stands for them is written as an escape.
        text = json.dumps(value)
    return "\n".join(map(json_printable, text.split("\n")))
