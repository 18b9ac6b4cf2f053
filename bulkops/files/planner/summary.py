"""
What a plan costs, before anything is sent: rows, calls, credits, and the time they take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
class Relation:
    """
    What the choice of sides came to, for one operation on one relation.

    `calls` are ours, `as_given` those of the manifest's own sides; fewer than `at_least` are
    impossible, and `argument` says in a word why.
    """

    op: str
    relation: str
    rows: int
    calls: int
    as_given: int
    at_least: int
    argument: str


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The plan in numbers.

    `learns` names operations whose calls may turn out smaller, `relations` what it saved to call
    from the better side.
    """

    shares: tuple[Share, ...]
    learns: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()

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

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form."""
        return {
            "operations": [_share_json(share) for share in self.shares],
            "total": _share_json(self.total),
            "learns_capacity": list(self.learns),
            "relations": [asdict(each) for each in self.relations],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Summary:
        """Read what `to_json` wrote."""
        shares = [
            Share(**{key: each for key, each in row.items() if key != "credits"})
            for row in value["operations"]
        ]
        relations = tuple(Relation(**each) for each in value.get("relations", ()))
        return cls(tuple(shares), tuple(value["learns_capacity"]), relations)


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


#: A call counts for the module that its first row names, from whichever side it is made.
_CALLED = """
    SELECT op, coalesce(module, '') AS module, count(*) AS calls
    FROM (SELECT min(line) AS line FROM placed WHERE place = 0 GROUP BY route, step, record, chunk)
        JOIN edges USING (line) JOIN traits USING (kind)
    GROUP BY ALL
"""
#: The same where every row stands on its own side, so that its call names its module.
_CALLED_AS_GIVEN = """
    SELECT op, route_module AS module, count(*) AS calls
    FROM calls JOIN (SELECT DISTINCT route, op, route_module FROM traits) USING (route)
    GROUP BY ALL
"""


def summarise(
    connection: duckdb.DuckDBPyConnection,
    *,
    learns: Sequence[str],
    relations: Sequence[Relation] = (),
) -> Summary:
    """Count the plan by operation and module, from the planner's tables."""
    called = _CALLED if any(each.calls != each.as_given for each in relations) else _CALLED_AS_GIVEN
    rows = connection.execute(f"""
        WITH counted AS (
            SELECT op, coalesce(module, '') AS module, count(*) AS rows, count(*) AS sent,
                0 AS duplicates, 0 AS conflicts, 0 AS invalid
            FROM edges JOIN traits USING (kind) GROUP BY ALL
            UNION ALL
            SELECT op, coalesce(module, ''), 0, -count(*), count(*) FILTER (status = 'duplicate'),
                count(*) FILTER (status = 'conflict'), count(*) FILTER (status = 'invalid')
            FROM edges JOIN refusals USING (line) JOIN traits USING (kind) GROUP BY ALL
            UNION ALL
            SELECT CASE WHEN spec IS NULL THEN '' ELSE op END,
                CASE WHEN spec IS NULL OR code IN ('not_a_name', 'unsupported_module') THEN ''
                    ELSE coalesce(module, '') END,
                count(*), 0, 0, 0, count(*)
            FROM judged WHERE code IS NOT NULL GROUP BY ALL
        ),
        shares AS (
            SELECT op, module, sum(COLUMNS(* EXCLUDE (op, module))) FROM counted GROUP BY ALL
        ),
        called AS ({called})
        SELECT shares.op, shares.module, rows, sent, coalesce(calls, 0), duplicates, conflicts,
            invalid
        FROM shares LEFT JOIN called
            ON shares.op = called.op AND shares.module = called.module
        ORDER BY shares.op = '', rows DESC, shares.op, shares.module
    """).fetchall()
    used = {row[0] for row in rows if row[3]}
    return Summary(
        tuple(Share(op, module, *map(int, row)) for op, module, *row in rows),
        tuple(op for op in learns if op in used),
        tuple(relations),
    )
