"""
Show a run while it goes on: bars on a terminal, a line every few seconds elsewhere.

Reads the live counts from a thread of its own; never slows the run and never changes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulkops.model import Status
from bulkops.tally import Tally

_EVERY_S = 5.0
_PER_SECOND = 4
_STYLES = {
    Status.SUCCEEDED: "green",
    Status.UNCHANGED: "cyan",
    Status.FAILED: "red",
    Status.UNKNOWN: "red",
    Status.INVALID: "yellow",
    Status.CONFLICT: "yellow",
    Status.SKIPPED: "yellow",
}


@contextmanager
def watching(console: Console, *, quiet: bool) -> Iterator[Callable[[Tally], None]]:
    """Yield what is to be given the counts of a run; shows them until the block ends."""
    shown = _Shown()
    if quiet:
        yield shown.take
    elif console.is_terminal:
        with Live(
            get_renderable=shown.render,
            console=console,
            refresh_per_second=_PER_SECOND,
            transient=True,
        ):
            yield shown.take
    else:
        with _lines(shown):
            yield shown.take


class _Shown:
    """The counts of a run, once it has begun, and when that was."""

    def __init__(self) -> None:
        self.tally: Tally | None = None
        self._since = time.monotonic()
        self._settled_before = 0

    def take(self, tally: Tally) -> None:
        self._since = time.monotonic()
        self._settled_before = tally.settled
        self.tally = tally

    def rates(self, tally: Tally) -> tuple[float, float]:
        """Return lines and calls a second since the run began or went on."""
        seconds = max(time.monotonic() - self._since, 0.001)
        return (tally.settled - self._settled_before) / seconds, tally.fresh_calls / seconds

    def render(self) -> RenderableType:
        tally = self.tally
        if tally is None:
            return Text("starting …")
        lines, calls = self.rates(tally)
        left = tally.rows - tally.settled
        eta = f"{left / lines:,.0f} s left" if lines > 0 and left else ""
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            "lines",
            ProgressBar(total=max(tally.rows, 1), completed=tally.settled, width=40),
            f"{tally.settled:,} of {tally.rows:,}",
            Text(f"{lines:,.0f}/s  {eta}", style="dim"),
        )
        facts = Text(f"calls {tally.calls:,} of {tally.planned_calls:,} planned, {calls:,.0f}/s")
        for words, number in (
            ("waiting for remote jobs", tally.pending),
            ("sent again", tally.retries),
            ("refused 429", tally.throttled),
            ("reads", tally.reads),
        ):
            if number:
                facts.append(f"  ·  {words} {number:,}")
        counts = Text()
        # Another thread counts on: work on a copy.
        for status, number in sorted(tally.statuses.copy().items()):
            counts.append(f"{status.value} {number:,}  ", style=_STYLES.get(status, ""))
        return Group(bar, facts, counts)


@contextmanager
def _lines(shown: _Shown) -> Iterator[None]:
    """Log the counts every few seconds until the block ends."""
    log = structlog.get_logger("bulkops.progress")
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(_EVERY_S):
            if (tally := shown.tally) is not None:
                lines, calls = shown.rates(tally)
                log.info(
                    "run.progressed",
                    settled=tally.settled,
                    rows=tally.rows,
                    calls=tally.calls,
                    pending=tally.pending,
                    lines_per_second=round(lines, 1),
                    calls_per_second=round(calls, 1),
                )

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
