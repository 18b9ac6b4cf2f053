"""
The ends of runs and the contents of plans for programs: what `--json` prints of them.
"""

from __future__ import annotations

from typing import Any

import bulkops
from bulkops import Cost, ExitCode, Finished, Found, Plan


def plan_json(plan: Plan, cost: Cost) -> dict[str, object]:
    """Return the plan in its machine-readable form."""
    limits = plan.config.limits
    return {
        "v": 1,
        "run": str(plan.run),
        "rows": plan.rows,
        "digest": plan.digest,
        **plan.summary.to_json(),
        "concurrency": limits.ceiling,
        "seconds": round(cost.seconds, 1),
        "cost": cost.to_json(),
        "credits_of_day": limits.credits,
        "files": [
            {"file": part.name, "first_line": part.first_line, "rows": part.rows}
            for part in plan.files
        ],
        "refusals": [
            {
                "status": each.status.value,
                "code": each.code,
                "message": each.message,
                "count": each.count,
                "lines": each.lines,
                "places": [plan.place(line) for line in each.lines],
            }
            for each in plan.refusals(most=20)
        ],
        "warnings": [
            {**hint.to_json(), "places": [plan.place(line) for line in hint.lines]}
            for hint in plan.warnings
        ],
    }


def result_json(plan: Plan, finished: Finished) -> dict[str, Any]:
    """Return how a run ended."""
    return {
        "v": 1,
        "run": str(plan.run),
        "exit": int(finished.code),
        "reason": finished.reason,
        "rows": plan.rows,
        "statuses": {status.value: n for status, n in finished.statuses.items()},
        "calls": finished.calls,
        "outcomes": [each.to_json() for each in bulkops.counts(plan)],
    }


def reconciled_json(found: Found, code: ExitCode, reason: str) -> dict[str, Any]:
    """Return what a reconciliation found, and how it ended; `reason` says why it ended early."""
    run = found.run.path
    counts = bulkops.counts(run) if found.numbers.changes else []
    return {
        "v": 1,
        "run": str(run),
        "exit": int(code),
        "reason": reason,
        **found.facts(),
        "outcomes": [each.to_json() for each in counts],
    }
