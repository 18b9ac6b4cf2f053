"""
What of a batch travels in one call, and how often it has tried: pure decisions about sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bulkops.model import Operation, merge_items


@dataclass(frozen=True, slots=True)
class Parcel:
    """
    Operations of one batch that leave together, with their history.

    `sent` counts every call that carried them; `tries`, `throttles`, `locks` and `refreshes`
    count why they were sent again. `wait_s` is the pause before the next call. `since` is the
    loop time of the first one. `resent` marks lines whose remote job ended without effect: they
    get no third chance.
    """

    operations: tuple[Operation, ...]
    doubtful: frozenset[int] = frozenset()
    sent: int = 0
    tries: int = 0
    throttles: int = 0
    locks: int = 0
    refreshes: int = 0
    wait_s: float = 0.0
    since: float = float("inf")
    resent: bool = False


def cut(parcel: Parcel, limit: int | None) -> list[Parcel]:
    """
    Return parcels of at most `limit` items each; `None` leaves the parcel whole.

    Lines of one item stay together.
    """
    items = merge_items(parcel.operations)
    if limit is None or len(items) <= limit:
        return [parcel]
    groups = [items[start : start + limit] for start in range(0, len(items), limit)]
    return [
        replace(parcel, operations=tuple(each for item in group for each in item.operations))
        for group in groups
    ]


def halve(parcel: Parcel) -> list[Parcel]:
    """Return two parcels with half of the items each; a single item cannot be halved."""
    return cut(parcel, -(-len(merge_items(parcel.operations)) // 2))


def lines_of(operations: Sequence[Operation]) -> frozenset[int]:
    """Return the manifest lines of `operations`."""
    return frozenset(each.line for each in operations)
