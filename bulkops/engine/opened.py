"""
What reading needs: the wire of a configuration, within its limits and its window, without a plan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bulkops.engine.execute import settings_of
from bulkops.engine.reader import Reader
from bulkops.engine.rig import Manner, rigged
from bulkops.engine.signals import draining
from bulkops.engine.telemetry import Errand, telling
from bulkops.files.checkpoint import Checkpoint
from bulkops.files.config import Config
from bulkops.model import Api
from bulkops.rules.tally import Tally
from bulkops.wire.stop import EndingError, Stop


@dataclass(frozen=True, slots=True)
class Opened:
    """
    A reader, the log that goes with it, and the counts of both.
    """

    reader: Reader
    api: Api
    log: Checkpoint
    tally: Tally


@asynccontextmanager
async def opened_reader(
    config: Config, log: Path, manner: Manner, errand: Errand, *, rows: int = 0
) -> AsyncIterator[Opened]:
    """
    Open what it takes to read about `rows`; what happens is appended to `log`.

    What steers a run in its directory (`pause`, `ctl`) steers reading in the folder of `log`, and
    the window and the pause file of all runs hold it too. SIGINT and SIGTERM end reading, if the
    manner has it so, as the end of the window and of the credits do: whoever reads then gets the
    reason, with its exit code.
    """
    settings, stop, tally = settings_of(config), Stop(), Tally(rows=rows)
    whole = False
    async with AsyncExitStack() as stack:
        stack.enter_context(draining(stop, signals=manner.signals))
        telemetry = await stack.enter_async_context(telling(config, errand))
        checkpoint = await stack.enter_async_context(
            Checkpoint(log, fsync=config.run.durability == "fsync")
        )
        rig = await stack.enter_async_context(
            rigged(
                log.parent,
                config,
                manner,
                checkpoint=checkpoint,
                policy=settings.policy,
                stop=stop,
                tally=tally,
            )
        )
        reader = Reader(
            rig.wire,
            checkpoint,
            waits=settings.policy.waits,
            attempts=settings.policy.attempts,
            stop=stop,
            tally=tally,
            telemetry=telemetry,
        )
        if telemetry is not None:
            telemetry.watch(rig.steering.status)
        stack.enter_context(rig.steering.kept())
        try:
            yield Opened(reader, settings.api, checkpoint, tally)
            whole = True
        except EndingError:
            assert stop.reason is not None
            raise stop.reason from None
    if not whole:
        # A second signal cut whoever read, who must not go on as if there were something read.
        assert stop.reason is not None
        raise stop.reason
