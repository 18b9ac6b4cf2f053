"""
What an answer to a check says: its code, the names that it lists, and what to tell of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from bulkops.model import Exchange, NoReply, Reply


def names_in(exchange: Exchange, key: str) -> list[str] | None:
    """Return the API names in a list of `settings`; `None` if it was not shown."""
    body = exchange.body if isinstance(exchange, Reply) and exchange.status == 200 else None
    rows = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(rows, list):
        return None
    found = (each for each in rows if isinstance(each, Mapping))
    return [str(each["api_name"]) for each in found if "api_name" in each]


def status_of(exchange: Exchange) -> int:
    """Return the HTTP status; 0 if there was no answer."""
    return exchange.status if isinstance(exchange, Reply) else 0


def code_of(exchange: Exchange) -> str:
    """Return the code that an answer has for all of it, or nothing."""
    body = exchange.body if isinstance(exchange, Reply) else None
    return str(body.get("code", "")) if isinstance(body, Mapping) else ""


def why(exchange: Exchange) -> str:
    """Return what came back in words: ours, and the server's own code and message."""
    if isinstance(exchange, NoReply):
        return f"no answer: {exchange.reason}"
    body = exchange.body if isinstance(exchange.body, Mapping) else {}
    words = " ".join(str(body[key]) for key in ("code", "message") if body.get(key))
    return f"HTTP {exchange.status} {words}".rstrip()[:200]
