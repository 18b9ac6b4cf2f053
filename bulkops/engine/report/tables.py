"""
The tables of a report, as rows of values: what a page shows beside its charts, or in place of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bulkops.engine.report.figures import Figures
from bulkops.engine.report.remote_jobs import job_classes
from bulkops.engine.report.timeline import Timeline
from bulkops.engine.report.words import number
from bulkops.files.limits_section import Limits
from bulkops.files.planner.rows import naming_columns
from bulkops.files.sections import SECRET_KEYS
from bulkops.model import WANTED, Status

#: Rows of the course of a run in numbers, at most.
_COURSE_ROWS = 12
_MOST_FILES = 20
_RECORD = ("module", "record_id")


@dataclass(frozen=True, slots=True)
class CountRow:
    """
    Lines of one operation on one module, by status.
    """

    op: str
    module: str
    lines: Mapping[Status, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.lines.values())


@dataclass(frozen=True, slots=True)
class CourseRow:
    """
    A few equal parts of a run taken together; times in seconds since 1970.
    """

    begun: float
    ended: float
    wanted: int
    unwanted: int
    calls: int
    reads: int
    open_mean: float
    open_most: int

    @property
    def seconds(self) -> float:
        """How long it is; never zero."""
        return max(self.ended - self.begun, 1e-3)


@dataclass(frozen=True, slots=True)
class Day:
    """
    The credits of a day, and how many of them are ours to use.
    """

    all: int
    ours: int


@dataclass(frozen=True, slots=True)
class Tables:
    """
    All tables of a report.
    """

    outcomes: Sequence[CountRow]
    course: Sequence[CourseRow]
    manifest: Sequence[tuple[str, str]]
    options: Sequence[tuple[str, str]]
    failed: Sequence[Mapping[str, str]]
    jobs: Sequence[tuple[str, int]]
    day: Day | None


def tables_of(figures: Figures) -> Tables:
    """Return the tables of `figures`."""
    return Tables(
        outcomes=tuple(_outcomes(figures)),
        course=tuple(_course(figures.timeline)) if figures.timeline else (),
        manifest=tuple(_manifest(figures.description)),
        options=tuple(_flat("", figures.description["config"])),
        failed=[_failed(row) for row in figures.failed],
        jobs=job_classes(figures.jobs.classes),
        day=_day(figures.description["config"]),
    )


def _outcomes(figures: Figures) -> Iterator[CountRow]:
    found: dict[tuple[str, str], dict[Status, int]] = {}
    for share in figures.shares:
        lines = found.setdefault((share.op, share.module), {})
        lines[share.status] = lines.get(share.status, 0) + share.lines
    for (op, module), lines in sorted(
        found.items(), key=lambda each: (not each[0][0], -sum(each[1].values()), each[0])
    ):
        yield CountRow(op, module, lines)


def _course(timeline: Timeline) -> Iterator[CourseRow]:
    bins = len(timeline.calls)
    step = max(1, -(-bins // _COURSE_ROWS))
    for first in range(0, bins, step):
        part = slice(first, first + step)
        begun = timeline.begun + first * timeline.width
        ended = min(timeline.begun + (first + step) * timeline.width, timeline.ended)
        held = timeline.open_mean[part]
        yield CourseRow(
            begun=begun,
            ended=max(begun, ended),
            wanted=_settled(timeline, part, wanted=True),
            unwanted=_settled(timeline, part, wanted=False),
            calls=sum(timeline.calls[part]),
            reads=sum(timeline.reads[part]),
            open_mean=sum(held) / len(held),
            open_most=max(timeline.open_most[part]),
        )


def _settled(timeline: Timeline, part: slice, *, wanted: bool) -> int:
    return sum(
        sum(values[part])
        for status, values in timeline.settled.items()
        if (Status(status) in WANTED) is wanted
    )


def _manifest(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    asked, plan = description["asked"], description["plan"]
    files = description["manifest"].get("files", ())
    for each in files[:_MOST_FILES]:
        facts = f"{each['format']}, {number(each['rows'])} rows, {number(each['size'])} bytes"
        yield "File", f"{each['name']} ({facts})"
    if len(files) > _MOST_FILES:
        yield "Files", f"… and {len(files) - _MOST_FILES} more"
    yield "SHA-256", description["manifest"]["sha256"]
    yield "Columns", ", ".join(plan.get("own_columns", ())) or "none"
    readings = (("Read as", asked["columns"], "from"), ("Set", asked["fixed"], "="))
    for title, given, arrow in readings:
        if given:
            yield title, ", ".join(f"{ours} {arrow} {theirs}" for ours, theirs in given.items())
    if asked["fields"]:
        yield "Sent as fields", ", ".join(asked["fields"])


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield every setting with its dotted name; secrets should not be here, and are left out."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            if key not in SECRET_KEYS:
                yield from _flat(f"{prefix}.{key}" if prefix else key, each)
    elif value not in ("", {}, []):
        yield prefix, str(value).lower() if isinstance(value, bool) else str(value)


def _failed(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells of a row: what was wished of which record, and what became of it."""
    record = " ".join(str(row[each]) for each in _RECORD if each in row)
    others = (each for each in naming_columns() if each not in _RECORD)
    other = " ".join(str(row[each]) for each in others if each in row)
    place = f"{row['file']}:{row['file_line']}" if "file" in row else ""
    return {
        "line": number(row["line"]),
        "place": place,
        "op": str(row.get("op", "")),
        "record": record or str(row.get("raw", "")),
        "other": other,
        "status": str(row["status"]),
        "code": str(row.get("code", "")),
        "message": str(row.get("message", "")),
        "http": str(row.get("http_status", "")),
        "attempts": str(row.get("attempts", "")),
    }


def _day(config: Mapping[str, Any]) -> Day | None:
    """Return the credits of a day; `None` if another version wrote the configuration."""
    try:
        limits = Limits.model_validate(config["limits"])
    except (KeyError, ValidationError):
        return None
    return Day(limits.credits, limits.credits - limits.leave(limits.credits))
