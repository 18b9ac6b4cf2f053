"""
DESIRED as a table: what should be, which records that speaks for, and which rows say nothing.

A row is read as if it wished to be there, and judged as a manifest's rows are. A row that cannot
be read still meant something: nothing is taken away from its record, or from any if it does not
tell its record.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from bulkops.engine.reconcile.asking import Asking, listed, telling_columns
from bulkops.engine.reconcile.tables import keyed
from bulkops.errors import ManifestError
from bulkops.files.manifest import Manifest, drop, load
from bulkops.files.manifest.sql import literal
from bulkops.files.planner.judge import judge
from bulkops.files.planner.wishes import sent_alike
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import ID_PATTERN, NAME_PATTERN


def load_desired(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, asking: Asking, *, product: str
) -> int:
    """
    Make `wished`, `refused` and `holders` of DESIRED; return how many rows it has.

    `wished` has `line, spec, module, list, holder, held, fields` and what `keyed` adds, each wish
    once; `refused` has `line, module, list, holder, code, words, blocks`, of which the three in
    the middle are NULL where they cannot be told; `holders(spec, module, list, holder)` is the
    scope so far. Raises `ManifestError` if the file cannot be read or is a manifest with an `op`.
    """
    rows = load_rows(connection, manifest, asking, table="desired")
    judge_rows(connection, table="desired", product=product)
    _refuse(connection)
    _wish(connection)
    if asking.territories:
        _leave_out(connection, asking.territories)
    connection.execute(
        "CREATE TABLE holders AS SELECT DISTINCT spec, module, list, holder FROM every_wish "
        f"ANTI JOIN disputed USING (key) WHERE {in_scope(asking.territories)}"
    )
    connection.execute("DROP TABLE every_wish")
    return rows


def load_rows(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, asking: Asking, *, table: str
) -> int:
    """Make the view `table` of the records of DESIRED, or of a snapshot of the actual side."""
    loaded = load(
        connection,
        manifest,
        table=table,
        known=asking.known,
        fields=asking.relation_fields,
        columns=asking.columns,
        fixed=asking.fixed,
    )
    rows = loaded.rows + loaded.refused
    first = connection.execute(
        f"SELECT min(line) FROM {table} WHERE op IS NOT NULL HAVING count(*) > 0"
    ).fetchone()
    if first is not None:
        raise ManifestError(
            f"{manifest.path}: line {first[0]} has an op; expected a list of what should be there, "
            "without that column (bulkops run carries out a manifest of operations)"
        )
    told = {name for names in telling_columns().values() for name in names}
    present = {*loaded.own_columns, *asking.columns, *asking.fixed}
    if rows and not told & present:
        raise ManifestError(
            f"{manifest.path}: found columns {', '.join(loaded.own_columns)}; expected also "
            f"{' or '.join(sorted(told))} (give them with --map or --set)"
        )
    return rows


def judge_rows(connection: duckdb.DuckDBPyConnection, *, table: str, product: str) -> None:
    """
    Make `judged` of the loaded `table`, as the planner does, each row wishing to be there.
    """
    ops = " ".join(
        f"WHEN coalesce({', '.join(names)}) IS NOT NULL THEN {literal(op)}"
        for op, names in telling_columns().items()
    )
    connection.execute("DROP TABLE IF EXISTS judged")
    judge(
        connection,
        rows=f"SELECT * REPLACE (CASE {ops} END AS op) FROM {table}",
        product=product,
        relations={},
    )
    drop(connection, table)
    wanted = [
        ", ".join(column.name for column in spec.columns if column.required)
        for _, spec in listed()
        if spec.related_list is None
    ]
    words = f"the row says neither of what it is nor where; expected {', or '.join(wanted)}"
    connection.execute(
        f"UPDATE judged SET code = 'missing_value', words = {literal(words)} "
        "WHERE code = 'missing_op'"
    )


def _refuse(connection: duckdb.DuckDBPyConnection) -> None:
    with_list = [
        literal(name) for name, spec in SPECS.items() if "related_list" in spec.column_names
    ]
    told = (
        f"coalesce(regexp_full_match(module, {literal(NAME_PATTERN)}) AND "
        f"regexp_full_match(record_id, {literal(ID_PATTERN)}) AND "
        f"(spec NOT IN ({', '.join(with_list)}) OR "
        f"regexp_full_match(related_list, {literal(NAME_PATTERN)})), false)"
    )
    connection.execute(f"""
        CREATE TABLE refused AS
        SELECT line, CASE WHEN {told} THEN module END AS module,
            CASE WHEN {told} THEN coalesce(related_list, '') END AS list,
            CASE WHEN {told} THEN record_id END AS holder, code, words, true AS blocks
        FROM judged WHERE code IS NOT NULL
    """)


def _wish(connection: duckdb.DuckDBPyConnection) -> None:
    """
    Make `every_wish`, and of it `wished`.

    Rows that contradict each other wish nothing (`disputed`), and repeated ones wish once. A wish
    repeated from its other side is one wish, and speaks for the records of both.
    """
    connection.execute(f"CREATE TABLE every_wish AS {keyed(good_rows())}")
    connection.execute(f"""
        CREATE TABLE disputed AS
        SELECT key, min(line) AS of_line FROM every_wish
        GROUP BY key HAVING count(DISTINCT coalesce({sent_alike("fields")}, '')) > 1
    """)
    connection.execute("""
        INSERT INTO refused
        SELECT line, module, list, holder, 'contradiction',
            'DESIRED says two things of this relation (the first in line ' || of_line || ')', true
        FROM every_wish JOIN disputed USING (key)
    """)
    connection.execute("""
        CREATE TABLE wished AS
        SELECT * FROM every_wish ANTI JOIN disputed USING (key)
        QUALIFY row_number() OVER (PARTITION BY key ORDER BY line) = 1
    """)


def good_rows() -> str:
    """Return SQL for the rows of `judged` that are good: one for each thing held."""
    return """
        SELECT line, spec, module, coalesce(related_list, '') AS list, record_id AS holder,
            unnest(coalesce(members, [item])) AS held, fields
        FROM judged WHERE code IS NULL
    """


def _leave_out(connection: duckdb.DuckDBPyConnection, territories: Collection[str]) -> None:
    """Refuse the rows about territories that the scope does not speak of."""
    outside = f"wished.spec IN ({_of_territories()}) AND held NOT IN (SELECT unnest($1::VARCHAR[]))"
    said = [sorted(territories)]
    connection.execute(
        "INSERT INTO refused SELECT line, module, list, holder, 'outside_scope', 'territory ' || "
        "held || ' is outside the scope (' || array_to_string($1::VARCHAR[], ', ') || ')', false "
        f"FROM wished WHERE {outside}",
        said,
    )
    connection.execute(f"DELETE FROM wished WHERE {outside}", said)


def _of_territories() -> str:
    names = [name for name, spec in listed() if spec.member is not None]
    return ", ".join(map(literal, names))


def in_scope(territories: Collection[str]) -> str:
    """Return SQL for a condition: a row of something held is what the scope speaks of."""
    if not territories:
        return "true"
    ids = ", ".join(literal(each) for each in sorted(territories))
    return f"(spec NOT IN ({_of_territories()}) OR held IN ({ids}))"
