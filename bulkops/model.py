"""
The nouns of bulkops: values that every floor passes on and none changes.

One record's way: manifest row -> `Operation` -> `Batch` -> `Request` -> `Reply | NoReply` ->
`Outcome`. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple

#: A parsed JSON value. `Any` is allowed only where JSON enters or leaves.
Json = Any
_NO_FIELDS: Mapping[str, Json] = MappingProxyType({})


class Status(StrEnum):
    """
    What became of one line of the manifest.
    """

    #: The server did it for us.
    SUCCEEDED = "succeeded"
    #: It was so already.
    UNCHANGED = "unchanged"
    #: The same wish as an earlier line, whose fate it shares.
    DUPLICATE = "duplicate"
    #: The server refused for good, or the attempts ran out.
    FAILED = "failed"
    #: The row is not an operation; it was never sent.
    INVALID = "invalid"
    #: Two rows wish opposite things of one relation; it was not sent.
    CONFLICT = "conflict"
    #: Its group was aborted before it was sent.
    SKIPPED = "skipped"
    #: Sent, no answer, and the server could not be asked.
    UNKNOWN = "unknown"
    #: A remote job is pending. Not terminal.
    SCHEDULED = "scheduled"


#: Every status but `scheduled` ends a line.
TERMINAL = frozenset(Status) - {Status.SCHEDULED}
#: The wanted state is reached. A duplicate is as good as the line it repeats.
WANTED = frozenset({Status.SUCCEEDED, Status.UNCHANGED})


class Learnt(StrEnum):
    """
    How the outcome of a line that was sent is known.
    """

    #: The server's answer to this very call said so.
    ANSWERED = "answered"
    #: An earlier call met silence, and the answer to its repetition shows that it had worked.
    ECHO = "echo"
    #: The server was asked what is there.
    PROBED = "probed"


@dataclass(frozen=True, slots=True)
class Api:
    """
    Which product and version is called; the first part of every path.
    """

    product: str = "crm"
    version: str = "v8"

    @property
    def prefix(self) -> str:
        """The path before the module, such as `/crm/v8`."""
        return f"/{self.product}/{self.version}"


@dataclass(frozen=True, slots=True)
class Route:
    """
    The URL values that operations must share to travel in one call. Unused ones are empty.
    """

    module: str = ""
    record_id: str = ""
    related_list: str = ""


class Operation(NamedTuple):
    """
    One line of the manifest, ready to be sent.

    There is one of these for every row: a named tuple takes a third of the time of a dataclass.
    `item` is the id of the request item it belongs to: the related record, the record whose
    territories change, or the territory to delete. `members` are the ids it wishes within that
    item (territories of a record); lines that share an item travel in one item. `fields` are
    what else the item says (`list_price`, `transfer_to_id`, ...).
    """

    line: int
    item: str
    members: tuple[str, ...] = ()
    fields: Mapping[str, Json] = _NO_FIELDS


class Item(NamedTuple):
    """
    One member of a request's array: an id, the operations it serves, and their united members.
    """

    id: str
    operations: tuple[Operation, ...]
    members: tuple[str, ...] = ()
    fields: Mapping[str, Json] = _NO_FIELDS


@dataclass(frozen=True, slots=True)
class Batch:
    """
    The operations of one call. `spec` is the name of the spec that knows how to send them.

    `planned` is how many the plan gave it; what is left of it later may be fewer.
    """

    number: int
    spec: str
    route: Route
    operations: tuple[Operation, ...]
    planned: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """
    A call without its host and token. `path` begins with the product; `body` is JSON or absent.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json = None


@dataclass(frozen=True, slots=True)
class Reply:
    """
    An answer. `body` is the parsed JSON, or `None` where there was none that parses.
    """

    status: int
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoReply:
    """
    No answer. `sent` is false only if it is certain that nothing reached the server.

    `timed_out`: it was sent, and waited for as long as a call may take. `kept_back`: it was not
    sent for a reason of ours, which says nothing of the server.
    """

    sent: bool
    reason: str = ""
    timed_out: bool = False
    kept_back: bool = False


Exchange = Reply | NoReply


class Outcome(NamedTuple):
    """
    What became of one line: one line of the checkpoint log, but for when and in which call.

    `code` is the server's (upper case), or one of ours (lower case) where no server spoke.
    """

    line: int
    status: Status
    code: str = ""
    message: str = ""
    http_status: int | None = None
    job_id: str | None = None
    of_line: int | None = None
    learnt: Learnt = Learnt.ANSWERED


@dataclass(frozen=True, slots=True)
class Alike:
    """
    Lines that ended in the same way: `outcome` is that of one of them, and theirs but for the line.
    """

    outcome: Outcome
    lines: Sequence[int]

    @property
    def outcomes(self) -> Iterator[Outcome]:
        """The outcome of each line."""
        return (self.outcome._replace(line=line) for line in self.lines)


def gathered(outcomes: Iterable[Outcome]) -> tuple[Alike, ...]:
    """Return `outcomes` in their order, those together that stand together and are alike."""
    groups = (list(group) for _, group in groupby(outcomes, key=_all_but_line))
    return tuple(Alike(group[0], [each.line for each in group]) for group in groups)


def _all_but_line(outcome: Outcome) -> tuple[object, ...]:
    return outcome[1:]


def merge_items(operations: Sequence[Operation]) -> tuple[Item, ...]:
    """
    Return the items of a request, in order of first appearance, one for each item id.

    Members are united without repeats (the server refuses a repeat as `ALREADY_USED`). Sending
    and settling both call this, so that an index in an answer means the same to both.
    """
    ids = [each.item for each in operations]
    if len(set(ids)) == len(ids):
        members = [
            tuple(dict.fromkeys(each.members)) if each.members else () for each in operations
        ]
        fields = [each.fields for each in operations]
        columns = zip(ids, zip(operations, strict=True), members, fields, strict=True)
        return tuple(map(Item._make, columns))
    grouped: dict[str, list[Operation]] = {}
    for operation in operations:
        grouped.setdefault(operation.item, []).append(operation)
    return tuple(
        Item(
            id=item_id,
            operations=tuple(group),
            members=tuple(dict.fromkeys(member for each in group for member in each.members)),
            fields=group[0].fields,
        )
        for item_id, group in grouped.items()
    )
