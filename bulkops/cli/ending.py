"""
How a run ended, for people: what became of the rows, why, and what to do next.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

import bulkops
from bulkops import Count, Finished, Plan
from bulkops.cli.words import counted, first_fitting, places, print_paragraph, short, wraps
from bulkops.errors import ExitCode
from bulkops.library.runs import RETRIED
from bulkops.model import Status

_SHOWN_REASONS = 8
_LONGEST_MESSAGE = 160


def print_end(console: Console, plan: Plan, finished: Finished, *, gone: bool = False) -> None:
    """
    Show how a run ended: counts by operation and status, reasons, files, what next.

    Nothing more can be sent to an organisation that is `gone`.
    """
    counts = bulkops.counts(plan)
    if counts:
        console.print(Text("What became of the rows", style="italic"))
        wide, tight = (_table(counts, tight=each) for each in (False, True))
        console.print(first_fitting(console, wide, tight, Group(*map(Text, _lines(counts)))))
        _print_reasons(console, plan)
    for line in _told(plan, finished, counts):
        console.print(Text(line), soft_wrap=not wraps(console))
    by_status = _by_status(counts)
    follows = _look(plan, by_status) if gone else _next(plan, finished, by_status)
    for what, command in follows:
        console.print(Text(f"Next, {what}:\n  {command}"), soft_wrap=True)
    console.print(f"Exit code {int(finished.code)} ({finished.code.meaning}).")


def _by_status(counts: Iterable[Count]) -> Counter[Status]:
    found: Counter[Status] = Counter()
    for row in counts:
        found[row.status] += row.lines
    return found


def _table(counts: Sequence[Count], *, tight: bool) -> Table:
    """Return operations by statuses; where there are several operations, their sum too."""
    lines: Counter[tuple[str, str]] = Counter()
    for row in counts:
        lines[row.op, row.status.value] += row.lines
    found = _by_status(counts)
    statuses = [status.value for status in Status if found[status]]
    ops = sorted({op for op, _ in lines})
    table = Table(box=None, padding=(0, 1, 0, 0)) if tight else Table(box=box.SIMPLE)
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


def _lines(counts: Sequence[Count]) -> Iterator[str]:
    """Yield the same numbers as sentences."""
    for op in sorted({row.op for row in counts}):
        found = _by_status(row for row in counts if row.op == op)
        said = ", ".join(f"{found[each]:,} {each.value}" for each in Status if found[each])
        yield f"{short(op, most=40) or '(none)'}: {said}"


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
        print_paragraph(console, head, by=2)
        said = short(reason.message, most=_LONGEST_MESSAGE)
        where = places(plan, reason.lines, reason.count)
        for line in (
            f"{reason.meaning}.",
            f"{where}: {said}" if said else where,
            f"What to do: {reason.advice}.",
        ):
            print_paragraph(console, Text(line), by=6)
    if len(reasons) > _SHOWN_REASONS:
        print_paragraph(console, Text("… and more reasons"), by=2)
    console.print()


def _told(plan: Plan, finished: Finished, counts: Sequence[Count]) -> Iterator[str]:
    found = _by_status(counts)
    settled = found.total() - found[Status.SCHEDULED]
    done = f"{settled:,} of {plan.rows:,} lines settled with {finished.calls:,} calls"
    this_time = counted(
        (finished.reads, "reads"),
        (finished.retries, "sent again"),
        (finished.throttled, "refused (429)"),
    )
    yield f"{done} ({this_time})." if this_time else f"{done}."
    if found[Status.SCHEDULED]:
        yield f"{found[Status.SCHEDULED]:,} lines wait for jobs of the server."
    if found[Status.UNCHANGED]:
        yield (
            f"{found[Status.UNCHANGED]:,} lines were so already; what was never there, for a "
            "mistyped id, looks the same to the server."
        )
    if finished.reason:
        yield f"Ended early: {short(finished.reason, most=1000)}"
    unwanted = ", failed.csv" if any(found[each] for each in RETRIED) else ""
    yield f"Files: {plan.run}/ (outcomes.csv{unwanted}, report.html)"


def _look(plan: Plan, found: Counter[Status]) -> Iterator[tuple[str, str]]:
    """Yield how to see the rows that are not in their wanted state, if there are any."""
    look = [status.value for status in RETRIED if found[status]]
    if look:
        run = shlex.quote(str(plan.run))
        words = "to see each row that is not in its wanted state"
        yield words, f"bulkops outcomes {run} --status {','.join(sorted(look))}"


def _next(plan: Plan, finished: Finished, found: Counter[Status]) -> Iterator[tuple[str, str]]:
    """Yield what can be done now, and the command that does it."""
    run = shlex.quote(str(plan.run))
    yield from _look(plan, found)
    if finished.code is ExitCode.AUTH:
        yield "to see what is lacking", "bulkops check"
    lacking = finished.code is ExitCode.AUTH and not finished.reason
    if lacking or finished.code is ExitCode.INCOMPLETE:
        yield _once_mended(plan, found)
    elif finished.code is not ExitCode.OK and (command := _again(str(plan.run))):
        yield "to go on", command
    if found[Status.SUCCEEDED] and finished.code in {ExitCode.OK, ExitCode.INCOMPLETE}:
        yield "to take back what was done", f"bulkops undo {run}"


def _once_mended(plan: Plan, found: Counter[Status]) -> tuple[str, str]:
    """Return how the rows that are not in their wanted state are sent once that can help."""
    mended = {Status.INVALID, Status.CONFLICT}
    if any(found[each] for each in RETRIED if each not in mended):
        return "to send them again, once the cause is mended", f"bulkops retry {_quoted(plan.run)}"
    # A retry would be of the same rows as they are.
    asked = plan.asked
    like = ", with the options of this run" if asked.columns or asked.fixed or asked.fields else ""
    words = f"to send them, once failed.csv is mended{like}"
    return words, f"bulkops run {_quoted(plan.run / 'failed.csv')}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _again(run: str) -> str:
    """Return the command that goes on with this run: the same, but that `--new` names it now."""
    words = sys.argv[1:]
    if not words or words[0] not in {"run", "retry", "undo", "reconcile"}:
        return ""
    again: list[str] = []
    for word in words:
        again += ["--run-dir", run] if word == "--new" else [word]
    return shlex.join(["bulkops", *again])
