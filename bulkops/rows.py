"""
The rows that calls carry: operations, and the items of a request made of them.

Most batches are a hundred rows that say nothing but an id each. Such rows are kept as columns, and
an operation or an item is made of them where somebody looks at one: a call that goes well looks at
none. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, overload

_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


class Operation(NamedTuple):
    """
    One line of the manifest, ready to be sent.

    There is one of these for every row: a named tuple takes a third of the time of a dataclass.
    `item` is the id of the request item it belongs to: the related record, the record whose
    territories change, or the territory to delete. `members` are the ids it wishes within that
    item (territories of a record); lines that share an item travel in one item. `fields` are
    what else the item says (`list_price`, `transfer_to_id`, ...).
    """

    line: int
    item: str
    members: tuple[str, ...] = ()
    fields: Mapping[str, Any] = _NO_FIELDS


class Item(NamedTuple):
    """
    One member of a request's array: an id, the operations it serves, and their united members.
    """

    id: str
    operations: tuple[Operation, ...]
    members: tuple[str, ...] = ()
    fields: Mapping[str, Any] = _NO_FIELDS


class PlainOperations(Sequence[Operation]):
    """
    Operations without members or fields, as columns. Equal to the tuple of the same operations.
    """

    __slots__ = ("are_distinct", "items", "lines")

    def __init__(self, lines: Sequence[int], items: Sequence[str]) -> None:
        assert len(lines) == len(items)
        self.lines = lines
        self.items = items
        #: Whether no two operations share an item.
        self.are_distinct = len(set(items)) == len(items)

    @overload
    def __getitem__(self, index: int) -> Operation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Operation, ...]: ...
    def __getitem__(self, index: int | slice) -> Operation | tuple[Operation, ...]:
        if isinstance(index, slice):
            return tuple(map(Operation, self.lines[index], self.items[index]))
        return Operation(self.lines[index], self.items[index])

    def __iter__(self) -> Iterator[Operation]:
        return map(Operation, self.lines, self.items)

    def __len__(self) -> int:
        return len(self.lines)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class PlainItems(Sequence[Item]):
    """
    The items of operations without members or fields that share no item.
    """

    __slots__ = ("_operations",)

    def __init__(self, operations: PlainOperations) -> None:
        assert operations.are_distinct
        self._operations = operations

    @property
    def ids(self) -> Sequence[str]:
        """The id of each."""
        return self._operations.items

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Item, ...]: ...
    def __getitem__(self, index: int | slice) -> Item | tuple[Item, ...]:
        if isinstance(index, slice):
            return tuple(Item(each.item, (each,)) for each in self._operations[index])
        operation = self._operations[index]
        return Item(operation.item, (operation,))

    def __len__(self) -> int:
        return len(self._operations)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


def lines_in(operations: Sequence[Operation]) -> Sequence[int]:
    """Return the manifest line of each operation."""
    if isinstance(operations, PlainOperations):
        return operations.lines
    return [each.line for each in operations]


def items_in(operations: Sequence[Operation]) -> Sequence[str]:
    """Return the id of the item that each operation belongs to."""
    if isinstance(operations, PlainOperations):
        return operations.items
    return [each.item for each in operations]


def ids_in(items: Sequence[Item]) -> Sequence[str]:
    """Return the id of each item."""
    return items.ids if isinstance(items, PlainItems) else [item.id for item in items]


def merge_items(operations: Sequence[Operation]) -> Sequence[Item]:
    """
    Return the items of a request, in order of first appearance, one for each item id.

    Members are united without repeats (the server refuses a repeat as `ALREADY_USED`). Sending
    and settling both call this, so that an index in an answer means the same to both.
    """
    if isinstance(operations, PlainOperations) and operations.are_distinct:
        return PlainItems(operations)
    ids = [each.item for each in operations]
    if len(set(ids)) == len(ids):
        members = [
            tuple(dict.fromkeys(each.members)) if each.members else () for each in operations
        ]
        fields = [each.fields for each in operations]
        columns = zip(ids, zip(operations, strict=True), members, fields, strict=True)
        return tuple(map(Item._make, columns))
    grouped: dict[str, list[Operation]] = {}
    for operation in operations:
        grouped.setdefault(operation.item, []).append(operation)
    return tuple(
        Item(
            id=item_id,
            operations=tuple(group),
            members=tuple(dict.fromkeys(member for each in group for member in each.members)),
            fields=group[0].fields,
        )
        for item_id, group in grouped.items()
    )
