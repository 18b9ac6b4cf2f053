"""
When the numbers of a reconciliation are not believed, and somebody must look first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import median
from typing import Any

from bulkops.engine.reconcile.difference import Numbers
from bulkops.errors import BulkopsError, ExitCode
from bulkops.files.reconcile_section import Reconcile, share_of


class GuardError(BulkopsError):
    """The difference is larger than is allowed without somebody looking at it."""

    exit_code = ExitCode.UNCONFIRMED
    code = "guard"

    def __init__(self, message: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.details = details


def beyond(numbers: Numbers, rules: Reconcile, *, rows: int, before: Sequence[int]) -> list[str]:
    """
    Return in words which limits are passed; nothing where no row would change.

    `rows` are those of DESIRED, `before` those of its last runs.
    """
    if not numbers.changes:
        return []
    found = []
    share = share_of(rules.max_change)
    if share is not None and numbers.changes > share * numbers.actual:
        found.append(
            f"{numbers.changes:,} changes are {_percent(numbers.changes, numbers.actual)} of the "
            f"{numbers.actual:,} that are there; max_change is {rules.max_change}"
        )
    if 0 <= rules.max_unlink < numbers.surplus:
        found.append(f"{numbers.surplus:,} would be taken away; max_unlink is {rules.max_unlink:,}")
    deviation = share_of(rules.max_deviation)
    if deviation is not None and before:
        usual = Fraction(median(before))
        if abs(rows - usual) > deviation * usual:
            found.append(
                f"DESIRED has {rows:,} rows, and had {float(usual):,.0f} in the last runs; "
                f"max_deviation is {rules.max_deviation}"
            )
    return found


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "more than all"
