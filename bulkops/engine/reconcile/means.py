"""
How this process goes about a reconciliation; another one that goes on with it may do otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bulkops.engine.rig import Manner


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """
    How this process goes about reading.

    `told` is called with how many of how many questions are answered, and why no call leaves just
    now, if none does.
    """

    manner: Manner = field(default_factory=Manner)
    told: Callable[[int, int, Sequence[str]], None] = lambda _count, _all, _held: None
