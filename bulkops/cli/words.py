"""
What people are told: the plan before, the state between, the summary after.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bulkops.config import Config
from bulkops.errors import ExitCode
from bulkops.execute import Ended
from bulkops.model import Status
from bulkops.outcomes import count_outcomes
from bulkops.planner.summary import ASSUMED_LATENCY_S, Share
from bulkops.prepare import Prepared

_SHOWN_REFUSALS = 8
_MOST_MODULES = 30


def print_plan(console: Console, prepared: Prepared, config: Config, *, settled: int) -> None:
    """Show the plan, and where the run stands if it has begun."""
    console.print(_table(prepared), soft_wrap=False)
    for line in _plan_notes(prepared, config):
        console.print(line)
    if settled:
        console.print(f"Going on: {settled:,} of {prepared.rows:,} lines are settled already.")


def plan_table(prepared: Prepared, config: Config, *, width: int | None) -> str:
    """Return the plan as text for standard output."""
    sink = io.StringIO()
    console = Console(file=sink, width=width or 110, highlight=False, no_color=True)
    console.print(_table(prepared))
    for line in _plan_notes(prepared, config):
        console.print(line, soft_wrap=True)
    return sink.getvalue()


def _table(prepared: Prepared) -> Table:
    table = Table(
        title=f"Plan of {escape(prepared.run.name)}", box=box.SIMPLE, title_justify="left"
    )
    table.add_column("operation")
    table.add_column("module")
    for name in ("rows", "to send", "calls", "credits", "duplicates", "conflicts", "invalid"):
        table.add_column(name, justify="right")
    shares = prepared.summary.shares
    for share in shares[:_MOST_MODULES]:
        _add(table, share)
    if len(shares) > _MOST_MODULES:
        table.add_row(f"… {len(shares) - _MOST_MODULES} more", *[""] * 8)
    table.add_section()
    _add(table, prepared.summary.total)
    return table


def _add(table: Table, share: Share) -> None:
    table.add_row(
        escape(share.op) or "(unknown)",
        escape(share.module),
        *(
            f"{number:,}" if number else "·"
            for number in (
                share.rows,
                share.sent,
                share.calls,
                share.credits,
                share.duplicates,
                share.conflicts,
                share.invalid,
            )
        ),
    )


def _plan_notes(prepared: Prepared, config: Config) -> list[str]:
    summary, limits = prepared.summary, config.limits
    total = summary.total
    seconds = summary.seconds(limits.ceiling)
    share = total.credits / limits.credits
    time = f"About {duration(seconds)} with {limits.ceiling} calls in flight"
    cost = f"{share:.1%} of the {limits.credits:,} credits of a day"
    notes = [f"{time}, if a call takes {ASSUMED_LATENCY_S} s; {cost}."]
    if summary.learns:
        notes.append(
            f"{', '.join(summary.learns)}: counted at 100 records a call; the server may take only "
            "10, which the first call finds out."
        )
    if total.invalid or total.conflicts:
        notes.append(
            f"{total.invalid:,} rows are not operations and {total.conflicts:,} contradict each "
            "other; they are not sent, and failed.csv will say why."
        )
    return notes


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def print_end(console: Console, prepared: Prepared, ended: Ended) -> None:
    """Show how a run ended: counts by operation and status, refusals, files, what next."""
    counts = count_outcomes(prepared.run) if prepared.run.checkpoint.exists() else []
    console.print(_end_table(counts))
    _print_refusals(console, counts)
    tally = ended.tally
    again = f", {tally.retries:,} sent again" if tally.retries else ""
    reads = f", {tally.reads:,} of them reads" if tally.reads else ""
    done = f"{tally.settled:,} of {tally.rows:,} lines settled"
    console.print(f"{done} with {tally.calls:,} calls{reads}{again}.")
    if ended.reason:
        console.print(f"[bold]Ended early:[/] {escape(ended.reason)}", soft_wrap=True)
    console.print(f"Files: {escape(str(prepared.run.path))}/ (outcomes.csv, failed.csv)")
    if ended.code is ExitCode.INCOMPLETE:
        console.print(
            f"Next: bulkops outcomes {escape(str(prepared.run.path))} --status failed,unknown; "
            f"bulkops retry {escape(str(prepared.run.path))}",
            soft_wrap=True,
        )
    console.print(f"Exit code {int(ended.code)} ({_CODES[ended.code]}).")


_CODES = {
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


def _end_table(counts: list[dict[str, Any]]) -> Table:
    found = {row["status"] for row in counts}
    statuses = [status.value for status in Status if status.value in found]
    ops = sorted({row["op"] for row in counts})
    table = Table(title="What became of the rows", box=box.SIMPLE, title_justify="left")
    table.add_column("operation")
    for status in statuses:
        table.add_column(status, justify="right")
    for op in ops:
        cells = []
        for status in statuses:
            number = sum(
                row["lines"] for row in counts if row["op"] == op and row["status"] == status
            )
            cells.append(f"{number:,}" if number else "·")
        table.add_row(escape(op) or "(none)", *cells)
    return table


def _print_refusals(console: Console, counts: list[dict[str, Any]]) -> None:
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for row in counts:
        if row["status"] in {"succeeded", "duplicate", "scheduled"}:
            continue
        key = (row["status"], row["code"])
        number, message = found.get(key, (0, row["message"] or ""))
        found[key] = (number + row["lines"], message)
    if not found:
        return
    table = Table(title="Why", box=box.SIMPLE, title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("status")
    table.add_column("code")
    table.add_column("an example", overflow="fold")
    ranked = sorted(found.items(), key=lambda each: -each[1][0])
    for (status, code), (number, message) in ranked[:_SHOWN_REFUSALS]:
        table.add_row(f"{number:,}", status, escape(code), escape(message[:160]))
    console.print(table)


def print_status(facts: Mapping[str, Any]) -> None:
    """Print where a run stands."""
    typer.echo(f"{facts['run']}: {facts['state']}")
    typer.echo(f"{facts['settled']:,} of {facts['rows']:,} lines settled, {facts['calls']:,} calls")
    for status, number in sorted(facts["statuses"].items()):
        typer.echo(f"  {status:<10} {number:>12,}")
    if facts["scheduled"]:
        typer.echo(f"  scheduled  {facts['scheduled']:>12,}")
    if facts["stopped_because"]:
        typer.echo(f"stopped: {facts['stopped_because']}")
