"""
Asynchronous bulk job runner for Zoho CRM and Bigin.

    plan = bulkops.plan("cleanup.csv")      # touches no network
    async for event in bulkops.run(plan):   # the same plan again goes on where it stopped
        ...
    for row in bulkops.outcomes(plan.run, status={"failed"}):
        ...

What may be asked stands in `__all__`; each name is imported when it is first used, because what is
behind some of them takes a moment. The program `bulkops` uses nothing else. Nothing here prints,
exits, takes a signal or sets up a log unless asked; what goes wrong is a `BulkopsError`.

Floors, each importing itself and what stands below it: `model`, `rows`, `errors` and `version`;
then `rules`, `files`, `wire`, `engine`, `library` (with these names) and `cli`. The `emulator` is
an island that only `cli` knows.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from bulkops.version import __version__ as __version__

if TYPE_CHECKING:
    from bulkops.engine.check import Finding as Finding
    from bulkops.engine.check import State as State
    from bulkops.engine.reconcile import Asking as Asking
    from bulkops.engine.reconcile import Found as Found
    from bulkops.engine.reconcile import Preview as Preview
    from bulkops.engine.rig import Manner as Manner
    from bulkops.engine.verify import Verification as Verification
    from bulkops.errors import BulkopsError as BulkopsError
    from bulkops.errors import ExitCode as ExitCode
    from bulkops.files.config import Config as Config
    from bulkops.files.manifest import Format as Format
    from bulkops.files.planner.summary import Relation as Relation
    from bulkops.files.planner.summary import Share as Share
    from bulkops.files.preview import Cost as Cost
    from bulkops.files.repair import Repaired as Repaired
    from bulkops.library.again import Takeback as Takeback
    from bulkops.library.again import retry as retry
    from bulkops.library.again import undo as undo
    from bulkops.library.carrying import carry_out as carry_out
    from bulkops.library.configured import Setting as Setting
    from bulkops.library.configured import load_config as load_config
    from bulkops.library.configured import settings_of as settings_of
    from bulkops.library.events import Event as Event
    from bulkops.library.events import Finished as Finished
    from bulkops.library.events import Progress as Progress
    from bulkops.library.events import Settled as Settled
    from bulkops.library.jobs import jobs as jobs
    from bulkops.library.outcome_rows import OutcomeRow as OutcomeRow
    from bulkops.library.outcome_rows import outcomes as outcomes
    from bulkops.library.outcome_rows import write_outcomes as write_outcomes
    from bulkops.library.planning import Plan as Plan
    from bulkops.library.planning import plan as plan
    from bulkops.library.readiness import Checked as Checked
    from bulkops.library.readiness import LoggedIn as LoggedIn
    from bulkops.library.readiness import check as check
    from bulkops.library.readiness import login as login
    from bulkops.library.reconciling import reconcile as reconcile
    from bulkops.library.running import run as run
    from bulkops.library.runs import Count as Count
    from bulkops.library.runs import Reason as Reason
    from bulkops.library.runs import Reported as Reported
    from bulkops.library.runs import control as control
    from bulkops.library.runs import counts as counts
    from bulkops.library.runs import find_run as find_run
    from bulkops.library.runs import reasons as reasons
    from bulkops.library.runs import repair as repair
    from bulkops.library.runs import report as report
    from bulkops.library.runs import status as status
    from bulkops.library.seat import Seat as Seat
    from bulkops.library.serving import serve as serve
    from bulkops.library.starting import start as start
    from bulkops.library.turns import Locked as Locked
    from bulkops.library.verifying import verify as verify
    from bulkops.model import Learnt as Learnt
    from bulkops.model import Outcome as Outcome
    from bulkops.model import Status as Status
    from bulkops.rules.phases import Phase as Phase

#: Where each name is made.
_PLACES: Final = {
    "bulkops.engine.check": ("Finding", "State"),
    "bulkops.engine.reconcile": ("Asking", "Found", "Preview"),
    "bulkops.engine.rig": ("Manner",),
    "bulkops.engine.verify": ("Verification",),
    "bulkops.errors": ("BulkopsError", "ExitCode"),
    "bulkops.files.config": ("Config",),
    "bulkops.files.manifest": ("Format",),
    "bulkops.rules.phases": ("Phase",),
    "bulkops.files.planner.summary": ("Relation", "Share"),
    "bulkops.files.preview": ("Cost",),
    "bulkops.files.repair": ("Repaired",),
    "bulkops.library.again": ("Takeback", "retry", "undo"),
    "bulkops.library.carrying": ("carry_out",),
    "bulkops.library.configured": ("Setting", "load_config", "settings_of"),
    "bulkops.library.events": ("Event", "Finished", "Progress", "Settled"),
    "bulkops.library.jobs": ("jobs",),
    "bulkops.library.outcome_rows": ("OutcomeRow", "outcomes", "write_outcomes"),
    "bulkops.library.planning": ("Plan", "plan"),
    "bulkops.library.readiness": ("Checked", "LoggedIn", "check", "login"),
    "bulkops.library.reconciling": ("reconcile",),
    "bulkops.library.running": ("run",),
    "bulkops.library.runs": (
        "Count",
        "Reason",
        "Reported",
        "control",
        "counts",
        "find_run",
        "reasons",
        "repair",
        "report",
        "status",
    ),
    "bulkops.library.seat": ("Seat",),
    "bulkops.library.serving": ("serve",),
    "bulkops.library.starting": ("start",),
    "bulkops.library.turns": ("Locked",),
    "bulkops.library.verifying": ("verify",),
    "bulkops.model": ("Learnt", "Outcome", "Status"),
}

__all__ = [
    "Asking",
    "BulkopsError",
    "Checked",
    "Config",
    "Cost",
    "Count",
    "Event",
    "ExitCode",
    "Finding",
    "Finished",
    "Format",
    "Found",
    "Learnt",
    "Locked",
    "LoggedIn",
    "Manner",
    "Outcome",
    "OutcomeRow",
    "Phase",
    "Plan",
    "Preview",
    "Progress",
    "Reason",
    "Relation",
    "Repaired",
    "Reported",
    "Seat",
    "Setting",
    "Settled",
    "Share",
    "State",
    "Status",
    "Takeback",
    "Verification",
    "__version__",
    "carry_out",
    "check",
    "control",
    "counts",
    "find_run",
    "jobs",
    "load_config",
    "login",
    "outcomes",
    "plan",
    "reasons",
    "reconcile",
    "repair",
    "report",
    "retry",
    "run",
    "serve",
    "settings_of",
    "start",
    "status",
    "undo",
    "verify",
    "write_outcomes",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a name of `__all__` when it is first asked for."""
        for place, names in _PLACES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(place), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
