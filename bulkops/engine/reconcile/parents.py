"""
Further records of the scope: those that should hold nothing, and so are not in DESIRED.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from bulkops.engine.reconcile.asking import Asking, listed, telling_columns
from bulkops.errors import ManifestError
from bulkops.files.manifest import drop, gather, load
from bulkops.files.manifest.sql import literal
from bulkops.files.planner.judge import which
from bulkops.rules.spec import ID_PATTERN

_NAMES = ("module", "related_list")


def add_parents(connection: duckdb.DuckDBPyConnection, path: Path, asking: Asking) -> None:
    """
    Add the records of a file to `holders`.

    The file has an id a line, or the columns of a manifest, of which `record_id` must be there.
    What it does not say of module and related list is said by `asking.fixed`, or by DESIRED if all
    of that is about one. Raises `ManifestError` for a record that cannot be told, or whose
    territories may not be meant: a scope is not guessed.
    """
    kinds = connection.execute("SELECT DISTINCT module, list FROM holders LIMIT 2").fetchall()
    said = dict(zip(_NAMES, kinds[0], strict=True)) if len(kinds) == 1 else {}
    said |= {name: asking.fixed[name] for name in _NAMES if name in asking.fixed}
    _load(connection, path)
    of_territories = bool(asking.territories) or (len(kinds) == 1 and not kinds[0][1])
    given = {name: literal(said.get(name, "")) for name in _NAMES}
    ops = " ".join(
        f"WHEN {'list <> ' if 'related_list' in names else 'list = '}'' THEN {literal(op)}"
        for op, names in telling_columns().items()
    )
    connection.execute(f"""
        CREATE TABLE added AS
        WITH named AS (
            SELECT line, record_id AS holder, coalesce(module, {given["module"]}) AS module,
                coalesce(related_list, {given["related_list"]}) AS list
            FROM parents
        ),
        sorted AS (SELECT *, list AS related_list, CASE {ops} END AS op FROM named)
        SELECT line, {which(spec for _, spec in listed())} AS spec, module, list, holder
        FROM sorted
    """)
    _check(connection, path, of_territories=of_territories)
    connection.execute(
        "INSERT INTO holders SELECT DISTINCT spec, module, list, holder FROM added "
        "EXCEPT SELECT spec, module, list, holder FROM holders"
    )


def _load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the table `parents(line, record_id, module, related_list)`."""
    try:
        with path.open("rb") as file:
            plain = file.readline(100).strip().isdigit()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    if plain:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        connection.execute(
            "CREATE TABLE parents AS SELECT unnest(range(1, len($1::VARCHAR[]) + 1)) AS line, "
            "unnest($1::VARCHAR[]) AS record_id, NULL AS module, NULL AS related_list",
            [[line.strip() for line in lines if line.strip()]],
        )
        return
    load(connection, gather([path]), table="said", known=("record_id", *_NAMES))
    connection.execute(
        "CREATE TABLE parents AS SELECT line, record_id, module, related_list FROM said"
    )
    drop(connection, "said")


def _check(connection: duckdb.DuckDBPyConnection, path: Path, *, of_territories: bool) -> None:
    bad = connection.execute(
        "SELECT line, holder, module FROM added WHERE module = '' OR holder IS NULL "
        f"OR NOT regexp_full_match(holder, {literal(ID_PATTERN)}) OR (list = '' AND NOT $1) "
        "ORDER BY line LIMIT 1",
        [of_territories],
    ).fetchone()
    if bad is None:
        return
    line, holder, module = bad
    if holder is None or not (holder.isascii() and holder.isdigit()):
        raise ManifestError(f"{path}: line {line}: found {holder!r}, expected the id of a record")
    raise ManifestError(
        f"{path}: line {line}: {module or 'the module'} {holder}: it is not said which module and "
        "related list are meant; expected both, as columns or with --set, since DESIRED does not "
        "speak of one alone"
    )
