"""
The calls of a long log as numbers, from DuckDB's lists of them into the array that holds them.

Calls are numbered in the order they leave, and batches in nearly the same. So of the calls of one
part, the distance to their batches is mostly the same but for its last bits, and two bytes tell a
call of a part and a gap. Where it is otherwise there are only more and shorter lists.
"""

from __future__ import annotations

from array import array
from typing import Final

import numpy as np
import orjson

from bulkops.rules.calls import Calls

#: Calls of a part. DuckDB makes room in a list for 4, 8, 16 and so on up to 128 more, 252 in all.
_CALLS = 252
_BITS = 8
_LOW = (1 << _BITS) - 1
#: In SQL, of a record with `batch` and `call`: what is common to many calls,
PART: Final = f"call // {_CALLS}"
GAP: Final = f"(batch - call) >> {_BITS}"
#: and what tells them apart. The number of a call is positive.
CODE: Final = f"CAST((call % {_CALLS}) << {_BITS} | ((batch - call) & {_LOW}) AS USMALLINT)"
#: The array grows by so many batches at least.
_GROWTH = 1 << 12
#: So many lists of calls are placed at a time.
_AT_ONCE = 1 << 8


class Sent:
    """
    The first call of each batch, by the batch's number, and whatever other calls it had.
    """

    def __init__(self) -> None:
        self._first = array("I")
        self._others: list[tuple[int, int]] = []
        self._count = 0
        self._codes: list[str] = []
        self._lists: list[tuple[int, int, int]] = []

    def add(self, part: int, gap: int, codes: str) -> None:
        """
        Take the calls of one part and gap, told by their codes, a list as DuckDB writes it.

        Raises `ValueError` for one that lacks its number or batch, or has one that is not ours.
        """
        self._codes.append(codes[1:-1])
        self._lists.append((part, gap, codes.count(",") + 1))
        if len(self._lists) >= _AT_ONCE:
            self._place()

    def _place(self) -> None:
        """Put the calls gathered so far into their places."""
        told = np.array(orjson.loads(f"[{','.join(self._codes)}]"), dtype=np.int64)
        parts, gaps, lengths = np.array(self._lists, dtype=np.int64).reshape(-1, 3).T
        calls = np.repeat(parts * _CALLS, lengths) + (told >> _BITS)
        batches = calls + (np.repeat(gaps << _BITS, lengths) | (told & _LOW))
        if len(calls) and (int(calls.min()) < 1 or int(batches.min()) < 0):
            raise ValueError("numbers of calls begin with 1, and those of batches with 0")
        if int(calls.max(initial=0)) >> 8 * self._first.itemsize:
            raise ValueError("a number of a call is too large to be one of ours")
        self._reach(int(batches.max(initial=0)))
        first = np.frombuffer(self._first, dtype=self._first.typecode)
        # Where several calls are of one batch, all write down who they are, and one stays.
        able = np.flatnonzero(first[batches] == 0)
        first[batches[able]] = able + 1
        placed = able[first[batches[able]] == able + 1]
        first[batches[placed]] = calls[placed]
        left = np.ones(len(calls), dtype=bool)
        left[placed] = False
        self._others += zip(batches[left].tolist(), calls[left].tolist(), strict=True)
        self._count += len(placed)
        self._codes, self._lists = [], []

    def _reach(self, batch: int) -> None:
        missing = batch + 1 - len(self._first)
        if missing > 0:
            more = max(missing, _GROWTH, len(self._first) >> 3)
            self._first.frombytes(bytes(self._first.itemsize * more))

    def add_to(self, calls: Calls) -> None:
        """Give them all to `calls`, which has none yet."""
        self._place()
        calls.begin(self._first, self._count)
        for batch, call in self._others:
            calls.send(batch, call, None)
