"""
Pages of rows in their order: `sort_by`, `page`, `per_page`, `page_token`, and the `info` object.

https://www.zoho.com/crm/developer/docs/api/v7/get-related-records.html
A page token holds where to go on and what it was made for; the emulator keeps no list of tokens.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from bulkops.emulator.call import Call, Refused
from bulkops.emulator.envelope import refuse

MOST_PER_PAGE = 200
_DIRECTIONS = ("asc", "desc")
_SORTS = ("id", "Created_Time", "Modified_Time")

#: What rows are sorted by: a text, then the number of the id.
_Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Page:
    """The ids of one page and the `info` that goes with them."""

    ids: list[str]
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Order:
    """The order a call asks for; by id, upwards, if it does not say."""

    key: Callable[[str], _Key]
    is_down: bool

    def sorted(self, ids: Iterable[str]) -> list[str]:
        return sorted(ids, key=self.key, reverse=self.is_down)

    def start_after(self, ordered: list[str], last: str) -> int:
        """Where in `ordered` the rows begin that come after `last`, which may be gone."""
        if not self.is_down:
            return bisect_right(ordered, self.key(last), key=self.key)
        return len(ordered) - bisect_left(ordered[::-1], self.key(last), key=self.key)


def _order(call: Call, records: Mapping[str, Mapping[str, Any] | None]) -> _Order:
    by = call.query.get("sort_by", "id")
    direction = call.query.get("sort_order", "asc")
    for name, value, known in (("sort_by", by, _SORTS), ("sort_order", direction, _DIRECTIONS)):
        if value not in known:
            details = {"param_name": name, "supported_values": list(known)}
            raise refuse(400, "INVALID_DATA", "invalid data", details)

    def key(each: str) -> _Key:
        said = "" if by == "id" else str((records.get(each) or {}).get(by, ""))
        return said, len(each), each

    return _Order(key, direction == "desc")


def number_parameter(call: Call, name: str, default: int) -> int:
    """A positive whole number of the query."""
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise refuse(400, "INVALID_DATA", "invalid data", {"param_name": name})
    return int(text)


def page_of(
    call: Call,
    ids: Iterable[str],
    records: Mapping[str, Mapping[str, Any] | None] | None = None,
    *,
    token_wall: int = 0,
) -> Page:
    """
    Cut the page that the call asks for out of all `ids`; `records` have what is sorted by.

    `token_wall` is how many rows can be reached by `page_token`; 0: all.
    """
    per_page = number_parameter(call, "per_page", MOST_PER_PAGE)
    if per_page > MOST_PER_PAGE:
        raise refuse(
            400,
            "LIMIT_EXCEEDED",
            f"Limit Exceeded, You cannot give more than {MOST_PER_PAGE} as per_page",
            {"limit": MOST_PER_PAGE, "param_name": "per_page"},
        )
    token = call.query.get("page_token")
    order = _order(call, records or {})
    ordered = order.sorted(ids)
    if token is not None:
        if "page" in call.query:
            raise _ambiguous()
        after, page = _opened(call, token)
        start = order.start_after(ordered, after) if after else 0
        if 0 < token_wall < start + per_page:
            raise _token_wall(token_wall)
    else:
        page = number_parameter(call, "page", 1)
        start = (page - 1) * per_page
        if start + per_page > call.behaviour.page_wall and start > 0:
            raise _wall(call.behaviour.page_wall)
    cut = ordered[start : start + per_page]
    before = ordered[start - per_page - 1] if start > per_page else ""
    until = call.now + call.behaviour.page_token_life_s
    more = len(ordered) > start + per_page
    info = _info(call, cut, page=page, per_page=per_page, more=more, until=until)
    if start:
        info["previous_page_token"] = _sealed(call, after=before, page=page - 1, until=until)
    return Page(ids=cut, info=info)


def _info(
    call: Call, cut: list[str], *, page: int, per_page: int, more: bool, until: float
) -> dict[str, Any]:
    return {
        "per_page": per_page,
        "count": len(cut),
        "page": page,
        "more_records": more,
        "next_page_token": _sealed(call, after=cut[-1], page=page + 1, until=until)
        if more and cut
        else None,
        "previous_page_token": None,
        "page_token_expiry": datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")
        if more
        else None,
    }


def _purpose(call: Call) -> int:
    """What a token is bound to: the user, and everything of the request but the page itself."""
    said = sorted((name, value) for name, value in call.query.items() if name[:4] != "page")
    bound = [call.organisation.name, call.path, said]
    return zlib.crc32(orjson.dumps(bound))


def _sealed(call: Call, *, after: str, page: int, until: float) -> str:
    held = orjson.dumps([_purpose(call), after, page, until])
    return base64.urlsafe_b64encode(held).decode().rstrip("=")


def _opened(call: Call, token: str) -> tuple[str, int]:
    try:
        padded = token + "=" * (-len(token) % 4)
        purpose, after, page, until = orjson.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, orjson.JSONDecodeError, ValueError, TypeError) as error:
        raise refuse(
            400, "INVALID_DATA", "the page_token given seems to be invalid", _token()
        ) from error
    if purpose != _purpose(call):
        raise refuse(
            400,
            "TOKEN_BOUND_DATA_MISMATCH",
            "the page_token was made for a request with other parameters",
            _token(),
        )
    if until <= call.now:
        raise refuse(400, "EXPIRED_VALUE", "the page_token has expired", _token())
    return after, page


def _token() -> dict[str, str]:
    return {"param_name": "page_token"}


def _ambiguous() -> Refused:
    return refuse(
        400,
        "AMBIGUITY_DURING_PROCESSING",
        "page and page_token cannot be given together",
        {"ambiguity_due_to": [{"param_name": "page"}, {"param_name": "page_token"}]},
    )


def _token_wall(limit: int) -> Refused:
    return refuse(
        400,
        "PAGINATION_LIMIT_EXCEEDED",
        f"You can only get the first {limit} records with page_token param",
        {"limit": limit},
    )


def _wall(limit: int) -> Refused:
    return refuse(
        400,
        "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
        f"You can only get the first {limit} records without using page_token param",
        {"limit": limit},
    )
