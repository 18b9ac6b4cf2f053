"""
Links between records, stored once and seen from both sides.

`Products/5/Deals` contains 9 exactly when `Deals/9/Products` contains 5. A `Side` is one of the two
views of a relation. Most runs come from one side only, so the table of the other side is made when
it is first asked for, from the one there is; from then on both are kept, and neither can drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

#: The fields a link carries (`list_price`, `Member_Status`, ...); None for most links.
LinkFields = dict[str, Any] | None
Adjacency = dict[str, dict[str, LinkFields]]
_ABSENT: Any = object()


class _Tables:
    """The links of one relation by either side's records; at least one of the tables is there."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: list[Adjacency | None] = [{}, None]

    def of(self, side: int) -> Adjacency:
        """The table of a side; made now if nobody has asked for it before."""
        table = self._of[side]
        if table is None:
            other = self._of[1 - side]
            table = self._of[side] = _mirrored(other or {})
            if not other:
                self._of[1 - side] = None
        return table

    def if_there(self, side: int) -> Adjacency | None:
        """The table of a side, if it is kept."""
        return self._of[side]


def _mirrored(table: Adjacency) -> Adjacency:
    made: Adjacency = {}
    for record_id, links in table.items():
        for other_id, fields in links.items():
            theirs = made.get(other_id)
            if theirs is None:
                made[other_id] = {record_id: fields}
            else:
                theirs[record_id] = fields
    return made


def _forget(table: Adjacency, record_id: str, other_id: str) -> None:
    """Take one link out of a table; a record without links has no entry."""
    links = table[record_id]
    del links[other_id]
    if not links:
        del table[record_id]


class Side:
    """One module's view of a relation: `module/{id}/name` lists records of `other`."""

    __slots__ = ("_mine", "_tables", "module", "name", "other", "other_name", "required")

    def __init__(
        self,
        *,
        module: str,
        name: str,
        other: str,
        other_name: str,
        tables: _Tables,
        mine: int,
        required: str | None = None,
    ) -> None:
        self.module = module
        self.name = name
        self.other = other
        self.other_name = other_name
        self.required = required
        self._tables = tables
        self._mine = mine

    @property
    def is_kept(self) -> bool:
        """Whether this side's table is there already."""
        return self._tables.if_there(self._mine) is not None

    def related(self, record_id: str) -> dict[str, LinkFields]:
        """Links of one record, by the other record's id; not to be changed by the caller."""
        return self._tables.of(self._mine).get(record_id, {})

    def parents(self) -> Iterator[str]:
        """Ids of this side that have at least one link."""
        return iter(self._tables.of(self._mine))

    def link(self, record_id: str, other_id: str, fields: dict[str, Any] | None) -> bool:
        """
        Make a link or merge `fields` into it.

        Return whether anything changed. Both ids must exist; the caller has checked.
        """
        near = self._tables.of(self._mine)
        mine = near.get(record_id)
        if mine is None:
            mine = near[record_id] = {}
        elif other_id in mine:
            return self._merge(mine, record_id, other_id, fields)
        mine[other_id] = stored = dict(fields) if fields else None
        far = self._tables.if_there(1 - self._mine)
        if far is not None:
            far.setdefault(other_id, {})[record_id] = stored
        return True

    def _merge(
        self,
        mine: dict[str, LinkFields],
        record_id: str,
        other_id: str,
        fields: dict[str, Any] | None,
    ) -> bool:
        if not fields:
            return False
        held = mine[other_id]
        if held is None:
            held = mine[other_id] = {}
            far = self._tables.if_there(1 - self._mine)
            if far is not None:
                far[other_id][record_id] = held
        if all(name in held and held[name] == value for name, value in fields.items()):
            return False
        held.update(fields)
        return True

    def unlink(self, record_id: str, other_ids: Sequence[str]) -> set[int]:
        """
        Remove links of one record; return the positions of the ids that were not there.

        An id that is given twice was there the first time only.
        """
        near = self._tables.of(self._mine)
        mine = near.get(record_id)
        if mine is None:
            return set(range(len(other_ids)))
        had = len(mine)
        absent: set[int] = set()
        try:
            for other_id in other_ids:
                del mine[other_id]
        except KeyError:
            # Seldom: those before it are gone already, those after it are looked for one by one.
            first = had - len(mine)
            absent = {
                at
                for at, other_id in enumerate(other_ids[first:], first)
                if mine.pop(other_id, _ABSENT) is _ABSENT
            }
        if not mine:
            del near[record_id]
        far = self._tables.if_there(1 - self._mine)
        if far is not None:
            for at, other_id in enumerate(other_ids):
                if at not in absent:
                    _forget(far, other_id, record_id)
        return absent


def pair(
    *, left: str, left_name: str, right: str, right_name: str, required: str | None = None
) -> tuple[Side, Side]:
    """Make the two sides of one empty relation."""
    tables = _Tables()
    return (
        Side(
            module=left,
            name=left_name,
            other=right,
            other_name=right_name,
            tables=tables,
            mine=0,
            required=required,
        ),
        Side(
            module=right,
            name=right_name,
            other=left,
            other_name=left_name,
            tables=tables,
            mine=1,
            required=required,
        ),
    )
