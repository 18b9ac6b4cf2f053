"""The values that settling an exchange gives and takes: what is done, what is left, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from bulkops.model import Alike, Operation, Outcome


class Reason(Enum):
    """
    Why operations are not settled yet; it decides when and how they are sent again.
    """

    #: A passing fault. Counts as an attempt.
    RETRY = auto()
    #: Too many calls or no credits. Does not count.
    THROTTLED = auto()
    #: The token was refused.
    REFRESH = auto()
    #: The record is locked.
    LOCKED = auto()
    #: Another remote job of the record is running.
    WAIT = auto()
    #: Needs the organisation's list of territories to be read.
    LOOKUP = auto()
    #: Their item was refused for something of another line, or the call was too large.
    RESEND = auto()
    #: Refused as a whole because of one of them.
    BISECT = auto()


@dataclass(frozen=True, slots=True)
class Remainder:
    """
    Operations still to be done, and why.

    `in_doubt`: this try may have had its effect although no answer says so.
    """

    reason: Reason
    operations: Sequence[Operation]
    in_doubt: bool = False
    code: str = ""
    message: str = ""
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Halt:
    """
    No more calls of this group: the server refuses all of them for the same cause.
    """

    code: str
    message: str
    http_status: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """
    What one exchange means for its batch.

    `retry_after` is in seconds, from the header of that name. `limit` is the number of items a
    call may hold, if the answer said so.
    """

    ended: tuple[Alike, ...] = ()
    unprocessed: tuple[Remainder, ...] = ()
    halt: Halt | None = None
    retry_after: float | None = None
    limit: int | None = None

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What became of each line that is settled, or scheduled."""
        return tuple(each for alike in self.ended for each in alike.outcomes)


@dataclass(frozen=True, slots=True)
class Settling:
    """
    What settling knows beside the exchange.

    `doubtful` holds the lines of earlier tries that met silence; `known` the ids of the
    organisation's territories, `None` while they have not been read. `silent` are the lines of
    each silent call that need not have carried all that travels now.
    """

    doubtful: Collection[int] = frozenset()
    known: Collection[str] | None = None
    silent: Collection[frozenset[int]] = ()
