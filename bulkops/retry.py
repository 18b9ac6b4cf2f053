"""
Make a manifest of the rows of a run that are not in their wanted state.
"""

from __future__ import annotations

from pathlib import Path

from bulkops.errors import UsageError
from bulkops.execute import progress_of
from bulkops.outcomes import write_failed
from bulkops.prepare import Asked, load
from bulkops.rundir import RunDirectory


def retry_of(run: RunDirectory) -> tuple[Asked, Path]:
    """
    Return what is to be asked to try the rest of `run` again, and the new run's directory.

    Raises `UsageError` for a run that is not finished: running it again goes on with it.
    """
    prepared = load(run)
    if not run.checkpoint.exists() or not progress_of(prepared, mend=False).finished:
        raise UsageError(
            f"run {run.name} is not finished; run it again to go on with it, then retry what is "
            "left"
        )
    asked = prepared.description["asked"]
    failed = run.path / "failed.csv"
    write_failed(run, prepared.description)
    return (
        Asked(failed, asked["columns"], asked["fixed"], tuple(asked["fields"])),
        run.path.with_name(f"{run.name}-retry"),
    )
