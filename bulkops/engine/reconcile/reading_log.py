"""
The log of what was read of the actual side: append-only, so that a crash does not start over.

One JSON object a line: `page` has what a page showed, `whole` says that all of a record (or of
the `part` of it that was asked for) stands in the pages of one `reading`. Pages without it were
cut off in the middle and count for nothing.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from bulkops.engine.reconcile.tables import keyed, number
from bulkops.errors import CheckpointError
from bulkops.files.manifest.sql import literal, pattern

_COLUMNS = (
    "{type: 'VARCHAR', reading: 'BIGINT', spec: 'VARCHAR', module: 'VARCHAR', list: 'VARCHAR', "
    "holder: 'VARCHAR', part: 'INTEGER', count: 'BIGINT', held: 'JSON', t: 'DOUBLE'}"
)
_TAIL_BYTES = 1 << 20


def cut_torn_tail(path: Path) -> None:
    """Cut what stands behind the last whole line, as a crash leaves it."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        end = 0
        start = size
        while start > 0 and not end:
            start = max(0, start - _TAIL_BYTES)
            file.seek(start)
            end = file.read(_TAIL_BYTES).rfind(b"\n") + 1
        file.truncate(start + end)


def load_whole(connection: duckdb.DuckDBPyConnection, path: Path, *, since: float) -> int:
    """
    Make `whole(spec, module, list, holder, part, reading, count)`: what was read since then.

    Times are in seconds since 1970. Return the number that the next reading has. Raises
    `CheckpointError` for a log that cannot be read.
    """
    log = _log(path)
    try:
        connection.execute(
            f"CREATE OR REPLACE TABLE whole AS SELECT spec, module, list, holder, part, "
            f"max(reading) AS reading, arg_max(count, reading) AS count FROM {log} "
            f"WHERE type = 'whole' AND t >= {since} GROUP BY ALL"
        )
        return number(connection, f"SELECT max(reading) FROM {log}") + 1
    except duckdb.InvalidInputException as error:
        raise CheckpointError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); the log is damaged. Start "
            "over with --new"
        ) from error


def load_actual(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """
    Make `actual` of what `whole` and `questions` speak of, as `make_actual` does.

    Raises `CheckpointError` if the log has fewer rows than it says.
    """
    connection.execute(f"""
        CREATE TABLE pages AS
        SELECT reading, each ->> '$[0]' AS holder, each ->> '$[1]' AS held,
            CAST(each -> '$[2]' AS VARCHAR) AS shown, CAST(each ->> '$[3]' AS BOOLEAN) AS ours
        FROM (
            SELECT reading, unnest(from_json(held, '["JSON"]')) AS each
            FROM {_log(path)} WHERE type = 'page'
        )
    """)
    lacking = connection.execute("""
        SELECT module, holder FROM whole LEFT JOIN (
            SELECT reading, holder, count(*) AS found FROM pages GROUP BY ALL
        ) USING (reading, holder)
        WHERE coalesce(found, 0) <> count LIMIT 1
    """).fetchone()
    if lacking is not None:
        raise CheckpointError(
            f"{path}: what was read of {lacking[0]} {lacking[1]} is not all there; the log is "
            "damaged. Start over with --new"
        )
    rows = """
        SELECT spec, module, list, holder, held, shown, ours
        FROM pages JOIN whole USING (reading, holder)
        SEMI JOIN questions USING (spec, module, list, holder, part)
    """
    make_actual(connection, rows)
    connection.execute("DROP TABLE pages")


def make_actual(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """
    Make `actual`: each row of the SELECT `rows` once, even if it was seen from both sides.

    It has `spec, module, list, holder, held, shown` (JSON), `ours`, and what `keyed` adds.
    """
    connection.execute(f"""
        CREATE TABLE actual AS FROM ({keyed(rows)})
        QUALIFY row_number() OVER (PARTITION BY key ORDER BY spec DESC, module, list) = 1
    """)


def _log(path: Path) -> str:
    """Return SQL for the records of a log; one that is not there has none."""
    if not path.exists() or path.stat().st_size == 0:
        return (
            "(SELECT NULL::VARCHAR AS type, 0::BIGINT AS reading, NULL::VARCHAR AS spec, "
            "NULL::VARCHAR AS module, NULL::VARCHAR AS list, NULL::VARCHAR AS holder, 0 AS part, "
            "0::BIGINT AS count, NULL::JSON AS held, 0.0 AS t WHERE false)"
        )
    return (
        f"read_json({literal(pattern(path))}, format = 'newline_delimited', columns = {_COLUMNS})"
    )
