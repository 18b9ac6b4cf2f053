"""What is shown while a run goes on: drawn over itself on a terminal, else lines of the log."""

from __future__ import annotations

import io
import threading

import pytest
import structlog
from rich.console import Console, RenderableType
from rich.text import Text
from structlog.testing import capture_logs

from bulkops.cli.display import _Planning, _Steady, every, planning, watching
from bulkops.rules.phases import Phase
from tests.cli.test_standing import _STATUS

_UP = "\x1b[1A"


def terminal(width: int) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=40, force_terminal=True, color_system=None
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    console.file.seek(0)
    console.file.truncate()
    return text


def test_the_display_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far up as there are lines, and farther where a narrower terminal has wrapped them."""
    console = terminal(100)
    paragraphs: list[str] = ["x" * 90, "short", "y" * 60]

    def render() -> RenderableType:
        return Text("\n".join(paragraphs))

    with _Steady(get_renderable=render, console=console, auto_refresh=False) as shown:
        shown.refresh()
        written(console)
        shown.refresh()
        assert 2 == written(console).count(_UP)
        # 90 characters take three rows of 40, and 60 take two.
        console.width = 40
        shown.refresh()
        assert 5 == written(console).count(_UP)
        # They were wrapped by us this time, and a wider terminal keeps its rows.
        console.width = 100
        shown.refresh()
        assert 5 == written(console).count(_UP)


def test_elsewhere_nothing_is_drawn() -> None:
    """A file, a pipe or a terminal without colour gets no escape, and no bar."""
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    with watching(console, quiet=False) as watch, planning(console, quiet=False) as told:
        told(Phase.READING, 5)
        watch(lambda: _STATUS)
    assert "" == written(console)


def test_planning_tells_its_phase_its_rows_and_their_rate() -> None:
    """Rows a second are those known so far, by the time since planning began; none at first."""
    now = [10.0]
    made = _Planning(clock=lambda: now[0])
    console = terminal(100)
    made.told(Phase.READING, 0)
    now[0] = 12.0
    console.print(made.render())
    made.told(Phase.READING, 3_000_000)
    console.print(made.render())
    with capture_logs() as logs:
        made.tell()
    first, second = written(console).splitlines()

    assert "reading the manifest, 2" in first
    assert "reading the manifest, 3,000,000 rows, 1,500,000/s, 2" in second
    assert [("reading the manifest", 3_000_000, 1_500_000, 2.0)] == [
        (each["phase"], each["rows"], each["rows_per_second"], each["seconds"]) for each in logs
    ]


def test_lines_of_the_log_come_every_so_often_until_the_end() -> None:
    """Each with where the run stands then; the thread that writes them ends with the block."""
    seen = threading.Event()

    def tell() -> None:
        structlog.get_logger().info("run.progressed", n=1)
        seen.set()

    with capture_logs() as logs, every(0.001, tell):
        assert seen.wait(5)
    count = len(logs)
    assert count >= 1
    assert "progress" not in {thread.name for thread in threading.enumerate()}
    assert count == len(logs)


def test_a_quiet_run_shows_nothing() -> None:
    """Not even on a terminal."""
    console = terminal(80)
    with watching(console, quiet=True) as watch, planning(console, quiet=True) as told:
        told(Phase.READING, 0)
        watch(lambda: _STATUS)
    assert "" == written(console)
