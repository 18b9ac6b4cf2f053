"""
What a planned run asks of an organisation.
"""

from __future__ import annotations

from bulkops.engine.check.findings import Wants
from bulkops.files.database import connect, room_of
from bulkops.files.planner.rows import sent_sql
from bulkops.files.rundir import RunDirectory
from bulkops.rules.operations import SPECS


def wants_of(run: RunDirectory) -> Wants:
    """Return the modules, lists and territories that the rows to be sent speak of."""
    with connect(room_of(run)) as connection:
        found = connection.execute(
            f"FROM {sent_sql(connection, run.rows)}"
            " SELECT DISTINCT op, module, related_list ORDER BY ALL"
        ).fetchall()
    territorial = {spec.op for spec in SPECS.values() if "territory_id" in spec.column_names}
    return Wants(
        modules=tuple(dict.fromkeys(module for _, module, _ in found if module)),
        lists=tuple(dict.fromkeys((module, name) for _, module, name in found if module and name)),
        territories=any(op in territorial for op, _, _ in found),
    )
