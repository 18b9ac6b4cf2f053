"""
How a run ended, for people: what became of the rows, why, and what to do next.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import bulkops
from bulkops import Count, Finished, Plan, Reason
from bulkops.cli.words import short
from bulkops.errors import ExitCode
from bulkops.library.runs import RETRIED
from bulkops.model import Status

_SHOWN_REASONS = 8
_LONGEST_MESSAGE = 160


def print_end(console: Console, plan: Plan, finished: Finished) -> None:
    """Show how a run ended: counts by operation and status, reasons, files, what next."""
    counts = bulkops.counts(plan)
    if counts:
        console.print(Text("What became of the rows", style="italic"))
        console.print(_table(counts))
        _print_reasons(console, plan)
    for line in _told(plan, finished, counts):
        console.print(Text(line), soft_wrap=not console.is_terminal)
    for what, command in _next(plan, finished, _by_status(counts)):
        console.print(Text(f"Next, {what}:\n  {command}"), soft_wrap=True)
    console.print(f"Exit code {int(finished.code)} ({finished.code.meaning}).")


def _by_status(counts: Iterable[Count]) -> Counter[Status]:
    found: Counter[Status] = Counter()
    for row in counts:
        found[row.status] += row.lines
    return found


def _table(counts: Sequence[Count]) -> Table:
    """Return operations by statuses; where there are several operations, their sum too."""
    lines: Counter[tuple[str, str]] = Counter()
    for row in counts:
        lines[row.op, row.status.value] += row.lines
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


def _print_reasons(console: Console, plan: Plan) -> None:
    """Print why lines are not in their wanted state: what it means, which ones, what to do."""
    reasons = bulkops.reasons(plan, most=_SHOWN_REASONS + 1)
    if not reasons:
        return
    console.print(Text("Why", style="italic"))
    for reason in reasons[:_SHOWN_REASONS]:
        code = short(reason.code) or "no code"
        head = Text(f"{reason.count:,} {reason.status} ", style="bold").append(code)
        _print_indented(console, head, 2)
        said = short(reason.message, most=_LONGEST_MESSAGE)
        for line in (
            f"{reason.meaning}.",
            f"{_places(plan, reason)}: {said}" if said else _places(plan, reason),
            f"What to do: {reason.advice}.",
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


def _places(plan: Plan, reason: Reason) -> str:
    """Return where to look: `lines 3, 17, …`, or the lines of each file where there are several."""
    more = ", …" if reason.count > len(reason.lines) else ""
    if len(plan.files) > 1:
        return "; ".join(plan.place(line) for line in reason.lines) + more
    word = "line" if reason.count == 1 else "lines"
    return f"{word} {', '.join(map(str, reason.lines))}{more}"


def _told(plan: Plan, finished: Finished, counts: Sequence[Count]) -> Iterator[str]:
    found = _by_status(counts)
    settled = found.total() - found[Status.SCHEDULED]
    done = f"{settled:,} of {plan.rows:,} lines settled with {finished.calls:,} calls"
    this_time = [
        f"{number:,} {words}"
        for number, words in (
            (finished.reads, "reads"),
            (finished.retries, "sent again"),
            (finished.throttled, "refused (429)"),
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
    if finished.reason:
        yield f"Ended early: {short(finished.reason, most=1000)}"
    yield f"Files: {plan.run}/ (outcomes.csv, failed.csv)"


def _next(plan: Plan, finished: Finished, found: Counter[Status]) -> Iterator[tuple[str, str]]:
    """Yield what can be done now, and the command that does it."""
    run = shlex.quote(str(plan.run))
    look = [status.value for status in RETRIED if found[status]]
    if look:
        words = "to see each of them"
        yield words, f"bulkops outcomes {run} --status {','.join(sorted(look))}"
    if finished.code is ExitCode.AUTH:
        yield "to see what is lacking", "bulkops check"
    lacking = finished.code is ExitCode.AUTH and not finished.reason
    if lacking or finished.code is ExitCode.INCOMPLETE:
        yield "to send them again, once mended", f"bulkops retry {run}"
    elif finished.code is not ExitCode.OK and (command := _again(str(plan.run))):
        yield "to go on", command
    if found[Status.SUCCEEDED] and finished.code in {ExitCode.OK, ExitCode.INCOMPLETE}:
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
