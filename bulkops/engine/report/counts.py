"""
How many lines of which operation ended how, and why.

A log of millions of lines is counted with bits: a bit for each line in the set of each reason, and
of each operation and module; what two sets share is counted at once, and no line is joined with
another. What that cannot judge is counted by the join of `outcomes.py`, whose numbers are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb

from bulkops.engine.report.journal import MEMORY, connected
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.outcomes import UNFINISHED
from bulkops.files.planner.rows import judged_sql
from bulkops.files.resume import LONG_BYTES
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import Told, opened
from bulkops.model import Status

#: A row's own words count as an operation and a module only where they are one.
_OP = "CASE WHEN spec IS NULL THEN '' ELSE coalesce(op, '') END"
_MODULE = "CASE WHEN status = 'invalid' THEN '' ELSE coalesce(module, '') END"


@dataclass(frozen=True, slots=True)
class Share:
    """
    So many lines of one operation on one module ended in one status for one reason.

    `example` is the words that came with such a line.
    """

    op: str
    module: str
    status: Status
    code: str
    example: str
    lines: int


@dataclass(frozen=True, slots=True)
class Counts:
    """
    All shares, most lines first; and a line up to which the first `most` unfinished ones stand.
    """

    shares: tuple[Share, ...]
    until: int


def count(run: RunDirectory, rows: int, *, most: int, long_bytes: int = LONG_BYTES) -> Counts:
    """
    Count the lines of `run`, whose manifest has `rows`; logs from `long_bytes` on with bits.
    """
    if run.checkpoint.stat().st_size >= long_bytes:
        try:
            return _by_bits(run, rows, most)
        except (_OrderError, duckdb.OutOfMemoryException):
            pass
    with opened(run, memory=MEMORY) as connection:
        return Counts(shares_of(Told(connection)), rows)


def shares_of(told: Told) -> tuple[Share, ...]:
    """Count what is told, line by line."""
    examples: dict[tuple[str, ...], str] = {}
    found = Counter[tuple[str, ...]]()
    for *key, example, lines in told.ask(f"""
        SELECT {_OP}, {_MODULE}, status, coalesce(code, ''), coalesce(min(message), ''), count(*)
        FROM told GROUP BY 1, 2, 3, 4
    """):
        found[tuple(key)] += lines
        examples[tuple(key)] = min(example, examples.get(tuple(key), example))
    return tuple(
        _ranked(
            Share(op, module, Status(status), code, examples[op, module, status, code], lines)
            for (op, module, status, code), lines in found.items()
        )
    )


def _ranked(shares: Iterable[Share]) -> list[Share]:
    return sorted(shares, key=lambda each: (-each.lines, each.op, each.module, each.status))


class _OrderError(Exception):
    """Which outcome of a line is its last takes the order of the log to say."""


@dataclass(slots=True)
class _Ended:
    """The lines, as bits of a number, that ended in one status for one reason."""

    status: Status
    code: str
    example: str
    bits: int


def _by_bits(run: RunDirectory, rows: int, most: int) -> Counts:
    with connected(run) as connection:
        ended = _ended(connection, run, rows)
        unfinished = 0
        for each in ended:
            if each.status in UNFINISHED:
                unfinished |= each.bits
        shares = tuple(_ranked(_shared(connection, run, rows, ended)))
    return Counts(shares, _nth(unfinished, most, rows))


def _ended(connection: duckdb.DuckDBPyConnection, run: RunDirectory, rows: int) -> list[_Ended]:
    """
    Return the reasons for which lines ended, without a line in two of them.

    Raises `_OrderError` where the log settles a line twice in ways that its order decides.
    """
    final: list[_Ended] = []
    changing: list[_Ended] = []
    jobs = 0
    result = connection.execute(f"""
        SELECT type, status, code, coalesce(aborted, false), count(*), min(message),
            bitstring_agg(line, 0, {rows})
        FROM read_json({literal(pattern(run.checkpoint))}, format = 'newline_delimited',
            ignore_errors = true, columns = {{type: 'VARCHAR', status: 'VARCHAR', code: 'VARCHAR',
            event: 'VARCHAR', aborted: 'BOOLEAN', line: 'BIGINT', message: 'VARCHAR'}})
        WHERE type IN ('outcome', 'job') OR event = 'run.reopened' GROUP BY ALL
    """)
    while row := result.fetchone():
        kind, status, code, aborted, number, example, digits = row
        if kind == "note":
            raise _OrderError
        bits = int(digits[::-1], 2)
        if kind == "job":
            jobs |= bits
            continue
        found = _Ended(Status(status), code or "", example or "", bits)
        if bits.bit_count() != number and found.status is not Status.UNKNOWN:
            raise _OrderError
        may_change = found.status in {Status.UNKNOWN, Status.SKIPPED} or (
            aborted and found.status is Status.FAILED
        )
        (changing if may_change else final).append(found)
    settled = _union(final)
    for each in changing:
        each.bits &= ~settled
    settled |= _union(changing)
    pending = _Ended(Status.SCHEDULED, "", "", jobs & ~settled)
    return [*final, *changing, pending]


def _union(parts: Sequence[_Ended]) -> int:
    """Return all bits of `parts`. Raises `_OrderError` if two of them share one."""
    bits = 0
    for each in parts:
        if bits & each.bits:
            raise _OrderError
        bits |= each.bits
    return bits


def _shared(
    connection: duckdb.DuckDBPyConnection, run: RunDirectory, rows: int, ended: Sequence[_Ended]
) -> Iterator[Share]:
    """Yield how many lines each reason shares with each operation on each module."""
    result = connection.execute(f"""
        SELECT {_OP}, {_MODULE}, bitstring_agg(line, 0, {rows})
        FROM {judged_sql(connection, run.rows)} GROUP BY 1, 2
    """)
    found: Counter[tuple[str, str, Status, str]] = Counter()
    examples = {(each.status, each.code): each.example for each in ended}
    while row := result.fetchone():
        op, module, digits = row
        bits = int(digits[::-1], 2)
        for each in ended:
            # The module of a row that was found invalid when it was sent is not told either.
            shown = "" if each.status is Status.INVALID else module
            found[op, shown, each.status, each.code] += (bits & each.bits).bit_count()
    for (op, module, status, code), lines in found.items():
        if lines:
            yield Share(op, module, status, code, examples[status, code], lines)


def _nth(bits: int, most: int, rows: int) -> int:
    """Return the place of the `most`-th bit that is set, or `rows` if there are not as many."""
    for _ in range(most - 1):
        bits &= bits - 1
    return (bits & -bits).bit_length() - 1 if bits else rows
