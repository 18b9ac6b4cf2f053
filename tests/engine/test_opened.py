"""A reader that is opened for a while, and what ends it early."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bulkops.engine.opened import opened_reader
from bulkops.engine.rig import Manner
from bulkops.engine.telemetry import Errand
from bulkops.errors import ExitCode, SignalledError
from bulkops.files.config import Config


async def test_who_reads_and_is_cut_by_a_second_signal_gets_the_reason(tmp_path: Path) -> None:
    """Nobody goes on as if something had been read."""
    config = Config(
        api={"base_url": "http://127.0.0.1:9"},
        auth={"access_token": "1000.any"},
        limits={"ledger": str(tmp_path)},
        run={"directory": str(tmp_path / "runs")},
    )
    reading = opened_reader(
        config, tmp_path / "log", Manner(signals=True), Errand(name="verify", run="one")
    )

    async def read() -> None:
        async with reading:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.01)
            await asyncio.sleep(5)

    with pytest.raises(SignalledError) as ended:
        await read()
    assert ended.value.exit_code is ExitCode.TERMINATED
