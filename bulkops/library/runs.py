"""
What a run has become: where it stands, how many rows ended how and why, its report.

A run is named by its directory, or by its name among the runs of a configuration. All but `control`
and `repair` only read, whether a process is on the run or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bulkops.engine import ctl, standing
from bulkops.engine.report import read_figures, to_json, write_report
from bulkops.errors import UsageError
from bulkops.files import repair as mending
from bulkops.files import rundir
from bulkops.files.config import Config
from bulkops.files.outcomes import UNFINISHED, count_outcomes
from bulkops.files.refusals import reasons_of
from bulkops.files.repair import Repaired
from bulkops.files.rundir import RunDirectory
from bulkops.library.planning import Named, Plan, as_config
from bulkops.model import Status
from bulkops.rules.explain import explain

#: Statuses whose rows a retry takes up.
RETRIED: Final = UNFINISHED
#: A run: its directory or name, or its plan.
Run = Named | Plan


@dataclass(frozen=True, slots=True)
class Count:
    """
    So many lines of one operation and module that ended alike; `message` is that of one of them.
    """

    op: str
    module: str
    status: Status
    code: str
    message: str
    lines: int

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form."""
        return {
            "op": self.op,
            "module": self.module,
            "status": self.status.value,
            "code": self.code,
            "message": self.message,
            "lines": self.lines,
        }


@dataclass(frozen=True, slots=True)
class Reason:
    """
    Why lines are not in their wanted state: how many, some of them, what it means, what to do.
    """

    status: Status
    code: str
    message: str
    count: int
    lines: tuple[int, ...]
    meaning: str
    advice: str


@dataclass(frozen=True, slots=True)
class Reported:
    """
    Where a report was written, and its figures for programs.
    """

    path: Path
    figures: dict[str, Any]


def find_run(run: Run, config: Config | None = None) -> Path:
    """
    Return the directory of a run.

    A word is a path, or a name in the runs directory of `config` (read where it is usually found
    unless given). Raises `UsageError` that lists what there is.
    """
    return directory_of(run, config).path


def counts(run: Run, config: Config | None = None) -> list[Count]:
    """Return how many lines ended how, the most frequent first; none of a run not begun."""
    directory = directory_of(run, config)
    found = count_outcomes(directory) if directory.checkpoint.exists() else []
    return [Count(**{**row, "status": Status(row["status"])}) for row in found]


def reasons(run: Run, *, most: int = 10, config: Config | None = None) -> list[Reason]:
    """Return the most frequent reasons why lines of a run are not in their wanted state."""
    directory = directory_of(run, config)
    if not directory.checkpoint.exists():
        return []
    found = []
    for each in reasons_of(directory, most=most):
        explained = explain(each.code, each.message)
        found.append(
            Reason(
                each.status,
                each.code,
                each.message,
                each.count,
                each.lines,
                explained.meaning,
                explained.advice,
            )
        )
    return found


def status(run: Run, config: Config | None = None) -> dict[str, Any]:
    """Return where a run stands, by its process or else by its log: `bulkops status --json`."""
    return standing.look(directory_of(run, config))


def control(
    run: Run, do: str, config: Config | None = None, **limits: int | float
) -> dict[str, Any]:
    """
    Speak to the process on a run: `status`, `pause`, `resume`, `drain`, or `set` with limits.

    Return its status. Raises `UsageError` where no process is, or with the words of its refusal.
    """
    return ctl.ask(directory_of(run, config).path, do, **limits)


def report(run: Run, output: Path | None = None, config: Config | None = None) -> Reported:
    """Write the report of a run, to `report.html` in its directory unless `output` is given."""
    directory = directory_of(run, config)
    figures = read_figures(directory)
    try:
        written = write_report(directory, output, figures=figures)
    except OSError as error:
        raise UsageError(f"{output or directory.path}: cannot be written ({error})") from error
    return Reported(written, to_json(figures))


def repair(run: Run, config: Config | None = None) -> Repaired:
    """Mend the log of a run that no process is on: keep what stands before the damage."""
    directory = directory_of(run, config)
    with directory.locked():
        return mending.repair(directory)


def directory_of(run: Run, config: Config | None) -> RunDirectory:
    """Return the directory of a run, with the names of its files."""
    if isinstance(run, Plan):
        return run.prepared.run
    path = Path(run)
    if (path / "run.json").is_file():
        return RunDirectory(path)
    return rundir.find_run(as_config(config).run.directory, str(run))
