"""Run the emulator as a program of its own, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.clock import Clock
from bulkops.emulator.emulator import Emulator
from bulkops.emulator.faults import Fault
from bulkops.emulator.state.world import World

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GARBAGE_MOST = 20_000


async def serve(
    *,
    host: str,
    port: int,
    announce: Callable[[str], None],
    world: World | None = None,
    behaviour: Behaviour | None = None,
    faults: Iterable[Fault] = (),
    clock: Clock | None = None,
    save_path: Path | None = None,
    save_every_s: float = 30.0,
) -> None:
    """
    Serve until SIGINT or SIGTERM.

    `announce` is called once, with the address, as soon as calls are answered. With `save_path` the
    world is written there at the end, and meanwhile every `save_every_s` real seconds if any call
    came; what comes after the last of these is lost if the program is killed. Raises OSError if the
    address cannot be listened on or the file not written.
    """
    log = structlog.get_logger("bulkops.emulator")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    emulator = Emulator(
        world=world,
        behaviour=behaviour,
        faults=faults,
        clock=clock,
        host=host,
        port=port,
        save_path=save_path,
    )
    threshold = gc.get_threshold()
    try:
        # A world of millions of objects that live on: the collector need not look at them again.
        # Calls leave it next to nothing to collect, so it need not look every 700 objects either.
        gc.freeze()
        gc.set_threshold(_GARBAGE_MOST)
        async with emulator:
            log.info("emulator.started", url=emulator.url)
            announce(emulator.url)
            await _serve_until(stopped, emulator, save_every_s=save_every_s)
        log.info("emulator.stopped", calls=len(emulator.ledger))
    finally:
        gc.set_threshold(*threshold)
        # What stays frozen is not freed at exit either, and extension modules report it as leaked.
        gc.unfreeze()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _serve_until(stopped: asyncio.Event, emulator: Emulator, *, save_every_s: float) -> None:
    """Wait for the end; save now and then if there is a file to save to."""
    saved = 0
    while True:
        try:
            async with asyncio.timeout(None if emulator.save_path is None else save_every_s):
                await stopped.wait()
        except TimeoutError:
            if len(emulator.ledger) != saved:
                saved = len(emulator.ledger)
                emulator.save()
        else:
            return
