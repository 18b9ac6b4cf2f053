"""
What an answer says beside its verdicts: how long to wait, and how much a call may hold. Pure.
"""

from __future__ import annotations

from datetime import datetime

from bulkops.model import Exchange, NoReply
from bulkops.rules.verdicts import Answer

#: https://www.rfc-editor.org/rfc/rfc9110#http.date
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def retry_after(exchange: Exchange) -> float | None:
    """
    Return `Retry-After` in seconds, from the header or `details.retry_after`.

    A moment is taken by the server's own clock, its `Date`.
    """
    if isinstance(exchange, NoReply):
        return None
    value = exchange.headers.get("Retry-After")
    if value is None and isinstance(exchange.body, dict):
        details = exchange.body.get("details")
        value = details.get("retry_after") if isinstance(details, dict) else None
    try:
        seconds = float(value) if value is not None else -1.0
    except (TypeError, ValueError):
        return _seconds_until(value, exchange.headers.get("Date"))
    return seconds if 0 <= seconds < float("inf") else None


def _seconds_until(moment: object, now: str | None) -> float | None:
    """Return the seconds from one HTTP date to another; `None` if either is none."""
    try:
        left = datetime.strptime(str(moment), _DATE) - datetime.strptime(str(now), _DATE)
    except (OverflowError, TypeError, ValueError):
        return None
    return max(0.0, left.total_seconds())


def limit_in(answer: Answer, *, below: int) -> int:
    """Return the limit that a refusal names (as text or number), else half of what was sent."""
    try:
        limit = int(str(answer.details.get("limit", "")))
    except ValueError:
        limit = 0
    return limit if 0 < limit < below else -(-below // 2)
