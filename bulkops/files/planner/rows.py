"""
The rows of a manifest as a run keeps them, and beside them why some are not sent.

`rows.parquet` is written while the manifest is read, and not again; what is found out later about
a few of its rows is in `refused.parquet`. Whoever reads the one with the other does it here.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb

from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stored import kept_sql
from bulkops.files.planner.judge import which
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import Kind

_IDS = (Kind.ID, Kind.IDS)
_CARRIED = ("fields", "extra", "raw", "refused_code", "refused")
#: What is said of a row that is not sent.
_SAID = "status, code, message, of_line"


def known_columns() -> tuple[str, ...]:
    """Return every column that some operation reads, `op` first."""
    return tuple(
        dict.fromkeys(["op", *(name for spec in SPECS.values() for name in spec.column_names)])
    )


def naming_columns() -> tuple[str, ...]:
    """Return those of `known_columns` that name what a row is about, such as records and lists."""
    naming = {
        name
        for spec in SPECS.values()
        for name in (*spec.route, spec.item, spec.member, spec.ordered_by)
    }
    return tuple(name for name in known_columns() if name in naming)


def relation_fields(
    columns: Mapping[str, str], fixed: Collection[str], asked: Sequence[str]
) -> tuple[str, ...]:
    """
    Return the columns that are fields of a relation: those that operations name, and the `asked`.

    A column of the file that `columns` read under another name is no field by its own as well,
    unless somebody asks for that: `Member_Status = "Status"` does not wish a `Status`.
    """
    renamed = set(columns.values()) - columns.keys() - set(fixed)
    named = (name for spec in SPECS.values() for name in spec.relation_fields or ())
    return tuple(dict.fromkeys([*(name for name in named if name not in renamed), *asked]))


def id_columns() -> tuple[str, ...]:
    """Return those of `known_columns` that hold ids for every operation that reads them."""
    kinds: dict[str, set[Kind]] = {}
    for spec in SPECS.values():
        for column in spec.columns:
            kinds.setdefault(column.name, set()).add(column.kind)
    return tuple(name for name, found in kinds.items() if found.issubset(_IDS))


def refused_beside(rows: Path) -> Path:
    """Return where it stands which of `rows` are not sent."""
    return rows.with_name("refused.parquet")


def write_refused(connection: duckdb.DuckDBPyConnection, rows: Path) -> None:
    """Write the table `refusals` beside `rows`, in the manifest's order; make both durable."""
    target = refused_beside(rows)
    connection.execute(
        f"COPY (SELECT line, {_SAID} FROM refusals ORDER BY line) TO {literal(str(target))}"
        " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
    )
    for path in (rows, target):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def rows_sql(connection: duckdb.DuckDBPyConnection, rows: Path, *, where: str = "true") -> str:
    """
    Return SQL for every row as it was read: `line`, the known columns, and those carried along.

    `spec` names its operation, NULL if it has none. `where` is a condition: one on `rowid`, which
    is `line` less one, passes over what is elsewhere in the file.
    """
    names = (*known_columns(), *_CARRIED)
    kept = kept_sql(connection, rows, names, ids=id_columns())
    return (
        f"(SELECT rowid + 1 AS line, {', '.join(names)}, {which(SPECS.values())} AS spec"
        f" FROM ({kept}) WHERE {where})"
    )


def judged_sql(connection: duckdb.DuckDBPyConnection, rows: Path) -> str:
    """Return SQL for the same with `status, code, message, of_line` of those that are not sent."""
    return (
        f"(SELECT kept.*, {_SAID} FROM {rows_sql(connection, rows)} AS kept"
        f" LEFT JOIN {refused_sql(rows)} AS said USING (line))"
    )


def sent_sql(connection: duckdb.DuckDBPyConnection, rows: Path) -> str:
    """Return SQL for every row that is to be sent, with the columns of `rows_sql`."""
    return (
        f"(SELECT kept.* FROM {rows_sql(connection, rows)} AS kept"
        f" ANTI JOIN {refused_sql(rows)} AS said USING (line))"
    )


def refused_sql(rows: Path) -> str:
    """Return SQL for `line, status, code, message, of_line` of the rows that are not sent."""
    return f"read_parquet({literal(pattern(refused_beside(rows)))}, hive_partitioning = false)"
