"""
What is wished against what is there: the rows that lead from the one to the other.

A row of the difference is made only where both sides are known: nothing about a record that is
unread, nothing taken away from a record about which a row of DESIRED could not be read, and
nothing outside the scope.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.engine.reconcile.asking import opposite
from bulkops.engine.reconcile.desired import in_scope
from bulkops.engine.reconcile.reading import Unread
from bulkops.engine.reconcile.tables import number, touching
from bulkops.engine.reconcile.values import agree, wishes
from bulkops.files.database import fetched
from bulkops.model import Json
from bulkops.rules.operations import SPECS

#: The columns that say, beside a row of the difference, why it is there.
REASON = "reconcile"
DESIRED_LINE = "desired_line"


class Change(StrEnum):
    """
    Why a row is in the difference.
    """

    #: It is wished, and is not there.
    MISSING = "missing"
    #: It is there, and is not wished.
    SURPLUS = "surplus"
    #: It is there with other values than wished.
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Numbers:
    """
    The size of both sides within the scope, and of the difference.

    `kept` is what is too many and not taken away: without `prune`, by the organisation's own
    rules, or because a row of DESIRED about its record could not be read.
    """

    desired: int
    actual: int
    missing: int = 0
    surplus: int = 0
    differs: int = 0
    kept: int = 0
    unread: int = 0
    refused: int = 0

    @property
    def changes(self) -> int:
        """Rows of the difference."""
        return self.missing + self.surplus + self.differs


def note_unread(connection: duckdb.DuckDBPyConnection, unread: Sequence[Unread]) -> None:
    """Make `unread(module, list, holder, why)`."""
    connection.execute(
        "CREATE TABLE unread (module VARCHAR, list VARCHAR, holder VARCHAR, why VARCHAR)"
    )
    if unread:
        columns = [
            [each.module for each in unread],
            [each.related_list for each in unread],
            [each.holder for each in unread],
            [each.why for each in unread],
        ]
        connection.execute(
            "INSERT INTO unread SELECT DISTINCT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), "
            "unnest($3::VARCHAR[]), unnest($4::VARCHAR[])",
            columns,
        )


def compare(
    connection: duckdb.DuckDBPyConnection, *, prune: bool, territories: Collection[str]
) -> Numbers:
    """
    Make `changes(kind, line, spec, module, list, holder, held, fields)` and return its numbers.

    Needs `wished`, `refused`, `actual` and `unread`. What is wished with values that the server
    does not show is added to `unread`.
    """
    scope = in_scope(territories)
    _find_differing(connection)
    known = f"NOT {touching('unread')}"
    connection.execute(f"""
        CREATE TABLE changes AS
        SELECT '{Change.MISSING}' AS kind, line, spec, module, list, holder, held, fields
        FROM wished ANTI JOIN actual USING (key) WHERE {known}
        UNION ALL
        SELECT '{Change.DIFFERS}', line, spec, module, list, holder, held, fields
        FROM wished SEMI JOIN differing USING (line, held) WHERE {known}
    """)
    connection.execute(f"""
        CREATE TABLE too_many AS FROM actual ANTI JOIN wished USING (key)
        ANTI JOIN disputed USING (key) WHERE {scope}
    """)
    kept = "false"
    if prune and not number(
        connection, "SELECT count(*) FROM refused WHERE blocks AND holder IS NULL"
    ):
        connection.execute("CREATE TEMP VIEW blocked AS FROM refused WHERE blocks")
        kept = f"ours AND {known} AND NOT {touching('blocked')}"
    connection.execute(f"""
        INSERT INTO changes
        SELECT '{Change.SURPLUS}', NULL, spec, module, list, holder, held, NULL
        FROM too_many WHERE {kept}
    """)
    counts = dict(connection.execute("SELECT kind, count(*) FROM changes GROUP BY kind").fetchall())
    surplus = counts.get(Change.SURPLUS, 0)
    return Numbers(
        desired=number(connection, "SELECT count(*) FROM wished"),
        actual=number(connection, f"SELECT count(*) FROM actual WHERE {scope}"),
        missing=counts.get(Change.MISSING, 0),
        surplus=surplus,
        differs=counts.get(Change.DIFFERS, 0),
        kept=number(connection, "SELECT count(*) FROM too_many") - surplus,
        unread=number(
            connection, "SELECT count(*) FROM (SELECT DISTINCT * EXCLUDE (why) FROM unread)"
        ),
        refused=number(connection, "SELECT count(DISTINCT line) FROM refused"),
    )


def _find_differing(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `differing(line, held)`, and add to `unread` whose values are not shown."""
    lines: list[int] = []
    ids: list[str] = []
    hidden: set[tuple[str, str, str, str]] = set()
    rows = connection.cursor().execute(
        "SELECT wished.line, wished.spec, wished.module, wished.list, wished.holder, wished.held, "
        "wished.fields, actual.shown FROM wished JOIN actual USING (key) "
        "WHERE wished.fields IS NOT NULL AND wished.fields IS DISTINCT FROM actual.shown "
        "ORDER BY wished.line"
    )
    for line, spec, module, related_list, holder, held, fields, values in fetched(rows):
        listing = SPECS[spec].listing
        assert listing is not None
        agreed = agree(orjson.loads(fields), orjson.loads(values), decisive=listing.decisive)
        if isinstance(agreed, str):
            words = f"the server does not show {agreed} here, so that it cannot be compared"
            hidden.add((module, related_list, holder, words))
        elif not agreed:
            lines.append(line)
            ids.append(held)
    connection.execute(
        "CREATE TABLE differing AS SELECT unnest($1::BIGINT[]) AS line, "
        "unnest($2::VARCHAR[]) AS held",
        [lines, ids],
    )
    if hidden:
        connection.executemany("INSERT INTO unread VALUES (?, ?, ?, ?)", sorted(hidden))


def write_changes(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write `changes` as a manifest, the same for the same difference."""
    rows = connection.execute(
        "SELECT kind, line, spec, module, list, holder, held, fields FROM changes "
        "ORDER BY kind, spec, module, list, length(holder), holder, length(held), held, line"
    )
    with path.open("wb") as file:
        file.writelines(orjson.dumps(row) + b"\n" for row in map(_row, fetched(rows)))
        file.flush()
        # It gets its final name only when it is whole, also after a power cut.
        os.fsync(file.fileno())


def _row(found: tuple[Any, ...]) -> dict[str, Json]:
    kind, line, name, module, related_list, holder, held, fields = found
    spec = SPECS[name]
    assert spec.listing is not None
    row: dict[str, Json] = {
        "op": (opposite(spec) if kind == Change.SURPLUS else spec).op,
        "module": module,
        "record_id": holder,
        **({"related_list": related_list} if related_list else {}),
        spec.listing.column: held,
        **wishes(orjson.loads(fields or "{}")),
        REASON: kind,
    }
    return row if line is None else {**row, DESIRED_LINE: line}


def to_unread(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, ...]]:
    """Yield what is not known: module, record, list, how many rows of DESIRED, and why."""
    yield from fetched(
        connection.execute("""
            SELECT module, holder, list, (
                SELECT count(*) FROM wished WHERE wished.module = unread.module
                    AND wished.list = unread.list AND wished.holder = unread.holder
            ), why
            FROM unread ORDER BY module, list, length(holder), holder, why
        """)
    )


def to_refused(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, ...]]:
    """Yield the rows of DESIRED that wish nothing: line, code, and why."""
    yield from fetched(
        connection.execute("SELECT DISTINCT line, code, words FROM refused ORDER BY line, code")
    )
