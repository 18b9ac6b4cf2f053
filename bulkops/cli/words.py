"""
What people are told before a run: the plan, what it costs, what looks odd, and what differs.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bulkops.cli.console import PlainConsole
from bulkops.cli.log import printable

if TYPE_CHECKING:
    from bulkops import Cost, Found, Plan, Relation, Share

_MOST_MODULES = 30


def print_plan(console: Console, plan: Plan, cost: Cost, *, settled: int) -> None:
    """Show the plan, and where the run stands if it has begun."""
    console.print(_table(plan), soft_wrap=False)
    for line in _plan_notes(plan, cost):
        console.print(line, markup=False)
    if settled:
        console.print(f"Going on: {settled:,} of {plan.rows:,} lines are settled already.")


def print_found(console: Console, found: Found) -> None:
    """Show the numbers of both sides of a reconciliation, and of the difference."""
    numbers = found.numbers
    console.print(
        f"DESIRED wishes {numbers.desired:,}, {numbers.actual:,} are there: {numbers.missing:,} to "
        f"link or assign, {numbers.differs:,} to update, {numbers.surplus:,} to take away."
    )
    if numbers.kept:
        console.print(f"{numbers.kept:,} more are there and are left alone.")
    for number, what, file in (
        (numbers.unread, "records could not be read: nothing is planned for them", "unread.csv"),
        (numbers.refused, "rows of DESIRED say nothing that could be compared", "refused.csv"),
    ):
        if number:
            path = found.run.path / file
            console.print(f"{number:,} {what}; see {path}", markup=False, soft_wrap=True)
    if not numbers.changes:
        console.print("Nothing to change; nothing is sent.")


def plan_table(plan: Plan, cost: Cost, *, width: int | None) -> str:
    """Return the plan as text for standard output."""
    sink = io.StringIO()
    console = PlainConsole(file=sink, width=width or 110, highlight=False, no_color=True)
    console.print(_table(plan))
    for line in _plan_notes(plan, cost):
        console.print(line, soft_wrap=True, markup=False)
    return sink.getvalue()


def _table(plan: Plan) -> Table:
    table = Table(title=f"Plan of {escape(plan.name)}", box=box.SIMPLE, title_justify="left")
    table.add_column("operation")
    table.add_column("module")
    for name in ("rows", "to send", "calls", "credits", "duplicates", "conflicts", "invalid"):
        table.add_column(name, justify="right")
    shares = plan.summary.shares
    for share in shares[:_MOST_MODULES]:
        _add(table, share)
    if len(shares) > _MOST_MODULES:
        table.add_row(f"… {len(shares) - _MOST_MODULES} more", *[""] * 8)
    table.add_section()
    _add(table, plan.summary.total)
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


def _plan_notes(plan: Plan, cost: Cost) -> list[str]:
    summary = plan.summary
    total = summary.total
    notes = [*_relation_notes(summary.relations), *_cost_notes(cost)]
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
    return [*notes, *_warnings(plan)]


def _cost_notes(cost: Cost) -> list[str]:
    """Return in sentences what a plan takes of time and credits."""
    basis = f"{cost.latency_s:.2g} s, {cost.basis}"
    time = f"About {duration(cost.seconds)} with {cost.concurrency} calls in flight"
    notes = [f"{time}, if a call takes {basis}; {cost.share_of_day:.1%} of a day's credits."]
    if cost.captures:
        notes.append(f"{cost.captures:,} of {cost.credits:,} calls are reads (capture).")
    if cost.days > 1:
        notes.append(
            f"That takes {cost.days:,} days: {cost.ours_now:,} credits are ours now, "
            f"{cost.ours_a_day:,} a day (leave_credits). A run pauses with exit code 5 when they "
            "are used up, and the same command goes on; or use --wait."
        )
    return notes


def _relation_notes(relations: tuple[Relation, ...]) -> list[str]:
    """Return in sentences what it saves to call relations from their better side."""
    return [
        f"{each.op} {each.relation}: {each.calls:,} calls instead of {each.as_given:,}, some "
        f"from the other side; at least {each.at_least:,} are needed."
        for each in relations
        if each.calls != each.as_given
    ]


def _warnings(plan: Plan) -> list[str]:
    """Return what may be wrong with rows that will be sent all the same, and where they stand."""
    found = []
    for hint in plan.warnings:
        ids = f"{hint.count:,} {'id' if hint.count == 1 else 'ids'}"
        where = "; ".join(plan.place(line) for line in hint.lines)
        first = "" if hint.count <= len(hint.lines) else "first "
        of = f"{hint.column}: " if hint.column else ""
        found.append(f"Look again: {of}{ids} {hint.words} ({first}{where})")
    return found


def short(text: str, *, most: int = 400) -> str:
    """Return a text of somebody else in one line, control characters as what they are, and cut."""
    line = printable(text.replace("\n", " "))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
