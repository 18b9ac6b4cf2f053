"""
The lines that a verification looks at, and what the log claims of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from bulkops.engine.verify.findings import CLAIMS, Which
from bulkops.files.database import fetched
from bulkops.files.plan_file import read_batches
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import opened
from bulkops.model import Batch, Status


class Claims:
    """
    The claimed status of the lines to look at: a byte a line.
    """

    def __init__(self, run: RunDirectory, which: Which) -> None:
        self._of = bytearray()
        self.count = 0
        chance = random.Random(which.seed)  # noqa: S311  (a sample, not a secret)
        wanted = [status.value for status in which.statuses]
        with opened(run) as connection:
            result = connection.execute(
                "SELECT line, status FROM told WHERE status IN "
                "(SELECT unnest(?::VARCHAR[])) ORDER BY line",
                [wanted],
            )
            for line, status in fetched(result, 10_000):
                if line in which.lines if which.lines else chance.random() < which.share:
                    self._take(line, Status(status))

    def _take(self, line: int, status: Status) -> None:
        if line >= len(self._of):
            self._of.extend(bytes(line + 65_536 - len(self._of)))
        self._of[line] = CLAIMS.index(status) + 1
        self.count += 1

    def of(self, line: int) -> Status | None:
        """Return what is claimed of a line, or `None` if it is not looked at."""
        code = self._of[line] if line < len(self._of) else 0
        return CLAIMS[code - 1] if code else None


def asked(run: RunDirectory, claims: Claims) -> Iterator[Batch]:
    """Yield every batch that holds a line to look at, with those lines alone."""
    for _, batch in read_batches(run.plan):
        left = tuple(each for each in batch.operations if claims.of(each.line))
        if left:
            yield replace(batch, operations=left)


def parse_lines(text: str) -> frozenset[int]:
    """
    Read line numbers such as `5,7-9`. Raises `ValueError` for anything else.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = int(first), int(last if dash else first)
        if not 1 <= low <= high:
            raise ValueError(part)
        found.update(range(low, high + 1))
    return frozenset(found)
