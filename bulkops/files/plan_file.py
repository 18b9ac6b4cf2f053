"""
Read a stored plan: its batches in order, and the rows that are not sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.errors import CheckpointError
from bulkops.files.database import connect, fetched
from bulkops.files.manifest.sql import pattern
from bulkops.files.planner.rows import refused_beside, refused_sql
from bulkops.model import Batch, Json, Operation, Outcome, Route, Status
from bulkops.rows import PlainOperations
from bulkops.rules.line_set import LineSet

_AT_ONCE = 64


#: What `_batch` takes: lists as text, for lists take several times longer to pass; and of lines
#: that follow each other, as in a file sorted by parent, the first and how many.
_STORED = """
    batch, spec, module, record_id, related_list, lines[1], len(lines),
    CASE WHEN lines <> range(lines[1], lines[1] + len(lines)) THEN CAST(lines AS VARCHAR) END,
    CAST(to_json(items) AS VARCHAR),
    CASE WHEN members IS NOT NULL THEN CAST(to_json(members) AS VARCHAR) END,
    CASE WHEN fields IS NOT NULL THEN CAST(to_json(fields) AS VARCHAR) END
"""


def read_batches(plan: Path, settled: LineSet | None = None) -> Iterator[tuple[int, Batch]]:
    """
    Yield `(step, batch)` in the plan's order; step 0 may go in parallel, later ones may not.

    Batches whose lines are all in `settled` are passed over without being decoded. Reads a few
    dozen batches at a time, whatever the size of the plan. Raises `CheckpointError` if it cannot
    be read.
    """
    with _reading(plan, threads=1) as connection:
        unsettled = "true"
        if settled:
            highest = connection.execute(
                "SELECT max(list_max(lines)) FROM read_parquet(?, hive_partitioning = false)",
                [pattern(plan)],
            ).fetchone()
            length = (highest[0] or 0) + 1 if highest else 1
            connection.execute("SET VARIABLE settled = CAST(? AS BIT)", [settled.to_text(length)])
            unsettled = (
                "len(list_filter(lines, lambda line: "
                "get_bit(getvariable('settled'), CAST(line AS INTEGER)) = 0)) > 0"
            )
        result = connection.execute(
            f"SELECT step, {_STORED} "
            f"FROM read_parquet(?, hive_partitioning = false) WHERE {unsettled}",
            [pattern(plan)],
        )
        for step, *stored in fetched(result, _AT_ONCE):
            yield step, _batch(stored)


def _batch(stored: Sequence[Any]) -> Batch:
    number, spec, module, record_id, related_list, first, count, lines, items = stored[:9]
    members, fields = stored[9:]
    numbers: Sequence[int] = range(first, first + count) if lines is None else orjson.loads(lines)
    # Ids are digits, and stored as numbers or, where these are too long, as text.
    ids = items[1:-1].replace('"', "").split(",")
    operations: Sequence[Operation] = PlainOperations(numbers, ids)
    if members or fields:
        wished = map(tuple, orjson.loads(members)) if members else repeat(())
        columns: list[Iterable[Any]] = [numbers, ids, wished]
        if fields:
            columns.append(map(_fields, orjson.loads(fields)))
        operations = tuple(map(Operation, *columns))
    route = Route(module or "", record_id or "", related_list or "")
    return Batch(number, spec, route, operations, len(operations))


def _fields(stored: str | None) -> dict[str, Json]:
    said = orjson.loads(stored) if stored is not None else {}
    return {name: value for name, value in said.items() if value is not None}


def batch_of_line(plan: Path, line: int) -> Batch | None:
    """
    Return the batch that sends `line`, or `None` if none does.

    Raises `CheckpointError` if the plan cannot be read.
    """
    with _reading(plan, threads=2) as connection:
        row = connection.execute(
            f"SELECT {_STORED} "
            "FROM read_parquet(?, hive_partitioning = false) "
            "WHERE list_contains(lines, ?)",
            [pattern(plan), line],
        ).fetchone()
    return None if row is None else _batch(row)


def read_refusals(rows: Path) -> Iterator[Outcome]:
    """
    Yield the outcome of every row that the plan does not send, in manifest order.

    Raises `CheckpointError` if they cannot be read.
    """
    with _reading(refused_beside(rows), threads=2) as connection:
        result = connection.execute(
            f"SELECT line, status, code, message, of_line FROM {refused_sql(rows)} ORDER BY line"
        )
        for line, status, code, message, of_line in fetched(result, _AT_ONCE * 100):
            yield Outcome(line, Status(status), code or "", message or "", of_line=of_line)


@contextmanager
def _reading(path: Path, *, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with connect(path.parent, threads=threads) as connection:
            yield connection
    except duckdb.Error as error:
        raise CheckpointError(
            f"{path}: the plan cannot be read ({str(error).splitlines()[0]}). Without it the run "
            "cannot go on; start over with --new."
        ) from error
