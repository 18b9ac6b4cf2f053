"""
One kind of trouble and when it strikes; a value, as Python object, JSON or `[[fault]]` in TOML.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any


class FaultKind(StrEnum):
    """What goes wrong."""

    #: answered with `status` and `body` instead of the work
    STATUS = "status"
    #: the work is done, then answered with `status` and `body`
    STATUS_AFTER = "status_after"
    #: the connection is cut, nothing was done
    CUT_BEFORE = "cut_before"
    #: the work is done, then the connection is cut before any answer
    CUT_AFTER = "cut_after"
    #: the work is done, the connection is cut in the middle of the answer's body
    CUT_BODY = "cut_body"
    #: the answer is whole for HTTP, but its JSON ends in the middle
    TRUNCATED = "truncated"
    #: the answer comes, and the kept-alive connection is closed right after it
    CLOSE_AFTER = "close_after"
    #: the call takes `delay_s` longer, in emulator seconds
    DELAY = "delay"
    #: the client's issued tokens end now, and the call is answered with 401
    REVOKE_TOKENS = "revoke_tokens"
    #: records in the call answer RECORD_LOCKED (all, or those in `ids`)
    RECORD_LOCKED = "record_locked"
    #: a call that names one of `ids` is refused as a whole, without saying why
    POISON = "poison"
    #: items of the answer in another order
    SHUFFLED = "shuffled"
    #: one item of the answer is missing
    MISSING_ITEM = "missing_item"
    #: json_path of the items begins with a space
    PATH_SPACE = "path_space"
    #: items name no id, only a json_path
    PATH_ONLY = "path_only"
    #: 207 becomes 200
    MIXED_AS_200 = "mixed_as_200"


class Body(StrEnum):
    """The body of a `status` fault."""

    #: the API's flat error object
    JSON = "json"
    #: a proxy's error page
    HTML = "html"
    #: nothing
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Fault:
    """
    A trouble and the calls it strikes.

    A call matches if its method is `method` (any if "") and `path` is found in its path. Of the
    matching calls the fault strikes the `nth` (1 is the first), or every `every`-th, or each with
    `probability`; with none of them all. Once it strikes it goes on for `run` matching calls. It
    strikes at most `times` calls; 0: no end.
    """

    kind: FaultKind
    method: str = ""
    path: str = "^/(crm|bigin)/"
    nth: int = 0
    every: int = 0
    probability: float = 0.0
    times: int = 0
    run: int = 1
    status: int = 500
    body: Body = Body.JSON
    #: of a `status` fault with a JSON body: this very object in place of the usual one
    payload: Mapping[str, Any] | None = None
    #: of a `status` fault: headers that go with it
    headers: Mapping[str, str] | None = None
    retry_after_s: float | None = None
    delay_s: float = 0.0
    ids: tuple[str, ...] = ()
    #: name in the ledger; "" for the kind
    name: str = ""

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Fault:
        """Read a fault; raises ValueError that names the key, what was found and expected."""
        known = {each.name for each in fields(cls)}
        unknown = set(data) - known
        if unknown:
            raise ValueError(f"fault: unknown keys {sorted(unknown)}; known are {sorted(known)}")
        values = dict(data)
        for name, value in values.items():
            _check(name, value)
        try:
            values["kind"] = FaultKind(values.get("kind", ""))
            values["body"] = Body(values.get("body", "json"))
            re.compile(values.get("path", ""))
        except (ValueError, re.error, TypeError) as error:
            raise ValueError(
                f"fault {data!r}: {error}; kinds are {[each.value for each in FaultKind]}, "
                f"bodies are {[each.value for each in Body]}, path is a regular expression"
            ) from error
        values["ids"] = tuple(str(each) for each in values.get("ids", ()))
        return cls(**values)

    @property
    def label(self) -> str:
        """The fault's name in ledger and counters."""
        return self.name or self.kind.value


#: Keys by the type of their values; `kind`, `body` and `path` are looked at on their own.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("nth", "every", "times", "run", "status"), ((int,), "a whole number")),
    **dict.fromkeys(("probability", "retry_after_s", "delay_s"), ((int, float), "a number")),
    **dict.fromkeys(("method", "name"), ((str,), "a text")),
    **dict.fromkeys(("payload", "headers"), ((dict,), "an object")),
    "ids": ((list, tuple), "a list of ids"),
}


def _check(name: str, value: object) -> None:
    kinds, expected = _TYPES.get(name, ((object,), ""))
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds != (object,)):
        raise ValueError(f"fault {name}: found {value!r}, expected {expected}")


def load_faults(path: Path) -> list[Fault]:
    """Read `[[fault]]` tables of a TOML file."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    if set(data) - {"fault"}:
        raise ValueError(f"{path}: found {sorted(data)}, expected [[fault]] tables only")
    try:
        return [Fault.from_mapping(each) for each in data.get("fault", [])]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
