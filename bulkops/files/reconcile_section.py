"""
`[reconcile]`: what a reconciliation may do without being asked again.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bulkops.files.sections import Number, Section, Whole


def _share(value: Any) -> str:
    text = str(value).strip()
    if text and not re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?%", text, re.ASCII):
        raise ValueError('expected a share such as "2%", or "" for no limit')
    return text


Share = Annotated[str, BeforeValidator(_share)]


class Reconcile(Section):
    """
    `[reconcile]`: whether what is too many is taken away, and when the numbers are not believed.

    Each limit may be turned off: a share by "", a number by -1.
    """

    prune: bool = False
    max_change: Share = "2%"
    max_unlink: Whole = Field(default=500, ge=-1)
    max_deviation: Share = "20%"
    max_age_h: Number = Field(default=24.0, gt=0, le=24 * 30)


def share_of(share: str) -> Fraction | None:
    """Return a share such as "2%" as a number; `None` for no limit."""
    return Fraction(share[:-1]) / 100 if share else None
