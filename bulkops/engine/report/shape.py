"""
The figures of a report for programs: a stable shape with a version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkops.engine.report.figures import Figures
from bulkops.engine.report.timeline import Span, Timeline

SCHEMA_VERSION = 1


def to_json(figures: Figures) -> dict[str, Any]:
    """
    Return the figures as JSON values. Times are in seconds, moments in seconds since 1970.

    `timeline` is absent for a run that has not begun; its arrays have an entry for each `width_s`
    seconds. The rows themselves are not in it: `bulkops outcomes` prints those.
    """
    jobs = figures.jobs
    return {
        "v": SCHEMA_VERSION,
        "run": figures.run,
        "state": state_of(figures),
        "stopped_because": figures.stopped,
        "exit": None if figures.exit is None else int(figures.exit),
        "rows": figures.rows,
        "settled": figures.settled,
        "in_wanted_state": figures.wanted,
        "not_in_wanted_state": figures.unwanted,
        "statuses": {status.value: lines for status, lines in figures.statuses.items()},
        "outcomes": [
            {
                "op": each.op,
                "module": each.module,
                "status": each.status.value,
                "code": each.code,
                "lines": each.lines,
            }
            for each in figures.shares
        ],
        "calls": figures.calls,
        "batches": figures.batches,
        "planned_calls": figures.summary.total.calls,
        "reads": figures.reads,
        "remote_jobs": {
            "begun": jobs.begun,
            "ended": jobs.ended,
            "median_s": jobs.median_s,
            "p95_s": jobs.usual_s,
            "max_s": jobs.most_s,
        },
        "verification": figures.verification,
        **({"timeline": _timeline(figures.timeline)} if figures.timeline else {}),
    }


def state_of(figures: Figures) -> str:
    """Return `planned`, `unfinished` or `finished`, as `bulkops status` says it."""
    if figures.timeline is None:
        return "planned"
    return "finished" if figures.finished else "unfinished"


def _timeline(timeline: Timeline) -> dict[str, Any]:
    return {
        "begun": timeline.begun,
        "ended": timeline.ended,
        "width_s": timeline.width,
        "held_s": timeline.held_s,
        "away_s": timeline.away_s,
        "settled": {status: list(values) for status, values in timeline.settled.items()},
        "calls": list(timeline.calls),
        "reads": list(timeline.reads),
        "open_mean": [round(value, 3) for value in timeline.open_mean],
        "open_most": list(timeline.open_most),
        "holds": _spans(timeline.holds),
        "breaks": _spans(timeline.breaks),
    }


def _spans(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [
        {"reason": each.reason, "begun": each.begun, "ended": each.ended, "open": each.open}
        for each in spans
    ]
