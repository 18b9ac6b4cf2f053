"""
What passes between the server and the handlers: a call in, an answer out.

Handlers are plain functions `Call → Answer`: no sockets, no awaiting. A handler that will not go on
raises `Refused`, which carries the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.catalogue import Version
from bulkops.emulator.state.clients import Client
from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.world import World


class Successes(NamedTuple):
    """
    A body whose items the server did, and that differ in nothing but their ids, which are digits.

    Most answers of a run are these, so they are written at once; `items` takes them apart.
    """

    message: str
    ids: Sequence[str]

    def items(self) -> list[dict[str, Any]]:
        """The items one by one."""
        return [
            {
                "code": "SUCCESS",
                "details": {"id": each},
                "message": self.message,
                "status": "success",
            }
            for each in self.ids
        ]

    def json(self) -> bytes:
        """The body."""
        head = '{"code":"SUCCESS","details":{"id":"'
        tail = f'"}},"message":{orjson.dumps(self.message).decode()},"status":"success"}}'
        items = f"{tail},{head}".join(self.ids)
        return f'{{"data":[{head}{items}{tail}]}}'.encode()


@dataclass(slots=True)
class Answer:
    """
    One answer, and what the ledger should know of it.

    `payload` None is an empty body. `asked` names the items of the request, `changed` those that
    changed state; `unchanged` counts items that succeeded without changing anything.
    `is_asked_by_query` says that `asked` is what the parameter `ids` holds.
    """

    status: int
    payload: dict[str, Any] | Successes | None = None
    asked: Sequence[str] = ()
    changed: Sequence[str] = ()
    unchanged: int = 0
    headers: dict[str, str] | None = None
    is_asked_by_query: bool = False


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
    headers: Mapping[str, str]
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
