"""
How fast a run goes, and when it will end: the rates of the last minutes, and what bounds them.

Pure: whoever asks gives the time. Not for the plan's guess before anything was sent, which is
`planner.summary`'s.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

#: Seconds that the rates look back: long enough for one slow call, short enough for a change.
LOOK_BACK_S: Final = 120.0
_APART_S: Final = 1.0
#: Before so many seconds a rate says nothing.
_SOONEST_S: Final = 3.0
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Rates:
    """
    Lines and calls a second, over the last `over_s` seconds.
    """

    lines: float = 0.0
    calls: float = 0.0
    over_s: float = 0.0

    def to_json(self) -> dict[str, float]:
        """Return them as JSON values."""
        return {
            "lines_per_second": round(self.lines, 2),
            "calls_per_second": round(self.calls, 2),
            "over_s": round(self.over_s, 1),
        }


class Meter:
    """
    Remembers how many lines and calls there were in the last minutes.
    """

    def __init__(self, look_back_s: float = LOOK_BACK_S) -> None:
        self._look_back_s = look_back_s
        self._samples: deque[tuple[float, int, int]] = deque(
            maxlen=math.ceil(look_back_s / _APART_S) + 1
        )

    def sample(self, now: float, lines: int, calls: int) -> None:
        """Remember the counts at `now`, in seconds of any clock; more often than needed is fine."""
        if not self._samples or now - self._samples[-1][0] >= _APART_S:
            self._samples.append((now, lines, calls))

    def rates(self, now: float, lines: int, calls: int) -> Rates:
        """Return how fast it went from the oldest sample that counts to these counts at `now`."""
        for then, lines_then, calls_then in tuple(self._samples):
            if now - self._look_back_s <= then < now:
                over_s = now - then
                return Rates((lines - lines_then) / over_s, (calls - calls_then) / over_s, over_s)
        return Rates()


@dataclass(frozen=True, slots=True)
class Window:
    """
    The part of the day in which a run may send: seconds until it closes, and a day's seconds.
    """

    left_s: float
    of_day_s: float

    @classmethod
    def at(cls, now: datetime, begin: time, end: time) -> Window:
        """Return what a window from `begin` to `end` leaves at `now`; closed, nothing is left."""
        opens, closes = (timedelta(hours=at.hour, minutes=at.minute) for at in (begin, end))
        since = timedelta(
            hours=now.hour, minutes=now.minute, seconds=now.second, microseconds=now.microsecond
        )
        length = (closes - opens) % timedelta(days=1)
        gone = (since - opens) % timedelta(days=1)
        return cls(max(0.0, (length - gone).total_seconds()), length.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """
    What lies ahead of a run: lines without outcome, calls still to be made, and their bounds.

    `credits_left` are ours of the day, `credits_a_day` what a new day brings us.
    """

    lines: int
    calls: int
    credits_left: int
    credits_a_day: int
    window: Window | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """
    The seconds to the end, `None` if nobody can say; and what they are reckoned from.
    """

    seconds: float | None
    basis: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "basis": self.basis,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> End:
        """Read what `to_json` wrote."""
        return cls(value["seconds"], value["basis"])


def end_of(ahead: Ahead, rates: Rates) -> End:
    """Return when a run will end that goes on as it went; the tightest bound is the basis."""
    if ahead.lines <= 0:
        return End(0.0, "every line has its outcome")
    if ahead.held:
        return End(None, "held: it goes on when that is over")
    if rates.over_s < _SOONEST_S:
        return End(None, "it is too early to tell")
    if rates.lines < 1 / LOOK_BACK_S:
        return End(None, "no line has got its outcome lately")
    seconds = ahead.lines / rates.lines
    end = End(seconds, f"{rates.lines:,.0f} lines/s of the last {_spoken(rates.over_s)}")
    missing = ahead.calls - ahead.credits_left
    if missing > 0 and ahead.credits_a_day > 0:
        days = math.ceil(missing / ahead.credits_a_day)
        words = (
            f"credits: about {ahead.calls:,} calls to go, {ahead.credits_left:,} credits left "
            f"today, {ahead.credits_a_day:,} a day"
        )
        end = End(max(seconds, days * _DAY_S), words)
    window = ahead.window
    if window is not None and window.of_day_s > 0 and seconds > window.left_s:
        nights = math.ceil((seconds - window.left_s) / window.of_day_s)
        longer = seconds + nights * (_DAY_S - window.of_day_s)
        if longer > (end.seconds or 0):
            end = End(longer, f"the window, which is open {window.of_day_s / 3600:.1f} h a day")
    return end


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
