"""
The charts of a report: which figures are drawn, how, and the words that say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup

from bulkops.engine.report.charts import bars, lines, steps
from bulkops.engine.report.figures import Figures
from bulkops.engine.report.remote_jobs import job_classes
from bulkops.engine.report.timeline import Span, Timeline, merged
from bulkops.engine.report.words import duration, number, share
from bulkops.model import WANTED, Status

_MOST_CODES = 15


@dataclass(frozen=True, slots=True)
class Picture:
    """
    A chart, the words that say the same, and its legend: words by class of the style sheet.
    """

    svg: Markup
    words: str
    legend: Mapping[str, str]


def pictures_of(figures: Figures) -> dict[str, Picture]:
    """Return the charts for which there is something to draw, by name."""
    found: dict[str, Picture] = {}
    if figures.shares:
        found["outcomes"] = _outcomes(figures)
    if figures.reasons:
        found["reasons"] = _reasons(figures)
    timeline = figures.timeline
    if timeline is not None and figures.calls and timeline.seconds > 0:
        found["throughput"] = _throughput(timeline)
        found["open"] = _open(timeline)
        found["credits"] = _credits(figures, timeline)
    if figures.jobs.ended:
        found["jobs"] = _jobs(figures)
    return found


def _outcomes(figures: Figures) -> Picture:
    ops: dict[str, dict[Status, int]] = {}
    for each in figures.shares:
        lines_of = ops.setdefault(each.op, {})
        lines_of[each.status] = lines_of.get(each.status, 0) + each.lines
    ranked = sorted(ops.items(), key=lambda each: (not each[0], -sum(each[1].values())))
    labels = [op or "no operation" for op, _ in ranked]
    statuses = [status for status in Status if figures.statuses[status]]
    shares = (
        f"{label}: {share(_wanted(by), sum(by.values()))} in the wanted state"
        for label, (_, by) in zip(labels, ranked, strict=True)
    )
    words = f"Rows by operation and status. {'; '.join(shares)}."
    series = {status.value: [by.get(status, 0) for _, by in ranked] for status in statuses}
    legend = {status.value: status.value for status in statuses}
    return Picture(bars(labels, series, name=words), words, legend)


def _wanted(lines_of: Mapping[Status, int]) -> int:
    return sum(lines_of.get(status, 0) for status in WANTED)


def _reasons(figures: Figures) -> Picture:
    shown = figures.reasons[:_MOST_CODES]
    labels = [code or status.value for status, code, _, _ in shown]
    statuses = [status for status in Status if any(each[0] is status for each in shown)]
    series = {
        status.value: [count if status is each else 0 for each, _, _, count in shown]
        for status in statuses
    }
    (_, first, _, most), whole = shown[0], figures.unwanted
    words = (
        f"Rows not in their wanted state, by the reason given. The most frequent is "
        f"{first or shown[0][0].value}, with {number(most)} of {number(whole)}."
    )
    legend = {status.value: status.value for status in statuses}
    return Picture(bars(labels, series, name=words), words, legend)


def _throughput(timeline: Timeline) -> Picture:
    wanted, other = [0] * len(timeline.calls), [0] * len(timeline.calls)
    for status, values in timeline.settled.items():
        into = wanted if Status(status) in WANTED else other
        into[:] = [have + more for have, more in zip(into, values, strict=True)]
    rates = {
        "wanted": [value / timeline.width for value in wanted],
        "unwanted": [value / timeline.width for value in other],
    }
    series = {key: steps(values, timeline.width, timeline.seconds) for key, values in rates.items()}
    busy = timeline.seconds - timeline.held_s - timeline.away_s
    total = sum(wanted) + sum(other)
    most = max(map(sum, zip(wanted, other, strict=True)))
    mean = f"{number(total / busy)} rows a second on average" if busy > 0 else "no time passed"
    words = (
        f"Rows settled a second, of those that were sent: {mean} while nothing held the run, "
        f"at most {number(most / timeline.width)} "
        f"over {duration(timeline.width)}."
    )
    return _over_time(
        timeline,
        series,
        words=words,
        legend={"wanted": "in the wanted state", "unwanted": "not in the wanted state"},
    )


def _open(timeline: Timeline) -> Picture:
    series = {"open": steps(timeline.open_mean, timeline.width, timeline.seconds)}
    words = (
        "Calls that the log has as sent and not yet as ended, on average over "
        f"{duration(timeline.width)}; those that wait for their turn are among them. At most "
        f"{number(max(timeline.open_most))} at one time."
    )
    return _over_time(timeline, series, words=words, legend={"open": "calls under way"})


def _credits(figures: Figures, timeline: Timeline) -> Picture:
    writes = [0, *accumulate(timeline.calls)]
    spent = [
        0,
        *accumulate(a + b for a, b in zip(timeline.calls, timeline.reads, strict=True)),
    ]
    ends = [min(place * timeline.width, timeline.seconds) for place in range(len(spent))]
    series = {
        "credits": list(zip(ends, map(float, spent), strict=True)),
        "writes": list(zip(ends, map(float, writes), strict=True)),
    }
    words = (
        f"API credits used since the run began: {number(spent[-1])}, a credit a call; "
        f"{number(figures.calls)} for calls that change something, {number(figures.reads)} for "
        "reads."
    )
    legend = {"credits": "all credits", "writes": "for calls that change something"}
    return _over_time(timeline, series, words=words, legend=legend)


def _over_time(
    timeline: Timeline,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    words: str,
    legend: Mapping[str, str],
) -> Picture:
    bands = {"held": timeline.holds, "away": timeline.breaks}
    drawn = {
        key: [_relative(span, timeline) for span in merged(spans)]
        for key, spans in bands.items()
        if spans
    }
    named = {"held": "held", "away": "no process on the run"}
    return Picture(
        lines(timeline.seconds, series, name=words, bands=drawn),
        words,
        {**legend, **{key: named[key] for key in drawn}},
    )


def _relative(span: Span, timeline: Timeline) -> tuple[float, float]:
    # A hold of a moment still is to be seen.
    begun = span.begun - timeline.begun
    ended = max(span.ended - timeline.begun, begun + timeline.seconds / 500)
    return max(begun, 0.0), min(ended, timeline.seconds)


def _jobs(figures: Figures) -> Picture:
    jobs = figures.jobs
    shown = job_classes(jobs.classes)
    words = (
        f"{number(jobs.ended)} jobs of the server, by the time until their end was known: half of "
        f"them within {duration(jobs.median_s)}, 19 of 20 within {duration(jobs.usual_s)}, the "
        f"longest {duration(jobs.most_s)}."
    )
    series = {"jobs": [count for _, count in shown]}
    return Picture(
        bars([label for label, _ in shown], series, name=words), words, {"jobs": "remote jobs"}
    )
