"""
Words that several verbs share, and the numbers of a reconciliation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.text import Text

from bulkops.cli.log import printable

if TYPE_CHECKING:
    from bulkops import Found, Plan

#: Wider than any table.
_ENDLESS = 10_000


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


def first_fitting(console: Console, *widest_first: RenderableType) -> RenderableType:
    """Return the first that `console` is wide enough for, or the last: no table cuts a number."""
    endless = console.options.update(max_width=_ENDLESS)
    for each in widest_first[:-1]:
        if Measurement.get(console, endless, each).maximum <= console.width:
            return each
    return widest_first[-1]


def wraps(console: Console) -> bool:
    """
    Return whether text is to be wrapped between words; in a file a paragraph is one line.

    On a terminal it is, whether escapes are wanted there (`NO_COLOR`) or not.
    """
    return console.is_terminal or console.file.isatty()


def print_paragraph(console: Console, text: Text, *, by: int = 0) -> None:
    """Print a paragraph, indented `by` so many columns; in a file it is one line to search in."""
    if wraps(console):
        console.print(Padding(text, (0, 0, 0, by)))
    else:
        console.print(Text(" " * by) + text, soft_wrap=True)


def counted(*numbers: tuple[int, str]) -> str:
    """Return numbers with what they count, without those that are 0."""
    return ", ".join(f"{number:,} {words}" for number, words in numbers if number)


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


def places(plan: Plan, lines: Sequence[int], count: int) -> str:
    """
    Return where `count` lines stand of which these are the first: `lines 3, 17, …`.

    Where there are several files, each is named with its line.
    """
    more = ", …" if count > len(lines) else ""
    if len(plan.files) > 1:
        return "; ".join(plan.place(line) for line in lines) + more
    return f"{'line' if count == 1 else 'lines'} {', '.join(map(str, lines))}{more}"
