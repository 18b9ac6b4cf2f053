"""
Carry out a verification over the wire, and keep what it found beside the run.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from bulkops.engine.execute import settings_of
from bulkops.engine.observe import Observer
from bulkops.engine.reader import Reader
from bulkops.engine.rig import Manner, rigged
from bulkops.engine.signals import draining
from bulkops.engine.telemetry import Errand, telling
from bulkops.engine.verify.claims import Claims
from bulkops.engine.verify.findings import Verification
from bulkops.engine.verify.reading import verify
from bulkops.files.checkpoint import Checkpoint
from bulkops.files.config import Config
from bulkops.files.rundir import RunDirectory, write_atomically
from bulkops.rules.tally import Tally
from bulkops.wire.stop import Stop


async def verified(
    run: RunDirectory, claims: Claims, config: Config, manner: Manner
) -> Verification:
    """
    Read back `claims` at the pacing of a run; write `verification.json` and its lines.

    Raises what keeps the organisation from being read; then nothing is written.
    """
    settings, stop, tally = settings_of(config), Stop(), Tally(rows=claims.count)
    # A run may be going on: a verification has a log, and a hand to steer it, of its own.
    own = RunDirectory(run.path / "verification")
    own.create()
    with own.locked(), draining(stop, signals=manner.signals):
        async with (
            telling(config, Errand(name="verify", run=run.name)) as telemetry,
            Checkpoint(own.checkpoint, fsync=False) as log,
            rigged(
                own.path,
                config,
                manner,
                checkpoint=log,
                policy=settings.policy,
                stop=stop,
                tally=tally,
            ) as rig,
        ):
            reader = Reader(
                rig.wire,
                log,
                waits=settings.policy.waits,
                attempts=settings.policy.attempts,
                stop=stop,
                tally=tally,
                telemetry=telemetry,
            )
            if telemetry is not None:
                telemetry.watch(rig.steering.status)
            observer = Observer(reader, settings.api)
            found = await verify(run, claims, observer, at_once=settings.workers)
    _keep(run, found, reads=tally.reads)
    return found


def _keep(run: RunDirectory, found: Verification, *, reads: int) -> None:
    content: dict[str, Any] = {"v": 1, "at": time.time(), "reads": reads, **found.to_json()}
    lines = b"".join(orjson.dumps(each.to_json()) + b"\n" for each in found.disagreements)
    write_atomically(run.path / "verification.jsonl", lines)
    write_atomically(
        run.path / "verification.json", orjson.dumps(content, option=orjson.OPT_INDENT_2)
    )
