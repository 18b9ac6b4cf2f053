"""
Hold every call to the concurrency, the rate, the server's pauses, and the holds of people.

Zoho's first limit is the number of calls in flight, which no rate can express; so a gate counts
them, and a leaky bucket shapes the optional rate. One object serves a whole run: a refusal that
one worker meets slows all of them. What to do is decided in `pacing`, calls wait at the gate;
this passes on what each call met, and tells people what matters.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from bulkops.files.talk import Talk
from bulkops.rules import pacing
from bulkops.rules.pacing import Cause, Evidence, Pace, Pause, Waits
from bulkops.wire.gate import Gate, Hold

_DEFAULT_WAITS = Waits()
_REFUSALS = "refusals"
#: What is worth telling people; that the limit of calls in flight is met is no news.
_WORDS: Mapping[Cause | None, str] = {
    Cause.CREDITS: "the server says that the day's credits are used up",
    Cause.RATE: "the server refuses every call, perhaps by the minute; one at a time asks",
}


class Slot:
    """
    The turn of one call: waited for, held, and given back.
    """

    __slots__ = ("_gate", "_held", "_limiter")

    def __init__(self, limiter: Limiter, gate: Gate) -> None:
        self._limiter = limiter
        self._gate = gate
        self._held = False

    async def __aenter__(self) -> int | None:
        self._held = await self._gate.enter()
        return self._limiter.mark if self._held else None

    async def __aexit__(self, *_: object) -> None:
        if self._held:
            self._gate.leave()


class Limiter:
    """
    Gives out slots for calls, and none while anything holds.

    Never more than `ceiling` at once, nor than the level found so far, nor than
    `calls_per_second` if that is not zero. `found` is the level that an earlier run found. Once
    closed it lets nothing through, and nobody waits. `told` is given a name and words when calls
    begin to be refused for something other than concurrency, and no words when that is over.
    """

    def __init__(
        self,
        *,
        ceiling: int,
        calls_per_second: float = 0.0,
        found: int | None = None,
        waits: Waits = _DEFAULT_WAITS,
        told: Callable[[str, str], None] = lambda _name, _words: None,
    ) -> None:
        self._pace = Pace(pacing.begin(ceiling=ceiling, found=found))
        self._gate = Gate(slots=self._pace.slots, calls_per_second=calls_per_second)
        self._waits = waits
        self._told = told
        self._log = Talk("bulkops.limiter")

    @property
    def in_flight(self) -> int:
        """Calls under way now."""
        return self._gate.in_flight

    @property
    def slots(self) -> int:
        """Calls that may be under way now."""
        return self._pace.slots

    @property
    def level(self) -> pacing.Level:
        """The level found so far, whatever holds at the moment."""
        return self._pace.level

    @property
    def cause(self) -> Cause | None:
        """Why calls are being refused now, `None` if they are not."""
        return self._pace.cause

    @property
    def holding(self) -> Hold | None:
        """What keeps every call back now: people's holds first, then the server's pause."""
        return self._gate.holding

    def hold(self, name: str) -> None:
        """Let nothing leave until `release(name)`; other holds stay whatever happens to this."""
        if self._gate.hold(name):
            self._log.debug("calls.held", reason=name)

    def release(self, name: str) -> None:
        """Take a hold away; calls leave again if it was the last."""
        if self._gate.release(name):
            self._log.debug("calls.released", reason=name)

    def set(self, *, concurrency: int | None = None, calls_per_second: float | None = None) -> None:
        """Change the ceiling, or the rate (0 is none), from the next call on."""
        if concurrency is not None:
            level = pacing.under(self._pace.level, max(1, concurrency))
            self._turn(pacing.at_level(self._pace, level))
        if calls_per_second is not None:
            self._gate.drip(calls_per_second)

    def close(self) -> None:
        """Let nothing through any more, and wake everybody who waits."""
        self._gate.close()

    async def approach(self) -> bool:
        """
        Wait until it is worth making a call ready: it would soon have its slot; false if closed.
        """
        return await self._gate.approach()

    def turn_back(self) -> None:
        """Make room for another: the call that was to be made ready is not going to leave."""
        self._gate.turn_back()

    def slot(self) -> Slot:
        """
        Wait for a slot and hold it; released when the call ends, however it ends.

        Yields the mark to tell of the call's fate with, or `None` if it must not leave because
        the limiter was closed.
        """
        return Slot(self, self._gate)

    @property
    def mark(self) -> int:
        """What a call that leaves now is to tell of its fate with."""
        return self._pace.mark

    def answered(self, mark: int) -> None:
        """Take note of an answer that was no refusal, to a call that left at `mark`."""
        self._turn(pacing.answered(self._pace, mark, busy=self._gate.busy))

    def timed_out(self, mark: int) -> None:
        """Take note of a call that got no answer in time."""
        before = self._pace
        self._turn(pacing.timed_out(before, mark))
        if self._pace is not before:
            self._log.info("pace.slowed", reason="time-out", slots=self._pace.slots)

    def refused(self, evidence: Evidence, mark: int | None = None) -> Pause | None:
        """
        Take note of a refusal while its call still holds its slot; slow everybody down.

        Returns the pause, which is already in force; one that is final is for the run to end by.
        """
        pace, pause = pacing.refused(
            self._pace,
            self._pace.mark if mark is None else mark,
            evidence,
            others=max(0, self._gate.in_flight - 1),
            waits=self._waits,
            chance=random.random(),  # noqa: S311  (jitter, not a secret)
        )
        if pause is not None and pause.wait_s is not None:
            self._gate.pause(pause.cause, pause.wait_s)
        self._turn(pace)
        return pause

    def _turn(self, pace: Pace) -> None:
        """Go on at another pace."""
        before, self._pace = self._pace, pace
        self._gate.resize(pace.slots)
        if pace.cause is not before.cause:
            self._tell(before.cause)

    def _tell(self, before: Cause | None) -> None:
        """Tell why calls are held back, or that they are no longer."""
        cause, held = self._pace.cause, self._gate.holding
        if cause is Cause.CONCURRENCY:
            # It happens at every probe: that is how the limit is found.
            self._log.debug("pace.slowed", reason=cause, slots=self._pace.slots)
        elif cause is not None:
            until = held.until if held else None
            self._log.warning("pace.slowed", reason=cause, slots=self._pace.slots, until=until)
        elif before in _WORDS:
            self._log.info("pace.recovered", reason=before, slots=self._pace.slots)
        if _WORDS.get(cause) != _WORDS.get(before):
            self._told(_REFUSALS, _WORDS.get(cause, ""))
