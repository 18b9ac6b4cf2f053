"""
How a run last began or ended, by the tail of its log.

For those who ask about many runs and must not read every log whole; what became of the lines is
none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from bulkops.files.rundir import RunDirectory

_TAIL_BYTES = 1 << 16
_EVENTS = frozenset({"run.started", "run.finished", "run.stopped", "run.reopened"})


def last_note(run: RunDirectory) -> Mapping[str, Any]:
    """Return the last note in the log of `run` on its begin or end; empty if none is near."""
    try:
        with run.checkpoint.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return {}
    for line in reversed(lines):
        if b'"note"' not in line:
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict) and record.get("event") in _EVENTS:
            return record
    return {}
