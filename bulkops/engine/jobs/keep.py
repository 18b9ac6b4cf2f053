"""
Remove the old finished runs of a job, and nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bulkops.engine.jobs.home import JobHome
from bulkops.engine.jobs.runs import all_runs, runs_of
from bulkops.errors import BulkopsError
from bulkops.files.prepare import load
from bulkops.files.rundir import RunDirectory
from bulkops.files.so_far import progress_of

_DAY_S = 86_400
_REMOVED = ".removed-"


def remove_old(
    home: JobHome,
    directory: Path,
    *,
    days: int,
    now: float,
    ended: Sequence[RunDirectory] = (),
) -> list[str]:
    """
    Remove the runs of a job that are finished and untouched for `days`; return their names.

    The job must be locked. Never removed: an unfinished run, one that a process is on, the
    job's last finished one (what it left may still be asked for), and a folder that is a link.
    `ended` are folders of reconciliations that came to their end; of these, the ones that had
    nothing to send are removed as well. `now` is in seconds since 1970.
    """
    for leftover in home.folder.glob(f"{home.name}{_REMOVED}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    finished = [each for each in runs_of(home.name, all_runs(directory)) if each.finished]
    before = now - days * _DAY_S
    old = [each.run for each in finished[:-1] if _is_old(each.run.checkpoint, before)]
    idle = [
        run
        for run in ended[:-1]
        if not run.description.exists()
        and run.path.parent.resolve() == directory.resolve()
        and _is_old(run.path / "reconcile.json", before)
    ]
    return _remove(home, [run for run in (*old, *idle) if not run.path.is_symlink()])


def _is_old(file: Path, before: float) -> bool:
    return file.is_file() and file.stat().st_mtime < before


def _remove(home: JobHome, old: Sequence[RunDirectory]) -> list[str]:
    removed = []
    for run in old:
        with suppress(BulkopsError), run.locked():
            # The tail of its log said so; a folder that is gone cannot be asked again.
            if run.description.exists() and not progress_of(load(run), mend=False).finished:
                continue
            # Out of sight at once, so that a crash leaves no half of a run to be found.
            aside = home.folder / f"{home.name}{_REMOVED}{run.name}"
            run.path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
            removed.append(run.name)
    return removed
