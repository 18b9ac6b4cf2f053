"""
What a page of a list says of itself: where the list goes on, and whether the page adds up.

https://www.zoho.com/crm/developer/docs/api/v7/get-related-records.html
The same `info` stands beside the rows of every list. Whoever must not overlook a row believes a
page only if its own count agrees with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulkops.model import Json

#: Most rows of a page.
PAGE = 200


@dataclass(frozen=True, slots=True)
class Cursor:
    """
    Where a list goes on: the number of a page, from 1, and the server's own mark if it gave one.
    """

    page: int = 1
    token: str = ""

    @property
    def query(self) -> dict[str, str]:
        """
        The parameters of the page.

        A mark and a number exclude each other; beyond 2,000 rows there are only marks.
        """
        place = {"page_token": self.token} if self.token else {"page": str(self.page)}
        return {"per_page": str(PAGE), "sort_by": "id", "sort_order": "asc", **place}


@dataclass(frozen=True, slots=True)
class Rows:
    """
    The rows of a page that adds up, and where the list goes on, if it does.
    """

    rows: Sequence[Mapping[str, Json]]
    after: Cursor | None = None


def rows_of(body: Json, cursor: Cursor) -> Rows | str:
    """
    Return the rows of a page of `data`, or say in words why it cannot be believed.

    No body is an empty list, if it is the first page.
    """
    if body is None:
        if cursor.page == 1:
            return Rows(())
        return f"page {cursor.page} is empty, although the page before it announced more"
    listed, info = body.get("data"), body.get("info")
    if not isinstance(listed, list) or not isinstance(info, dict):
        return f"page {cursor.page} has no rows or does not say whether more follow"
    trouble = _trouble(listed, info, cursor)
    if trouble:
        return f"page {cursor.page} {trouble}"
    more = info["more_records"]
    token = str(info.get("next_page_token") or "")
    return Rows(listed, Cursor(cursor.page + 1, token) if more else None)


def _trouble(listed: Sequence[Json], info: Mapping[str, Json], cursor: Cursor) -> str:
    count, more, page = info.get("count"), info.get("more_records"), info.get("page")
    if not all(isinstance(each, dict) and each.get("id") for each in listed):
        return "has a row without an id"
    if count != len(listed):
        return f"says that it has {count!r} rows, and has {len(listed)}"
    if not isinstance(more, bool) or (more and not listed):
        return f"has {len(listed)} rows and says more_records = {more!r}"
    if page is not None and page != cursor.page:
        return f"was asked for, and the answer says that it is page {page!r}"
    if len({str(each["id"]) for each in listed}) < len(listed):
        return "has a row twice"
    return ""
