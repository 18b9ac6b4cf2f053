"""
What the tables of a reconciliation share: the database, and under which name a relation goes.

A relation that can be called from either side is one relation. Its `key` is the same from both,
so that what DESIRED says from one side and the organisation shows from the other is compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from bulkops.engine.reconcile.asking import listed
from bulkops.errors import BulkopsError, UsageError
from bulkops.files.config import Config
from bulkops.files.planner.judge import mirrors


@contextmanager
def opened_tables(config: Config) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    Open a database that spills to disk, with the tables that every other one is joined with.

    `families(spec, family)`; `mirrors(module, list, their_module, their_list, turned)`, where of
    the two sides of a relation the `turned` one goes by the name of the other.
    """
    room = config.plan.temp_directory or None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bulkops-", dir=room) as scratch,
            duckdb.connect(str(Path(scratch) / "reconcile.duckdb")) as connection,
        ):
            connection.execute("SET memory_limit = ?", [config.plan.memory])
            connection.execute("SET temp_directory = ?", [scratch])
            lay_out(connection, config.relations)
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise UsageError(
            f"comparing needs more than {config.plan.memory} of memory; raise `memory` in [plan]"
        ) from error
    except duckdb.Error as error:
        raise BulkopsError(f"comparing failed ({str(error).splitlines()[0]})") from error


def lay_out(connection: duckdb.DuckDBPyConnection, relations: Mapping[str, str]) -> None:
    """Make `families` and `mirrors`; `relations` are those of the configuration."""
    connection.execute("CREATE TABLE families (spec VARCHAR, family VARCHAR)")
    for name, spec in listed():
        connection.execute("INSERT INTO families VALUES (?, ?)", [name, spec.family])
    connection.execute(
        "CREATE TABLE mirrors "
        "(module VARCHAR, list VARCHAR, their_module VARCHAR, their_list VARCHAR, turned BOOLEAN)"
    )
    sides = [(*side, *other, other < side) for side, other in mirrors(relations).items()]
    connection.executemany("INSERT INTO mirrors VALUES (?, ?, ?, ?, ?)", sides)


def keyed(rows: str) -> str:
    """
    Return SQL for the SELECT `rows` with `key`, `their_module` and `their_list`.

    `rows` has `spec`, `module`, `list`, `holder` and `held`. The last two are NULL for what can
    be seen from one side alone.
    """
    return f"""
        SELECT known.*, their_module, their_list, CASE WHEN turned
            THEN concat_ws('|', family, their_module, their_list, held, holder)
            ELSE concat_ws('|', family, known.module, known.list, holder, held) END AS key
        FROM ({rows}) AS known JOIN families USING (spec)
        LEFT JOIN mirrors ON mirrors.module = known.module AND mirrors.list = known.list
    """


def touching(table: str) -> str:
    """
    Return SQL for a condition: a keyed row touches a record of `table(module, list, holder)`.

    Looked at is the relation from either side.
    """
    return (
        f"((module, list, holder) IN (SELECT (module, list, holder) FROM {table}) OR "
        "coalesce((their_module, their_list, held) IN "
        f"(SELECT (module, list, holder) FROM {table}), false))"
    )


def number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one number that `query` gives."""
    found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0] or 0)
