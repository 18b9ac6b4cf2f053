"""
Somebody at a terminal, or a log in its place: shows plans and ends, and asks for a yes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import structlog
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bulkops import ExitCode, Finished, Found, Plan, Preview, Seat
from bulkops.cli.common import confirm, print_json, talk
from bulkops.cli.display import planning, watching
from bulkops.cli.ending import print_end
from bulkops.cli.plan_words import print_plan
from bulkops.cli.results import reconciled_json, result_json
from bulkops.cli.words import print_found

if TYPE_CHECKING:
    from bulkops.library.seat import Reading, Told, Watch

_EVERY_S = 5.0


class Terminal(Seat):
    """
    Shows on standard error what goes on, unless it is to be `quiet`; prints the end `as_json`.

    With `yes` nobody is asked. An organisation that is `passing` ends with the verb: there is no
    next command that sends.
    """

    def __init__(
        self,
        *,
        yes: bool = False,
        as_json: bool = False,
        quiet: bool = False,
        passing: bool = False,
    ) -> None:
        self._yes = yes
        self._as_json = as_json
        self._quiet = quiet
        self._passing = passing
        #: Lines that were settled before this process.
        self._settled = 0
        #: Why sending a difference ended early.
        self._reason = ""

    def planning(self) -> AbstractContextManager[Told]:
        """Show how planning comes along."""
        return planning(talk(), quiet=self._quiet)

    def watching(self) -> AbstractContextManager[Watch]:
        """Show bars, or lines of the log."""
        return watching(talk(), quiet=self._quiet)

    def shown(self, plan: Plan, settled: int) -> None:
        """Print the plan and its cost."""
        self._settled = settled
        if not self._quiet:
            print_plan(talk(), plan, plan.cost(), settled=settled)

    def confirm(self, plan: Plan) -> None:
        """Ask whether to send its calls, or those of them that are left."""
        url = plan.config.api.api_url
        question = f"Send {plan.calls:,} calls to {url}?"
        if self._settled:
            left = plan.rows - self._settled
            lines = "line that is" if left == 1 else "lines that are"
            question = f"Go on with the {left:,} {lines} left, at {url}?"
        confirm(question, yes=self._yes)

    def finished_before(self, plan: Plan, stopped: int) -> None:
        """Say that nothing is sent, and how it would be."""
        if self._quiet:
            return
        talk().print(
            f"Run {plan.name} is finished already; nothing is sent. To do it all over again, add "
            "--new."
        )
        if stopped:
            talk().print(
                f"{stopped:,} lines went with calls that the server refuses altogether. Once that "
                "is mended, --resume-stopped sends them again."
            )

    def ended(self, plan: Plan, finished: Finished, *, last: bool) -> None:
        """Print what became of the rows; JSON is left to the last run."""
        self._reason = finished.reason
        if self._as_json and last:
            print_json(result_json(plan, finished))
        if not plan.rows:
            words = " ".join(map(str, plan.asked.inputs))
            talk().print(f"{words}: no rows; nothing to do", highlight=False)
        elif not self._quiet:
            print_end(talk(), plan, finished, gone=self._passing)

    def tell(self, words: str) -> None:
        """Print it."""
        if not self._quiet:
            talk().print(escape(words), soft_wrap=True)

    def skipped(self, words: str, *, code: ExitCode = ExitCode.OK) -> None:
        """Print it, for programs too."""
        self.tell(words)
        if self._as_json:
            print_json({"v": 1, "run": None, "exit": int(code), "reason": words, "skipped": True})

    def read_ahead(self, costs: Preview, credits_of_day: int) -> None:
        """Print what reading takes of the day's credits."""
        if self._quiet:
            return
        before = f"; {costs.read_already:,} are read already" if costs.read_already else ""
        talk().print(
            f"Reading what is there takes at least {costs.calls:,} calls for {costs.records:,} "
            f"questions{before}: {costs.calls / credits_of_day:.1%} of the {credits_of_day:,} "
            "credits of a day."
        )

    def reading(self) -> AbstractContextManager[Reading]:
        """Show a bar on a terminal, elsewhere a line of the log at times."""
        return _reading(quiet=self._quiet)

    def found(self, found: Found) -> None:
        """Print the numbers of both sides."""
        if not self._quiet:
            print_found(talk(), found)

    def reconciled(self, found: Found, code: ExitCode, *, as_sent: bool) -> None:
        """Print the numbers for programs, and a code that nobody has heard of yet."""
        if self._as_json:
            print_json(reconciled_json(found, code, self._reason))
        if not self._quiet and not as_sent:
            talk().print(f"Exit code {int(code)}: not all could be read or compared.")


@contextmanager
def _reading(*, quiet: bool) -> Iterator[Callable[[int, int, Sequence[str]], None]]:
    console, log = talk(), structlog.get_logger("bulkops.reconcile")
    next_line = time.monotonic() + _EVERY_S
    with Progress(
        TextColumn("reading"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[held]}"),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as progress:
        bar = progress.add_task("reading", total=None, held="")

        def told(count: int, total: int, held: Sequence[str]) -> None:
            nonlocal next_line
            words = f"held by {'; '.join(held)}" if held else ""
            progress.update(bar, completed=count, total=total, held=words)
            if time.monotonic() > next_line and progress.disable and not quiet:
                next_line = time.monotonic() + _EVERY_S
                log.info("reconcile.progressed", read=count, questions=total, held_by=held)

        yield told
