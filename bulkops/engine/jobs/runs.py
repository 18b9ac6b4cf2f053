"""
The runs of a job: which there are, which are unfinished, and which run took up what one left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkops.errors import BulkopsError
from bulkops.files.last_note import last_note
from bulkops.files.prepare import load
from bulkops.files.rundir import RunDirectory
from bulkops.files.so_far import progress_of


@dataclass(frozen=True, slots=True)
class Known:
    """
    A run and its description.
    """

    run: RunDirectory
    description: Mapping[str, Any]

    @property
    def job(self) -> str:
        """The job that planned it, or ""."""
        return str(self.description.get("job", {}).get("name", ""))

    @property
    def planned_at(self) -> str:
        """When its job planned it, so that it can be compared."""
        return str(self.description.get("job", {}).get("planned_at", ""))

    @property
    def begun(self) -> bool:
        """Whether something may have been sent; a plan that was only looked at is no run yet."""
        return self.run.checkpoint.exists()

    @property
    def finished(self) -> bool:
        """Whether every line is settled."""
        if not self.begun:
            return False
        if last_note(self.run).get("event") == "run.finished":
            return True
        return progress_of(load(self.run), mend=False).finished


def all_runs(directory: Path) -> list[Known]:
    """Return what lies in a folder of runs, the oldest of a job first."""
    found = []
    for path in directory.glob("*/run.json"):
        run = RunDirectory(path.parent)
        try:
            description = run.read_description()
        except (BulkopsError, OSError):
            # Another run's damage is not this one's business.
            continue
        if description is not None:
            found.append(Known(run, description))
    return sorted(found, key=lambda each: (each.planned_at, each.run.name))


def runs_of(name: str, known: Sequence[Known]) -> list[Known]:
    """Return the begun runs of a job, the oldest first."""
    return [each for each in known if each.job == name and each.begun]


def unfinished_of(name: str, known: Sequence[Known]) -> Known | None:
    """
    Return the last run of a job if it is not finished.

    An older one that is unfinished was left on purpose: only `--new` begins another beside it.
    """
    begun = runs_of(name, known)
    return begun[-1] if begun and not begun[-1].finished else None


def head_of(name: str, known: Sequence[Known]) -> Known | None:
    """
    Return the run that has what the last finished run of a job left.

    That is the run itself, or the one that tried its rows again, or the one that tried those.
    One that is not finished has not tried them yet.
    """
    head = next((each for each in reversed(runs_of(name, known)) if each.finished), None)
    seen = set[str]()
    while head is not None and head.run.name not in seen:
        seen.add(head.run.name)
        here = head.run.name
        later = [
            each for each in known if here in each.description.get("retries", ()) and each.finished
        ]
        if not later:
            break
        head = later[-1]
    return head
