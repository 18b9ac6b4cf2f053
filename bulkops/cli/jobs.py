"""
The verb that lists job files: whether each is right, when it last ran, and how it ended: `jobs`.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

import bulkops
from bulkops.cli.common import AsJson, ConfigPath, begin, print_json
from bulkops.cli.console import say
from bulkops.errors import ExitCode

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of job files.")]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("jobs")(jobs)


def jobs(
    folder: Folder = Path("jobs"), *, config: ConfigPath = None, as_json: AsJson = False
) -> None:
    """
    List job files and check each (2 if one is broken); say when it last ran and how it ended.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    found = bulkops.jobs(folder, loaded)
    broken = any(each["problem"] for each in found)
    code = ExitCode.USAGE if broken else ExitCode.OK
    if as_json:
        print_json({"v": 1, "directory": str(folder), "exit": int(code), "jobs": found})
    else:
        for each in found:
            say(_words(each))
    sys.exit(int(code))


def _words(facts: dict[str, Any]) -> str:
    """Return the lines of a job."""
    name = f"{facts['job']:<28}"
    if facts["problem"]:
        return f"{name} broken\n" + "\n".join(f"  {each}" for each in facts["problem"].split("\n"))
    if facts["started"] is None:
        return f"{name} never started"
    begin = datetime.fromisoformat(facts["started"]).astimezone().strftime("%Y-%m-%d %H:%M")
    if facts["running"]:
        words = f"{name} running since {begin}"
    elif facts["exit"] is None:
        words = f"{name} started {begin}, and no end is written down: it was killed"
    else:
        run = f", run {facts['run']}" if facts["run"] else ""
        counts = ", ".join(f"{number:,} {each}" for each, number in facts["statuses"].items())
        words = f"{name} started {begin}, exit {facts['exit']}{run}"
        words += f": {counts}" if counts else ""
    if facts["skipped"]:
        words += f"; {facts['skipped']:,} further starts found it running"
    reason = facts.get("reason", "").split("\n")[0]
    return f"{words}\n  {reason}" if reason else words
