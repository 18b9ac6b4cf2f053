"""
How many calls to keep in flight: probe and hold.

The server's limit is hard and unknown, and gives no sign before it is reached. So the level
climbs by one a round until a call is refused, settles just below, and asks again only rarely,
by one. The rarer, the more often it was told no: what a probe costs is one refused call, and
their share stays near one in a thousand. Nothing here knows the time: it counts answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Calls in flight that a run begins with, if nothing is known of the organisation.
START = 5
#: Answers between two probes: at first, and at most.
_LEAST = 250
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Level:
    """
    The calls that may be in flight, and how the search for the limit stands.

    `ceiling` is never passed. `quiet` counts answers since the last change. While it climbs,
    `steps` counts how many times it has gone up; while it holds, `patience` is how many answers
    it waits before it probes.
    """

    slots: int
    ceiling: int
    climbing: bool = True
    steps: int = 1
    quiet: int = 0
    patience: int = _LEAST

    @property
    def settled(self) -> bool:
        """Whether the limit was found, rather than still being looked for."""
        return not self.climbing or self.slots == self.ceiling


def begin(*, ceiling: int, found: int | None = None) -> Level:
    """
    Return the level to begin with: low; or what was `found` before, held at first.

    What was found is never trusted above the ceiling.
    """
    if found is None or found < 1:
        return Level(min(START, ceiling), ceiling)
    return Level(min(found, ceiling), ceiling, climbing=False)


def answered(level: Level, *, busy: bool) -> Level:
    """
    Return the level after an answer that was no refusal.

    `busy`: all of the level was in use, so that it is what limits; otherwise nothing is learnt.
    """
    if not busy:
        return level
    quiet = level.quiet + 1
    enough = level.slots if level.climbing else level.patience
    if quiet < enough or level.slots >= level.ceiling:
        # At the ceiling there is nothing more to count.
        return level if level.quiet >= enough else replace(level, quiet=quiet)
    steps = level.steps + 1 if level.climbing else 0
    return replace(level, slots=level.slots + 1, climbing=True, steps=steps, quiet=0)


def refused(level: Level) -> Level:
    """
    Return the level after the server refused a call for there being too many.

    Each call refused was one too many, so each takes one off: a crowd that is refused together
    leaves what was served.
    """
    patience = level.patience
    if level.climbing:
        # A probe that went nowhere makes the next one rarer; a climb has found a new limit.
        patience = _LEAST if level.steps else min(2 * patience, _MOST)
    slots = max(1, level.slots - 1)
    return replace(level, slots=slots, climbing=False, steps=0, quiet=0, patience=patience)


def timed_out(level: Level) -> Level:
    """Return the level after the server took too long: a quarter less, for it is overloaded."""
    slots = max(1, level.slots * 3 // 4)
    return replace(level, slots=slots, climbing=False, steps=0, quiet=0)


def climb(level: Level) -> Level:
    """Return the level, looking for the limit again from where it is."""
    return replace(level, climbing=True, steps=1, quiet=0)


def under(level: Level, ceiling: int) -> Level:
    """Return the level under another ceiling. Under a higher one it climbs if it stood at it."""
    climbing = level.climbing or level.slots == level.ceiling
    return replace(level, slots=min(level.slots, ceiling), ceiling=ceiling, climbing=climbing)
