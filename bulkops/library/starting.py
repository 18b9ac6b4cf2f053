"""
Start what is named, whatever it is: a manifest, a job file, a job file of a reconciliation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bulkops.engine.hooks import Ending
from bulkops.engine.reconcile import Asking
from bulkops.engine.rig import Manner
from bulkops.errors import ExitCode, UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config
from bulkops.files.manifest import Format
from bulkops.library.carrying import carry_out
from bulkops.library.measuring import with_metrics
from bulkops.library.planning import (
    Named,
    as_config,
    path_of,
    paths,
    planned,
    reconciles,
    wish,
)
from bulkops.library.reconciling import reconcile
from bulkops.library.seat import Seat
from bulkops.library.turns import Locked, Way, in_turn, run_job


def start(
    *manifest: Named,
    config: Config | Named | None = None,
    op: str | None = None,
    fixed: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    fields: Sequence[str] = (),
    file_format: Format | None = None,
    run_dir: Named | None = None,
    new: bool = False,
    metrics_file: Path | None = None,
    if_locked: Locked | None = None,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
    seat: Seat = Seat(),  # noqa: B008  (holds nothing)
) -> ExitCode:
    """
    Do all that `bulkops run` does, in one call; return what that would exit with.

    A manifest is planned and carried out; so is what a job file names, or the difference that its
    reconciliation finds, once it is the job's turn. Blocks, and cannot be called where a loop
    runs. Raises what keeps it from starting.
    """
    targets, given = paths(manifest), as_config(config)
    way = Way(if_locked=if_locked, run_dir=path_of(run_dir), new=new)
    if reconciles(targets):
        if metrics_file:
            raise UsageError("--metrics-file: a reconciliation has `metrics_file` in [run] instead")
        if op or manner.resume_stopped:
            raise UsageError(
                "--op and --resume-stopped: a reconciliation finds out what is to be done"
            )
        asking = Asking(
            desired=targets,
            columns=columns or {},
            fixed=fixed or {},
            fields=tuple(fields),
            file_format=file_format,
        )
        return _reconciled_in_turn(asking, given, way, manner=manner, seat=seat)
    asked, loaded = wish(
        targets,
        given,
        op=op,
        fixed=fixed,
        columns=columns,
        fields=fields,
        file_format=file_format,
    )
    loaded = with_metrics(loaded, metrics_file)
    if asked.job:
        laid_out = replace(manner, reload=_reload(manner.reload, asked.job.source))
        return run_job(asked, loaded, way, manner=laid_out, seat=seat)
    if if_locked:
        raise UsageError("--if-locked is for job files; a manifest's run is locked by itself")
    # What somebody mistyped is nobody else's news: they hear of runs alone, and of jobs.
    with seat.planning() as told:
        plan = planned(asked, loaded, run_dir=way.run_dir, new=new, told=told)
    return carry_out(plan, manner=manner, seat=seat).code


def _reconciled_in_turn(
    asking: Asking, config: Config, way: Way, *, manner: Manner, seat: Seat
) -> ExitCode:
    """Reconcile what the job file in `asking` says, once it is its turn."""
    job = jobfile.load_job(asking.desired[0])

    def work() -> Ending:
        code = reconcile(asking, config, run_dir=way.run_dir, new=way.new, manner=manner, seat=seat)
        return Ending(code=code)

    return in_turn(job, jobfile.apply(job, config), way, work, seat=seat)


def _reload(reload: Callable[[], Config] | None, job: Path) -> Callable[[], Config] | None:
    """Return what reads the configuration again, with the job as it is then over it."""
    return (lambda: jobfile.apply(jobfile.load_job(job), reload())) if reload else None
