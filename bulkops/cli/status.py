"""
The verb `status`: where a run stands, asked of its process, or read from its log if there is none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

import bulkops
from bulkops.cli.common import AsJson, ConfigPath, RunArgument, begin, print_json, print_to
from bulkops.cli.display import is_live, live
from bulkops.cli.standing import paragraphs, percent, picture
from bulkops.cli.words import short
from bulkops.errors import ExitCode

#: A reading of the log may take no more than this part of the time.
_SHARE = 0.2


def register(app: typer.Typer) -> None:
    """Add the verb of this file to `app`."""
    app.command("status")(status)


def status(
    run: RunArgument,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew until the run ends.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.05, metavar="S", help="Seconds between two looks.")
    ] = 1.0,
    times: Annotated[int | None, typer.Option("--times", min=1, hidden=True)] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """
    Say where a run stands: as its process tells, or by its log when none is on it.

    With --watch and --json an object is printed each time.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    directory = bulkops.find_run(run, loaded)
    if watch:
        looks = _looks(directory, every=every, times=times)
    else:
        looks = iter([bulkops.status(directory)])
    console = print_to(sys.stdout)
    try:
        if watch and is_live(console) and not as_json:
            _watch(console, looks)
            return
        for facts in looks:
            if as_json:
                print_json(facts, more_to_come=watch)
            else:
                _print(console, facts)
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(int(ExitCode.INTERRUPTED))


def _looks(run: Path, *, every: float, times: int | None) -> Iterator[dict[str, Any]]:
    """Yield where the run stands, again and again: until it is finished, or its process is gone."""
    was_there = False
    while True:
        begun = time.monotonic()
        facts = bulkops.status(run)
        took = time.monotonic() - begun
        yield facts
        there = "pid" in facts
        times = None if times is None else times - 1
        if facts["state"] == "finished" or (was_there and not there) or times == 0:
            return
        was_there = there
        time.sleep(every if there else max(every, took / _SHARE))


def _watch(console: Console, looks: Iterator[Mapping[str, Any]]) -> None:
    """Draw each look over the one before; the last one stays."""
    shown: list[Mapping[str, Any]] = [next(looks)]

    def render() -> RenderableType:
        return _picture(shown[-1])

    with live(console, render):
        for facts in looks:
            shown[:] = [facts]
    console.print(_picture(shown[-1]))


def _picture(facts: Mapping[str, Any]) -> RenderableType:
    return Group(_head(facts), picture(facts), *_foot(facts))


def _print(console: Console, facts: Mapping[str, Any]) -> None:
    """Print where a run stands, a line a subject."""
    if console.is_terminal:
        console.print(_picture(facts))
        return
    rows, settled = facts["rows"], facts["settled"]
    share = f" ({percent(settled, rows)})" if rows else ""
    lines = Text(f"{settled:,} of {rows:,} lines settled{share}")
    for each in (_head(facts), lines, *paragraphs(facts), *_foot(facts)):
        console.print(each, soft_wrap=True)


def _head(facts: Mapping[str, Any]) -> Text:
    process = f", process {facts['pid']}" if "pid" in facts else ""
    return Text(f"{facts['run']}: {facts['state']}{process}", style="bold")


def _foot(facts: Mapping[str, Any]) -> Iterator[Text]:
    """Yield what the log says besides."""
    if "pid" in facts:
        return
    if facts["scheduled"]:
        yield Text(f"{facts['scheduled']:,} lines wait for jobs of the server")
    if facts["stopped_because"]:
        yield Text(f"stopped: {short(facts['stopped_because'], most=1000)}")
    if facts["state"] == "unfinished":
        yield Text("No process is on it; the command that began it goes on with it.")
    if facts["exit"] is not None:
        yield Text(f"exit code {facts['exit']} ({ExitCode(facts['exit']).meaning})")
    elif facts["state"] == "unfinished" and not facts["stopped_because"]:
        yield Text("How its last process ended is not written down: it was killed.")
