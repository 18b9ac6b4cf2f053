"""
Read a long checkpoint log at once, with DuckDB: one pass, whatever the number of its lines.

It is mostly outcomes, which are counted and turned into a bit for each line. What the other
records say is gathered in the same pass. That pass knows no order, so what it gathers must not
depend on one. The little that does, which job of a line is the last and whether the run was
stopped since its last call, is looked up apart and only where it matters.

Not for damage, nor for what is unusual: both are left to the exact reading, line by line.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.files.manifest.sql import literal, pattern
from bulkops.model import Status
from bulkops.rules.progress import LineSet, Progress

#: DuckDB's share of the 300 MiB that opening a run may take.
_MEMORY = "200MB"
#: Calls come in parts of this many, so that few of them are Python's at a time.
_PART = 1 << 16
_HIGH = 1 << 32
#: Of the text of a record. Ours begin with their type.
_OF_CALLS = """
    starts_with(raw, '{"type":"sent"') OR starts_with(raw, '{"type":"answer"')
    OR starts_with(raw, '{"type":"note","event":"capacity.learnt"')
"""
_OF_JOBS = """
    starts_with(raw, '{"type":"job"')
    AND get_bit(CAST(? AS BIT), CAST(json_extract(raw, '$.line') AS INTEGER)) = 1
"""
_SENT = b'\n{"type":"sent"'
_STOPPED = b'\n{"type":"note","event":"run.stopped"'


class UnusualLogError(ValueError):
    """Only the exact reading can judge this log."""


def read_at_once(path: Path, first: Mapping[str, Any]) -> Progress | None:
    """
    Return what the log at `path` says, whose header is `first`; `None` to have it read exactly.
    """
    progress = Progress()
    gathered = _Gathered(progress)
    try:
        progress.take(first)
        with duckdb.connect(config={"memory_limit": _MEMORY}) as connection:
            try:
                gathered.add_all(connection.execute(_query(path, progress.rows)))
            except duckdb.OutOfMemoryException:
                # Millions of calls: they have a pass of their own, and come one by one.
                gathered.add_all(connection.execute(_query(path, progress.rows, calls=False)))
                for record in _in_order(connection, path, _OF_CALLS):
                    progress.take(record)
            _take_jobs(connection, path, progress, gathered.open_jobs)
        if gathered.stopped:
            progress.stop = _stop_since_last_call(path)
    except (duckdb.Error, IndexError, KeyError, OverflowError, TypeError, ValueError):
        return None
    return progress


def _query(path: Path, rows: int, *, calls: bool = True) -> str:
    of_calls = f"""
        list(batch * {_HIGH} + call) FILTER (type = 'sent' AND lines IS NULL),
        list({{type: type, event: event, batch: batch, call: call, lines: lines,
            doubtful: doubtful, spec: spec, "limit": "limit"}})
            FILTER (type = 'answer' OR lines IS NOT NULL OR spec IS NOT NULL)
    """
    return f"""
        SELECT type, status, event, aborted, count(*),
            bitstring_agg(line, 0, {rows}) FILTER (type IN ('outcome', 'job')),
            {of_calls if calls else "NULL, NULL"}
        FROM read_json({literal(pattern(path))}, format = 'newline_delimited', columns = {{
            type: 'VARCHAR', line: 'BIGINT', status: 'VARCHAR', event: 'VARCHAR',
            aborted: 'BOOLEAN', batch: 'BIGINT', call: 'BIGINT', lines: 'BIGINT[]',
            doubtful: 'BIGINT[]', spec: 'VARCHAR', "limit": 'BIGINT'}})
        GROUP BY type, status, event, aborted, call // {_PART if calls else _HIGH}
        ORDER BY type <> 'outcome'
    """


def _in_order(
    connection: duckdb.DuckDBPyConnection, path: Path, condition: str, bits: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the records whose text `raw` fits a condition of SQL, in the order of the log."""
    result = connection.execute(
        f"""
        SELECT raw FROM (
            SELECT CAST(json AS VARCHAR) AS raw
            FROM read_json_objects({literal(pattern(path))}, format = 'newline_delimited'))
        WHERE {condition}
        """,
        [] if bits is None else [bits],
    )
    while rows := result.fetchmany(5000):
        for (raw,) in rows:
            yield orjson.loads(raw)


class _Gathered:
    """
    What the groups of the one pass add up to. Lines are bits of whole numbers until it is closed.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._settled = self._unknown = self._jobs = 0
        self._aborted: dict[Status, int] = {}
        self._outcomes = self._headers = 0
        self._carrying: set[int] = set()
        self.stopped = False

    def add_all(self, result: duckdb.DuckDBPyConnection) -> None:
        """
        Take all groups, those of outcomes first, one at a time: each may hold many calls.

        Raises `UnusualLogError` if some line was settled twice.
        """
        while (row := result.fetchone()) and row[0] == "outcome":
            self._add_outcomes(row)
        self._close_outcomes()
        while row:
            self._add(row)
            row = result.fetchone()
        if self._headers != 1:
            raise UnusualLogError("two headers")

    def _add(self, row: Sequence[Any]) -> None:
        """Take a group of other records. Raises as `Progress.take` does for what is not ours."""
        kind, _, event, _, count, digits, calls, others = row
        match kind:
            case "job":
                self._jobs |= _bits(digits)
            case "run":
                self._headers += count
            case "note":
                self._add_notes(event, count)
            case None:
                raise UnusualLogError("a record without a type")
        for each in calls or ():
            batch, call = divmod(each, _HIGH)
            self._progress.calls.send(batch, call, None)
        for record in others or ():
            self._add_other({key: each for key, each in record.items() if each is not None})

    def _add_outcomes(self, row: Sequence[Any]) -> None:
        status, aborted, count, bits = Status(row[1]), bool(row[3]), row[4], _bits(row[5])
        if status is Status.UNKNOWN:
            self._unknown |= bits
            return
        self._settled |= bits
        self._outcomes += count
        self._progress.statuses[status] += count
        if status is Status.SKIPPED or (aborted and status is Status.FAILED):
            self._aborted[status] = self._aborted.get(status, 0) | bits

    def _add_notes(self, event: str | None, count: int) -> None:
        match event:
            case "call.read":
                self._progress.reads += count
            case "run.stopped":
                self.stopped = True
            case "log.repaired":
                self._progress.repaired = True
            case "run.reopened" | None:
                raise UnusualLogError("it takes the order of the log to read this one")

    def _add_other(self, record: Mapping[str, Any]) -> None:
        if record["type"] == "sent":
            # Of two calls of one number the later counts, and which that is nobody knows here.
            if record["call"] in self._carrying:
                raise UnusualLogError("two calls of one number")
            self._carrying.add(record["call"])
        if record.get("event") == "capacity.learnt":
            # Only ever smaller ones are learnt, so the least is the last.
            known = self._progress.capacities
            known[record["spec"]] = min(record["limit"], known.get(record["spec"], record["limit"]))
        else:
            self._progress.take(record)

    def _close_outcomes(self) -> None:
        """Make lines of the bits: what the other records say is about those that are left."""
        progress = self._progress
        if self._settled.bit_count() != self._outcomes:
            raise UnusualLogError("two outcomes of a line")
        progress.settled = _lines(self._settled)
        progress.stopped = {status: _lines(bits) for status, bits in self._aborted.items()}
        progress.unknown = set(_numbers(self._unknown & ~self._settled))
        progress.doubtful = set(progress.unknown)
        if progress.unknown:
            progress.statuses[Status.UNKNOWN] = len(progress.unknown)

    @property
    def open_jobs(self) -> int:
        """The lines that have a job and no outcome."""
        return self._jobs & ~self._settled & ~self._unknown


def _take_jobs(
    connection: duckdb.DuckDBPyConnection, path: Path, progress: Progress, lines: int
) -> None:
    """Take the last job of each of `lines`, by a second pass, if there are any."""
    if not lines:
        return
    bits = f"{lines:0{progress.rows + 1}b}"[::-1]
    for record in _in_order(connection, path, _OF_JOBS, bits):
        progress.jobs[record["line"]] = record["job_id"]
    if len(progress.jobs) != lines.bit_count():
        raise UnusualLogError("a job that is not written as we write it")


def _stop_since_last_call(path: Path) -> str:
    """Return why the run was stopped, unless it has sent a call since."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as log:
        start = log.rfind(_STOPPED, max(log.rfind(_SENT), 0))
        if start < 0:
            return ""
        log.seek(start + 1)
        return str(orjson.loads(log.readline()).get("reason", ""))


def _bits(digits: str | None) -> int:
    """Return the number whose bits DuckDB writes as `digits`, the lowest first."""
    return int(digits[::-1], 2) if digits else 0


def _lines(bits: int) -> LineSet:
    return LineSet(bits.to_bytes(bits.bit_length() // 8 + 1, "little"))


def _numbers(bits: int) -> list[int]:
    """Return which bits are set; few of a great many, as a rule."""
    found = []
    while bits:
        found.append(bits.bit_length() - 1)
        bits ^= 1 << found[-1]
    return found
