"""
Rows kept outside the database: a Parquet file in the temp directory, under a view.

Writing a file of columns takes half the time of filling a table, and uses all threads. The
number of a row in the file is the number of the record in the manifest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from bulkops.files.manifest.shape import ABSENT, select_list
from bulkops.files.manifest.sql import literal, name, pattern


def store(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], origin: str, *, table: str
) -> int:
    """
    Keep `columns`, name -> SQL, of the rows of `origin`, in its order; return how many they are.

    Makes the view `table` with one column more, `rowid`, which counts from 0. `forget` removes
    both; without it the file stays in the temp directory. Nothing is left if a row cannot be read.
    """
    # What is never there takes no room, and no time.
    kept = {ours: value for ours, value in columns.items() if value != ABSENT}
    kept = kept or {"nothing": ABSENT}
    handle, made = tempfile.mkstemp(
        dir=temp_directory(connection), prefix="bulkops-", suffix=".parquet"
    )
    os.close(handle)
    path = Path(made)
    try:
        rows = connection.execute(
            f"COPY (SELECT {select_list(kept)} FROM {origin}) TO {literal(made)}"
            " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchone()
        shown = {ours: ABSENT if value == ABSENT else name(ours) for ours, value in columns.items()}
        connection.execute(
            f"CREATE VIEW {name(table)} AS SELECT file_row_number AS rowid, {select_list(shown)}"
            f" FROM read_parquet({literal(pattern(path))}, file_row_number = true,"
            " hive_partitioning = false)"
        )
        connection.execute(f"SET VARIABLE {name(_file_of(table))} = {literal(made)}")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    assert rows is not None
    return int(rows[0])


def forget(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Remove `table`, if it is there, and the file it is a view upon, if it is one."""
    kind = connection.execute(
        "SELECT 'VIEW' FROM duckdb_views() WHERE view_name = $1"
        " UNION ALL SELECT 'TABLE' FROM duckdb_tables() WHERE table_name = $1",
        [table],
    ).fetchone()
    if kind is None:
        return
    connection.execute(f"DROP {kind[0]} {name(table)}")
    path = connection.execute("SELECT getvariable($1)", [_file_of(table)]).fetchone()
    if kind[0] == "VIEW" and path is not None and path[0]:
        Path(path[0]).unlink(missing_ok=True)


def temp_directory(connection: duckdb.DuckDBPyConnection) -> Path | None:
    """Return the connection's temp directory if it is there, else nothing (the system's)."""
    found = connection.execute("SELECT current_setting('temp_directory')").fetchone()
    directory = Path(found[0]) if found and found[0] else None
    return directory if directory and directory.is_dir() else None


def _file_of(table: str) -> str:
    return f"file of {table}"
