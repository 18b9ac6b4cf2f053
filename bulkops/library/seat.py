"""
Who sits beside a run: hears what goes on, and is asked before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bulkops.engine.execute import Watch
from bulkops.engine.reconcile import Found, Preview
from bulkops.errors import ExitCode
from bulkops.library.events import Finished
from bulkops.library.planning import Plan
from bulkops.rules.phases import Told, nobody

__all__ = ["Look", "Reading", "Seat", "Told", "Watch"]

#: Returns where a run stands.
Look = Callable[[], Mapping[str, Any]]
#: Is told how many of how many questions are answered, and why no call leaves just now.
Reading = Callable[[int, int, Sequence[str]], None]


class Seat:
    """
    Nobody: says yes to everything, and hears nothing. The shell has somebody at a terminal.

    Everything is called from the thread that began it. A context manager lasts as long as what is
    shown; what it yields is called from inside of it.
    """

    def planning(self) -> AbstractContextManager[Told]:
        """Show how planning comes along."""
        return nullcontext(nobody)

    def watching(self) -> AbstractContextManager[Watch]:
        """Show a run while it goes on; what is yielded is given, once, what tells how it stands."""
        return nullcontext(_nobody)

    def shown(self, plan: Plan, settled: int) -> None:
        """Show a plan that is about to be carried out, `settled` lines of which are done."""

    def confirm(self, plan: Plan) -> None:
        """Return if the calls of `plan` may be sent; raise `NotConfirmedError` if not."""

    def finished_before(self, plan: Plan, stopped: int) -> None:
        """Say that a run is finished already; `stopped` of its lines went with aborted groups."""

    def ended(self, plan: Plan, finished: Finished, *, last: bool) -> None:
        """
        Say how a run ended, or that it has no rows; something follows unless it is the `last`.
        """

    def tell(self, words: str) -> None:
        """Say what a start of a job does besides."""

    def skipped(self, words: str, *, code: ExitCode = ExitCode.OK) -> None:
        """Say that a start of a job is left out, and ends with `code`."""

    def read_ahead(self, costs: Preview, credits_of_day: int) -> None:
        """Say what reading for a reconciliation takes."""

    def reading(self) -> AbstractContextManager[Reading]:
        """Show how reading for a reconciliation comes along."""
        return nullcontext(_nobody_reads)

    def found(self, found: Found) -> None:
        """Show what differs."""

    def reconciled(self, found: Found, code: ExitCode, *, as_sent: bool) -> None:
        """Say how a reconciliation ended; `as_sent`: with no other code than sending did."""


def _nobody(_look: Look) -> None:
    pass


def _nobody_reads(_count: int, _total: int, _held: Sequence[str]) -> None:
    pass
