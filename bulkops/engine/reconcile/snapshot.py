"""
A file that somebody exported, in place of reading the organisation.

It is believed whole or not at all: a row that cannot be read could be anything, and what is not
in the file is taken not to be there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb

from bulkops.engine.reconcile.asking import Asking
from bulkops.engine.reconcile.desired import good_rows, judge_rows, load_rows
from bulkops.engine.reconcile.reading_log import make_actual
from bulkops.errors import ManifestError
from bulkops.files.manifest import gather


def load_snapshot(
    connection: duckdb.DuckDBPyConnection, path: Path, asking: Asking, *, product: str
) -> None:
    """
    Make `actual` of a snapshot file, as far as the scope goes.

    Needs `holders`. The columns are read as those of DESIRED are, as far as it has them. Raises
    `ManifestError` for a row that cannot be read.
    """
    manifest = gather([path])
    columns = {
        ours: theirs
        for ours, theirs in asking.columns.items()
        if all(theirs in source.header or not source.header for source in manifest.sources)
    }
    load_rows(connection, manifest, replace(asking, columns=columns), table="snapshot")
    judge_rows(connection, table="snapshot", product=product)
    bad = connection.execute(
        "SELECT line, words FROM judged WHERE code IS NOT NULL ORDER BY line LIMIT 1"
    ).fetchone()
    if bad is not None:
        raise ManifestError(
            f"{path}: line {bad[0]}: {bad[1]}. A snapshot with a row that cannot be read is not "
            "believed"
        )
    rows = f"""
        SELECT spec, module, list, holder, held, coalesce(fields, '{{}}') AS shown, true AS ours
        FROM ({good_rows()}) AS said
    """
    make_actual(connection, rows)
    scope = "(spec, module, list, holder) IN (FROM holders)"
    mirrored = (
        "coalesce((their_module, their_list, held) IN "
        "(SELECT (module, list, holder) FROM holders), false)"
    )
    connection.execute(f"DELETE FROM actual WHERE NOT ({scope} OR {mirrored})")
