"""
Runs made of runs: the rows that did not end well once more, and what was changed taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bulkops.engine.retry import free_beside, retry_of
from bulkops.engine.undo import Undoing, undo_of
from bulkops.errors import ExitCode, PlanStaleError
from bulkops.files.config import Config
from bulkops.files.rundir import RunDirectory
from bulkops.library.measuring import with_metrics
from bulkops.library.planning import Named, Plan, as_config, path_of, planned
from bulkops.library.runs import Run, find_run
from bulkops.rules.phases import Told, nobody


@dataclass(frozen=True, slots=True)
class Takeback:
    """
    What takes a run back. `plan` is `None` if there is nothing to take back.

    `left_out` counts the lines that are left as they are, by reason; the file `rest` has them.
    """

    plan: Plan | None
    left_out: Mapping[str, int]
    rest: Path

    def code(self, sent: ExitCode = ExitCode.OK) -> ExitCode:
        """Return how it ends if sending ended so: not well where lines are left out."""
        return ExitCode.INCOMPLETE if sent is ExitCode.OK and self.left_out else sent


def retry(
    *runs: Run,
    config: Config | Named | None = None,
    run_dir: Named | None = None,
    new: bool = False,
    metrics_file: Named | None = None,
    told: Told = nobody,
) -> Plan:
    """
    Plan one run of the rows of finished runs that are not in their wanted state.

    The same runs find the same retry again, unless it is to be `new`. Raises `UsageError` for a run
    that is not finished, and for runs that were asked for in different ways.
    """
    known = with_metrics(as_config(config), path_of(metrics_file))
    asked, usual = retry_of(*(RunDirectory(find_run(run, known)) for run in runs))
    place = path_of(run_dir) or (free_beside(usual) if new else usual)
    return planned(asked, known, run_dir=place, new=new, told=told)


def undo(
    run: Run,
    *,
    lines: Collection[int] | None = None,
    where: Mapping[str, str] | None = None,
    config: Config | Named | None = None,
) -> Takeback:
    """
    Plan what takes back what a run changed; sends nothing.

    `lines`, and columns of an outcome with their values (`where`), narrow it down. What other runs
    beside it have changed since is left alone. Raises `LockedError` while a process is on the run.
    """
    known = as_config(config)
    directory = RunDirectory(find_run(run, known))
    with directory.locked():
        undoing = undo_of(
            directory,
            lines=lines,
            where=where or {},
            others=_others(directory),
            relations=known.relations,
        )
    plan = _planned(undoing, known) if undoing.lines else None
    return Takeback(plan, dict(undoing.left_out.most_common()), undoing.rest)


def _others(run: RunDirectory) -> list[RunDirectory]:
    """Return the runs beside `run` that may have changed something since it did."""
    found = [RunDirectory(each.parent) for each in run.path.parent.glob("*/checkpoint.jsonl")]
    return sorted(
        (each for each in found if each.path != run.path and each.plan.exists()),
        key=lambda each: each.name,
    )


def _planned(undoing: Undoing, config: Config) -> Plan:
    """Return the undo's run: the one that was begun for the same lines, or a new one."""
    for number in count(1):
        run_dir = Path(f"{undoing.run_dir}-{number}" if number > 1 else undoing.run_dir)
        try:
            return planned(undoing.asked, config, run_dir=run_dir)
        except PlanStaleError:
            # Made for other lines of the same run.
            continue
    raise AssertionError
