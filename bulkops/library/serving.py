"""
The runs of a folder as web pages, as JSON, and as metrics, for as long as somebody wants them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from bulkops.engine.serve import Address, RunsFolder, serve_runs, serving

__all__ = ["Address", "serve"]


async def serve(
    runs: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    announce: Callable[[Address], None] = lambda _address: None,
    signals: bool = False,
) -> None:
    """
    Show the runs in a folder until cancelled, or until SIGINT or SIGTERM if `signals` matter.

    Changes nothing there. `announce` is given the address once it answers; port 0 means any free
    one. Raises `UsageError` if the address cannot be listened on.
    """
    folder = RunsFolder(runs.absolute())  # noqa: ASYNC240  (asks for the working directory alone)
    if signals:
        await serve_runs(folder, host=host, port=port, announce=announce)
        return
    async with serving(folder, host=host, port=port) as address:
        announce(address)
        await asyncio.Event().wait()
