"""
The metrics of a run: what its status counts, read when they are wanted, and how long calls take.

Only the histogram hears of each call; everything else costs a run nothing. Names are those of the
semantic conventions where they have one, ours begin with `bulkops.`.
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from bulkops.engine.telemetry import Look
from bulkops.engine.telemetry.facts import Facts

#: Name, unit and meaning of what is measured, and where it stands in a status. Counters count since
#: the process began.
_COUNTERS: Final = (
    ("bulkops.calls.sent", "{call}", "API calls sent, reads included.", ("calls",)),
    ("bulkops.calls.repeated", "{call}", "Calls sent again.", ("retries",)),
    ("bulkops.calls.throttled", "{call}", "Calls refused with 429.", ("throttled",)),
    ("bulkops.credits.spent", "{credit}", "API credits spent.", ("credits", "spent")),
)
_GAUGES: Final = (
    ("bulkops.lines", "{line}", "Rows by what became of them.", ("statuses",)),
    ("bulkops.lines.pending", "{line}", "Rows that wait for remote jobs.", ("pending",)),
    ("bulkops.calls.in_flight", "{call}", "Calls under way.", ("in_flight",)),
    ("bulkops.calls.allowed", "{call}", "Calls that may be under way now.", ("slots",)),
    ("bulkops.credits.left", "{credit}", "API credits left to bulkops.", ("credits", "left")),
)
#: Seconds, as the conventions want them.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_Path = tuple[str, ...]


class Measures:
    """
    The instruments of one run.
    """

    def __init__(self, run: str, meter: Meter) -> None:
        self._run = {"bulkops.run": run}
        self._look: Look = dict
        self._before: dict[_Path, Any] = {}
        for name, unit, meaning, path in _COUNTERS:
            read = [self._reading(path)]
            meter.create_observable_counter(name, read, unit=unit, description=meaning)
        for name, unit, meaning, path in _GAUGES:
            read = [self._reading(path)]
            meter.create_observable_gauge(name, read, unit=unit, description=meaning)
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of API calls.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )

    def watch(self, look: Look) -> None:
        """Measure what `look` returns; what was counted in it before this process is left out."""
        status = look()
        self._before = {path: _found(status, path) for _, _, _, path in _COUNTERS}
        self._look = look

    def status(self) -> Mapping[str, Any]:
        """Return where the run stands; empty before there is something to watch."""
        return self._look()

    def took(self, seconds: float, facts: Facts) -> None:
        """Take in how long a call took."""
        self._duration.record(seconds, facts)

    def _reading(self, path: _Path) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _options: self._observed(path)

    def _observed(self, path: _Path) -> Iterator[Observation]:
        """Yield a number of the status as it is now; one of each status for all lines."""
        value = _found(self._look(), path)
        if isinstance(value, Mapping):
            for status, number in value.items():
                yield Observation(number, {**self._run, "bulkops.status": status})
        elif value is not None:
            yield Observation(value - (self._before.get(path) or 0), self._run)


def _found(status: Mapping[str, Any], path: _Path) -> Any:
    """Return what stands there in a status; `None` if nothing does."""
    value: Any = status
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
