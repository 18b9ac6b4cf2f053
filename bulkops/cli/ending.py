"""
How a run ended, for people: what became of the rows, why, and what to do next.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bulkops.cli.words import short
from bulkops.engine.execute import Ended
from bulkops.errors import ExitCode
from bulkops.files.manifest.places import say_place
from bulkops.files.outcomes import UNFINISHED, count_outcomes
from bulkops.files.prepare import Prepared
from bulkops.files.refusals import Reason, reasons_of
from bulkops.model import Status
from bulkops.rules.explain import explain

_SHOWN_REASONS = 8
_LONGEST_MESSAGE = 160
CODES = {
    ExitCode.OK: "every line is in its wanted state",
    ExitCode.INTERNAL: "a fault of this machine or of bulkops",
    ExitCode.USAGE: "wrong usage",
    ExitCode.INCOMPLETE: "finished; some lines are not in their wanted state",
    ExitCode.STOPPED: "stopped by a threshold",
    ExitCode.PAUSED: "paused; run again later",
    ExitCode.AUTH: "authentication or permission",
    ExitCode.LOCKED: "another run holds the lock",
    ExitCode.UNCONFIRMED: "not confirmed",
    ExitCode.INTERRUPTED: "interrupted; run again to go on",
    ExitCode.TERMINATED: "terminated; run again to go on",
}


def print_end(console: Console, prepared: Prepared, ended: Ended) -> None:
    """Show how a run ended: counts by operation and status, reasons, files, what next."""
    run = prepared.run
    begun = run.checkpoint.exists()
    counts = count_outcomes(run) if begun else []
    if counts:
        console.print(Text("What became of the rows", style="italic"))
        console.print(_table(counts))
        _print_reasons(console, prepared)
    for line in _told(prepared, ended, counts):
        console.print(Text(line), soft_wrap=not console.is_terminal)
    for what, command in _next(prepared, ended, _by_status(counts)):
        console.print(Text(f"Next, {what}:\n  {command}"), soft_wrap=True)
    console.print(f"Exit code {int(ended.code)} ({CODES[ended.code]}).")


def _by_status(counts: Iterable[Mapping[str, Any]]) -> Counter[Status]:
    found: Counter[Status] = Counter()
    for row in counts:
        found[Status(row["status"])] += row["lines"]
    return found


def _table(counts: Sequence[Mapping[str, Any]]) -> Table:
    """Return operations by statuses; where there are several operations, their sum too."""
    lines: Counter[tuple[str, str]] = Counter()
    for row in counts:
        lines[row["op"], row["status"]] += row["lines"]
    found = _by_status(counts)
    statuses = [status.value for status in Status if found[status]]
    ops = sorted({op for op, _ in lines})
    table = Table(box=box.SIMPLE)
    table.add_column("operation")
    for status in statuses:
        table.add_column(status, justify="right")
    for op in ops:
        cells = [_number(lines[op, status]) for status in statuses]
        table.add_row(Text(short(op, most=40) or "(none)"), *cells)
    if len(ops) > 1:
        table.add_section()
        table.add_row("all", *(_number(found[Status(status)]) for status in statuses))
    return table


def _number(number: int) -> str:
    return f"{number:,}" if number else "·"


def _print_reasons(console: Console, prepared: Prepared) -> None:
    """Print why lines are not in their wanted state: what it means, which ones, what to do."""
    reasons = reasons_of(prepared.run, most=_SHOWN_REASONS + 1)
    if not reasons:
        return
    console.print(Text("Why", style="italic"))
    for reason in reasons[:_SHOWN_REASONS]:
        code = short(reason.code) or "no code"
        explained = explain(reason.code, reason.message)
        head = Text(f"{reason.count:,} {reason.status} ", style="bold").append(code)
        _print_indented(console, head, 2)
        said = short(reason.message, most=_LONGEST_MESSAGE)
        for line in (
            f"{explained.meaning}.",
            f"{_places(prepared, reason)}: {said}" if said else _places(prepared, reason),
            f"What to do: {explained.advice}.",
        ):
            _print_indented(console, Text(line), 6)
    if len(reasons) > _SHOWN_REASONS:
        _print_indented(console, Text("… and more reasons"), 2)
    console.print()


def _print_indented(console: Console, text: Text, by: int) -> None:
    """Print a paragraph; in a file it is one line, which can be searched."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, by)))
    else:
        console.print(Text(" " * by) + text, soft_wrap=True)


def _places(prepared: Prepared, reason: Reason) -> str:
    """Return where to look: `lines 3, 17, …`, or the lines of each file where there are several."""
    more = ", …" if reason.count > len(reason.lines) else ""
    if len(prepared.parts) > 1:
        return "; ".join(say_place(prepared.parts, line) for line in reason.lines) + more
    word = "line" if reason.count == 1 else "lines"
    return f"{word} {', '.join(map(str, reason.lines))}{more}"


def _told(prepared: Prepared, ended: Ended, counts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found, tally = _by_status(counts), ended.tally
    settled = found.total() - found[Status.SCHEDULED]
    done = f"{settled:,} of {prepared.rows:,} lines settled with {tally.calls:,} calls"
    this_time = [
        f"{number:,} {words}"
        for number, words in (
            (tally.reads, "reads"),
            (tally.retries, "sent again"),
            (tally.throttled, "refused (429)"),
        )
        if number
    ]
    yield f"{done} ({', '.join(this_time)})." if this_time else f"{done}."
    if found[Status.SCHEDULED]:
        yield f"{found[Status.SCHEDULED]:,} lines wait for jobs of the server."
    if found[Status.UNCHANGED]:
        yield (
            f"{found[Status.UNCHANGED]:,} lines were so already; what was never there, for a "
            "mistyped id, looks the same to the server."
        )
    if ended.reason:
        yield f"Ended early: {short(ended.reason, most=1000)}"
    yield f"Files: {prepared.run.path}/ (outcomes.csv, failed.csv)"


def _next(prepared: Prepared, ended: Ended, found: Counter[Status]) -> Iterator[tuple[str, str]]:
    """Yield what can be done now, and the command that does it."""
    run = shlex.quote(str(prepared.run.path))
    look = [status.value for status in UNFINISHED if found[status]]
    if look:
        words = "to see each of them"
        yield words, f"bulkops outcomes {run} --status {','.join(sorted(look))}"
    if ended.code is ExitCode.AUTH:
        yield "to see what is lacking", "bulkops check"
    if ended.code is ExitCode.INCOMPLETE or (ended.code is ExitCode.AUTH and not ended.reason):
        yield "to send them again, once mended", f"bulkops retry {run}"
    elif ended.code is not ExitCode.OK and (command := _again(str(prepared.run.path))):
        yield "to go on", command
    if found[Status.SUCCEEDED] and ended.code in {ExitCode.OK, ExitCode.INCOMPLETE}:
        yield "to take back what was done", f"bulkops undo {run}"


def _again(run: str) -> str:
    """Return the command that goes on with this run: the same, but that `--new` names it now."""
    words = sys.argv[1:]
    if not words or words[0] not in {"run", "retry", "undo", "reconcile"}:
        return ""
    again: list[str] = []
    for word in words:
        again += ["--run-dir", run] if word == "--new" else [word]
    return shlex.join(["bulkops", *again])
