"""
Links between records, stored once and seen from both sides.

`Products/5/Deals` contains 9 exactly when `Deals/9/Products` contains 5. A `Side` is one of the two
views; both views of a relation share the same two dictionaries, so neither can drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

#: The fields a link carries (`list_price`, `Member_Status`, ...); None for most links.
LinkFields = dict[str, Any] | None
Adjacency = dict[str, dict[str, LinkFields]]


class Side:
    """One module's view of a relation: `module/{id}/name` lists records of `other`."""

    __slots__ = ("_far", "_near", "module", "name", "other", "other_name", "required")

    def __init__(
        self,
        *,
        module: str,
        name: str,
        other: str,
        other_name: str,
        near: Adjacency,
        far: Adjacency,
        required: str | None = None,
    ) -> None:
        self.module = module
        self.name = name
        self.other = other
        self.other_name = other_name
        self.required = required
        self._near = near
        self._far = far

    def related(self, record_id: str) -> dict[str, LinkFields]:
        """Links of one record, by the other record's id; not to be changed by the caller."""
        return self._near.get(record_id, {})

    def parents(self) -> Iterator[str]:
        """Ids of this side that have at least one link."""
        return iter(self._near)

    def link(self, record_id: str, other_id: str, fields: dict[str, Any] | None) -> bool:
        """
        Make a link or merge `fields` into it.

        Return whether anything changed. Both ids must exist; the caller has checked.
        """
        mine = self._near.get(record_id)
        if mine is None:
            mine = self._near[record_id] = {}
        if other_id in mine:
            return self._merge(record_id, other_id, fields)
        stored = dict(fields) if fields else None
        mine[other_id] = stored
        theirs = self._far.get(other_id)
        if theirs is None:
            theirs = self._far[other_id] = {}
        theirs[record_id] = stored
        return True

    def _merge(self, record_id: str, other_id: str, fields: dict[str, Any] | None) -> bool:
        if not fields:
            return False
        held = self._near[record_id][other_id]
        if held is None:
            held = {}
            self._near[record_id][other_id] = held
            self._far[other_id][record_id] = held
        if all(name in held and held[name] == value for name, value in fields.items()):
            return False
        held.update(fields)
        return True

    def unlink(self, record_id: str, other_ids: Iterable[str]) -> list[bool]:
        """
        Remove links of one record; return for each whether it was there.

        An id that is given twice was there the first time only.
        """
        mine = self._near.get(record_id, {})
        far = self._far
        removed: list[bool] = []
        for other_id in other_ids:
            if other_id not in mine:
                removed.append(False)
                continue
            del mine[other_id]
            theirs = far[other_id]
            del theirs[record_id]
            if not theirs:
                del far[other_id]
            removed.append(True)
        if not mine:
            self._near.pop(record_id, None)
        return removed


def pair(
    *, left: str, left_name: str, right: str, right_name: str, required: str | None = None
) -> tuple[Side, Side]:
    """Make the two sides of one empty relation."""
    near: Adjacency = {}
    far: Adjacency = {}
    return (
        Side(
            module=left,
            name=left_name,
            other=right,
            other_name=right_name,
            near=near,
            far=far,
            required=required,
        ),
        Side(
            module=right,
            name=right_name,
            other=left,
            other_name=left_name,
            near=far,
            far=near,
            required=required,
        ),
    )
