"""
Join the log with the rows of the manifest: what became of every line, in manifest order.

Derived from `rows.parquet` and `checkpoint.jsonl` alone, so that everything here may be deleted
and made again. Works while the run goes on; lines that have no state yet are left out.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from bulkops.errors import UsageError
from bulkops.files.database import fetched
from bulkops.files.inputs import parts_in
from bulkops.files.manifest.apostrophes import guarded_sql
from bulkops.files.manifest.sql import literal
from bulkops.files.planner.rows import naming_columns
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import Told, opened, told_of
from bulkops.model import TERMINAL, WANTED, Status

#: The columns of an outcome, in the order they are printed.
COLUMNS = (
    "line",
    "op",
    *naming_columns(),
    "status",
    "code",
    "message",
    "raw",
    "http_status",
    "attempts",
    "batch",
    "job_id",
    "of_line",
    "learnt",
    "finished_at",
)
#: Those of them that hold text of a manifest or a server, which a CSV file must guard.
_TEXTS = frozenset({*COLUMNS, "file"}) - {
    *("line", "http_status", "attempts", "batch", "of_line", "finished_at")
}
#: Statuses whose rows belong into another try. A duplicate is tried with the line it repeats.
UNFINISHED = tuple(sorted(TERMINAL - WANTED - {Status.DUPLICATE}))
_COPIED_BYTES = 1 << 20
#: Where a line stands, told where the manifest is several files.
PLACE = ("file", "file_line")

#: Relation fields and carried columns as one JSON object, in which a carried column wins. They are
#: joined as text: merging takes a null inside of `extra` for a wish to remove.
_EXTRA = r"""
    CASE WHEN fields IS NULL THEN extra WHEN extra IS NULL THEN fields
    ELSE regexp_replace(left(CASE WHEN len(list_intersect(json_keys(fields), json_keys(extra))) = 0
        THEN fields ELSE CAST(json_merge_patch(fields, '{' || array_to_string(list_transform(
            json_keys(extra), lambda each: CAST(to_json(each) AS VARCHAR) || ':null'), ',') || '}')
            AS VARCHAR) END, -1) || ',' || substr(extra, 2), '^\{,', '{') END
"""


def columns_of(run: RunDirectory) -> tuple[str, ...]:
    """Return the columns of the outcomes of `run`; where a line stands if that is a question."""
    if len(parts_in(run.read_description() or {})) < 2:
        return COLUMNS
    return ("line", *PLACE, *COLUMNS[1:])


def read_outcomes(
    run: RunDirectory,
    statuses: Collection[str] = (),
    *,
    after: int = 0,
    most: int | None = None,
) -> Iterator[dict[str, Any]]:
    """
    Yield the outcome of each line in manifest order; absent values are left out.

    `statuses` filters; no more than `most` are told, of the lines behind `after`. Carried columns
    and relation fields stand under `extra`.
    """
    columns = columns_of(run)
    where = where_sql(statuses) or "WHERE true"
    limit = "" if most is None else f"LIMIT {most}"
    with opened(run) as connection:
        result = connection.execute(
            f"SELECT {', '.join(columns)}, fields, extra FROM told {where} "
            f"AND told.line > {after} ORDER BY told.line {limit}"
        )
        for row in fetched(result, at_once=5000):
            found = {
                name: value for name, value in zip(columns, row, strict=False) if value is not None
            }
            if row[-1] is not None or row[-2] is not None:
                found["extra"] = {**members_of(row[-2]), **members_of(row[-1])}
            yield found


def copy_outcomes(
    run: RunDirectory, target: Path, statuses: Collection[str] = (), *, parquet: bool = False
) -> None:
    """Write outcomes to a CSV file, whose cells are no formulas, or to a Parquet one."""
    shape = "(FORMAT parquet)" if parquet else "(FORMAT csv, HEADER)"
    query = _outcomes_sql(run, statuses, guard=not parquet)
    with opened(run, modest=True) as connection:
        connection.execute(f"COPY ({query}) TO {literal(str(target))} {shape}")


def write_outcomes(run: RunDirectory, told: Told, target: Path) -> None:
    """Write all outcomes to a CSV file as `copy_outcomes` does, a part after the other."""
    query = _outcomes_sql(run, (), guard=True)
    part = target.with_name(f"{target.name}.part")
    try:
        with target.open("wb") as file:
            for number in told.parts():
                told.connection.execute(
                    f"COPY ({query}) TO {literal(str(part))} (FORMAT csv, HEADER {not number})"
                )
                with part.open("rb") as written:
                    shutil.copyfileobj(written, file, _COPIED_BYTES)
    finally:
        part.unlink(missing_ok=True)


def _outcomes_sql(run: RunDirectory, statuses: Collection[str], *, guard: bool) -> str:
    columns = [
        f"{guarded_sql(each)} AS {each}" if guard and each in _TEXTS else each
        for each in columns_of(run)
    ]
    return (
        f"SELECT {', '.join(columns)}, {_EXTRA} AS extra FROM told "
        f"{where_sql(statuses)} ORDER BY told.line"
    )


def members_of(content: str | None) -> dict[str, Any]:
    """Return the JSON object of a cell, its numbers as they stand; none is an empty one."""
    return _DECODER.decode(content) if content else {}


def _whole(digits: str) -> Any:
    """Return a whole number, or its digits for what no 64 bits hold."""
    number = int(digits)
    return number if -(2**63) <= number < 2**63 else orjson.Fragment(digits)


def _decimal(digits: str) -> Any:
    """Return a number with a decimal point, or its digits where it would be written otherwise."""
    number = float(digits)
    return number if orjson.dumps(number).decode() == digits else orjson.Fragment(digits)


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_decimal)


def known_statuses(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words as they are: statuses. Raises `UsageError` for one that is none."""
    statuses = tuple(words)
    for each in statuses:
        if each not in set(Status):
            raise UsageError(f"status {each}: expected {', '.join(Status)}")
    return statuses


def where_sql(statuses: Collection[str]) -> str:
    """Return SQL that leaves rows of these statuses, or all if there are none."""
    return f"WHERE status IN ({', '.join(literal(each) for each in statuses)})" if statuses else ""


def count_outcomes(run: RunDirectory, told: Told | None = None) -> list[dict[str, Any]]:
    """Count the lines by operation, module, status and code, the most frequent first."""
    messages: dict[tuple[str, ...], str | None] = {}
    lines = Counter[tuple[str, ...]]()
    with told_of(run, told) as found:
        for *key, message, number in found.ask("""
            SELECT coalesce(op, ''), CASE WHEN status = 'invalid' THEN '' ELSE coalesce(module, '')
                END, status, coalesce(code, ''), any_value(message), count(*)
            FROM told GROUP BY ALL
        """):
            lines[tuple(key)] += number
            messages[tuple(key)] = messages.get(tuple(key)) or message
    names = ("op", "module", "status", "code", "message", "lines")
    return [
        dict(zip(names, (*key, messages[key], number), strict=True))
        for key, number in sorted(lines.items(), key=lambda each: (-each[1], each[0]))
    ]


def to_line(outcome: dict[str, Any]) -> bytes:
    """Return one outcome as a line of JSON."""
    return orjson.dumps(outcome) + b"\n"
