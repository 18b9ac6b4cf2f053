"""
The verb that lists job files: whether each is right, when it last ran, and how it ended: `jobs`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bulkops.cli.common import AsJson, ConfigPath, begin, print_json
from bulkops.cli.console import say
from bulkops.engine.jobs import JobHome
from bulkops.errors import ExitCode, UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config

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
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    if not files:
        raise UsageError(f"{folder}: no job files here; expected a folder with files NAME.toml")
    found = [_look(file, loaded) for file in files]
    if as_json:
        print_json({"v": 1, "directory": str(folder), "jobs": found})
    else:
        for each in found:
            say(_words(each))
    broken = any(each["problem"] for each in found)
    sys.exit(int(ExitCode.USAGE if broken else ExitCode.OK))


def _look(file: Path, config: Config) -> dict[str, Any]:
    """Return what is to be said of a job file, as JSON values."""
    facts: dict[str, Any] = {"job": jobfile.job_name(file), "file": str(file), "problem": ""}
    try:
        job = jobfile.load_job(file)
        laid_out = jobfile.apply(job, config)
    except UsageError as error:
        return {**facts, "problem": str(error)}
    home = JobHome.of(job, laid_out)
    return {**facts, "each": job.each, **_last(home.history(), running=home.is_locked())}


def _last(history: Sequence[dict[str, Any]], *, running: bool) -> dict[str, Any]:
    """
    Return when the last start was and how it ended, by the journal of a job.

    `exit` is `None` while it runs, and where no end is written down: it was killed.
    """
    started = next(
        (at for at in reversed(range(len(history))) if history[at]["event"] == "started"), None
    )
    if started is None:
        return {"running": running, "started": None, "exit": None, "skipped": 0}
    since = history[started:]
    ended = next((each for each in since if each["event"] == "ended"), {})
    return {
        "running": running,
        "started": since[0]["t"],
        "ended": ended.get("t"),
        "exit": ended.get("exit"),
        "reason": ended.get("reason", ""),
        "run": ended.get("run", ""),
        "rows": ended.get("rows", 0),
        "statuses": {name: each for name, each in ended.get("statuses", {}).items() if each},
        "skipped": sum(each["event"] in {"skipped", "locked"} for each in since),
    }


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
