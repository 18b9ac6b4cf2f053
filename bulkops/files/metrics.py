"""
Where a run stands as metrics of Prometheus: its text format, and a file of it for cron'd jobs.

Written by hand and not with `prometheus_client`: that keeps a registry for a process that is
scraped, while here every number comes from one status and goes into one text, which takes no more
lines than filling a registry would. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bulkops.errors import ExitCode, UsageError
from bulkops.files.rundir import write_atomically
from bulkops.model import Status

#: What `/metrics` says its content is.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
#: The metric that says of a job when it last went well.
LAST_SUCCESS: Final = "bulkops_last_success_timestamp_seconds"

#: Name, type and meaning of every metric, in the order they are written.
_FAMILIES: Final[Mapping[str, tuple[str, str]]] = {
    "bulkops_runs": ("gauge", "Runs of the folder, by their state."),
    "bulkops_up": ("gauge", "1 while a process is on the run, 0 after it."),
    "bulkops_rows": ("gauge", "Rows of the manifest."),
    "bulkops_lines": ("gauge", "Rows by what became of them."),
    "bulkops_pending_lines": ("gauge", "Rows that wait for remote jobs."),
    "bulkops_parked_batches": ("gauge", "Batches that wait for their time."),
    "bulkops_calls_total": ("counter", "API calls since the run began."),
    "bulkops_planned_calls": ("gauge", "API calls that the plan has."),
    "bulkops_retries_total": ("counter", "Calls sent again since the process began."),
    "bulkops_throttled_total": ("counter", "Calls refused with 429 since the process began."),
    "bulkops_credits_spent_total": ("counter", "API credits spent since the process began."),
    "bulkops_credits_left": ("gauge", "API credits that our runs may still use of the day."),
    "bulkops_calls_in_flight": ("gauge", "Calls under way."),
    "bulkops_calls_allowed": ("gauge", "Calls that may be under way now."),
    "bulkops_calls_ceiling": ("gauge", "Calls that may ever be under way."),
    "bulkops_held": ("gauge", "1 for every reason why no call leaves now."),
    "bulkops_refused_lines": ("gauge", "Rows of the most frequent refusals, by code."),
    "bulkops_seconds_to_end": ("gauge", "The time to the end; absent if nobody can say."),
    "bulkops_exit_code": ("gauge", "Exit code of the process; absent while it runs."),
    "bulkops_updated_timestamp_seconds": ("gauge", "When this was written."),
    LAST_SUCCESS: ("gauge", "When a run of the job last ended with exit code 0."),
}
#: Metrics that are one number of a status, and how to find it there.
_NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "bulkops_rows": ("rows",),
    "bulkops_pending_lines": ("pending",),
    "bulkops_parked_batches": ("parked",),
    "bulkops_calls_total": ("calls",),
    "bulkops_planned_calls": ("planned_calls",),
    "bulkops_retries_total": ("retries",),
    "bulkops_throttled_total": ("throttled",),
    "bulkops_credits_spent_total": ("credits", "spent"),
    "bulkops_credits_left": ("credits", "left"),
    "bulkops_calls_in_flight": ("in_flight",),
    "bulkops_calls_allowed": ("slots",),
    "bulkops_calls_ceiling": ("concurrency",),
    "bulkops_seconds_to_end": ("end", "seconds"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """
    A number of one metric, told apart from others of the same name by its labels.
    """

    name: str
    value: float
    labels: Mapping[str, str]


def samples_of(status: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[Sample]:
    """Yield what a status (`Steering.status`) says, as far as it goes; `labels` go on all."""
    for name, path in _NUMBERS.items():
        value: Any = status
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            yield Sample(name, value, labels)
    if "statuses" in status:
        for each in Status:
            if each is not Status.SCHEDULED:
                count = status["statuses"].get(each.value, 0)
                yield Sample("bulkops_lines", count, {**labels, "status": each.value})
    for reason in status.get("held", {}):
        yield Sample("bulkops_held", 1, {**labels, "reason": reason})
    for each in status.get("refusals", ()):
        more = {"status": each["status"], "code": each["code"]}
        yield Sample("bulkops_refused_lines", each["lines"], {**labels, **more})


def render(samples: Iterable[Sample]) -> str:
    """Return samples in the text format, each metric once with its type and meaning."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.name, []).append(sample)
    lines: list[str] = []
    for name, (kind, meaning) in _FAMILIES.items():
        if name in found:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(each.labels)} {_number(each.value)}" for each in found[name]]
    return "\n".join([*lines, ""])


def _labels(labels: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_plain(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}" if labels else ""


def _plain(value: str) -> str:
    """Escape what the format asks for; halves of characters cannot be written as UTF-8."""
    return value.encode(errors="replace").decode().translate(_ESCAPES)


def _number(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    return str(value) if isinstance(value, int) else repr(float(value))


class MetricsFile:
    """
    The file of one run at `path`, replaced as a whole each time. `labels` go on every sample.

    When a run of the job last went well is taken over from the file that is there.
    """

    def __init__(self, path: Path, labels: Mapping[str, str]) -> None:
        self._path = path
        self._labels = labels
        self._success = _last_success(path)

    def write(
        self, status: Mapping[str, Any], *, now: float, ended: ExitCode | None = None
    ) -> None:
        """
        Write where the run stands at `now`, and how it `ended` if it has.

        Raises `UsageError` where the file cannot be written.
        """
        if ended is ExitCode.OK:
            self._success = now
        samples: Sequence[Sample] = [
            Sample("bulkops_up", int(ended is None), self._labels),
            *samples_of(status, self._labels),
            Sample("bulkops_updated_timestamp_seconds", now, self._labels),
        ]
        if ended is not None:
            samples = [*samples, Sample("bulkops_exit_code", int(ended), self._labels)]
        if self._success is not None:
            samples = [*samples, Sample(LAST_SUCCESS, self._success, self._labels)]
        try:
            write_atomically(self._path, render(samples).encode())
        except OSError as error:
            raise UsageError(f"{self._path}: metrics cannot be written ({error})") from error


def _last_success(path: Path) -> float | None:
    """Return what the file at `path` says of the last success; `None` if it says nothing."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{LAST_SUCCESS}(?:\{{.*\}})? ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found[1]) if found else None
