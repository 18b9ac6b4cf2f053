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
from bulkops.files.manifest.sql import pattern
from bulkops.model import Batch, Json, Operation, Outcome, Route, Status
from bulkops.rules.progress import LineSet

_AT_ONCE = 64


def _each(value: str) -> str:
    """Return SQL for `value` of each operation."""
    return f"list_transform(operations, lambda each: {value})"


def _if_any(name: str, otherwise: str) -> str:
    """Return SQL for a JSON list of what the operations have, or NULL where none has it."""
    any_has = f"len(list_filter(operations, lambda each: each.{name} IS NOT NULL)) > 0"
    return f"CASE WHEN {any_has} THEN CAST(to_json({_each(otherwise)}) AS VARCHAR) END"


#: What `_batch` takes: lists as text, for structures and lists take several times longer to pass.
_STORED = ", ".join(
    (
        "batch, spec, module, record_id, related_list",
        f"CAST({_each('each.line')} AS VARCHAR)",
        f"CAST({_each('each.item')} AS VARCHAR)",
        _if_any("members", "coalesce(each.members, [])"),
        _if_any("fields", "each.fields"),
    )
)


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
                f"SELECT max(list_max({_each('each.line')})) "
                "FROM read_parquet(?, hive_partitioning = false)",
                [pattern(plan)],
            ).fetchone()
            length = (highest[0] or 0) + 1 if highest else 1
            connection.execute("SET VARIABLE settled = CAST(? AS BIT)", [settled.to_text(length)])
            unsettled = (
                "len(list_filter(operations, lambda each: "
                "get_bit(getvariable('settled'), CAST(each.line AS INTEGER)) = 0)) > 0"
            )
        result = connection.execute(
            f"SELECT step, {_STORED} "
            f"FROM read_parquet(?, hive_partitioning = false) WHERE {unsettled}",
            [pattern(plan)],
        )
        while rows := result.fetchmany(_AT_ONCE):
            for step, *stored in rows:
                yield step, _batch(stored)


def _batch(stored: Sequence[Any]) -> Batch:
    # Ids are digits, so that a list of them needs no quotes.
    number, spec, module, record_id, related_list, lines, items, members, fields = stored
    columns: list[Iterable[Any]] = [orjson.loads(lines), items[1:-1].split(", ")]
    if members or fields:
        columns.append(map(tuple, orjson.loads(members)) if members else repeat(()))
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
            f"WHERE list_contains({_each('each.line')}, ?)",
            [pattern(plan), line],
        ).fetchone()
    return None if row is None else _batch(row)


def read_refusals(rows: Path) -> Iterator[Outcome]:
    """
    Yield the outcome of every row that the plan does not send, in manifest order.

    Raises `CheckpointError` if they cannot be read.
    """
    with _reading(rows, threads=2) as connection:
        result = connection.execute(
            "SELECT line, status, code, message, of_line "
            "FROM read_parquet(?, hive_partitioning = false) "
            "WHERE status IS NOT NULL ORDER BY line",
            [pattern(rows)],
        )
        while found := result.fetchmany(_AT_ONCE * 100):
            for line, status, code, message, of_line in found:
                yield Outcome(line, Status(status), code or "", message or "", of_line=of_line)


@contextmanager
def _reading(path: Path, *, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with duckdb.connect(config={"memory_limit": "256MB", "threads": threads}) as connection:
            yield connection
    except duckdb.Error as error:
        raise CheckpointError(
            f"{path}: the plan cannot be read ({str(error).splitlines()[0]}). Without it the run "
            "cannot go on; start over with --new."
        ) from error
