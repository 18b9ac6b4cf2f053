"""
The phases of planning, for whoever shows how far it has come.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Phase(StrEnum):
    """
    What planning is about at the moment, in the order it is done; the values are for people.
    """

    #: The files become a table.
    READING = "reading the manifest"
    #: Every row is an operation, or has its reason why not.
    JUDGING = "judging the rows"
    #: Repeated and contradicting rows are found.
    COMPARING = "comparing the rows"
    #: Relations that can be called from either end get the one that needs fewer calls.
    CHOOSING = "choosing ends of relations"
    #: Rows become calls.
    PACKING = "packing calls"
    #: Plan and rows are stored.
    WRITING = "writing the plan"
    #: Ids that are legal and look wrong are looked for.
    LOOKING_AGAIN = "looking for odd ids"


#: Is told the phase that begins, and how many rows there are. While they are read it is told how
#: many have been, from 0 on, and from another thread.
Told = Callable[[Phase, int], None]


def nobody(_phase: Phase, _rows: int) -> None:
    """Tell nobody."""
