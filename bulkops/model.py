"""
The nouns of bulkops: values that every floor passes on and none changes.

One record's way: manifest row -> `Operation` -> `Batch` -> `Request` -> `Reply | NoReply` ->
`Outcome`. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple

from bulkops.rows import Item as Item  # noqa: PLC0414  (nouns like those that stand here)
from bulkops.rows import Operation as Operation  # noqa: PLC0414
from bulkops.rows import merge_items as merge_items  # noqa: PLC0414

#: A parsed JSON value. `Any` is allowed only where JSON enters or leaves.
Json = Any


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


@dataclass(frozen=True, slots=True)
class Batch:
    """
    The operations of one call. `spec` is the name of the spec that knows how to send them.

    `planned` is how many the plan gave it; what is left of it later may be fewer.
    """

    number: int
    spec: str
    route: Route
    operations: Sequence[Operation]
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

    It came `seconds` after the request began to leave.
    """

    status: int
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)


class SealedReply(Reply):
    """
    An answer as it came, parsed when somebody looks into it: the same as a `Reply` with that body.

    `parse` is to return `None` for what it cannot read, and nothing may change `raw`.
    """

    __slots__ = ("_opened", "parse", "raw")

    raw: bytes
    parse: Callable[[bytes], Json]
    _opened: Json

    def __init__(
        self,
        status: int,
        raw: bytes,
        headers: Mapping[str, str],
        parse: Callable[[bytes], Json],
        seconds: float = 0.0,
    ) -> None:
        keep = object.__setattr__
        keep(self, "status", status)
        keep(self, "raw", raw)
        keep(self, "headers", headers)
        keep(self, "parse", parse)
        keep(self, "seconds", seconds)

    @property
    def body(self) -> Json:
        """The parsed JSON, or `None` where there was none that parses."""
        try:
            return self._opened
        except AttributeError:
            object.__setattr__(self, "_opened", self.parse(self.raw))
            return self._opened

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reply):
            return NotImplemented
        mine = (self.status, self.body, self.headers)
        return mine == (other.status, other.body, other.headers)

    __hash__ = Reply.__hash__

    def __repr__(self) -> str:
        return repr(Reply(self.status, self.body, self.headers))


@dataclass(frozen=True, slots=True)
class NoReply:
    """
    No answer. `sent` is false only if it is certain that nothing reached the server.

    `timed_out`: it was sent, and waited for as long as a call may take. `kept_back`: it was not
    sent for a reason of ours, which says nothing of the server. It was given up after `seconds`.
    """

    sent: bool
    reason: str = ""
    timed_out: bool = False
    kept_back: bool = False
    seconds: float = field(default=0.0, compare=False)


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
