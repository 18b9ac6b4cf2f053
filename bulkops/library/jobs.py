"""
The job files of a folder: whether each is right, when it last ran, and how it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bulkops.engine.jobs import JobHome
from bulkops.errors import UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config
from bulkops.files.job_words import job_name
from bulkops.library.planning import Named, as_config


def jobs(folder: Named = "jobs", config: Config | Named | None = None) -> list[dict[str, Any]]:
    """
    Return what is to be said of each job file: its `problem`, or when it last ran and its `exit`.

    In the shape of `bulkops jobs --json`. Raises `UsageError` where there are none.
    """
    known, place = as_config(config), Path(folder)
    files = sorted(place.glob("*.toml")) if place.is_dir() else []
    if not files:
        raise UsageError(f"{place}: no job files here; expected a folder with files NAME.toml")
    return [_look(file, known) for file in files]


def _look(file: Path, config: Config) -> dict[str, Any]:
    """Return what is to be said of a job file, as JSON values."""
    facts: dict[str, Any] = {"job": job_name(file), "file": str(file), "problem": ""}
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
