"""
Carry out a verification over the wire, and keep what it found beside the run.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from bulkops.engine.observe import Observer
from bulkops.engine.opened import opened_reader
from bulkops.engine.rig import Manner
from bulkops.engine.telemetry import Errand
from bulkops.engine.verify.claims import Claims
from bulkops.engine.verify.findings import Verification
from bulkops.engine.verify.reading import verify
from bulkops.files.config import Config
from bulkops.files.rundir import RunDirectory, write_atomically


async def verified(
    run: RunDirectory, claims: Claims, config: Config, manner: Manner
) -> Verification:
    """
    Read back `claims` at the pacing of a run; write `verification.json` and its lines.

    Raises what keeps the organisation from being read; then nothing is written.
    """
    # A run may be going on: a verification has a log, and a hand to steer it, of its own.
    own = RunDirectory(run.path / "verification")
    own.create()
    errand = Errand(name="verify", run=run.name)
    with own.locked():
        async with opened_reader(
            config, own.checkpoint, manner, errand, rows=claims.count
        ) as opened:
            observer = Observer(opened.reader, opened.api)
            found = await verify(run, claims, observer, at_once=config.limits.ceiling)
    _keep(run, found, reads=opened.tally.reads)
    return found


def _keep(run: RunDirectory, found: Verification, *, reads: int) -> None:
    content: dict[str, Any] = {"v": 1, "at": time.time(), "reads": reads, **found.to_json()}
    lines = b"".join(orjson.dumps(each.to_json()) + b"\n" for each in found.disagreements)
    write_atomically(run.path / "verification.jsonl", lines)
    write_atomically(
        run.path / "verification.json", orjson.dumps(content, option=orjson.OPT_INDENT_2)
    )
