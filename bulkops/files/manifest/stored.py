"""
Rows kept outside the database: a Parquet file under a view.

Writing a file of columns takes half the time of filling a table, and uses all threads. The
number of a row in the file is the number of the record in the manifest. Ids that a number prints
as they stand are kept as numbers, which are read and compared several times faster than text.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb

from bulkops.files.manifest.shape import ABSENT, select_list
from bulkops.files.manifest.sql import literal, name, pattern

#: Ids of at most this many digits, the first of which is not 0, are kept as numbers.
PLAIN_DIGITS = 19


def store(
    connection: duckdb.DuckDBPyConnection,
    columns: Mapping[str, str],
    origin: str,
    *,
    table: str,
    ids: Collection[str] = (),
    file: Path | None = None,
) -> int:
    """
    Keep `columns`, name -> SQL, of the rows of `origin`, in its order; return how many they are.

    Makes the view `table` as `kept_sql` has it; `forget` removes it. The rows are in `file`, or in
    one of the temp directory, which `forget` removes too. Nothing is left if a row cannot be read.
    """
    # What is never there takes no room, and no time.
    kept = {ours: value for ours, value in columns.items() if value != ABSENT}
    kept = kept or {"nothing": ABSENT}
    apart = ", ".join(_apart(column) if column in ids else name(column) for column in kept)
    select = f"SELECT {apart} FROM (SELECT {select_list(kept)} FROM {origin})"
    return _write(connection, select, table=table, columns=list(columns), ids=ids, file=file)


def append(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[str],
    columns: Sequence[str],
    *,
    table: str,
    ids: Collection[str] = (),
    file: Path | None = None,
) -> int:
    """
    Keep `columns` of the rows of several `tables` that `store` made, one after another.

    Return how many they are. Makes what `store` does, and leaves the tables as they are.
    """
    files = [path_of(connection, each) for each in tables]
    stored = {column for each in files for column in _columns_in(connection, each)}
    wanted = [each for column in columns for each in (column, _number(column)) if each in stored]
    listed = ", ".join(literal(pattern(each)) for each in files)
    select = (
        f"SELECT {', '.join(map(name, wanted)) or f'{ABSENT} AS nothing'} FROM"
        f" read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    )
    return _write(connection, select, table=table, columns=columns, ids=ids, file=file)


def kept_sql(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    columns: Sequence[str],
    *,
    ids: Collection[str] = (),
    only: str = "",
) -> str:
    """
    Return a SELECT for `columns` of the rows that `store` has kept in `file`.

    A column `rowid` counts them from 0; with `only`, a SELECT of such numbers, there are no other
    rows, and no text is made of the numbers of others. Each of `ids` is text, and beside it stands
    a column `..._number` (UBIGINT), NULL where the text is not what a number prints.
    """
    stored = _columns_in(connection, file)
    shown = {"rowid": "file_row_number"}
    for column in columns:
        shown[column] = name(column) if column in stored else ABSENT
        if column not in ids:
            continue
        number = _number(column)
        if number in stored:
            shown[column] = f"coalesce({name(column)}, CAST({name(number)} AS VARCHAR))"
        shown[number] = name(number) if number in stored else "NULL::UBIGINT"
    rows = (
        f"read_parquet({literal(pattern(file))}, file_row_number = true, hive_partitioning = false)"
    )
    if only:
        rows = f"(FROM {rows} WHERE file_row_number IN ({only}))"
    return f"SELECT {select_list(shown)} FROM {rows}"


def forget(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Remove `table`, if it is there, and the temporary file it is a view upon, if it is one."""
    found = connection.execute(
        "SELECT 1 FROM duckdb_views() WHERE view_name = $1", [table]
    ).fetchone()
    if found is None:
        return
    connection.execute(f"DROP VIEW {name(table)}")
    if _variable(connection, _is_temporary(table)):
        path_of(connection, table).unlink(missing_ok=True)


def path_of(connection: duckdb.DuckDBPyConnection, table: str) -> Path:
    """Return the file that `table` is a view upon."""
    return Path(str(_variable(connection, _file_of(table))))


def temp_directory(connection: duckdb.DuckDBPyConnection) -> Path | None:
    """Return the connection's temp directory if it is there, else nothing (the system's)."""
    found = connection.execute("SELECT current_setting('temp_directory')").fetchone()
    directory = Path(found[0]) if found and found[0] else None
    return directory if directory and directory.is_dir() else None


def _write(
    connection: duckdb.DuckDBPyConnection,
    select: str,
    *,
    table: str,
    columns: Sequence[str],
    ids: Collection[str],
    file: Path | None,
) -> int:
    """Write the rows of `select`, make the view, and note where its file is."""
    path = file or _temporary(connection)
    try:
        rows = connection.execute(
            f"COPY ({select}) TO {literal(str(path))}"
            " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchone()
        kept = kept_sql(connection, path, columns, ids=ids)
        connection.execute(f"CREATE VIEW {name(table)} AS {kept}")
        connection.execute(f"SET VARIABLE {name(_file_of(table))} = {literal(str(path))}")
        connection.execute(f"SET VARIABLE {name(_is_temporary(table))} = {file is None}")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    assert rows is not None
    return int(rows[0])


def _temporary(connection: duckdb.DuckDBPyConnection) -> Path:
    handle, made = tempfile.mkstemp(
        dir=temp_directory(connection), prefix="bulkops-", suffix=".parquet"
    )
    os.close(handle)
    return Path(made)


def _apart(column: str) -> str:
    """Return the SQL of an id as two columns: the number that prints it, or else its text."""
    number = f"TRY_CAST({name(column)} AS UBIGINT)"
    limits = f"CAST(1 AS UBIGINT) AND CAST({10**PLAIN_DIGITS - 1} AS UBIGINT)"
    plain = f"{number} BETWEEN {limits} AND CAST({number} AS VARCHAR) = {name(column)}"
    return (
        f"CASE WHEN {plain} THEN {number} END AS {name(_number(column))},"
        f" CASE WHEN ({plain}) IS NOT TRUE THEN {name(column)} END AS {name(column)}"
    )


def _number(column: str) -> str:
    return f"{column}_number"


def _columns_in(connection: duckdb.DuckDBPyConnection, file: Path) -> set[str]:
    found = connection.execute(
        f"SELECT name FROM parquet_schema({literal(pattern(file))})"
    ).fetchall()
    return {column for (column,) in found}


def _variable(connection: duckdb.DuckDBPyConnection, called: str) -> object:
    found = connection.execute("SELECT getvariable($1)", [called]).fetchone()
    return found[0] if found else None


def _file_of(table: str) -> str:
    return f"file of {table}"


def _is_temporary(table: str) -> str:
    return f"file of {table} is temporary"
