"""Run the emulator as a program of its own, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import structlog

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.emulator import Emulator
from bulkops.emulator.faults import load_faults
from bulkops.emulator.state.seed import load_world


async def serve(
    *,
    host: str,
    port: int,
    world_path: Path | None,
    behaviour: Behaviour,
    faults_path: Path | None,
    announce: Callable[[str], None],
) -> None:
    """
    Serve until SIGINT or SIGTERM.

    `announce` is called once, with the address, as soon as calls are answered. Raises OSError if
    the address cannot be listened on or a file not read, ValueError if a file says nonsense.
    """
    log = structlog.get_logger("bulkops.emulator")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        emulator = Emulator(
            world=None if world_path is None else load_world(world_path),
            behaviour=behaviour,
            faults=() if faults_path is None else load_faults(faults_path),
            host=host,
            port=port,
        )
        async with emulator:
            log.info("emulator.started", url=emulator.url)
            announce(emulator.url)
            await stopped.wait()
        log.info("emulator.stopped", calls=len(emulator.ledger))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
