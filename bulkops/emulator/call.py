"""
What passes between the server and the handlers: a call in, an answer out.

Handlers are plain functions `Call → Answer`: no sockets, no awaiting. A handler that will not go on
raises `Refused`, which carries the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import orjson

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.catalogue import Version
from bulkops.emulator.state.clients import Client
from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.world import World


class Cut(Enum):
    """Where an answer breaks off on its way out."""

    #: before its first byte: the client gets no status at all
    SILENT = "silent"
    #: in the middle of its body, and the connection with it
    IN_BODY = "in_body"
    #: whole for HTTP, but its JSON ends in the middle
    TRUNCATED = "truncated"
    #: nowhere; the kept-alive connection is closed right after it
    AFTER = "after"


class Successes:
    """
    A body whose items the server did, and that differ in nothing but their ids, which are digits.

    Most answers of a run are these, so they are written at once from the ids they are about;
    `items` takes them apart. There is one for each message: `Successes.saying`.
    """

    __slots__ = ("_between", "_head", "_message", "_tail")

    def __init__(self, message: str) -> None:
        head = '{"code":"SUCCESS","details":{"id":"'
        tail = f'"}},"message":{orjson.dumps(message).decode()},"status":"success"}}'
        self._message = message
        self._head = f'{{"data":[{head}'.encode()
        self._between = f"{tail},{head}"
        self._tail = f"{tail}]}}".encode()

    @staticmethod
    @lru_cache(maxsize=16)
    def saying(message: str) -> Successes:
        """The body with this message."""
        return Successes(message)

    def items(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The items one by one."""
        return [
            {
                "code": "SUCCESS",
                "details": {"id": each},
                "message": self._message,
                "status": "success",
            }
            for each in ids
        ]

    def json(self, ids: Sequence[str]) -> bytes:
        """The body."""
        return b"".join((self._head, self._between.join(ids).encode(), self._tail))


@dataclass(slots=True)
class Answer:
    """
    One answer, what the ledger should know of it, and what becomes of it on its way out.

    `payload` None is an empty body; `Successes` are about the items in `asked`. `asked` names the
    items of the request, `changed` those that changed state; `unchanged` counts items that
    succeeded without changing anything.
    """

    status: int
    payload: dict[str, Any] | Successes | None = None
    asked: Sequence[str] = ()
    changed: Sequence[str] = ()
    unchanged: int = 0
    headers: dict[str, str] | None = None
    #: whether `asked` is what the parameter `ids` holds
    is_asked_by_query: bool = False
    #: sent in place of the payload, as HTML
    raw: bytes | None = None
    cut: Cut | None = None

    def body(self) -> bytes:
        """The whole body, before anything is cut from it."""
        payload = self.payload
        if self.raw is not None:
            return self.raw
        if isinstance(payload, Successes):
            return payload.json(self.asked)
        return b"" if payload is None else orjson.dumps(payload)


class Refused(Exception):  # noqa: N818 - it carries an answer and is no error of ours
    """The call is refused as a whole; carries the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True)
class Call:
    """One authenticated API call; `path` holds the segments after the version."""

    world: World
    organisation: Organisation
    client: Client
    behaviour: Behaviour
    version: Version
    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    #: the header that names external fields; None without one
    external: str | None
    body: bytes
    now: float
    #: records that answer RECORD_LOCKED in this call, beside those locked in the world
    locked: frozenset[str] = frozenset()

    def is_locked(self, record_id: str) -> bool:
        """Whether a record is locked for this call; a "*" locks all."""
        locked = self.locked
        return (
            bool(locked) and (record_id in locked or "*" in locked)
        ) or record_id in self.organisation.rights.locked

    def json(self) -> Any:
        """The parsed body, whatever Content-Type says; None if it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


Handler = Callable[[Call], Answer]


def id_text(value: object) -> str | None:
    """An id of a request body, sent as text or as a number; None if it is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None
