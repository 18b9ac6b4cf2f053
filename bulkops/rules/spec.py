"""
What bulkops knows of a kind of operation: the shape every file in `operations/` fills in.

A spec is data (columns, limits, what it opposes) and two small functions: `request` builds the
call, `judge` overrules the table in `verdicts.py` where this operation knows better. The planner
reads the data, the runner calls the functions; neither names an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from bulkops.model import Api, Item, Json, Operation, Request, Route
from bulkops.rules.pages import Cursor
from bulkops.rules.verdicts import Answer, Verdict

#: Record ids: digits, at most 20. API names of modules and related lists likewise below.
#: https://github.com/zoho/crm-oas (v8.0/related_records)
ID_PATTERN = "^[0-9]{1,20}$"
NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_]{0,99}$"


class Kind(Enum):
    """
    What a column of the manifest may hold.
    """

    #: A record id: digits, at most 20.
    ID = auto()
    #: One id, several joined with `;`, or a JSON list of them.
    IDS = auto()
    #: An API name of a module or related list.
    NAME = auto()
    #: `true` or `false`.
    FLAG = auto()
    #: Any text.
    TEXT = auto()


class Wish(Enum):
    """
    The state an operation wants. Opposite wishes of one relation are a conflict.
    """

    #: The relation, role or territory is to be there.
    PRESENT = "present"
    #: It is to be gone.
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Column:
    """
    A manifest column that an operation reads.
    """

    name: str
    kind: Kind
    required: bool = True


@dataclass(frozen=True, slots=True)
class CallLimits:
    """
    The configured sizes of a call. `territory_records_per_call` `None` means: learn it.
    """

    ids_per_call: int = 100
    territory_records_per_call: int | None = None
    contact_roles_bulk: bool = False


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


#: A row of a manifest, its `op` included.
Row = Mapping[str, Json]
#: Gives the rows that take an operation back, or says in words why nothing can.
Undo = Callable[[Route, Operation, Before | None], Sequence[Row] | str]


def cannot_be_undone(_route: Route, _operation: Operation, _before: Before | None) -> str:
    """Say that there is no way back."""
    return "this operation cannot be undone"


def no_overrule(_answer: Answer) -> Verdict | None:
    """Leave every verdict to the common table."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """
    A kind of operation.

    The source of each fact is the API page named in `page`. `route` are the columns that the
    operations of a call share; `item` is the column whose id is the request item; `member` is
    the column of ids within an item. `family` and `wish` say what it can contradict: two rows
    of one family about the same relation conflict when their wishes or fields differ.
    """

    name: str
    op: str
    summary: str
    page: str
    columns: tuple[Column, ...]
    route: tuple[str, ...]
    item: str
    family: str
    wish: Wish
    request: Callable[[Api, Route, Sequence[Item]], Request]
    capacity: Callable[[CallLimits], int]
    #: How to ask what is there; `None` where remote jobs may be pending, which are followed.
    probe: Probe | None
    #: How to ask what is there once nothing is pending any more; `None`: as `probe` does.
    settled_probe: Probe | None = None
    #: How to read what an undo needs; `None`: it needs nothing.
    capture: Capture | None = None
    #: How to read all that is there of what it wishes; `None`: it cannot be reconciled.
    listing: Listing | None = None
    #: What takes an operation back; `before` is `None` where nothing was captured.
    undo: Undo = cannot_be_undone
    #: Overrules the common verdict; `None` leaves it. Never called for a reply without a body.
    judge: Callable[[Answer], Verdict | None] = no_overrule
    #: Only rows with this `related_list`; the spec of the same `op` without one takes the rest.
    related_list: str | None = None
    #: Modules it exists for; `None`: any.
    modules: tuple[str, ...] | None = None
    #: (module, related_list) pairs known to be safe; `None`: any. `[relations]` adds to it.
    relations: frozenset[tuple[str, str]] | None = None
    member: str | None = None
    #: At least one of these columns must be filled.
    any_of: tuple[str, ...] = ()
    #: Columns that travel in `Operation.fields`.
    field_columns: tuple[str, ...] = ()
    #: Names recognised as relation fields without being asked for; `None`: takes no fields.
    relation_fields: tuple[str, ...] | None = None
    #: Products that do not have it, and the words to say so.
    unavailable: Mapping[str, str] = field(default_factory=dict)
    #: The array that wraps the items of an answer.
    envelope: str = "data"
    #: Longest `ids` value in characters; `None`: ids travel in the body.
    id_characters: int | None = None
    #: Sent one call at a time, after everything else, targets after their sources.
    ordered_by: str | None = None
    #: Items are looked for in the organisation's list of territories before they are sent.
    must_be_listed: bool = False
    #: The server's limit of items is not certain: a refusal teaches a smaller one.
    learns_capacity: bool = False

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns of the manifest it reads, in the order of the README."""
        return tuple(column.name for column in self.columns)

    @property
    def observation(self) -> Probe:
        """How to ask what is there when no call of ours is under way."""
        found = self.settled_probe or self.probe
        assert found is not None, f"{self.name} has no way to be observed"
        return found
