"""
What a plan costs, before anything is sent: rows, calls, credits, and the time they take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

#: Seconds an API call takes, on average, where nothing was measured. An assumption.
ASSUMED_LATENCY_S = 0.35
#: Every call that bulkops writes with costs one credit, however many items it carries.
#: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
CREDITS_PER_CALL = 1


@dataclass(frozen=True, slots=True)
class Share:
    """
    One operation on one module: a row of the plan's table.
    """

    op: str
    module: str
    rows: int
    sent: int
    calls: int
    duplicates: int
    conflicts: int
    invalid: int

    @property
    def credits(self) -> int:
        """API credits the calls cost."""
        return self.calls * CREDITS_PER_CALL


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The plan in numbers. `learns` names operations whose calls may turn out smaller.
    """

    shares: tuple[Share, ...]
    learns: tuple[str, ...] = ()

    @property
    def total(self) -> Share:
        """All shares added up."""
        return Share(
            "total",
            "",
            *(
                sum(getattr(share, name) for share in self.shares)
                for name in ("rows", "sent", "calls", "duplicates", "conflicts", "invalid")
            ),
        )

    def seconds(self, concurrency: int, latency_s: float = ASSUMED_LATENCY_S) -> float:
        """Return how long the calls take with `concurrency` of them always in flight."""
        return self.total.calls * latency_s / concurrency

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form."""
        return {
            "operations": [_share_json(share) for share in self.shares],
            "total": _share_json(self.total),
            "learns_capacity": list(self.learns),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Summary:
        """Read what `to_json` wrote."""
        shares = [
            Share(**{key: each for key, each in row.items() if key != "credits"})
            for row in value["operations"]
        ]
        return cls(tuple(shares), tuple(value["learns_capacity"]))


def _share_json(share: Share) -> dict[str, Any]:
    return {
        "op": share.op,
        "module": share.module,
        "rows": share.rows,
        "sent": share.sent,
        "calls": share.calls,
        "credits": share.credits,
        "duplicates": share.duplicates,
        "conflicts": share.conflicts,
        "invalid": share.invalid,
    }


def summarise(connection: duckdb.DuckDBPyConnection, *, learns: Sequence[str]) -> Summary:
    """Count the plan by operation and module, from the planner's tables."""
    rows = connection.execute("""
        WITH counted AS (
            SELECT coalesce(op, '') AS op, coalesce(module, '') AS module, count(*) AS rows,
                count(*) FILTER (status IS NULL) AS sent,
                count(*) FILTER (status = 'duplicate') AS duplicates,
                count(*) FILTER (status = 'conflict') AS conflicts,
                count(*) FILTER (status = 'invalid') AS invalid
            FROM (
                SELECT CASE WHEN spec IS NULL THEN '' ELSE op END AS op,
                    CASE WHEN spec IS NULL OR code IN ('not_a_name', 'unsupported_module')
                        THEN '' ELSE module END AS module,
                    status
                FROM judged_rows
            ) GROUP BY ALL
        ),
        called AS (
            SELECT ops.op, batches.module, count(*) AS calls
            FROM batches JOIN (SELECT DISTINCT spec, op FROM judged WHERE spec IS NOT NULL) AS ops
                USING (spec)
            GROUP BY ALL
        )
        SELECT counted.op, counted.module, rows, sent, coalesce(calls, 0), duplicates, conflicts,
            invalid
        FROM counted LEFT JOIN called
            ON counted.op = called.op AND counted.module = called.module
        ORDER BY counted.op = '', rows DESC, counted.op, counted.module
    """).fetchall()
    used = {row[0] for row in rows if row[3]}
    return Summary(tuple(Share(*row) for row in rows), tuple(op for op in learns if op in used))
