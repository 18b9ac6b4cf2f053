"""
Make the manifest that takes a run back: the inverse of what we changed, and of that alone.

Changed is what the server confirmed, or what was captured before it was sent and met silence.
What was so already, what a later run has changed since, and what cannot be brought back is left
out, each line with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import orjson

from bulkops.engine.undo.changed import changed_since
from bulkops.errors import UsageError
from bulkops.files.database import fetched
from bulkops.files.manifest.sql import literal, name, pattern
from bulkops.files.outcomes import COLUMNS
from bulkops.files.plan_file import read_batches
from bulkops.files.planner.rows import known_columns
from bulkops.files.prepare import Asked
from bulkops.files.resume import read_progress
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import opened
from bulkops.model import Batch, Operation
from bulkops.rules.operations import SPECS
from bulkops.rules.reads import Before

#: The column that leads from a row of the undo back to the line it takes back.
OF_LINE = "undo_of_line"


class Changed(IntEnum):
    """
    How surely a line was changed by us.
    """

    #: The server said so, or showed it when asked.
    SURELY = 1
    #: The answer to a repetition shows it done, but not by whom.
    BY_ECHO = 2
    #: It was sent, and no answer came.
    PERHAPS = 3


_NOT_CAPTURED = {
    Changed.BY_ECHO: (
        "its answer shows it done, but not by whom (learnt = echo), and it was not captured "
        "before it was sent"
    ),
    Changed.PERHAPS: (
        "it was sent without an answer, and not captured before; running its run again settles it"
    ),
}


@dataclass(slots=True)
class Undoing:
    """
    The manifest of an undo, and how many lines are left out of it, by reason.
    """

    run: RunDirectory
    lines: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    fields: set[str] = field(default_factory=set)

    @property
    def manifest(self) -> Path:
        """The rows to send."""
        return self.run.path / "undo.jsonl"

    @property
    def rest(self) -> Path:
        """The lines that are left out, with the reason."""
        return self.run.path / "undo-left-out.jsonl"

    @property
    def asked(self) -> Asked:
        """What is to be asked to carry it out."""
        return Asked(self.manifest, fields=tuple(sorted(self.fields)))

    @property
    def run_dir(self) -> Path:
        """Where the undo's own run lives."""
        return self.run.path.with_name(f"{self.run.name}-undo")


def undo_of(
    run: RunDirectory,
    *,
    lines: Collection[int] | None = None,
    where: Mapping[str, str] | None = None,
    others: Sequence[RunDirectory] = (),
    relations: Mapping[str, str] | None = None,
) -> Undoing:
    """
    Write the manifest that takes `run` back, in its directory.

    `lines` and `where` (columns of an outcome and their values) narrow it down; `others` are
    the runs that may have changed the same things since, `relations` those of the configuration.
    Raises `UsageError` for an unknown column in `where`.
    """
    undoing = Undoing(run)
    since = changed_since(run, others, relations or {}) if others else frozenset[int]()
    with (
        opened(run) as connection,
        undoing.manifest.open("wb") as rows,
        undoing.rest.open("wb") as rest,
    ):
        befores = _Befores(connection, run)
        for batch, operation, changed in _changed(connection, run, lines, where or {}):
            before = befores.of(batch.number).get(operation.item)
            found: Sequence[Mapping[str, Any]] | str
            if operation.line in since:
                found = "another run has changed it since"
            elif before is None and changed is not Changed.SURELY:
                found = _NOT_CAPTURED[changed]
            else:
                found = SPECS[batch.spec].undo(batch.route, operation, before)
            _write(undoing, operation.line, found, rows, rest)
    return undoing


def _write(
    undoing: Undoing,
    line: int,
    found: Sequence[Mapping[str, Any]] | str,
    rows: BinaryIO,
    rest: BinaryIO,
) -> None:
    if isinstance(found, str):
        undoing.left_out[found] += 1
        rest.write(orjson.dumps({"line": line, "why": found}) + b"\n")
        return
    undoing.lines += bool(found)
    for row in found:
        undoing.fields.update(set(row) - set(known_columns()))
        rows.write(orjson.dumps({**row, OF_LINE: line}) + b"\n")


def _changed(
    connection: duckdb.DuckDBPyConnection,
    run: RunDirectory,
    lines: Collection[int] | None,
    where: Mapping[str, str],
) -> Iterator[tuple[Batch, Operation, Changed]]:
    """Yield what we changed, surely or perhaps, in the order of the plan."""
    told = _told(connection, where)
    # What is in doubt has no outcome that a condition could speak of.
    progress = None if where else read_progress(run.checkpoint, mend=False)
    for _, batch in read_batches(run.plan):
        for operation in batch.operations:
            line = operation.line
            if lines is not None and line not in lines:
                continue
            if line < len(told) and told[line]:
                yield batch, operation, Changed(told[line])
            elif progress and line not in progress.settled and progress.doubts(batch.number, line):
                yield batch, operation, Changed.PERHAPS


def _told(connection: duckdb.DuckDBPyConnection, where: Mapping[str, str]) -> bytearray:
    """Return a byte for each line, by its number: a `Changed`, or 0."""
    for column in where:
        if column not in COLUMNS:
            raise UsageError(f"--where {column}: expected one of {', '.join(COLUMNS)}")
    conditions = ["status IN ('succeeded', 'scheduled', 'unknown')"] + [
        f"CAST({name(column)} AS VARCHAR) = {literal(value)}" for column, value in where.items()
    ]
    result = connection.execute(
        f"""
        SELECT line, CASE WHEN status = 'unknown' THEN {Changed.PERHAPS.value}
            WHEN learnt = 'echo' THEN {Changed.BY_ECHO.value} ELSE {Changed.SURELY.value} END
        FROM told WHERE {" AND ".join(conditions)} ORDER BY line
        """
    )
    found = bytearray()
    for line, changed in fetched(result, 10_000):
        found.extend(bytes(line + 1 - len(found)))
        found[line] = changed
    return found


class _Befores:
    """
    What was captured before each batch was sent. Batches must be asked for in their order.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, run: RunDirectory) -> None:
        # A capture that a crash cut off from its call was made again: the later one counts.
        self._rows = fetched(
            connection.cursor().execute(
                "SELECT batch, items FROM read_json("
                f"{literal(pattern(run.checkpoint))}, format = 'newline_delimited', "
                "ignore_errors = true, columns = "
                "{type: 'VARCHAR', batch: 'BIGINT', items: 'JSON', t: 'DOUBLE'}) "
                "WHERE type = 'before' ORDER BY batch, t"
            )
        )
        self._ahead = next(self._rows, None)
        self._batch = 0
        self._found: dict[str, Before] = {}

    def of(self, batch: int) -> Mapping[str, Before]:
        """Return what was captured of the items of a batch, by their ids."""
        if batch == self._batch:
            return self._found
        self._batch, self._found = batch, {}
        while self._ahead is not None and self._ahead[0] <= batch:
            number, items = self._ahead
            if number == batch:
                captured = {item: Before(held) for item, held in orjson.loads(items).items()}
                self._found.update(captured)
            self._ahead = next(self._rows, None)
        return self._found
