"""
A plan for people: what would be sent, what would not and why, what it costs, what looks odd.

No number is ever cut: where a table is too wide for the terminal, there are lines instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bulkops.cli.words import counted, duration, first_fitting, places, print_paragraph, short

if TYPE_CHECKING:
    from bulkops import Cost, Plan, Relation, Share

#: Rows that are not sent, as a share of the plan counts them.
_ODD = ("duplicates", "conflicts", "invalid")
_MOST_MODULES = 30
_MOST_REASONS = 8
_LONGEST_MESSAGE = 160


def print_plan(console: Console, plan: Plan, cost: Cost, *, settled: int = 0) -> None:
    """Show the plan, and where the run stands if it has begun; in a file a note is one line."""
    console.print(Text(f"Plan of {plan.name}", style="italic"))
    if not plan.rows:
        return console.print("It has no rows.")
    wide, tight = (_table(plan, tight=each) for each in (False, True))
    console.print(first_fitting(console, wide, tight, Group(*map(Text, _lines(plan)))))
    for note in _sent_notes(plan, cost):
        _print(console, note)
    _print_refusals(console, plan)
    for note in _warnings(plan):
        _print(console, note)
    if settled:
        _print(console, f"Going on: {settled:,} of {plan.rows:,} lines are settled already.")
    return None


def _print(console: Console, note: str, *, by: int = 0) -> None:
    print_paragraph(console, Text(note), by=by)


def _table(plan: Plan, *, tight: bool) -> Table:
    """Return a table; what no row of the manifest is has no column."""
    total = plan.summary.total
    odd = [name for name in _ODD if getattr(total, name)]
    table = Table(box=None, padding=(0, 1, 0, 0)) if tight else Table(box=box.SIMPLE)
    table.add_column("operation")
    table.add_column("module")
    for name in ("rows", "to send", "calls", *odd):
        table.add_column(name, justify="right")
    shares = plan.summary.shares
    for share in shares[:_MOST_MODULES]:
        _add(table, share, odd)
    if len(shares) > _MOST_MODULES:
        table.add_row(f"… {len(shares) - _MOST_MODULES} more", *[""] * (4 + len(odd)))
    if len(shares) != 1:
        table.add_section()
        _add(table, total, odd)
    return table


def _add(table: Table, share: Share, odd: list[str]) -> None:
    numbers = (share.rows, share.sent, share.calls, *(getattr(share, name) for name in odd))
    table.add_row(
        Text(share.op or "(unknown)"),
        Text(share.module),
        *(f"{number:,}" if number else "·" for number in numbers),
    )


def _lines(plan: Plan) -> Iterator[str]:
    """Yield the shares as sentences."""
    shares = plan.summary.shares
    for share in (*shares[:_MOST_MODULES], *([plan.summary.total] if len(shares) != 1 else [])):
        odd = counted(*((getattr(share, name), name) for name in _ODD))
        name = f"{share.op or '(unknown)'} {share.module}".strip()
        sent = f"{share.rows:,} rows, {share.sent:,} to send in {share.calls:,} calls"
        yield f"{name}: {sent}; {odd}" if odd else f"{name}: {sent}"


def _sent_notes(plan: Plan, cost: Cost) -> list[str]:
    """Return in sentences how rows are sent, and what that costs."""
    if not plan.calls:
        return ["There is nothing to send."]
    notes = [*_relation_notes(plan.summary.relations), *_cost_notes(cost)]
    if plan.summary.learns:
        notes.append(
            f"{', '.join(plan.summary.learns)}: counted at 100 records a call; the server may take "
            "only 10, which the first call finds out."
        )
    return notes


def _cost_notes(cost: Cost) -> list[str]:
    """Return in sentences what a plan takes of time and credits."""
    basis = f"{cost.latency_s:.2g} s, {cost.basis}"
    time = duration(cost.seconds) if cost.seconds >= 1 else "a second"
    share = f"{cost.share_of_day:.1%}" if cost.share_of_day >= 0.001 else "less than 0.1%"
    flight = f"with {cost.concurrency} calls in flight, if a call takes {basis}"
    notes = [f"About {time} {flight}; {share} of a day's credits."]
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


def _print_refusals(console: Console, plan: Plan) -> None:
    """Print which rows are not sent, and why: the reasons, with the first lines of each."""
    total = plan.summary.total
    told = [
        f"{number:,} {(one if number == 1 else many)}"
        for number, one, many in (
            (total.invalid, "row is no operation", "rows are no operations"),
            (total.conflicts, "row contradicts another", "rows contradict each other"),
        )
        if number
    ]
    if not told:
        return
    them = "it is" if total.invalid + total.conflicts == 1 else "they are"
    _print(console, f"{' and '.join(told)}; {them} not sent:")
    reasons = plan.refusals(most=_MOST_REASONS + 1)
    for each in reasons[:_MOST_REASONS]:
        where = places(plan, each.lines, each.count)
        words = short(each.message, most=_LONGEST_MESSAGE)
        _print(console, f"{each.count:,} {each.status} {each.code}, {where}: {words}", by=2)
    if len(reasons) > _MOST_REASONS:
        _print(console, "… and more reasons", by=2)


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
