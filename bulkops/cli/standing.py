"""
How a run stands, in words and bars: made from one status, wherever that comes from.

The status is `Steering.status`: of this process, of another one through its socket, or what the
log alone can say of it, with less in it. Whoever shows it decides where and how often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulkops.cli.words import duration, short
from bulkops.model import Status

_LONGEST_EXAMPLE = 90
_STYLES = {
    Status.SUCCEEDED: "green",
    Status.UNCHANGED: "cyan",
    Status.FAILED: "red",
    Status.UNKNOWN: "red",
    Status.INVALID: "yellow",
    Status.CONFLICT: "yellow",
    Status.SKIPPED: "yellow",
}


def picture(status: Mapping[str, Any]) -> RenderableType:
    """Return bars and words for a terminal, of whatever width it is when they are shown."""
    return Group(_bars(status), *paragraphs(status))


def _bars(status: Mapping[str, Any]) -> RenderableType:
    rows, settled = status["rows"], status["settled"]
    bars = [("lines", settled, rows, f"{settled:,} of {rows:,}")]
    if not rows:
        # Reading what is there has no lines; its calls are all there is to count.
        return Text(f"reading: {status['reads']:,} reads so far")
    followed = status.get("followed", 0)
    if followed:
        ended = followed - status["pending"]
        bars.append(("jobs", ended, followed, f"{ended:,} of {followed:,}"))
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(no_wrap=True, justify="right", style="dim")
    for name, done, total, words in bars:
        grid.add_row(name, ProgressBar(total=total, completed=done), words, percent(done, total))
    return grid


def percent(part: int, whole: int) -> str:
    """Return a part in per cent; only all of it is 100 %."""
    return f"{100 if part == whole else min(99, part * 100 // whole)}%"


def paragraphs(status: Mapping[str, Any]) -> Iterator[Text]:
    """Yield what there is to say, a paragraph a subject; the first words say which."""
    for name, words in status.get("held", {}).items():
        yield Text(f"held by {name}: {short(words)}", style="bold yellow")
    if status.get("ending"):
        yield Text(f"ending: {short(status['ending'])}", style="bold yellow")
        yield Text(_waits(status.get("in_flight", 0)), style="bold yellow")
    if "rates" in status:
        yield Text(_speed(status))
    yield Text(_calls(status))
    if "credits" in status:
        yield Text(_credits(status["credits"]))
    if status["statuses"]:
        yield _statuses(status["statuses"])
    for refusal in status.get("refusals", ()):
        yield _refusal(refusal)


def _waits(in_flight: int) -> str:
    """Return what a run that is ending still does."""
    if in_flight:
        return f"waiting for {in_flight} calls under way; a second Ctrl-C does not wait"
    return "no call is under way; the files are being written"


def _speed(status: Mapping[str, Any]) -> str:
    rates, end = status["rates"], status["end"]
    speed = f"{rates['lines_per_second']:,.0f} lines/s, {rates['calls_per_second']:,.1f} calls/s"
    if end["seconds"] is None:
        return f"{speed}; the end is not in sight ({end['basis']})"
    if end["seconds"] == 0:
        return speed
    return f"{speed}; about {duration(end['seconds'])} to go ({end['basis']})"


def _calls(status: Mapping[str, Any]) -> str:
    words = f"{status['calls']:,} calls"
    if status.get("planned_calls"):
        words += f", {status['planned_calls']:,} planned"
    if "in_flight" in status:
        words += (
            f"; {status['in_flight']} in flight, {status['slots']} allowed now, at most "
            f"{status['concurrency']}"
        )
    if status.get("calls_per_second"):
        words += f" and {status['calls_per_second']:g} a second"
    for name, said in (
        ("throttled", "refused (429)"),
        ("retries", "sent again"),
        ("parked", "batches parked"),
        ("pending", "lines wait for remote jobs"),
        ("reads", "reads"),
    ):
        if number := status.get(name):
            words += f"; {number:,} {said}"
    return words


def _credits(credits_: Mapping[str, int]) -> str:
    words = f"{credits_['spent']:,} credits used by this process, {credits_['left']:,} left"
    others = f", {credits_['leave']:,} kept for others" if credits_["leave"] else ""
    return f"{words} of {credits_['day']:,} a day{others}"


def _statuses(statuses: Mapping[str, int]) -> Text:
    parts = [
        Text(f"{status.value} {statuses[status.value]:,}", style=_STYLES.get(status, ""))
        for status in Status
        if statuses.get(status.value)
    ]
    return Text("  ").join(parts)


def _refusal(refusal: Mapping[str, Any]) -> Text:
    code = short(refusal["code"]) or "(no code)"
    example = short(refusal["example"], most=_LONGEST_EXAMPLE)
    said = Text(f"{refusal['lines']:,} {refusal['status']} ", style="yellow")
    return said.append(code, style="bold").append(f" {example}", style="dim")


def facts(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same numbers for a line of the log."""
    told: dict[str, Any] = {
        "settled": status["settled"],
        "rows": status["rows"],
        **status["rates"],
        "seconds_left": status["end"]["seconds"],
        "basis": status["end"]["basis"],
        **{name: status[name] for name in ("calls", "planned_calls", "in_flight", "slots")},
        "ceiling": status["concurrency"],
        **{name: status[name] for name in ("throttled", "retries", "parked", "pending", "reads")},
        "credits_spent": status["credits"]["spent"],
        "credits_left": status["credits"]["left"],
        "statuses": status["statuses"],
    }
    if status["refusals"]:
        told["refusals"] = {
            f"{each['status']} {each['code']}": each["lines"] for each in status["refusals"]
        }
    if status["held"]:
        told["held_by"] = [f"{name}, {words}" for name, words in status["held"].items()]
    return told
