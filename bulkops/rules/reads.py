"""
How the organisation is read for an operation: what a call did, what was there before, and all.

Shapes alone, which every file in `operations/` fills in with functions of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bulkops.model import Api, Item, Json, Request, Route
from bulkops.rules.pages import Cursor


@dataclass(frozen=True, slots=True)
class Probe:
    """
    How to ask the server what is there, when no answer tells what a call did.

    `requests` returns the reads for the items of one route; `present` says which `(item id,
    member)` pairs a body shows, with '' for the member of an item that has none, and `None` if
    the body cannot tell. A refusal with one of `absent_codes` means that the item is not there.
    `singly` asks the same at a higher price, for where the server does not answer this.
    """

    requests: Callable[[Api, Route, Sequence[Item]], Sequence[Request]]
    present: Callable[[Json], frozenset[tuple[str, str]] | None]
    absent_codes: frozenset[str] = frozenset()
    singly: Probe | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """
    How an item stood before it was written: its values by manifest column; `None`: not there.
    """

    values: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class Capture:
    """
    How to read, before a write, what an undo needs to know.

    `requests` returns the reads for the items of one route; `held` says how each item that a
    body shows stands, by its id, and `None` if the body cannot tell. Items it leaves out are
    not there. `singly` as in `Probe`.
    """

    requests: Callable[[Api, Route, Sequence[Item]], Sequence[Request]]
    held: Callable[[Json], Mapping[str, Mapping[str, Json]] | None]
    singly: Capture | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """
    Something that a record holds: its id, and its values by manifest column.

    A value of `None` is empty; a column that is left out was not shown. What is not `ours` cannot
    be taken away by a call.
    """

    holder: str
    id: str
    values: Mapping[str, Json] = field(default_factory=dict)
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Shown:
    """
    A page of what records hold, the `holders` it speaks of, and where it goes on, if it does.
    """

    holders: frozenset[str]
    held: tuple[Held, ...] = ()
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """
    What some records hold: records of one module, and of one related list if there are any.

    `holders` are at most as many as the listing allows; `fields` are the columns whose values
    matter; `only` asks of these ids alone.
    """

    module: str
    related_list: str
    holders: tuple[str, ...]
    fields: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """
    How to read all that records hold of what an operation wishes there.

    `column` is where a manifest has the id of what is held. `parse` reads a page; where it does
    not add up (a count that disagrees, an end that is missing) it says so in words, and nothing
    of the page may be believed. Of the columns `decisive` the first that is wished decides
    whether values agree. `only` tells that `Question.only` is understood, up to so many ids.
    `singly` as in `Probe`.
    """

    column: str
    request: Callable[[Api, Question, Cursor], Request]
    parse: Callable[[Json, Question, Cursor], Shown | str]
    holders_per_call: int = 1
    only: int = 0
    decisive: tuple[str, ...] = ()
    singly: Listing | None = None
