"""
Verifying a run: what it claims, read back from the organisation.
"""

from __future__ import annotations

from bulkops.engine.verify.carrying import verified
from bulkops.engine.verify.claims import Claims, asked, parse_lines
from bulkops.engine.verify.findings import CLAIMS, Disagreement, Verification, Which

__all__ = [
    "CLAIMS",
    "Claims",
    "Disagreement",
    "Verification",
    "Which",
    "asked",
    "parse_lines",
    "verified",
]
