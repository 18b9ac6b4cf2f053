"""
What a planned run asks of an organisation.
"""

from __future__ import annotations

import duckdb

from bulkops.engine.check.findings import Wants
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.rundir import RunDirectory
from bulkops.rules.operations import SPECS


def wants_of(run: RunDirectory) -> Wants:
    """Return the modules, lists and territories that the rows to be sent speak of."""
    rows = f"read_parquet({literal(pattern(run.rows))}, hive_partitioning = false)"
    with duckdb.connect() as connection:
        table = connection.sql(f"FROM {rows}")
        kinds = table.filter("status IS NULL").select("op, module, related_list").distinct()
        found = kinds.order("ALL").fetchall()
    territorial = {spec.op for spec in SPECS.values() if "territory_id" in spec.column_names}
    return Wants(
        modules=tuple(dict.fromkeys(module for _, module, _ in found if module)),
        lists=tuple(dict.fromkeys((module, name) for _, module, name in found if module and name)),
        territories=any(op in territorial for op, _, _ in found),
    )
