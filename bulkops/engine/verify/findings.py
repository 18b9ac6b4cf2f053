"""
What a verification looks at, and what it finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from bulkops.model import WANTED, Status

#: Statuses that say something of the server. The rest was never sent, or shares another's fate.
CLAIMS = (Status.SUCCEEDED, Status.UNCHANGED, Status.FAILED, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Which:
    """
    The lines to look at: a share of those with one of `statuses`, or the ones named.

    `seed` makes the same share the same lines.
    """

    statuses: Collection[Status] = tuple(WANTED)
    share: float = 1.0
    lines: frozenset[int] | None = None
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Disagreement:
    """
    A line whose claim the organisation does not confirm; `holds` is `None` if it will not say.

    That a refused line cannot be read either is no disagreement.
    """

    line: int
    status: Status
    holds: bool | None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form; what is not known is left out."""
        said = {
            "line": self.line,
            "status": self.status.value,
            "wish_holds": self.holds,
            "why": self.why or None,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(slots=True)
class Verification:
    """
    How many lines of each status agree, disagree, and could not be read.
    """

    checked: Counter[Status] = field(default_factory=Counter)
    disagreeing: Counter[Status] = field(default_factory=Counter)
    unreadable: Counter[Status] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every line said to be done was read, and none disagrees."""
        return not self.disagreements

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form, without the lines."""
        return {
            "checked": sum(self.checked.values()),
            "disagreeing": sum(self.disagreeing.values()),
            "unreadable": sum(self.unreadable.values()),
            "statuses": {
                status.value: {
                    "checked": self.checked[status],
                    "disagreeing": self.disagreeing[status],
                    "unreadable": self.unreadable[status],
                }
                for status in CLAIMS
                if self.checked[status]
            },
        }
