"""
Logs for people and their collectors; the checkpoint, not the log, is the record of a run.

Events are dotted and past tense (`batch.settled`); run and batch ids are bound once as context
variables. No secret, and no control character that a server sent, reaches the stream.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

#: Stands where a secret stood.
REDACTED: Final = "[redacted]"
_SECRET_NAME: Final = re.compile(r"token|secret|authorization|password|cookie", re.IGNORECASE)
#: C0 and C1 controls, and what breaks a line or turns its direction: none may be acted out.
_CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class Redactor:
    """
    Takes secrets out of an event: values of telling names, and all registered values anywhere.

    It is a structlog processor and holds the secrets of one process.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def register_secret(self, value: str) -> None:
        """Keep `value` out of every later event; an empty one is nothing to keep."""
        if value:
            self._secrets.add(value)

    def clean(self, text: str) -> str:
        """Return `text` without any registered secret, the longest first."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        return text

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Return the event without secrets; values that are no JSON become their text."""
        return {key: self._value(key, value) for key, value in event.items()}

    def _value(self, name: str, value: Any) -> Any:
        if _SECRET_NAME.search(name) and not isinstance(value, bool | int | float | None):
            return REDACTED
        match value:
            case None | bool() | int() | float():
                return value
            case Mapping():
                return {
                    self.clean(str(key)): self._value(str(key), each) for key, each in value.items()
                }
            case list() | tuple() | set() | frozenset():
                return [self._value("", each) for each in value]
            case _:
                return self.clean(value if isinstance(value, str) else repr(value))


def escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write control characters as what they are; only a traceback keeps its line ends."""
    return {
        key: printable(value) if key == "exception" and isinstance(value, str) else _escaped(value)
        for key, value in event.items()
    }


def printable(text: str) -> str:
    """Return `text` with its control characters as what they are, but for line ends."""
    return "\n".join(map(_spelled, text.split("\n")))


def json_printable(line: str) -> str:
    """Return a line of JSON with control characters spelled as JSON does: the same value."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _spelled(text: str) -> str:
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return _spelled(value)
        case dict():
            return {_escaped(key): _escaped(each) for key, each in value.items()}
        case list():
            return [_escaped(each) for each in value]
    return value


class _Unbroken:
    """A stream whose reader may leave: the log is for people, and ends nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if there is somebody to read it."""
        with suppress(BrokenPipeError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush likewise."""
        with suppress(BrokenPipeError):
            self._stream.flush()


def configure(*, stream: TextIO, json: bool, level: str | int, redactor: Redactor) -> None:
    """
    Send structlog's events from `level` up to `stream`.

    `json` writes an object a line; otherwise a line for people, coloured on a terminal unless
    `NO_COLOR` is set (https://no-color.org). Times are UTC. May be called again.
    """
    colour = stream.isatty() and not os.environ.get("NO_COLOR")
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=colour, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redactor,
            escape_controls,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Unbroken(stream))),
        cache_logger_on_first_use=False,
    )
