"""
How long the server's own jobs took, from when they were scheduled until their end was known.

The end is known when a line is settled, so that the interval of asking is a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bulkops.engine.report.journal import Journal
from bulkops.engine.report.words import duration

#: Upper ends of the classes of durations, in seconds; one more class has none.
CLASSES_S = (1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600)


@dataclass(frozen=True, slots=True)
class RemoteJobs:
    """
    Jobs that have an id: how many, how many ended, and their durations in seconds.

    `classes` counts those below each of `CLASSES_S` and not below the one before; then the rest.
    """

    begun: int = 0
    ended: int = 0
    median_s: float = 0.0
    most_s: float = 0.0
    #: 19 of 20 took no longer.
    usual_s: float = 0.0
    classes: Sequence[int] = ()


def read_remote_jobs(journal: Journal) -> RemoteJobs:
    """Return what the log tells of remote jobs; a second reading of it if there are any."""
    connection = journal.connection
    there = connection.execute("SELECT 1 FROM entries WHERE type = 'job' LIMIT 1").fetchone()
    if there is None:
        return RemoteJobs()
    below = ", ".join(
        f"count(*) FILTER (took < {upper} AND took >= {lower})"
        for lower, upper in zip((0, *CLASSES_S), (*CLASSES_S, 1e18), strict=True)
    )
    begun, ended, median, most, usual, *classes = connection.execute(f"""
        SELECT count(*), count(took), coalesce(median(took), 0), coalesce(max(took), 0),
            coalesce(quantile_disc(took, 0.95), 0), {below}
        FROM (
            SELECT CASE WHEN ended IS NOT NULL THEN greatest(ended - begun, 0) END AS took
            FROM ({journal.jobs()}) WHERE begun IS NOT NULL)
    """).fetchall()[0]
    return RemoteJobs(begun, ended, median, most, usual, tuple(classes))


def job_classes(classes: Sequence[int]) -> list[tuple[str, int]]:
    """Return the classes of durations in words with their counts, without empty ones outside."""
    lower = (0, *CLASSES_S)
    named = [f"{duration(a)} to {duration(b)}" for a, b in zip(lower, CLASSES_S, strict=False)]
    named[0] = f"under {duration(CLASSES_S[0])}"
    named.append(f"{duration(CLASSES_S[-1])} or more")
    there = [place for place, count in enumerate(classes) if count]
    if not there:
        return []
    return list(zip(named, classes, strict=True))[there[0] : there[-1] + 1]
