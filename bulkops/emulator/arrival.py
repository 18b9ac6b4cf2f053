"""A call as it came in, before anybody has looked at what it wants."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_plus


def parse_query(text: str) -> dict[str, str]:
    """The parameters of a query string; a later one of the same name wins."""
    query: dict[str, str] = {}
    is_quoted = "%" in text or "+" in text
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        if is_quoted:
            name, value = unquote_plus(name), unquote_plus(value)
        query[name] = value
    return query


@dataclass(slots=True)
class Arrival:
    """A call as it came in."""

    seq: int
    time: float
    method: str
    path: str
    query: str
    body: bytes
    #: the header that names external fields; None without one
    external: str | None
