"""
Make the organisation hold what a file says: read, compare, carry out the difference, end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkops.engine.hooks import announcing
from bulkops.engine.reconcile import Asking, Found, Home, Means, Preview, conclude
from bulkops.engine.reconcile import reconcile as find_difference
from bulkops.engine.reconcile.asking import job_among, of_job
from bulkops.engine.rig import Manner
from bulkops.errors import ExitCode
from bulkops.files import jobfile
from bulkops.files.config import Config
from bulkops.files.config_tables import merged
from bulkops.files.so_far import progress_of
from bulkops.library.carrying import carried_out
from bulkops.library.planning import Plan, planned
from bulkops.library.seat import Seat

__all__ = ["Asking", "Found", "Preview", "reconcile"]


def reconcile(
    asking: Asking,
    config: Config,
    *,
    rules: Mapping[str, Any] | None = None,
    run_dir: Path | None = None,
    new: bool = False,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
    seat: Seat = Seat(),  # noqa: B008  (holds nothing)
) -> ExitCode:
    """
    Reconcile from the lock of the reconciliation to its end; return the exit code.

    `rules` go before those of `[reconcile]`; a job file among the files of `asking` is laid under
    both. Blocks, and cannot be called where a loop runs. Raises `GuardError` where the numbers are
    not believed, and what keeps the organisation from being read: then the same call goes on.
    """
    job = job_among(asking.desired)

    def laid_out(base: Config) -> Config:
        return _ruled(jobfile.apply(job, base) if job else base, rules or {})

    loaded = laid_out(config)
    if job is not None:
        asking = of_job(job, asking)
    manner = replace(manner, reload=_reload(manner.reload, laid_out, loaded))
    home = Home.of(asking, loaded)
    with announcing(loaded.hooks, job=job.name if job else "") as ending, home.locked():
        found = _find(asking, loaded, home, run_dir=run_dir, new=new, manner=manner, seat=seat)
        seat.found(found)
        ended, finished = ExitCode.OK, True
        if found.numbers.changes:
            asked = replace(found.asked(confirm=asking.confirm), job=job)
            plan = planned(asked, loaded, run_dir=found.run.path)
            ending.about(plan.prepared.run)
            ended = _carried_out(plan, found, manner, seat)
            finished = progress_of(plan.prepared, mend=False).finished
        code = ending.code = conclude(home, found, ended, finished=finished)
    seat.reconciled(found, code, as_sent=code is ended)
    return code


def _carried_out(plan: Plan, found: Found, manner: Manner, seat: Seat) -> ExitCode:
    """Send the difference, with what reading left of the credits that this time may take."""
    if manner.max_credits is not None:
        manner = replace(manner, max_credits=max(1, manner.max_credits - found.reads))
    finished = carried_out(plan, manner=manner, seat=seat)
    seat.ended(plan, finished, last=False)
    return finished.code


def _reload(
    reload: Callable[[], Config] | None, laid_out: Callable[[Config], Config], config: Config
) -> Callable[[], Config]:
    """Return what reads the configuration again, with the same laid over it."""
    return (lambda: laid_out(reload())) if reload else (lambda: config)


def _ruled(config: Config, rules: Mapping[str, Any]) -> Config:
    """Return the configuration with `rules` in its `[reconcile]`."""
    if not rules:
        return config
    tables = merged(config.model_dump(exclude_unset=True), {"reconcile": rules})
    return Config.model_validate(tables).read_from(config.source)


def _find(
    asking: Asking,
    config: Config,
    home: Home,
    *,
    run_dir: Path | None,
    new: bool,
    manner: Manner,
    seat: Seat,
) -> Found:
    """Read and compare; the seat hears what reading takes before and while it goes on."""

    def preview(costs: Preview) -> None:
        seat.read_ahead(costs, config.limits.credits)

    with seat.reading() as told:
        means = Means(manner=manner, told=told)
        return asyncio.run(
            find_difference(asking, config, home, means, run_dir=run_dir, new=new, preview=preview)
        )
