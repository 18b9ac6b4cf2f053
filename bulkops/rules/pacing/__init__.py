"""
How fast to go: levels, causes, pauses and waits. Values in, decision out; no clock, no waiting.
"""

from __future__ import annotations

from bulkops.rules.pacing.cause import Cause, Evidence, cause_of, evidence_of
from bulkops.rules.pacing.level import START, Level, begin, under
from bulkops.rules.pacing.pace import Pace, Pause, answered, at_level, refused, timed_out
from bulkops.rules.pacing.waits import Waits, backoff, within

__all__ = [
    "START",
    "Cause",
    "Evidence",
    "Level",
    "Pace",
    "Pause",
    "Waits",
    "answered",
    "at_level",
    "backoff",
    "begin",
    "cause_of",
    "evidence_of",
    "refused",
    "timed_out",
    "under",
    "within",
]
