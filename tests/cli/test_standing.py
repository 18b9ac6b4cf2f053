"""How a run stands, as people see it: at every width, from any status, without others' escapes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group

from bulkops.cli.console import PlainConsole
from bulkops.cli.display import _Planning
from bulkops.cli.standing import facts, paragraphs, percent, picture
from bulkops.rules.phases import Phase

_STATUS: dict[str, Any] = {
    "run": "runs/x",
    "pid": 7,
    "state": "running",
    "held": {},
    "ending": "",
    "rows": 200_000,
    "settled": 50_000,
    "statuses": {"succeeded": 48_000, "failed": 2_000},
    "pending": 300,
    "followed": 1_200,
    "parked": 4,
    "calls": 700,
    "planned_calls": 2_800,
    "reads": 12,
    "retries": 3,
    "throttled": 2,
    "refusals": [
        {"status": "failed", "code": "INVALID_DATA", "lines": 2000, "example": "the id given"}
    ],
    "in_flight": 8,
    "slots": 12,
    "concurrency": 20,
    "calls_per_second": 0.0,
    "credits": {"spent": 700, "left": 39_300, "day": 50_000, "leave": 10_000},
    "running_s": 60.0,
    "rates": {"lines_per_second": 1234.5, "calls_per_second": 12.34, "over_s": 60.0},
    "end": {"seconds": 121.5, "basis": "1,234 lines/s of the last 60 s"},
}


def shown(status: Mapping[str, Any], width: int, *, terminal: bool = False) -> str:
    """What a console of that width shows."""
    sink = io.StringIO()
    console = PlainConsole(
        file=sink, width=width, height=50, force_terminal=terminal, color_system=None
    )
    console.print(picture(status))
    return sink.getvalue()


def test_everything_that_matters_is_there() -> None:
    """Bars, rates, calls, credits, the end with its basis, statuses and refusals."""
    assert [each.rstrip() for each in shown(_STATUS, 80).splitlines()[2:]] == [
        "1,234 lines/s, 12.3 calls/s; about 2 min to go (1,234 lines/s of the last 60 s)",
        "700 calls, 2,800 planned; 8 in flight, 12 allowed now, at most 20; 2 refused",
        "(429); 3 sent again; 4 batches parked; 300 lines wait for remote jobs; 12 reads",
        "700 credits used by this process, 39,300 left of 50,000 a day, 10,000 kept for",
        "others",
        "succeeded 48,000  failed 2,000",
        "2,000 failed INVALID_DATA the id given",
    ]
    lines, jobs = shown(_STATUS, 120).splitlines()[:2]
    assert lines.startswith("lines ━")
    assert lines.rstrip().endswith("50,000 of 200,000 25%")
    assert jobs.rstrip().endswith("900 of 1,200 75%")


@pytest.mark.parametrize("width", [30, 60, 80, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Or it would wrap, and the display could not be drawn over."""
    text = shown(_STATUS, width, terminal=True)
    assert max(map(len, text.splitlines())) <= width
    assert "50,000 of 200,000" in text


def test_a_hold_comes_with_its_reason_before_all_else() -> None:
    """And nobody guesses at the end."""
    held = {
        **_STATUS,
        "held": {"ctl": "until `bulkops ctl RUN resume`", "window": "which opens at 22:00"},
        "end": {"seconds": None, "basis": "held: it goes on when that is over"},
    }
    words = [each.plain for each in paragraphs(held)]
    assert [
        "held by ctl: until `bulkops ctl RUN resume`",
        "held by window: which opens at 22:00",
    ] == words[:2]
    assert "the end is not in sight (held: it goes on when that is over)" in words[2]


def test_what_the_log_alone_knows_is_enough() -> None:
    """Rates, calls under way and credits belong to a process; without one they are left out."""
    known = ("rows", "settled", "statuses", "calls", "planned_calls", "refusals")
    text = shown({key: _STATUS[key] for key in known}, 80)
    assert "50,000 of 200,000" in text
    assert "in flight" not in text
    assert "credits" not in text


def test_reading_what_is_there_has_reads_alone() -> None:
    """There are no rows yet."""
    assert "reading: 12 reads so far" in shown({**_STATUS, "rows": 0, "settled": 0}, 80)


@pytest.mark.parametrize(
    ("in_flight", "expected"),
    [
        (8, "waiting for 8 calls under way; a second Ctrl-C does not wait"),
        (0, "no call is under way; the files are being written"),
    ],
)
def test_a_run_that_ends_says_what_it_waits_for(in_flight: int, expected: str) -> None:
    """After Ctrl-C nobody has to guess whether it hangs."""
    status = {**_STATUS, "ending": "interrupted", "in_flight": in_flight}
    assert expected in shown(status, 80)
    assert expected not in shown({**status, "ending": ""}, 80)


@given(st.text(max_size=300), st.text(max_size=50))
def test_nothing_a_server_says_reaches_the_terminal_as_an_order(words: str, code: str) -> None:
    """Escapes, line ends and whatever turns the direction of text; markup is text too."""
    refusal = {"status": "failed", "code": code, "lines": 1, "example": words}
    status = {**_STATUS, "refusals": [refusal], "held": {"x": words}, "ending": words}
    text = shown(status, 80)
    assert not set(text) & set("\x1b\r\x07\x08\x9b\u202e\u2066")


def test_markup_in_a_message_is_text() -> None:
    """`[bold]` of a server is shown, and makes nothing bold."""
    refusal = {"status": "failed", "code": "[red]", "lines": 1, "example": "[bold]x[/]"}
    assert "[red] [bold]x[/]" in shown({**_STATUS, "refusals": [refusal]}, 80)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 5, "0%"), (5, 5, "100%"), (999_999, 1_000_000, "99%"), (1, 3, "33%"), (7, 5, "99%")],
)
def test_only_all_of_it_is_a_hundred_per_cent(part: int, whole: int, expected: str) -> None:
    """A run that is not done never says that it is."""
    assert expected == percent(part, whole)


def test_a_line_of_the_log_has_the_same_numbers() -> None:
    """What bars show on a terminal, a collector of logs can count."""
    held = {**_STATUS, "held": {"ctl": "paused"}}
    told = facts(held)
    assert {
        "settled": 50_000,
        "rows": 200_000,
        "lines_per_second": 1234.5,
        "calls_per_second": 12.34,
        "seconds_left": 121.5,
        "in_flight": 8,
        "slots": 12,
        "ceiling": 20,
        "throttled": 2,
        "credits_spent": 700,
        "credits_left": 39_300,
        "refusals": {"failed INVALID_DATA": 2000},
        "held_by": ["ctl, paused"],
    }.items() <= told.items()
    assert Counter(_STATUS["statuses"]) == told["statuses"]


def test_planning_shows_its_phase_and_how_long_it_has_gone_on() -> None:
    """With the rows, once counted, and how fast they are read; with a bar of the phases."""
    times: Iterator[float] = iter([100.0, 112.0, 120.0, 130.0])
    planning = _Planning(clock=lambda: next(times))
    console = Console(file=io.StringIO(), width=80, color_system=None)
    with console.capture() as before:
        console.print(planning.render())
    assert before.get().strip() == ""
    planning.told(Phase.READING, 0)
    with console.capture() as first:
        console.print(Group(planning.render()))
    assert first.get().strip().endswith("reading the manifest, 12 s")
    planning.told(Phase.READING, 1_000_000)
    with console.capture() as counted:
        console.print(planning.render())
    assert counted.get().strip().endswith("reading the manifest, 1,000,000 rows, 50,000/s, 20 s")
    planning.told(Phase.COMPARING, 1_000_000)
    with console.capture() as second:
        console.print(planning.render())
    assert second.get().strip().endswith("comparing the rows, 1,000,000 rows, 30 s")
