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
from bulkops.rules.reads import Before, Capture, Listing, Probe
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
