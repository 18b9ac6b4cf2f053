"""
The hands on a running run: what holds it, what lets it go on, and what changes its limits.

Reasons to hold come from the clock (`window`), from files (`pause`), and from people (`ctl`);
each has its name, and a call leaves only when none is left. Nothing here knows of sockets.
"""

from __future__ import annotations

import asyncio
import os
import time as clock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any, Final

from bulkops.errors import BulkopsError, PausedError, UsageError
from bulkops.files.config import Config
from bulkops.files.credits import budget_of
from bulkops.files.talk import Talk
from bulkops.rules import pacing
from bulkops.rules.forecast import Ahead, Meter, Window, end_of
from bulkops.rules.tally import Tally
from bulkops.wire.holds import Holds
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import Stop

#: Seconds between two looks at the clock and at the pause files.
_LOOK_S: Final = 0.5
#: The file that holds one run if it lies in its folder, and all runs if it lies among them.
PAUSE_FILE: Final = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """
    What there is to steer by: the parts of one run.
    """

    run: Path
    limiter: Limiter
    holds: Holds
    purse: Purse
    stop: Stop
    tally: Tally


class Steering:
    """
    Holds, releases and changes one run. Every method takes effect before the next call leaves.

    `wait` says to wait for the window rather than to end; `reload` reads the configuration
    again; `now` is the wall clock.
    """

    def __init__(
        self,
        hands: Hands,
        config: Config,
        *,
        wait: bool,
        reload: Callable[[], Config],
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._hands = hands
        self._config = config
        self._wait = wait
        self._reload = reload
        self._now = now
        # No more workers and connections than the run began with.
        self._most = config.limits.ceiling
        self._concurrency = config.limits.ceiling
        self._calls_per_second = config.limits.calls_per_second
        self._log = Talk("bulkops.steering")
        self._meter = Meter()
        self._begun = clock.monotonic()
        self._sample()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Look at the clock and the files at once, and on and on within the block."""
        self.look()
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()

    async def _keep(self) -> None:
        while await self._hands.stop.sleep(_LOOK_S):
            self.look()
            self._sample()

    def _sample(self) -> None:
        tally = self._hands.tally
        self._meter.sample(clock.monotonic(), tally.fresh_settled, tally.fresh_calls)

    def look(self) -> None:
        """Hold or release by the time of day and by the pause files, as they are now."""
        self._look_at_window()
        files = {
            "pause file": self._hands.run / PAUSE_FILE,
            "pause file of all runs": self._config.run.directory / PAUSE_FILE,
        }
        for name, path in files.items():
            if os.path.exists(path):  # noqa: PTH110  (a path that cannot be looked at is none)
                self._hands.holds.hold(name, f"until {path} is deleted")
            else:
                self._hands.holds.release(name)

    def _look_at_window(self) -> None:
        window = self._config.run.window
        if pacing.within(_times(window), self._now().time()):
            self._hands.holds.release("window")
        elif self._wait:
            self._hands.holds.hold("window", f"outside {window}, which opens at {window[:5]}")
        else:
            self._hands.stop.ask(
                PausedError(
                    f"outside the window {window} of [run]; run the same command again from "
                    f"{window[:5]} on, or with --wait"
                )
            )

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a request of `ctl` says; return its status. Raises `UsageError` with words."""
        hands, do = self._hands, asked.get("do")
        if do in {"pause", "set"} and hands.stop.asked:
            raise UsageError(f"the run is ending: {hands.stop.reason}")
        match do:
            case "status":
                pass
            case "pause":
                hands.holds.hold("ctl", "until `bulkops ctl RUN resume`")
            case "resume":
                hands.holds.release("ctl")
            case "drain":
                hands.stop.ask(
                    PausedError("drained by `bulkops ctl`; run the same command again to go on")
                )
            case "set":
                self._set({key: each for key, each in asked.items() if key not in {"v", "do"}})
            case _:
                raise UsageError(f"{do!r}: expected status, pause, resume, drain or set")
        return self.status()

    def _set(self, values: Mapping[str, Any]) -> None:
        """Change limits, all or none of them, within what the configuration allows."""
        if unknown := values.keys() - {"concurrency", "calls_per_second"} or not values:
            found = ", ".join(sorted(unknown)) if isinstance(unknown, set) else "nothing"
            raise UsageError(f"{found}: expected concurrency=N or calls_per_second=X")
        limits = self._config.limits
        concurrency = values.get("concurrency", self._concurrency)
        ceiling = min(self._most, limits.ceiling)
        if type(concurrency) is not int or not 1 <= concurrency <= ceiling:
            raise UsageError(
                f"concurrency={concurrency}: expected a whole number from 1 to {ceiling}, which "
                "the configuration allows"
            )
        rate = values.get("calls_per_second", self._calls_per_second)
        most = limits.calls_per_second
        number = type(rate) in {int, float} and rate >= 0
        if not number or (most and not 0 < rate <= most):
            limit = f"above 0, up to the configuration's {most:g}" if most else "0 (none) or more"
            raise UsageError(f"calls_per_second={rate}: expected a number {limit}")
        self._apply(concurrency, float(rate))

    def reread(self) -> None:
        """Read the limits of the configuration again; a wrong one is told and left alone."""
        try:
            config = self._reload()
        except BulkopsError as error:
            self._log.warning("limits.kept", why=str(error))
            return
        self._config = self._config.model_copy(update={"limits": config.limits})
        self._hands.purse.budget = budget_of(config)
        if config.limits.ceiling > self._most:
            self._log.warning(
                "limits.capped",
                why=f"this run began with concurrency = {self._most}; run again for more",
            )
        self._apply(min(self._most, config.limits.ceiling), config.limits.calls_per_second)

    def _apply(self, concurrency: int, calls_per_second: float) -> None:
        self._concurrency, self._calls_per_second = concurrency, calls_per_second
        self._hands.limiter.set(concurrency=concurrency, calls_per_second=calls_per_second)
        self._log.info("limits.set", concurrency=concurrency, calls_per_second=calls_per_second)

    def status(self) -> dict[str, Any]:
        """
        Return where the run stands, as JSON values; the one source of all that shows it.

        May be called from another thread, and after the end.
        """
        hands, tally = self._hands, self._hands.tally
        held = dict(hands.holds.reasons)
        if (pause := hands.limiter.holding) is not None and pause.name not in held:
            held[str(pause.name)] = "the server refuses calls"
        ending = str(hands.stop.reason) if hands.stop.asked else ""
        now, money = clock.monotonic(), hands.purse.status()
        rates = self._meter.rates(now, tally.fresh_settled, tally.fresh_calls)
        return {
            "run": str(hands.run),
            "pid": os.getpid(),
            "state": "ending" if ending else "holding" if held else "running",
            "held": held,
            "ending": ending,
            **tally.to_json(),
            "in_flight": hands.limiter.in_flight,
            "slots": hands.limiter.slots,
            "concurrency": self._concurrency,
            "calls_per_second": self._calls_per_second,
            "credits": money,
            "running_s": round(now - self._begun, 1),
            "rates": rates.to_json(),
            "end": end_of(self._ahead(money, held=bool(held)), rates).to_json(),
        }

    def _ahead(self, money: Mapping[str, int], *, held: bool) -> Ahead:
        tally, window = self._hands.tally, _times(self._config.run.window)
        return Ahead(
            lines=tally.rows - tally.settled,
            calls=tally.calls_left,
            credits_left=money["left"],
            credits_a_day=money["day"] - money["leave"],
            window=Window.at(self._now(), *window) if window else None,
            held=held,
        )


def _times(window: str) -> tuple[time, time] | None:
    if not window:
        return None
    start, _, end = window.partition("-")
    return time.fromisoformat(start), time.fromisoformat(end)
