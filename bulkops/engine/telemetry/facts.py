"""
What may be told of a call and of what came of it, as attributes: numbers, names and codes.

No id, no secret and nothing that a manifest or a server made up at length: a URL is told by its
template, lines by their number, refusals by their code. Names are those of the semantic
conventions where they have one, ours begin with `bulkops.`.
https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from bulkops.model import Exchange, NoReply, Request, Status
from bulkops.rules.settlement import Settlement

Facts = dict[str, str | int | float]

_ID: Final = re.compile(r"/\d+(?=/|$)")
_MANY_DIGITS: Final = re.compile(r"\d{6,}")
_LONGEST_WORDS: Final = 200
#: Outcomes of lines that make a call one that went wrong.
_ILL: Final = frozenset({Status.FAILED, Status.SKIPPED, Status.UNKNOWN})


def template_of(request: Request) -> str:
    """Return a path with `{id}` in place of every id: one of few, whatever the manifest."""
    return _ID.sub("/{id}", request.path)


def facts_of(
    request: Request, exchange: Exchange, template: str, server: Mapping[str, str | int]
) -> Facts:
    """Return what HTTP knows of an exchange, the same for spans and metrics."""
    facts: Facts = {"http.request.method": request.method, "url.template": template, **server}
    if isinstance(exchange, NoReply):
        facts["error.type"] = exchange.reason.partition(":")[0] or "no_reply"
    else:
        facts["http.response.status_code"] = exchange.status
        if exchange.status >= 400:
            facts["error.type"] = str(exchange.status)
    return facts


def trouble_of(exchange: Exchange) -> str:
    """Return in words why a call did not work; empty if it did, whatever became of its lines."""
    if isinstance(exchange, NoReply):
        return plain(exchange.reason) or "no answer"
    return f"HTTP {exchange.status}" if exchange.status >= 400 else ""


def came_of(settlement: Settlement) -> Facts:
    """Return how many lines there were, ended in each way, or go again for each reason."""
    found = Counter[str]()
    for alike in settlement.ended:
        found[f"bulkops.lines.{alike.outcome.status.value}"] += len(alike.lines)
    for rest in settlement.unprocessed:
        found[f"bulkops.again.{rest.reason.name.lower()}"] += len(rest.operations)
    return {"bulkops.rows": found.total(), **found}


def refused_in(settlement: Settlement) -> Counter[str]:
    """Return how many lines were not done, by the code that says why."""
    found = Counter[str]()
    for alike in settlement.ended:
        if alike.outcome.status in _ILL:
            found[plain(alike.outcome.code) or "refused"] += len(alike.lines)
    return found


def plain(words: str) -> str:
    """Return words of bounded length without what may be an id."""
    return _MANY_DIGITS.sub("…", words)[:_LONGEST_WORDS]
