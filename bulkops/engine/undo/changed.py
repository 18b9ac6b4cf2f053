"""
Tell which lines of a run speak of something that another run has changed since.

Compared is what was sent: a relation is the same from whichever side it was called.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from bulkops.files.database import connect, room_of
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.planner.judge import mirrors
from bulkops.files.rundir import RunDirectory
from bulkops.files.told import opened
from bulkops.rules.operations import SPECS

_CHANGES = """
    WITH sent AS (
        SELECT families.family, plan.module, plan.record_id, plan.related_list,
            unnest(plan.lines) AS line, CAST(unnest(plan.items) AS VARCHAR) AS item,
            unnest(plan.members) AS members
        FROM read_parquet({plan}, hive_partitioning = false) AS plan JOIN families USING (spec)
    ),
    changes AS (
        SELECT family, sent.module, sent.record_id, sent.related_list, item,
            unnest(CASE WHEN len(members) > 0 THEN members ELSE [''] END) AS member,
            told.line, told.finished_at
        FROM sent JOIN told USING (line)
        WHERE told.status = 'succeeded'
    )
    -- A relation of two names goes by that of the one side.
    SELECT family, coalesce(mirrors.their_module, changes.module) AS module,
        CASE WHEN mirrors.module IS NULL THEN changes.record_id ELSE item END AS record_id,
        coalesce(mirrors.their_list, changes.related_list) AS related_list,
        CASE WHEN mirrors.module IS NULL THEN item ELSE changes.record_id END AS item,
        member, line, finished_at
    FROM changes LEFT JOIN mirrors
        ON family = 'relation' AND mirrors.module = changes.module
        AND mirrors.related_list = changes.related_list
"""


def changed_since(
    run: RunDirectory, others: Sequence[RunDirectory], relations: Mapping[str, str]
) -> frozenset[int]:
    """
    Return the lines of `run` whose relation, role or territory one of `others` changed later.

    `relations` are those of the configuration. Other runs that cannot be read are passed over:
    they can tell nothing.
    """
    found: set[int] = set()
    with tempfile.TemporaryDirectory(prefix="bulkops-", dir=room_of(run)) as folder:
        mine = Path(folder) / "mine.parquet"
        _write_changes(run, mine, relations)
        for other in others:
            theirs = Path(folder) / "theirs.parquet"
            try:
                _write_changes(other, theirs, relations)
            except duckdb.Error:
                continue
            with connect(Path(folder)) as connection:
                rows = connection.execute(
                    "SELECT DISTINCT mine.line FROM read_parquet(?) AS mine "
                    "JOIN read_parquet(?) AS theirs "
                    "USING (family, module, record_id, related_list, item, member) "
                    "WHERE theirs.finished_at > mine.finished_at",
                    [str(mine), str(theirs)],
                ).fetchall()
            found.update(line for (line,) in rows)
    return frozenset(found)


def _write_changes(run: RunDirectory, target: Path, relations: Mapping[str, str]) -> None:
    """Write what a run changed, one row for each relation, role or territory."""
    with opened(run) as connection:
        connection.execute("CREATE TEMP TABLE families (spec VARCHAR, family VARCHAR)")
        connection.executemany(
            "INSERT INTO families VALUES (?, ?)",
            [(spec.name, spec.family) for spec in SPECS.values()],
        )
        connection.execute(
            "CREATE TEMP TABLE mirrors (module VARCHAR, related_list VARCHAR, "
            "their_module VARCHAR, their_list VARCHAR)"
        )
        connection.executemany("INSERT INTO mirrors VALUES (?, ?, ?, ?)", _swapped(relations))
        changes = _CHANGES.format(plan=literal(pattern(run.plan)))
        connection.execute(f"COPY ({changes}) TO {literal(str(target))} (FORMAT parquet)")


def _swapped(relations: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return the sides of relations that go by the name of their other side."""
    return [(*side, *other) for side, other in mirrors(relations).items() if other < side]
