"""
How pages say where a run stands: its state in a word, why, and its numbers with their names.

Plain values; what is to be escaped for HTML is escaped by the templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bulkops.engine.report.words import duration, number, share
from bulkops.engine.serve.entry import Entry
from bulkops.errors import ExitCode
from bulkops.model import WANTED, Status

#: The state of a run in words for people, and its colour.
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("running", "going"),
    "holding": ("paused", "holding"),
    "ending": ("ending", "holding"),
    "planned": ("planned", "idle"),
    "finished": ("finished", "good"),
    "unfinished": ("stopped", "bad"),
    "unreadable": ("unreadable", "bad"),
}
#: What an exit code says of a run that is not finished, and its colour.
_ENDS: Final[Mapping[int, tuple[str, str]]] = {
    ExitCode.PAUSED: ("paused", "holding"),
    ExitCode.INTERRUPTED: ("interrupted", "holding"),
    ExitCode.TERMINATED: ("interrupted", "holding"),
}
_KILLED: Final = "no process is on it, and the log does not say why the last one ended"


@dataclass(frozen=True, slots=True)
class Said:
    """
    The state of a run: a word, its colour, and why.
    """

    word: str
    tone: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """
    A number with its name, and what is to be said besides.
    """

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """
    The lines of one status: how many, and from where to where they reach in a bar of 1,000.
    """

    status: Status
    lines: int
    begin: float
    width: float


def state_of(entry: Entry) -> Said:
    """Return the state of a run as people say it."""
    word, tone = _STATES.get(entry.state, (entry.state, "idle"))
    match entry.state:
        case "holding":
            why = "; ".join(f"{name}, {words}" for name, words in entry.held.items())
            return Said(word, tone, f"held by {why}")
        case "finished" if entry.exit is not None:
            tone = "good" if entry.exit == ExitCode.OK else "bad"
            return Said(f"{word}, exit code {entry.exit}", tone)
        case "unfinished" if entry.ended is None:
            return Said("cut off", tone, _KILLED)
        case "unfinished" if entry.exit is not None:
            return Said(*_ENDS.get(entry.exit, (word, tone)), entry.stopped_because)
        case "running" | "unreadable":
            return Said(word, tone, entry.problem)
        case _:
            return Said(word, tone, entry.stopped_because)


def unwanted(statuses: Mapping[str, int]) -> int:
    """Return how many lines ended, and not in their wanted state."""
    fine = {*WANTED, Status.DUPLICATE, Status.SCHEDULED}
    return sum(lines for status, lines in statuses.items() if Status(status) not in fine)


def parts_of(statuses: Mapping[str, int], rows: int) -> Sequence[Part]:
    """Return the statuses of a run as parts of a bar that is as long as all of its rows."""
    found, begin = [], 0.0
    whole = max(rows, sum(statuses.values()), 1)
    for status in Status:
        if lines := statuses.get(status.value, 0):
            width = 1000 * lines / whole
            found.append(Part(status, lines, round(begin, 2), round(width, 2)))
            begin += width
    return found


def headline(entry: Entry, facts: Mapping[str, Any]) -> str:
    """Return in a sentence how far a run has come."""
    rows, settled = entry.rows, entry.settled
    if not rows:
        return f"{number(facts.get('reads', 0))} reads so far."
    if entry.state == "planned":
        return f"{number(rows)} rows in {number(entry.planned_calls)} calls; nothing was sent."
    words = f"{number(settled)} of {number(rows)} rows have their outcome ({share(settled, rows)})"
    left = facts.get("end", {}).get("seconds")
    return f"{words}; about {duration(left)} to go." if left else f"{words}."


def announcement(entry: Entry) -> str:
    """
    Return what is read out to people who do not see the page: seldom another, so as not to babble.
    """
    said = state_of(entry)
    tenths = 10 * (10 * entry.settled // entry.rows) if entry.rows else 0
    why = f": {said.why}" if said.why else ""
    return f"{said.word}{why}. {tenths} % of the rows have their outcome."


def numbers_of(entry: Entry, facts: Mapping[str, Any]) -> Iterator[Number]:
    """Yield the numbers of a run, as far as they are known: all of a process, few of a log."""
    if not entry.is_live:
        yield from _standing(entry)
    if "rates" in facts:
        rates = facts["rates"]
        yield Number("Rows a second", number(round(rates["lines_per_second"], 1)))
        yield Number("Calls a second", number(round(rates["calls_per_second"], 1)))
        yield _to_go(facts["end"])
    if "in_flight" in facts:
        limits = f"{facts['slots']} allowed now, at most {facts['concurrency']}"
        if facts["calls_per_second"]:
            limits += f", {facts['calls_per_second']:g} a second"
        yield Number("Calls in flight", number(facts["in_flight"]), limits)
    planned = facts.get("planned_calls")
    yield Number("Calls", number(facts["calls"]), f"{number(planned)} planned" if planned else "")
    if "throttled" in facts:
        yield Number("Refused with 429", number(facts["throttled"]))
        yield Number("Sent again", number(facts["retries"]))
    if "credits" in facts:
        yield from _credits(facts["credits"])
    if facts.get("scheduled"):
        yield Number("Wait for remote jobs", number(facts["scheduled"]), "rows")
    if facts.get("parked"):
        yield Number("Parked", number(facts["parked"]), "batches that wait for their time")


def _standing(entry: Entry) -> Iterator[Number]:
    rows, bad = entry.rows, unwanted(entry.statuses)
    yield Number("Rows", number(rows), f"{number(entry.settled)} have their outcome")
    if entry.statuses:
        good = sum(entry.statuses.get(status.value, 0) for status in WANTED)
        yield Number("In the wanted state", number(good), f"{share(good, rows)} of all rows")
        repeats = entry.statuses.get(Status.DUPLICATE.value, 0)
        more = f"{number(repeats)} more repeat others" if repeats else ""
        yield Number("Not in the wanted state", number(bad), more)
    if entry.started is not None and entry.ended is not None:
        yield Number("From begin to end", duration(max(0.0, entry.ended - entry.started)))


def _to_go(end: Mapping[str, Any]) -> Number:
    seconds = end["seconds"]
    if seconds is None:
        return Number("Time to go", "not known", end["basis"])
    return Number("Time to go", duration(seconds), end["basis"])


def _credits(told: Mapping[str, int]) -> Iterator[Number]:
    yield Number("Credits used", number(told["spent"]), "by this process")
    others = f", {number(told['leave'])} kept for others" if told["leave"] else ""
    yield Number("Credits left", number(told["left"]), f"of {number(told['day'])} a day{others}")
