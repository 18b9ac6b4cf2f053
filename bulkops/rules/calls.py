"""
Which calls a run has sent by its log, and which of them may have gone unheard.
"""

from __future__ import annotations

from array import array

from bulkops.rules.line_set import LineSet


class Calls:
    """
    The calls that were sent, by batch, and which of them were answered.
    """

    def __init__(self) -> None:
        # Most batches take one call, so the first lies in an array and only others in a dict.
        self._first = array("I")
        self._others: dict[int, list[int]] = {}
        self._answered = LineSet()
        self._carried: dict[int, frozenset[int]] = {}
        self.count = 0

    def begin(self, first: array[int], count: int) -> None:
        """
        Take note of `count` calls at once: by its number, the first of each batch that has one.

        Each carried its whole batch. The array is kept; a batch without a call has 0 in it.
        """
        self._first = first
        self.count = count

    def send(self, batch: int, call: int, lines: frozenset[int] | None) -> None:
        """Take note of a call; `lines` if it carried fewer than its batch had."""
        if batch >= len(self._first):
            self._first.extend([0] * (batch + 1024 - len(self._first)))
        if self._first[batch]:
            self._others.setdefault(batch, []).append(call)
        else:
            self._first[batch] = call
        if lines is not None:
            self._carried[call] = lines
        self.count += 1

    def answer(self, call: int) -> None:
        """Take note that a call ended with an answer."""
        self._answered.add(call)
        self._carried.pop(call, None)

    def of(self, batch: int) -> list[int]:
        """Return the numbers of a batch's calls, in no certain order."""
        if batch >= len(self._first) or not self._first[batch]:
            return []
        return [self._first[batch], *self._others.get(batch, ())]

    def in_flight(self, batch: int, line: int, *, after: int = 0) -> list[int]:
        """
        Return the calls that carried `line`, numbered above `after`, and have no answer.

        Meant for lines that are not settled: a call that settled all of its lines needs no
        answer in the log.
        """
        found = []
        for call in self.of(batch):
            if call > after and call not in self._answered:
                carried = self._carried.get(call)
                if carried is None or line in carried:
                    found.append(call)
        return found
