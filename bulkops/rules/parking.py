"""
Keep the batches that are not with a worker: ready to go, waiting for their time, or for a parent.

What cannot be sent again at once is parked with the time when it can, and its worker takes
something else. Batches of one parent are never out together: a later one waits behind the first
until that has come to its end, however long it is parked; so a locked record holds back its own
batches and no others, and keeps no worker. Only what goes in order, or again after a remote job,
is waited for by whoever carries it (`Carrier.carry_through`).

Nothing here has a clock or waits itself; see `dispatch.py`. Nothing here is remembered by the
log either: a run that ends leaves what is parked unsettled, and running again sends it.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from bulkops.model import Batch
from bulkops.rules.parcel import Parcel
from bulkops.rules.ration import Leave

#: Batches kept at most, those with workers included. A batch of 100 rows takes about 25 KiB.
MOST = 1000

Parent = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """
    A batch, and what of it is left to be sent; no parcels: it has not been begun.
    """

    batch: Batch
    parcels: tuple[Parcel, ...] = ()

    @property
    def parent(self) -> Parent | None:
        """The record whose lock its calls contend for, if they are about one record."""
        route = self.batch.route
        return (route.module, route.record_id) if route.record_id else None

    @property
    def due(self) -> float:
        """When its first parcel may go, as a time of the loop."""
        return min((parcel.due for parcel in self.parcels), default=-math.inf)


class Parking:
    """
    The loads of a run that wait. Each is in one place: ready, parked, behind its parent, or out.

    `ahead` is how many are kept ready, `most` how many there are in all, those that are out
    included. Whoever takes a load gives it back with `park` or `end`.
    """

    def __init__(self, *, ahead: int, most: int = MOST) -> None:
        self._ahead = ahead
        self._most = most
        self._ready: deque[Load] = deque()
        self._parked: list[tuple[float, int, Load]] = []
        #: A key for every parent with a load that is ready, parked or out.
        self._behind: dict[Parent, deque[Load]] = {}
        self._count = 0
        self._out = 0
        self._retries_out = 0

    def __len__(self) -> int:
        """How many loads wait here."""
        return self._count

    @property
    def parked(self) -> int:
        """How many wait for their time."""
        return len(self._parked)

    @property
    def has_room(self) -> bool:
        """Whether more should be read from the plan."""
        return len(self._ready) < self._ahead and self._count + self._out < self._most

    @property
    def runs_low(self) -> bool:
        """Whether it is time to read more: rarer than `has_room`, so that many come at once."""
        return self.has_room and len(self._ready) <= self._ahead // 2

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and nothing is out that could come back."""
        return not self._count and not self._out

    @property
    def ready(self) -> int:
        """How many wait for nothing but a worker."""
        return len(self._ready)

    @property
    def next_due(self) -> float:
        """When the next parked load may go, as a time of the loop; infinity if none is parked."""
        return self._parked[0][0] if self._parked else math.inf

    def admit(self, load: Load) -> bool:
        """Take in a load from the plan; return whether it is ready, and behind no other."""
        self._count += 1
        parent = load.parent
        if parent in self._behind:
            self._behind[parent].append(load)
            return False
        if parent is not None:
            self._behind[parent] = deque()
        self._ready.append(load)
        return True

    def take(self, now: float, leave: Leave) -> Load | None:
        """Hand out a load that may go now, retries first; `None` if there is none."""
        if leave is Leave.NOTHING or (leave is Leave.ONE_CALL and self._out):
            return None
        again = leave is not Leave.ONE_RETRY or not self._retries_out
        if again and self.next_due <= now:
            _, _, load = heapq.heappop(self._parked)
            self._retries_out += 1
        elif self._ready:
            load = self._ready.popleft()
        else:
            return None
        self._count -= 1
        self._out += 1
        return load

    def park(self, load: Load, left: tuple[Parcel, ...]) -> None:
        """Take back a load of which `left` is to be sent when it is due."""
        self._come_back(load)
        self._count += 1
        parked = replace(load, parcels=left)
        # No two loads have one number here, so that loads themselves are never compared.
        heapq.heappush(self._parked, (parked.due, load.batch.number, parked))

    def end(self, load: Load) -> None:
        """Take note that nothing of a load is left; the next of its parent may go."""
        self._come_back(load)
        self._let_next(load.parent)

    def sweep(self, left_of: Callable[[Load], tuple[Parcel, ...] | None]) -> None:
        """
        Drop what need not be waited for any more: `left_of` says what is left of a load.

        `None` is all of it. Loads that are ready are left out: their turn comes by itself.
        """
        for parent, behind in self._behind.items():
            kept = deque(load for load in behind if left_of(load) != ())
            self._count -= len(behind) - len(kept)
            self._behind[parent] = kept
        parked, self._parked = self._parked, []
        for due, number, load in parked:
            left = left_of(load)
            if left is None:
                heapq.heappush(self._parked, (due, number, load))
            elif left:
                smaller = replace(load, parcels=left)
                heapq.heappush(self._parked, (smaller.due, number, smaller))
            else:
                self._count -= 1
                self._let_next(load.parent)

    def _let_next(self, parent: Parent | None) -> None:
        if parent is None:
            return
        behind = self._behind[parent]
        if behind:
            self._ready.append(behind.popleft())
        else:
            del self._behind[parent]

    def _come_back(self, load: Load) -> None:
        self._out -= 1
        self._retries_out -= bool(load.parcels)
