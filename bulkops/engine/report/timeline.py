"""
The course of a run: what happened in each of a few hundred equal parts of its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import duckdb

from bulkops.engine.report.journal import Journal, Note, Session

#: Parts of a run, at most: as many as a chart can show.
MOST_BINS = 200
#: Widths of a part, in seconds: those that people count in.
_WIDTHS = (
    *(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600),
    *(7200, 10_800, 21_600, 43_200),
)
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Span:
    """
    A part of the time that has a reason; `open` if its end is only that of the log.
    """

    reason: str
    begun: float
    ended: float
    open: bool = False

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.ended - self.begun


@dataclass(frozen=True, slots=True)
class Timeline:
    """
    Equal parts of the time from `begun` to `ended`, each `width` seconds, and what was in them.

    `settled` counts lines that were sent, by status; `calls` those logged as sent; `open_mean`
    and `open_most` the calls that were sent and not over.
    """

    begun: float
    ended: float
    width: float
    settled: Mapping[str, Sequence[int]] = field(default_factory=dict)
    calls: Sequence[int] = ()
    reads: Sequence[int] = ()
    open_mean: Sequence[float] = ()
    open_most: Sequence[int] = ()
    #: The reasons to hold, as each began and ended.
    holds: Sequence[Span] = ()
    #: Between two processes: nobody was on the run.
    breaks: Sequence[Span] = ()

    @property
    def held_s(self) -> float:
        """Seconds in which something held the run; two reasons at once count once."""
        return sum(each.seconds for each in merged(self.holds))

    @property
    def away_s(self) -> float:
        """Seconds in which no process was on the run."""
        return sum(each.seconds for each in self.breaks)

    @property
    def seconds(self) -> float:
        """From the first entry of the log to its last."""
        return self.ended - self.begun


def merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the times in which there was at least one of `spans`."""
    last: Span | None = None
    for span in sorted(spans, key=lambda each: each.begun):
        if last is None or span.begun > last.ended:
            if last is not None:
                yield last
            last = span
        elif span.ended > last.ended:
            last = Span(last.reason, last.begun, span.ended, span.open)
    if last is not None:
        yield last


def read_timeline(journal: Journal) -> Timeline:
    """Return the course of the run that `journal` tells."""
    begun, ended = journal.begun, journal.ended
    width = _width(ended - begun)
    bins = max(1, int((ended - begun) / width) + 1)
    table = _Binned(journal.connection, begun, width, bins)
    starts = table.numbers("SELECT begun AS t, 1 AS number FROM calls")
    mean, most = _open_calls(table, starts)
    return Timeline(
        begun=begun,
        ended=ended,
        width=width,
        settled=table.by_name(
            "SELECT t, number, status AS name FROM entries WHERE type = 'outcome' "
            "AND batch IS NOT NULL AND status <> 'skipped'"
        ),
        calls=starts,
        reads=table.numbers("SELECT t, number FROM entries WHERE is_read"),
        open_mean=mean,
        open_most=most,
        holds=tuple(_holds(journal.notes, journal.sessions, ended)),
        breaks=tuple(_breaks(journal.sessions)),
    )


def _width(seconds: float) -> float:
    for width in _WIDTHS:
        if seconds / width < MOST_BINS:
            return width
    return _DAY_S * (int(seconds / _DAY_S / MOST_BINS) + 1)


class _Binned:
    """
    Sums over tables of `t` and `number`, by the part of the time that `t` falls in.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, begun: float, width: float, bins: int
    ) -> None:
        self._connection = connection
        self.begun, self.width, self.bins = begun, width, bins
        self.bin = f"least(CAST(floor((t - {begun!r}) / {width!r}) AS INTEGER), {bins - 1})"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def numbers(self, source: str) -> list[int]:
        found = [0] * self.bins
        query = f"SELECT {self.bin}, CAST(sum(number) AS BIGINT) FROM ({source}) GROUP BY 1"
        for place, number in self.rows(query):
            found[place] += number
        return found

    def by_name(self, source: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        query = (
            f"SELECT name, {self.bin}, CAST(sum(number) AS BIGINT) FROM ({source}) "
            "GROUP BY 1, 2 ORDER BY 1"
        )
        for name, place, number in self.rows(query):
            found.setdefault(name, [0] * self.bins)[place] += number
        return found


def _open_calls(table: _Binned, starts: Sequence[int]) -> tuple[list[float], list[int]]:
    """Return how many calls were open in each part: on average, and at most."""
    ends = table.numbers("SELECT ended AS t, 1 AS number FROM calls")
    within = [0.0] * table.bins
    # What a call adds to the part it begins in, less what it leaves of the part it ends in.
    rest = f"{table.begun!r} + ({table.bin} + 1) * {table.width!r} - t"
    for column, sign in (("begun", 1), ("ended", -1)):
        query = f"SELECT {table.bin}, sum({rest}) FROM (SELECT {column} AS t FROM calls) GROUP BY 1"
        for place, seconds in table.rows(query):
            within[place] += sign * seconds
    before = [0, *accumulate(begun - ended for begun, ended in zip(starts, ends, strict=True))]
    mean = [
        max(0.0, carried + seconds / table.width)
        for carried, seconds in zip(before, within, strict=False)
    ]
    most = list(before[: table.bins])
    query = f"""
        SELECT {table.bin}, max(open) FROM (
            SELECT t, sum(step) OVER (ORDER BY t, step ROWS UNBOUNDED PRECEDING) AS open FROM (
                SELECT begun AS t, 1 AS step FROM calls WHERE ended > begun
                UNION ALL SELECT ended, -1 FROM calls WHERE ended > begun))
        GROUP BY 1
    """
    for place, number in table.rows(query):
        most[place] = max(most[place], int(number))
    return mean, most


def _holds(notes: Sequence[Note], sessions: Sequence[Session], last: float) -> Iterator[Span]:
    """Yield the holds; one that its process did not live to release ends with that process."""
    held: dict[str, float] = {}
    ends = {session.begun: session.ended for session in sessions}
    current = last
    for note in notes:
        if note.event == "run.started":
            yield from (Span(reason, begun, current) for reason, begun in held.items())
            held.clear()
            current = ends.get(note.t, last)
        elif note.event == "run.held":
            held.setdefault(note.reason, note.t)
        elif note.event == "run.released" and note.reason in held:
            yield Span(note.reason, held.pop(note.reason), note.t)
    for reason, begun in held.items():
        yield Span(reason, begun, max(begun, current), open=True)


def _breaks(sessions: Sequence[Session]) -> Iterator[Span]:
    for before, after in pairwise(sessions):
        words = "stopped" if before.said else "ended without a word"
        yield Span(words, before.ended, max(before.ended, after.begun))
