"""
A run as one line of a list: what can be said of it without reading its log.

From `run.json`, `summary.json`, and the first and last lines of the log; of a running one from its
process. Nothing here takes longer for a run of ten million lines than for one of ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from bulkops.errors import BulkopsError, ExitCode
from bulkops.files.last_note import last_note
from bulkops.files.rundir import RunDirectory
from bulkops.model import WANTED, Status

_HEAD_BYTES = 1 << 14
#: What a process says of itself that a list shows.
_OF_A_PROCESS = ("state", "held", "rows", "settled", "statuses", "calls", "planned_calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    A run of the list. Times are seconds since 1970.

    `counted` is false where a process ended without counting: then `statuses` are those of the
    last count. `problem` says why nothing can be said. `process` is the status that the process
    on it told, if there is one.
    """

    name: str
    job: str = ""
    state: str = "planned"
    held: Mapping[str, str] = field(default_factory=dict)
    stopped_because: str = ""
    exit: int | None = None
    rows: int = 0
    settled: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    calls: int | None = None
    planned_calls: int = 0
    #: Whether its manifest has been read to the end.
    planned: bool = False
    started: float | None = None
    #: When something last happened, and when the last process ended.
    active: float = 0.0
    ended: float | None = None
    counted: bool = True
    has_report: bool = False
    problem: str = ""
    process: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """Whether a process is on it."""
        return self.state in {"running", "holding", "ending"}

    def to_json(self) -> dict[str, Any]:
        """
        Return it as JSON values: names as in `bulkops status --json`, and a few of a list's own.

        `started_at`, `active_at` and `ended_at` are moments as in `outcomes`.
        """
        return {
            "name": self.name,
            "job": self.job,
            "state": self.state,
            "held": dict(self.held),
            "stopped_because": self.stopped_because,
            "exit": self.exit,
            "rows": self.rows,
            "settled": self.settled,
            "statuses": dict(self.statuses),
            "counted": self.counted,
            "calls": self.calls,
            "planned_calls": self.planned_calls,
            "started_at": moment(self.started),
            "active_at": moment(self.active),
            "ended_at": moment(self.ended),
            "has_report": self.has_report,
            "problem": self.problem,
        }


def moment(t: float | None) -> str | None:
    """Return a time as `outcomes` writes it."""
    if t is None:
        return None
    return f"{datetime.fromtimestamp(t, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def read_entry(run: RunDirectory) -> Entry:
    """Return what the files of a run say of it, as if no process were on it."""
    try:
        described = _described(run)
    except (BulkopsError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        # Another version's file, or a damaged one: it is shown as such, and the others are too.
        return Entry(name=run.name, state="unreadable", problem=str(error) or repr(error))
    log = run.checkpoint
    if not log.exists():
        return described
    return _with_end(_with_counts(described, run), run)


def of_process(entry: Entry, told: Mapping[str, Any]) -> Entry:
    """Return the entry of a run that a process is on, by what that says."""
    known = {name: told[name] for name in _OF_A_PROCESS if name in told}
    words = str(told.get("ending", ""))
    return replace(
        entry,
        **known,
        stopped_because=words,
        exit=None,
        ended=None,
        counted=True,
        process=told,
    )


def _described(run: RunDirectory) -> Entry:
    """Return what `run.json` says; a run that is only being read has none yet."""
    entry = Entry(
        name=run.name,
        active=_changed(run.description) or _changed(run.path) or 0.0,
        has_report=(run.path / "report.html").is_file(),
    )
    description = run.read_description()
    if description is None:
        return entry
    plan = description["plan"]
    return replace(
        entry,
        job=str(description.get("job", {}).get("name", "")),
        planned=True,
        rows=int(plan["rows"]),
        planned_calls=sum(int(each["calls"]) for each in plan["summary"]["operations"]),
    )


def _with_counts(entry: Entry, run: RunDirectory) -> Entry:
    """Add what the last process counted at its end."""
    summary = run.path / "summary.json"
    counted = (_changed(summary) or 0.0) >= (_changed(run.checkpoint) or 0.0)
    try:
        told = orjson.loads(summary.read_bytes())
        lines: Counter[str] = Counter()
        for each in told["outcomes"]:
            lines[str(each["status"])] += int(each["lines"])
        calls = int(told["calls"]) + int(told["reads"]) if "calls" in told else None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return replace(entry, counted=False)
    statuses = {each.value: lines[each] for each in Status if lines[each]}
    settled = sum(lines.values()) - lines[Status.SCHEDULED]
    return replace(entry, statuses=statuses, settled=settled, calls=calls, counted=counted)


def _with_end(entry: Entry, run: RunDirectory) -> Entry:
    """Add when it began and how the last process ended, by the first and last lines of the log."""
    note = last_note(run)
    changed = _changed(run.checkpoint) or 0.0
    entry = replace(entry, started=_first_time(run), active=changed, state="unfinished")
    code = ExitCode.known(note.get("exit"))
    match note.get("event"):
        case "run.finished":
            if code is None and entry.counted:
                # Logs of earlier versions do not say it, but the counts of a finished run do.
                code = _code(entry)
            return replace(entry, state="finished", ended=_time(note), exit=code)
        case "run.stopped":
            why = str(note.get("reason", ""))
            return replace(entry, stopped_because=why, ended=_time(note), exit=code)
        case _:
            return entry


def _code(entry: Entry) -> ExitCode:
    """Return with which exit code a run must have finished that has these counts."""
    wanted = {*WANTED, Status.DUPLICATE}
    good = all(Status(status) in wanted for status in entry.statuses)
    return ExitCode.OK if good else ExitCode.INCOMPLETE


def _first_time(run: RunDirectory) -> float | None:
    with run.checkpoint.open("rb") as file:
        lines = file.read(_HEAD_BYTES).split(b"\n")[:-1]
    for line in lines[:2]:
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(found, dict) and (t := _time(found)) is not None:
            return t
    return None


def _time(record: Mapping[str, Any]) -> float | None:
    t = record.get("t")
    return float(t) if isinstance(t, int | float) else None


def _changed(path: Any) -> float | None:
    """Return when a file was last changed; `None` if it is not there."""
    try:
        return float(path.stat().st_mtime)
    except OSError:
        return None
