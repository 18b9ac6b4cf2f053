"""
Show a run while it goes on: bars on a terminal, a line of the log every few seconds elsewhere.

Reads where the run stands from a thread of its own; never slows the run and never changes it.
What is shown is made in `standing.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulkops import Phase
from bulkops.cli.standing import facts, picture
from bulkops.cli.words import duration
from bulkops.library.every import every

if TYPE_CHECKING:
    from bulkops.library.seat import Look, Told, Watch

_EVERY_S = 5.0
_PER_SECOND = 4


@contextmanager
def watching(console: Console, *, quiet: bool) -> Iterator[Watch]:
    """Yield what is to be given the status of a run; shows it until the block ends."""
    shown = _Shown()
    if quiet:
        yield shown.take
    elif is_live(console):
        with live(console, shown.render):
            yield shown.take
    else:
        with every(_EVERY_S, shown.tell):
            yield shown.take


class _Shown:
    """The status of a run, once it has begun."""

    def __init__(self) -> None:
        self._look: Look | None = None

    def take(self, look: Look) -> None:
        """Show what `look` returns from now on."""
        self._look = look

    def render(self) -> RenderableType:
        """Return what a terminal shows."""
        return picture(self._look()) if self._look else Text("starting …")

    def tell(self) -> None:
        """Write a line to the log."""
        if self._look:
            structlog.get_logger("bulkops.progress").info("run.progressed", **facts(self._look()))


class _Steady(Live):
    """
    A live display that finds its begin again when the terminal has become narrower.

    The terminal has wrapped its lines then, so that they take more rows than were written.
    """

    _width = 0
    _lengths: Sequence[int] = ()

    def refresh(self) -> None:
        """Draw again, over what is there."""
        with self._lock:
            width, drawn = self.console.width, self._live_render
            # There is no other way to tell rich how much there is to be drawn over.
            if drawn._shape is not None and width < self._width:
                rows = sum(max(1, math.ceil(length / width)) for length in self._lengths)
                drawn._shape = (width, rows)
            super().refresh()
            lines = self.console.render_lines(drawn.renderable, pad=False)
            self._width = width
            self._lengths = [sum(segment.cell_length for segment in line) for line in lines]


@contextmanager
def live(console: Console, render: Callable[[], RenderableType]) -> Iterator[Live]:
    """Draw what `render` returns a few times a second until the block ends, then take it away."""
    with _Steady(
        get_renderable=render, console=console, refresh_per_second=_PER_SECOND, transient=True
    ) as shown:
        yield shown


@contextmanager
def planning(console: Console, *, quiet: bool) -> Iterator[Told]:
    """Yield what is to be told of the phases of planning; shows them until the block ends."""
    made = _Planning()
    if quiet:
        yield made.told
    elif is_live(console):
        with live(console, made.render):
            yield made.told
    else:
        with every(_EVERY_S, made.tell):
            yield made.told


class _Planning:
    """
    How far planning has come: its phase, for how long it has gone on, and how fast that is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._now: tuple[Phase, int] | None = None

    def told(self, phase: Phase, rows: int) -> None:
        """Take note of a phase that begins."""
        self._now = phase, rows

    def render(self) -> RenderableType:
        """Return what a terminal shows; nothing for a run that has its plan already."""
        if self._now is None:
            return Text("")
        phase, rows = self._now
        number = list(Phase).index(phase)
        seconds = max(self._clock() - self._begun, 0.001)
        words = f"{phase}, {rows:,} rows" if rows else str(phase)
        if rows and phase is Phase.READING:
            words += f", {rows / seconds:,.0f}/s"
        bar = ProgressBar(total=len(Phase), completed=number, width=12)
        grid = Table.grid(padding=(0, 1))
        grid.add_row("planning", bar, Text(f"{words}, {duration(seconds)}"))
        return grid

    def tell(self) -> None:
        """Write a line to the log."""
        if self._now is not None:
            phase, rows = self._now
            seconds = max(self._clock() - self._begun, 0.001)
            structlog.get_logger("bulkops.progress").info(
                "plan.progressed",
                phase=phase.value,
                rows=rows,
                rows_per_second=round(rows / seconds),
                seconds=round(seconds, 1),
            )


def is_live(console: Console) -> bool:
    """Return whether something can be drawn again where it stands."""
    return console.is_terminal and not console.is_dumb_terminal
