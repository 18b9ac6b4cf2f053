"""
Why the lines of a run are not in their wanted state: counted from its log, with lines to look at.
"""

from __future__ import annotations

from dataclasses import dataclass

from bulkops.files.database import connect
from bulkops.files.manifest.sql import pattern
from bulkops.files.outcomes import UNFINISHED
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import opened
from bulkops.model import Status


@dataclass(frozen=True, slots=True)
class Reason:
    """
    So many lines ended in one status for one reason.

    `message` was said of the first of `lines`, which are some of them in manifest order.
    """

    status: Status
    code: str
    message: str
    count: int
    lines: tuple[int, ...]


def reasons_of(run: RunDirectory, *, most: int) -> list[Reason]:
    """
    Return the most frequent reasons of a run that has begun.

    What the server said tells reasons of one code apart; our own words name ids, and do not.
    """
    with opened(run) as connection:
        rows = connection.execute(
            """
            SELECT status, coalesce(code, '') AS code, coalesce(arg_min(message, line), ''),
                count(*), min(line, 3)
            FROM told WHERE status IN (SELECT unnest(?::VARCHAR[]))
            GROUP BY status, code, CASE WHEN code = upper(code) THEN message END
            ORDER BY count(*) DESC, 1, 2, 3 LIMIT ?
            """,
            [[status.value for status in UNFINISHED], most],
        ).fetchall()
    return [
        Reason(Status(status), code, message, count, tuple(lines))
        for status, code, message, count, lines in rows
    ]


def reasons_planned(run: RunDirectory, *, most: int) -> list[Reason]:
    """Return the most frequent reasons why rows are not sent, as the plan of `run` has them."""
    with connect(run.path) as connection:
        rows = connection.execute(
            """
            SELECT status, coalesce(code, '') AS code, coalesce(arg_min(message, line), ''),
                count(*), min(line, 3)
            FROM read_parquet(?) WHERE status IN (SELECT unnest(?::VARCHAR[]))
            GROUP BY status, code ORDER BY count(*) DESC, 1, 2 LIMIT ?
            """,
            [pattern(run.refused), [status.value for status in UNFINISHED], most],
        ).fetchall()
    return [
        Reason(Status(status), code, message, count, tuple(lines))
        for status, code, message, count, lines in rows
    ]


def refused_so_far(run: RunDirectory) -> list[Reason]:
    """
    Return the reasons in the log of `run` by status and code alone, without their lines.

    Cheap enough for the begin of a run that goes on: one look at the log, none at the rows. What
    is unknown is left out, because such lines are asked about again.
    """
    wanted = [status.value for status in UNFINISHED if status is not Status.UNKNOWN]
    with connect(run.path) as connection:
        rows = connection.execute(
            """
            SELECT status, coalesce(code, ''), coalesce(any_value(message), ''), count(*)
            FROM read_json(?, format = 'newline_delimited', ignore_errors = true, columns =
                {type: 'VARCHAR', status: 'VARCHAR', code: 'VARCHAR', message: 'VARCHAR'})
            WHERE type = 'outcome' AND status IN (SELECT unnest(?::VARCHAR[])) GROUP BY 1, 2
            """,
            [pattern(run.checkpoint), wanted],
        ).fetchall()
    return [Reason(Status(status), code, words, count, ()) for status, code, words, count in rows]
