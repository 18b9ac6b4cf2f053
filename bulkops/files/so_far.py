"""
How far a prepared run has come, by its log: for whoever goes on with it, shows it or retries it.

Not for running one (`engine/execute.py`), so that looking at a run imports nothing that sends.
"""

from __future__ import annotations

from bulkops.errors import ExitCode, PlanStaleError
from bulkops.files.prepare import Prepared
from bulkops.files.refusals import refused_so_far
from bulkops.files.resume import read_progress
from bulkops.rules.progress import Progress
from bulkops.rules.tally import Tally


def progress_of(prepared: Prepared, *, mend: bool) -> Progress:
    """
    Return where the run stands. Raises `PlanStaleError` if its log belongs to another plan.
    """
    progress = read_progress(prepared.run.checkpoint, mend=mend)
    if progress.plan and progress.plan != prepared.digest:
        raise PlanStaleError(
            f"{prepared.run.checkpoint}: the log belongs to another plan than "
            f"{prepared.run.plan.name}; start over with --new"
        )
    progress.rows = prepared.rows
    return progress


def tally_of(prepared: Prepared, progress: Progress) -> Tally:
    """Return the counts to go on from; what is not known for good is counted when it is."""
    tally = Tally(
        rows=prepared.rows,
        planned_lines=prepared.summary.total.sent,
        planned_calls=prepared.summary.total.calls,
        statuses=progress.statuses.copy(),
        calls=progress.calls.count + progress.reads,
    )
    # Lines that are open again have no reason yet.
    for each in refused_so_far(prepared.run) if prepared.run.checkpoint.exists() else ():
        if progress.statuses[each.status]:
            tally.refusals.add(each.status, each.code, each.message, each.count)
    return tally


def final_code(tally: Tally) -> ExitCode:
    """Return the exit code of a run whose every line is settled."""
    return ExitCode.OK if tally.wanted else ExitCode.INCOMPLETE
