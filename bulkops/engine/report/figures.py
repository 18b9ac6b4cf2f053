"""
The figures of a report: all that it says, as values, from the files of the run directory.

The one reading of `run.json`, `rows.parquet`, `checkpoint.jsonl` and `verification.json` that
page and JSON are both made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from bulkops.engine.report.counts import Share, count, shares_of
from bulkops.engine.report.journal import MEMORY, Journal, Note, opened_journal
from bulkops.engine.report.remote_jobs import RemoteJobs, read_remote_jobs
from bulkops.engine.report.timeline import Timeline, read_timeline
from bulkops.errors import ExitCode
from bulkops.files.outcomes import UNFINISHED, columns_of, where_sql
from bulkops.files.planner.summary import Summary
from bulkops.files.prepare import load
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import Told, opened
from bulkops.model import WANTED, Status

#: Rows not in their wanted state that a report shows; all of them stand in `failed.csv`.
SHOWN_ROWS = 1000
_VERIFIED = ("checked", "disagreeing", "unreadable")
_ENDS = frozenset({"run.started", "run.stopped", "run.finished"})
_NEVER = frozenset({"run.held", "run.released"})


@dataclass(frozen=True, slots=True)
class Figures:
    """
    What a report says of a run. `log_read` is false for a run that has not begun.
    """

    run: str
    description: Mapping[str, Any]
    summary: Summary
    rows: int
    shares: Sequence[Share] = ()
    failed: Sequence[Mapping[str, Any]] = ()
    timeline: Timeline | None = None
    calls: int = 0
    #: Batches of which at least one call was sent.
    batches: int = 0
    #: Seconds from a call's entry in the log to that of its end; over all calls.
    calls_s: float = 0.0
    reads: int = 0
    jobs: RemoteJobs = field(default_factory=RemoteJobs)
    notes: Sequence[Note] = ()
    #: The numbers of `verification.json`; `None` without that file, empty if it is not as it was.
    verification: Mapping[str, Any] | None = None

    @property
    def statuses(self) -> Counter[Status]:
        """Lines by status, in the order of the statuses."""
        found = Counter(dict.fromkeys(Status, 0))
        for share in self.shares:
            found[share.status] += share.lines
        return +found

    @property
    def settled(self) -> int:
        """Lines that have their terminal outcome."""
        return sum(self.statuses.values()) - self.statuses[Status.SCHEDULED]

    @property
    def wanted(self) -> int:
        """Lines in their wanted state."""
        return sum(self.statuses[status] for status in WANTED)

    @property
    def unwanted(self) -> int:
        """Lines that ended, and not in their wanted state."""
        return sum(self.statuses[Status(status)] for status in UNFINISHED)

    @property
    def finished(self) -> bool:
        """Whether every line has its outcome."""
        return self.timeline is not None and self.settled == self.rows

    @property
    def stopped(self) -> str:
        """Why the run is not finished, by the last process that said so."""
        ends = [note for note in self.notes if note.event in {"run.stopped", "run.started"}]
        return ends[-1].reason if ends and not self.finished else ""

    @property
    def exit(self) -> ExitCode | None:
        """
        How the last process ended; `None` if nothing says so.

        Logs of earlier versions do not, but for a run that is finished its lines do.
        """
        ends = [note for note in self.notes if note.event in _ENDS]
        said = ends[-1].facts.get("exit") if ends else None
        if said is not None:
            return ExitCode.known(said)
        if not self.finished:
            return None
        return ExitCode.INCOMPLETE if self.unwanted else ExitCode.OK

    @property
    def reasons(self) -> list[tuple[Status, str, str, int]]:
        """Status, code, example and lines of what is not in its wanted state; most lines first."""
        found: Counter[tuple[Status, str]] = Counter()
        examples: dict[tuple[Status, str], str] = {}
        for share in self.shares:
            if share.status in UNFINISHED:
                found[share.status, share.code] += share.lines
                examples.setdefault((share.status, share.code), share.example)
        return [
            (status, code, examples[status, code], lines)
            for (status, code), lines in sorted(found.items(), key=lambda each: (-each[1], each[0]))
        ]


@dataclass(frozen=True, slots=True)
class Counted:
    """
    How many lines ended how, and the first rows that are not in their wanted state.
    """

    shares: Sequence[Share]
    failed: Sequence[Mapping[str, Any]] = ()


def count_lines(run: RunDirectory, told: Told) -> Counted:
    """Return the part of the figures of `run` that looks at every line, of what is told of it."""
    shares = shares_of(told)
    failed = any(share.status in UNFINISHED for share in shares)
    return Counted(shares, tuple(_failed(told, columns_of(run))) if failed else ())


def _count_alone(run: RunDirectory, rows: int) -> Counted:
    counts = count(run, rows, most=SHOWN_ROWS)
    if not any(share.status in UNFINISHED for share in counts.shares):
        return Counted(counts.shares)
    with opened(run, memory=MEMORY) as connection:
        failed = tuple(_failed(Told(connection), columns_of(run), until=counts.until))
    return Counted(counts.shares, failed)


def read_figures(run: RunDirectory, counted: Counted | None = None) -> Figures:
    """
    Return the figures of `run`, as far as it has come; its lines are counted unless they are.

    Raises `UsageError` where there is no run, `CheckpointError` where `run.json` is damaged.
    """
    prepared = load(run)
    planned = Figures(
        run=run.name,
        description=prepared.description,
        summary=prepared.summary,
        rows=prepared.rows,
        verification=_verification(run),
    )
    if not run.checkpoint.exists():
        return planned
    counted = counted or _count_alone(run, planned.rows)
    with opened_journal(run) as journal:
        return _told(planned, journal, counted)


def _told(planned: Figures, journal: Journal, counted: Counted) -> Figures:
    calls, batches, seconds = journal.connection.execute(
        "SELECT count(*), count(DISTINCT batch), coalesce(sum(ended - begun), 0) FROM calls"
    ).fetchall()[0]
    timeline = read_timeline(journal)
    return Figures(
        run=planned.run,
        description=planned.description,
        summary=planned.summary,
        rows=planned.rows,
        verification=planned.verification,
        shares=counted.shares,
        failed=counted.failed,
        timeline=timeline,
        calls=calls,
        batches=batches,
        calls_s=seconds,
        reads=sum(timeline.reads),
        jobs=read_remote_jobs(journal),
        notes=tuple(note for note in journal.notes if note.event not in _NEVER),
    )


def _failed(
    told: Told, columns: Sequence[str], *, until: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the first rows that are not in their wanted state, absent values left out."""
    up_to = "" if until is None else f"AND told.line <= {until}"
    rows = told.ask(
        f"SELECT {', '.join(columns)} FROM told {where_sql(UNFINISHED)} {up_to} "
        f"ORDER BY told.line LIMIT {SHOWN_ROWS}"
    )
    for row in islice(rows, SHOWN_ROWS):
        yield {
            name: each for name, each in zip(columns, row, strict=True) if each not in (None, "")
        }


def _verification(run: RunDirectory) -> Mapping[str, Any] | None:
    """Return the numbers of `verification.json`; none if it is not what `verify` writes."""
    try:
        found = orjson.loads((run.path / "verification.json").read_bytes())
        return {
            "at": float(found.get("at", 0)),
            **{name: int(found[name]) for name in _VERIFIED},
            "statuses": {
                str(status): {name: int(each[name]) for name in _VERIFIED}
                for status, each in found["statuses"].items()
            },
        }
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return {}
