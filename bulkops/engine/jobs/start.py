"""
Choose what a start of a job carries out: an unfinished run, the day's, or a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import count
from pathlib import Path

from bulkops.engine.jobs.runs import Known, all_runs, head_of, runs_of, unfinished_of
from bulkops.engine.retry import HOPEFUL, left_of
from bulkops.errors import PlanStaleError, UsageError
from bulkops.files.config import Config
from bulkops.files.jobfile import Job
from bulkops.files.prepare import Asked, Prepared, load, prepare

#: The rows of a run that a later one takes up, beside its log.
LEFT_FILE = "left.csv"


@dataclass(frozen=True, slots=True)
class Start:
    """
    The run of a start.

    `more` says that another start follows once it has come to its end, because it is of an
    earlier day.
    """

    asked: Asked
    prepared: Prepared
    more: bool = False


def start_of(
    job: Job,
    asked: Asked,
    config: Config,
    *,
    today: date,
    new: bool = False,
    tell: Callable[[str], None] = lambda _words: None,
) -> Start | None:
    """
    Return the run that this start carries out; `None` if there is nothing left to try again.

    The job must be locked, and its `each` not be "manifest". An unfinished run goes on by its
    plan as it stands, whatever its manifest holds by now. `tell` is given words for people.
    """
    directory = config.run.directory
    known = all_runs(directory)
    name = f"{job.name}-{today.isoformat()}"
    if not new:
        found = unfinished_of(job.name, known) or _of_today(job, name, known)
        if found is not None:
            _refuse_another_place(found, config)
            of_today = _is_of(found, name)
            return Start(asked, load(found.run), more=job.each == "day" and not of_today)
    wanted = _retried(job, asked, known, tell) if job.retry else asked
    if wanted is None:
        return None
    if job.include_failed:
        wanted = _with_left(job, wanted, known, tell)
    return Start(wanted, prepare(wanted, config, run_dir=_free(directory, name)))


def _of_today(job: Job, name: str, known: Sequence[Known]) -> Known | None:
    """Return the day's run of a job that has one a day."""
    found = [each for each in runs_of(job.name, known) if _is_of(each, name)]
    return found[-1] if job.each == "day" and found else None


def _is_of(known: Known, name: str) -> bool:
    """Whether a run has this name, or this name and a number."""
    rest = known.run.name.removeprefix(name)
    return known.run.name.startswith(name) and (not rest or rest[1:].isdecimal())


def _free(directory: Path, name: str) -> Path:
    """Return a directory of this name, or with a number, that no run has yet."""
    return next(
        each
        for number in count(1)
        if not (each := directory / (f"{name}-{number}" if number > 1 else name)).exists()
    )


def _refuse_another_place(found: Known, config: Config) -> None:
    """An unfinished run must go on where it began: its log speaks of that organisation."""
    before, now = found.description["config"]["api"], config.public()["api"]
    for key in ("product", "version", "data_center", "base_url"):
        if before.get(key) != now.get(key):
            raise PlanStaleError(
                f"{found.run.path}: was begun with api.{key} = {before.get(key)!r}, and now it is "
                f"{now.get(key)!r}; put it back to go on, or leave that run with --new"
            )


def _retried(
    job: Job, asked: Asked, known: Sequence[Known], tell: Callable[[str], None]
) -> Asked | None:
    """Return what the last runs of the jobs of `retry` left, as one manifest."""
    heads = {head.run.path: head for name in job.retry if (head := head_of(name, known))}
    if not heads:
        tell(f"{job.source}: no finished run of {', '.join(job.retry)} yet; nothing to try again")
        return None
    left, number = left_of([each.run for each in heads.values()], name=LEFT_FILE, among=HOPEFUL)
    names = ", ".join(left.retries)
    if not number:
        tell(f"{names}: no rows to try again; nothing to do")
        return None
    tell(f"Trying {number:,} rows of {names} again.")
    return replace(left, job=job, confirm=asked.confirm)


def _with_left(
    job: Job, asked: Asked, known: Sequence[Known], tell: Callable[[str], None]
) -> Asked:
    """Return `asked` with what the job's last run left before it, so that today's word is last."""
    head = head_of(job.name, known)
    if head is None:
        return asked
    same = (dict(asked.columns), dict(asked.fixed), list(asked.fields))
    said = head.description["asked"]
    left, number = left_of([head.run], name=LEFT_FILE, among=HOPEFUL)
    if not number:
        return asked
    if same != (said["columns"], said["fixed"], said["fields"]):
        tell(
            f"{head.run.name} left {number:,} rows, and was asked for with other columns, values "
            f"or fields than {job.source} has now; they are not included. To try them as they "
            f"were: bulkops retry {head.run.path}"
        )
        return asked
    if asked.file_format is not None and asked.file_format.value != "csv":
        raise UsageError(
            f"{job.source}: include_failed with format; what a run leaves is CSV, and a manifest "
            "has one format if any is given. Leave format out, and name the file by what it is"
        )
    tell(f"Including {number:,} rows that {head.run.name} left.")
    (file,) = left.inputs
    return replace(asked, manifest=(file, *asked.inputs), retries=left.retries)
