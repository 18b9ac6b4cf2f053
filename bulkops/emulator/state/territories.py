"""The territory hierarchy of an organisation, and which record is in which territory and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Assigned(StrEnum):
    """How a record came into a territory; the values of `$assigned`."""

    #: by a person or the API: may be removed by the API
    MANUALLY = "manually"
    #: by a territory rule: the API refuses to remove it
    AUTOMATICALLY = "automatically"


@dataclass(frozen=True, slots=True)
class Territory:
    """A node of the hierarchy; `parent_id` is None for the organisation's own territory."""

    id: str
    name: str
    parent_id: str | None = None


class TerritoryTree:
    """Territories by id, with parent and child look-up."""

    __slots__ = ("_by_id", "_children")

    def __init__(self) -> None:
        self._by_id: dict[str, Territory] = {}
        self._children: dict[str | None, dict[str, None]] = {}

    def __contains__(self, territory_id: object) -> bool:
        return territory_id in self._by_id

    def __iter__(self) -> Iterator[Territory]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, territory_id: str) -> Territory | None:
        """The territory of this id, if it exists."""
        return self._by_id.get(territory_id)

    def put(self, territory: Territory) -> None:
        """Add a territory, or replace the one with its id."""
        old = self._by_id.get(territory.id)
        if old is not None:
            del self._children[old.parent_id][old.id]
        self._by_id[territory.id] = territory
        self._children.setdefault(territory.parent_id, {})[territory.id] = None

    def children(self, territory_id: str) -> list[Territory]:
        """Direct children, in the order they were added."""
        return [self._by_id[child] for child in self._children.get(territory_id, ())]

    def is_above(self, candidate: str, territory_id: str) -> bool:
        """Whether `candidate` is a proper ancestor of `territory_id`."""
        seen = {territory_id}
        node = self._by_id.get(territory_id)
        while node is not None and node.parent_id is not None and node.parent_id not in seen:
            if node.parent_id == candidate:
                return True
            seen.add(node.parent_id)
            node = self._by_id.get(node.parent_id)
        return False

    def remove(self, territory_id: str, *, children_to: str | None) -> None:
        """Delete a territory and hang its children under `children_to`."""
        for child in self.children(territory_id):
            self.put(Territory(id=child.id, name=child.name, parent_id=children_to))
        gone = self._by_id.pop(territory_id)
        del self._children[gone.parent_id][territory_id]
        self._children.pop(territory_id, None)


class RecordTerritories:
    """
    The territories of every record: module → record → territory → how.

    An index the other way round makes emptying a territory as cheap as what is in it.
    """

    __slots__ = ("_held", "_inside")

    def __init__(self) -> None:
        self._held: dict[str, dict[str, dict[str, Assigned]]] = {}
        #: territory → module → its records there, in the order they came
        self._inside: dict[str, dict[str, dict[str, None]]] = {}

    def of(self, module: str, record_id: str) -> dict[str, Assigned]:
        """Territories of one record; not to be changed by the caller."""
        return self._held.get(module, {}).get(record_id, {})

    def modules(self) -> Iterator[tuple[str, dict[str, dict[str, Assigned]]]]:
        """Every module with its records' territories."""
        return iter(self._held.items())

    def assign(self, module: str, record_id: str, territory_id: str, how: Assigned) -> bool:
        """Put a record into a territory; return whether it was not in it before."""
        held = self._held.setdefault(module, {}).setdefault(record_id, {})
        if territory_id in held:
            return False
        held[territory_id] = how
        self._inside.setdefault(territory_id, {}).setdefault(module, {})[record_id] = None
        return True

    def remove(self, module: str, record_id: str, territory_id: str) -> bool:
        """Take a record out of a territory; return whether it was in it."""
        records = self._held.get(module, {})
        held = records.get(record_id, {})
        if territory_id not in held:
            return False
        del held[territory_id]
        if not held:
            del records[record_id]
        del self._inside[territory_id][module][record_id]
        return True

    def inside(self, module: str, territory_id: str) -> dict[str, None]:
        """Records of a module in a territory; not to be changed by the caller."""
        return self._inside.get(territory_id, {}).get(module, {})

    def leave(self, territory_id: str, *, move_to: str | None) -> int:
        """Empty a territory, moving its records to `move_to` if given; return how many left."""
        left = 0
        for module, members in self._inside.pop(territory_id, {}).items():
            records = self._held[module]
            for record_id in members:
                how = records[record_id].pop(territory_id)
                left += 1
                if move_to is not None:
                    self.assign(module, record_id, move_to, how)
                elif not records[record_id]:
                    del records[record_id]
        return left
