"""
Why the server refused a call with 429: what its answer shows, and what follows from that.

Zoho answers 429 to too many calls in flight and to a day's credits used up, often with the same
words for both, and names the rest rarely. The traces that tell them apart are read here.
https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bulkops.model import Json, Reply

_HOUR_S = 3600.0
#: Numbers of this size and above are moments, in seconds or in milliseconds since the epoch.
_EPOCH_S = 1e9
_EPOCH_MS = 1e12


class Cause(StrEnum):
    """
    What a refusal is about.
    """

    #: Too many calls in flight: fewer will do.
    CONCURRENCY = "concurrency"
    #: The credits of the rolling day are used up.
    CREDITS = "credits"
    #: Something else, such as a number of calls a minute: only time helps.
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What is known about a refusal. Everything may be absent.

    `wait_s` is the time the server asked for; `remaining` its count of the day's credits;
    `named` the cause that its words or numbers give away. `credits_left` is what our own ledger
    says of the day, and `credits_back_s` when some of it will be free again.
    """

    wait_s: float | None = None
    remaining: int | None = None
    named: Cause | None = None
    credits_left: int | None = None
    credits_back_s: float | None = None


def evidence_of(
    reply: Reply,
    *,
    now: float,
    retry_after: float | None = None,
    credits_left: int | None = None,
    credits_back_s: float | None = None,
) -> Evidence:
    """
    Read the traces in a refusal.

    `now` is in seconds since the epoch, `retry_after` the time it asks for, as `settle` reads it.
    """
    headers = reply.headers
    body = reply.body if isinstance(reply.body, dict) else {}
    details = body.get("details")
    details = details if isinstance(details, dict) else {}
    wait_s = retry_after
    if wait_s is None:
        wait_s = _until(headers.get("X-RATELIMIT-RESET"), now)
    remaining = _seconds(headers.get("X-API-CREDITS-REMAINING"))
    return Evidence(
        wait_s=wait_s,
        remaining=None if remaining is None else int(remaining),
        named=_by_numbers(headers, details, wait_s) or _by_words(body),
        credits_left=credits_left,
        credits_back_s=credits_back_s,
    )


def cause_of(evidence: Evidence, *, persists: bool) -> Cause:
    """
    Return the most likely cause.

    `persists`: calls are refused still after those in flight were halved. The server's count of
    credits is believed before everything, its words before our ledger, which knows only what
    this user's runs have spent.
    """
    fallback = Cause.RATE if persists else Cause.CONCURRENCY
    if evidence.remaining is not None:
        if evidence.remaining <= 0:
            return Cause.CREDITS
        return evidence.named if evidence.named is Cause.RATE else fallback
    if evidence.named is not None:
        return evidence.named
    if evidence.credits_left is not None and evidence.credits_left <= 0:
        return Cause.CREDITS
    return fallback


def _by_numbers(
    headers: Mapping[str, str], details: Mapping[str, Json], wait_s: float | None
) -> Cause | None:
    """Return the cause that a window, an empty allowance, or a very long wait gives away."""
    if _seconds(headers.get("X-RATELIMIT-DAY-REMAINING")) == 0:
        return Cause.CREDITS
    if _seconds(headers.get("X-RATELIMIT-REMAINING")) == 0:
        return Cause.RATE
    window = details.get("window")
    length_s = _seconds(window)
    if length_s is not None:
        return Cause.RATE if length_s <= _HOUR_S else Cause.CREDITS
    if isinstance(window, str) and window:
        return _by_span(window)
    if wait_s is not None and wait_s > _HOUR_S:
        return Cause.CREDITS
    return None


def _by_words(body: Mapping[str, Json]) -> Cause | None:
    """Return the cause that the message names; the usual one names two and so tells nothing."""
    words = str(body.get("message") or body.get("error_info") or "").casefold()
    return None if "concurren" in words else _by_span(words)


def _by_span(words: str) -> Cause | None:
    words = words.casefold()
    if "24 hour" in words or "day" in words:
        return Cause.CREDITS
    if "minute" in words or "second" in words:
        return Cause.RATE
    return None


def _seconds(value: object) -> float | None:
    """Return a number that is not negative, or `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _until(value: object, now: float) -> float | None:
    """Return the seconds until a moment that is given as such, or as a number of seconds."""
    number = _seconds(value)
    if number is None or number < _EPOCH_S:
        return number
    moment = number / 1000 if number >= _EPOCH_MS else number
    return max(0.0, moment - now)
