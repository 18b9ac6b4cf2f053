"""
Write `failed.csv`: the rows that are not in their wanted state, as a manifest to try again.

Not for reading outcomes: no program needs to read this file but as a manifest.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import ne
from pathlib import Path
from typing import Any, TextIO

import duckdb
import orjson

from bulkops.files.inputs import parts_in
from bulkops.files.manifest.apostrophes import MARK, guarded
from bulkops.files.outcomes import PLACE, UNFINISHED, members_of, where_sql
from bulkops.files.planner.rows import known_columns, rows_sql
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import Told, told_of
from bulkops.model import Status

_TOLD = ("status", "code", "message")


def write_failed(
    run: RunDirectory,
    description: Mapping[str, Any],
    *,
    name: str = "failed.csv",
    target: Path | None = None,
    among: Collection[Status] = UNFINISHED,
    told: Told | None = None,
) -> int:
    """
    Write `failed.csv`: the manifest's own columns first, `status, code, message` last.

    Between them stand `raw`, the text of records that could not be read, where there are such,
    and `file, file_line` where the manifest is several files. It is a manifest again, for the
    same options. Return the number of rows, those in one of the statuses `among`; a file of another
    `name` than `failed.csv` has no places, and lies at `target` if not in the run. No cell is a
    formula: where one had to be guarded, a column `MARK` says so to whoever reads the file. With
    `on_conflict = "last"` a row that a later one overruled is not in it: trying it alone would undo
    the later.
    """
    asked, own = description["asked"]["columns"], description["plan"]["own_columns"]
    last_wins = description["config"]["run"]["on_conflict"] == "last"
    statuses = [each for each in among if not (last_wins and each is Status.CONFLICT)]
    # A column of theirs that means something to us keeps its name, and ours gives way.
    said = [f"outcome_{each}" if each in asked.values() else each for each in _TOLD]
    kept = [each for each in own if each not in said and each != MARK]
    ours = {theirs: name for name, theirs in asked.items()}
    several = len(parts_in(description)) > 1 and name == "failed.csv"
    places = PLACE if several else ()
    with (
        told_of(run, told) as found,
        (target or run.path / name).open("w", encoding="utf-8", newline="") as file,
    ):
        known = _known_columns(found.connection)
        raw = "outcome_raw" if "raw" in asked.values() else "raw"
        between = [_free_name(each, own) for each in places]
        if raw not in own and _has_raw(found.connection, run):
            between.insert(0, raw)
        picked = [*_TOLD, *PLACE, "raw", "fields", "extra", *known]

        def records() -> Iterator[list[Any]]:
            for row in found.ask(
                f"SELECT {', '.join(picked)} FROM told {where_sql(statuses)} ORDER BY told.line"
            ):
                cells = _own_cells(row[6:], known, kept, ours)
                if row[5] is not None and raw in kept:
                    cells[kept.index(raw)] = row[5]
                between_cells = [row[5]] * (raw in between) + list(row[3:5]) * bool(places)
                yield [*cells, *between_cells, *row[:3]]

        header = [*kept, *between, *said]
        number = _write_records(file, header, records(), marked=False)
        if number is None:
            file.seek(0)
            file.truncate()
            number = _write_records(file, header, records(), marked=True) or 0
    return number


def _write_records(
    file: TextIO, header: list[str], records: Iterable[list[Any]], *, marked: bool
) -> int | None:
    """
    Write a table and return the number of its records, header excluded.

    Guarded cells need the column that tells of them: `None` if there are such and it is not
    `marked`.
    """
    writer = csv.writer(file, lineterminator="\n")
    # The module quotes no lone carriage return by itself, and readers end a line at it.
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    number = 0
    for number, cells in enumerate(chain([header], records)):
        safe = [guarded(cell) if isinstance(cell, str) else cell for cell in cells]
        changed = sum(map(ne, safe, cells))
        if marked:
            safe.insert(-len(_TOLD), (changed or None) if number else MARK)
        elif changed:
            return None
        returns = any(isinstance(cell, str) and "\r" in cell for cell in safe)
        (quoting if returns else writer).writerow(safe)
    return number


def _free_name(name: str, own: Collection[str]) -> str:
    """Return `name`, or another like it that no column of the manifest has."""
    return _free_name(f"outcome_{name}", own) if name in own else name


def _has_raw(connection: duckdb.DuckDBPyConnection, run: RunDirectory) -> bool:
    """Tell whether a record of the manifest could not be read."""
    rows = rows_sql(connection, run.rows)
    found = connection.execute(f"SELECT 1 FROM {rows} WHERE raw IS NOT NULL LIMIT 1").fetchone()
    return found is not None


def _known_columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the columns of the rows that operations read."""
    described = connection.execute("DESCRIBE told").fetchall()
    return [name for (name, *_) in described if name in set(known_columns())]


def _own_cells(
    row: Sequence[str | None], known: Sequence[str], kept: Sequence[str], ours: Mapping[str, str]
) -> list[str | None]:
    """Return the cells of a row as the manifest had them, in the order of `kept`."""
    fields, extra, *values = row
    cells: dict[str, Any] = {**members_of(fields), **dict(zip(known, values, strict=True))}
    carried = members_of(extra)
    found: list[str | None] = []
    for name in kept:
        value = carried[name] if name in carried else cells.get(ours.get(name, name))
        found.append(value if isinstance(value, str | None) else orjson.dumps(value).decode())
    return found
