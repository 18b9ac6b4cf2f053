"""
The runs of a folder as metrics of Prometheus.

A run is a label, and runs come every night: each would be a series for ever. So only those are
told that somebody may be waiting for: runs that a process is on, and the latest of each job (runs
of no job are one job without a name); 200 at most. How many runs there are in each state is told
of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bulkops.engine.serve.entry import Entry
from bulkops.engine.serve.listing import Listing
from bulkops.errors import ExitCode
from bulkops.files.metrics import LAST_SUCCESS, Sample, render, samples_of

#: Runs that have series of their own, at most.
MOST: Final = 200
_STATES: Final = (
    *("running", "holding", "ending", "planned", "unfinished", "finished", "unreadable"),
)


def metrics_of(listing: Listing, *, now: float) -> str:
    """Return the metrics of a list of runs in the text format; `now` is in seconds since 1970."""
    return render(_samples(listing, now))


def told_of(listing: Listing) -> Sequence[Entry]:
    """Return the runs that have series of their own; the list has the last active first."""
    found, jobs = [], set[str]()
    for each in listing.runs:
        begun = each.state not in {"planned", "unreadable"}
        if each.is_live or (begun and each.job not in jobs):
            found.append(each)
        if begun:
            jobs.add(each.job)
    return found[:MOST]


def _samples(listing: Listing, now: float) -> Iterator[Sample]:
    for state in _STATES:
        yield Sample("bulkops_runs", listing.states.get(state, 0), {"state": state})
    for each in told_of(listing):
        yield from _of_run(each, now)
    for job, ended in _successes(listing).items():
        yield Sample(LAST_SUCCESS, ended, {"job": job})


def _of_run(entry: Entry, now: float) -> Iterator[Sample]:
    labels = {"run": entry.name, "job": entry.job}
    status = {name: each for name, each in entry.to_json().items() if each is not None}
    yield Sample("bulkops_up", int(entry.is_live), labels)
    yield from samples_of({**status, **entry.process}, labels)
    yield Sample(
        "bulkops_updated_timestamp_seconds", now if entry.is_live else entry.active, labels
    )
    if entry.exit is not None:
        yield Sample("bulkops_exit_code", entry.exit, labels)


def _successes(listing: Listing) -> Mapping[str, float]:
    """Return when a run of each job last ended with exit code 0."""
    found: dict[str, float] = {}
    for each in listing.runs:
        if each.exit == ExitCode.OK and each.ended is not None:
            found[each.job] = max(each.ended, found.get(each.job, 0.0))
    return dict(sorted(found.items())[:MOST])
