"""
What follows from each answer for all calls: the level, the pauses, and their cause.

Refusals without an admitted call between them are a streak. One that goes on after the calls in
flight were halved is not about concurrency: then one call at a time asks, ever more rarely, until
one is served. Values in, decision out; seconds are only ever handed on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bulkops.rules.pacing import level as levels
from bulkops.rules.pacing.cause import Cause, Evidence, cause_of
from bulkops.rules.pacing.level import Level
from bulkops.rules.pacing.waits import Waits, backoff

#: The longest wait between two probes, and how many are refused before the run gives up.
_PROBE_LONGEST_S = 15.0
_PROBES = 16


@dataclass(frozen=True, slots=True)
class Pause:
    """
    Let nothing leave for `wait_s` seconds; if `final`, end the run and come back later.

    `wait_s` is `None` if nobody knows when, which only a final pause may be.
    """

    cause: Cause
    wait_s: float | None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Streak:
    """
    Refusals without an admitted call: the count they began with, and the level at that time.
    """

    mark: int
    slots: int


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How fast a run may go, and why not faster.

    `mark` counts the refusals and time-outs so far; each call keeps the count it left with, which
    tells later what it can bear witness to. `alone_since` is the mark from which on one call at a
    time probes, and `probes` how many of these were refused. `wary`: the last streak was not about
    concurrency, so the next is suspected at once.
    """

    level: Level
    mark: int = 0
    timed_out_at: int = 0
    streak: Streak | None = None
    alone_since: int | None = None
    probes: int = 0
    cause: Cause | None = None
    wary: bool = False

    @property
    def slots(self) -> int:
        """Calls that may be in flight now."""
        return 1 if self.alone_since is not None else self.level.slots


def at_level(pace: Pace, level: Level) -> Pace:
    """Return the pace at another level, such as one under a new ceiling."""
    return replace(pace, level=level)


def answered(pace: Pace, mark: int, *, busy: bool) -> Pace:
    """Return the pace after an answer that was no refusal, to a call that left at `mark`."""
    if pace.streak is not None and mark >= pace.streak.mark:
        alone = pace.alone_since is not None
        level = levels.climb(pace.level) if alone else pace.level
        wary = pace.wary or alone
        return Pace(level, mark=pace.mark, timed_out_at=pace.timed_out_at, wary=wary)
    if pace.alone_since is not None:
        return pace
    level = levels.answered(pace.level, busy=busy)
    return pace if level is pace.level else replace(pace, level=level)


def timed_out(pace: Pace, mark: int) -> Pace:
    """Return the pace after a call that got no answer in time; calls of one moment count once."""
    if mark < pace.timed_out_at:
        return pace
    level = levels.timed_out(pace.level)
    return replace(pace, level=level, mark=pace.mark + 1, timed_out_at=pace.mark + 1)


def refused(
    pace: Pace, mark: int, evidence: Evidence, *, others: int, waits: Waits, chance: float
) -> tuple[Pace, Pause | None]:
    """
    Return the pace after a call that left at `mark` was refused, and the pause to make, if any.

    `others` is how many more calls are in flight; `chance` in [0, 1) is the jitter of a wait.
    """
    streak = pace.streak or Streak(pace.mark + 1, pace.level.slots)
    # A call that left before the streak began says nothing about whether fewer calls help.
    halved = others <= streak.slots // 2
    persists = mark >= streak.mark and (halved or pace.wary)
    cause = cause_of(evidence, persists=persists or pace.alone_since is not None)
    level = levels.refused(pace.level) if pace.alone_since is None else pace.level
    pace = replace(pace, level=level, mark=pace.mark + 1, streak=streak, cause=cause)
    if cause is Cause.CONCURRENCY:
        wait_s = evidence.wait_s
        return pace, None if wait_s is None else _pause(cause, wait_s, waits)
    if pace.alone_since is not None and mark < pace.alone_since:
        # One of the crowd from before: no probe, but what it says of the time to wait counts.
        probes = pace.probes
    else:
        probes = pace.probes + 1
    alone_since = pace.mark if pace.alone_since is None else pace.alone_since
    pace = replace(pace, alone_since=alone_since, probes=probes)
    if cause is Cause.CREDITS:
        wait_s = evidence.wait_s if evidence.wait_s is not None else evidence.credits_back_s
        return pace, _pause(cause, wait_s, waits)
    longest_s = min(_PROBE_LONGEST_S, waits.longest_s)
    wait_s = evidence.wait_s
    if wait_s is None:
        wait_s = backoff(waits.retry_s, probes, longest_s=longest_s, chance=chance)
    if probes > _PROBES:
        return pace, Pause(cause, None, final=True)
    return pace, _pause(cause, wait_s, waits)


def _pause(cause: Cause, wait_s: float | None, waits: Waits) -> Pause:
    return Pause(cause, wait_s, final=wait_s is None or wait_s > waits.longest_s)
