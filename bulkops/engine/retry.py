"""
Make a manifest of the rows of runs that are not in their wanted state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from bulkops.errors import UsageError
from bulkops.files.failed_file import write_failed
from bulkops.files.outcomes import UNFINISHED
from bulkops.files.prepare import Asked, load
from bulkops.files.rundir import RunDirectory
from bulkops.files.so_far import progress_of
from bulkops.model import Status

#: Statuses of rows that may fare better another time as they stand. What is no operation, or
#: contradicts another row, needs a person first: no timer takes it up again.
HOPEFUL: Final = (Status.FAILED, Status.SKIPPED, Status.UNKNOWN)


def retry_of(*runs: RunDirectory) -> tuple[Asked, Path]:
    """
    Return what is to be asked to try the rest of `runs` again, and the new run's directory.

    Raises `UsageError` for a run that is not finished (running it again goes on with it), and for
    runs that were asked for in different ways, whose rows no one plan can hold.
    """
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice; expected each once")
    asked, _ = left_of(runs, name="failed.csv", among=UNFINISHED)
    more = f"-and-{len(runs) - 1}-more" if len(runs) > 1 else ""
    return asked, runs[0].path.with_name(f"{runs[0].name}{more}-retry")


def left_of(
    runs: Sequence[RunDirectory], *, name: str, among: Collection[Status]
) -> tuple[Asked, int]:
    """
    Write the rows of `runs` that ended `among` these statuses to a file `name` beside each log.

    Return what is to be asked to try them again, asked as they were, and their number. Files
    without rows are left out, unless all are.
    """
    descriptions = [_finished(run) for run in runs]
    first = descriptions[0]
    for run, each in zip(runs, descriptions, strict=True):
        for what, before, now in _differences(first, each):
            raise UsageError(
                f"{what} of run {runs[0].name} and of run {run.name} differ: {before} and {now}; "
                "retry them one at a time"
            )
    numbers = [
        write_failed(run, each, name=name, among=among)
        for run, each in zip(runs, descriptions, strict=True)
    ]
    left = [run.path / name for run, number in zip(runs, numbers, strict=True) if number]
    files = tuple(left or [runs[0].path / name])
    said = first["asked"]
    asked = Asked(
        files[0] if len(files) == 1 else files,
        said["columns"],
        said["fixed"],
        tuple(said["fields"]),
        retries=tuple(run.name for run in runs),
    )
    return asked, sum(numbers)


def free_beside(path: Path) -> Path:
    """Return `path`, or the first of `path-2`, `path-3` and so on that does not exist."""
    return next(
        each
        for number in count(1)
        if not (
            each := path.with_name(f"{path.name}-{number}" if number > 1 else path.name)
        ).exists()
    )


def _finished(run: RunDirectory) -> Mapping[str, Any]:
    prepared = load(run)
    if not run.checkpoint.exists() or not progress_of(prepared, mend=False).finished:
        raise UsageError(
            f"run {run.name} is not finished; run it again to go on with it, then retry what is "
            "left"
        )
    return prepared.description


def _differences(
    one: Mapping[str, Any], other: Mapping[str, Any]
) -> Sequence[tuple[str, object, object]]:
    """Return the options in which two runs differ so that their rows cannot be planned as one."""
    told = {
        "columns": "the columns (--map)",
        "fixed": "the fixed values (--set, --op)",
        "fields": "the relation fields (--field)",
    }
    found = [(words, one["asked"][key], other["asked"][key]) for key, words in told.items()]
    for key in ("product", "base_url", "data_center"):
        words = f"api.{key}"
        found.append((words, one["config"]["api"].get(key), other["config"]["api"].get(key)))
    return [each for each in found if each[1] != each[2]]
