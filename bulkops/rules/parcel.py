"""
What of a batch travels in one call, and how often it has tried: pure decisions about sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bulkops.model import Operation, merge_items


class Parcel(NamedTuple):
    """
    Operations of one batch that leave together, with their history.

    A named tuple, because one is made for every call.

    `doubtful` are the lines that an earlier call may have changed; `silent` are those of each
    such call, some of which may travel in another parcel now (see `evidence.py`).

    `sent` counts every call that carried them; `unanswered`, `faults`, `locks`, `throttles` and
    `refreshes` count why they were sent again. `wait_s` is the pause that is to be made before
    the next call, `due` the loop time when one that is parked may go. `since` is the loop time of
    the first call that met trouble. `resent` marks lines whose remote job ended without effect:
    they get no third chance.
    """

    operations: Sequence[Operation]
    doubtful: frozenset[int] = frozenset()
    sent: int = 0
    unanswered: int = 0
    faults: int = 0
    locks: int = 0
    throttles: int = 0
    refreshes: int = 0
    wait_s: float = 0.0
    due: float = float("-inf")
    since: float = float("inf")
    resent: bool = False
    silent: frozenset[frozenset[int]] = frozenset()


def cut(parcel: Parcel, limit: int | None) -> list[Parcel]:
    """
    Return parcels of at most `limit` items each; `None` leaves the parcel whole.

    Lines of one item stay together.
    """
    if limit is None:
        return [parcel]
    items = merge_items(parcel.operations)
    if len(items) <= limit:
        return [parcel]
    groups = [items[start : start + limit] for start in range(0, len(items), limit)]
    return [
        parcel._replace(operations=tuple(each for item in group for each in item.operations))
        for group in groups
    ]


def halve(parcel: Parcel) -> list[Parcel]:
    """
    Return two parcels with half of the items each, or of the lines of a single item.

    Halving what is refused until each bad one stands alone takes at most `2 * k * depth + 1`
    calls for `k` bad lines, where `depth` is the logarithm to base 2 of the items, rounded up,
    and the same of the lines of the fullest item: of all calls at one depth at most `k` are
    refused, and each of these makes two. A single line cannot be halved.
    """
    count = len(merge_items(parcel.operations))
    if count > 1:
        return cut(parcel, -(-count // 2))
    middle = -(-len(parcel.operations) // 2)
    parts = parcel.operations[:middle], parcel.operations[middle:]
    return [parcel._replace(operations=part) for part in parts if part]


def split(parcel: Parcel) -> tuple[Sequence[Operation], tuple[Operation, ...]]:
    """Return the operations that an earlier call may have done, and those that none has."""
    doubtful = tuple(each for each in parcel.operations if each.line in parcel.doubtful)
    certain = tuple(each for each in parcel.operations if each.line not in parcel.doubtful)
    return doubtful, certain


def lines_of(operations: Sequence[Operation]) -> frozenset[int]:
    """Return the manifest lines of `operations`."""
    return frozenset(each.line for each in operations)
