"""
What the server knows while it runs: one reader for the list, and one for each run that is watched.

They read in threads of the server. Nothing here knows of HTTP.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final, TypeVar

from bulkops.engine.serve.feed import Feed
from bulkops.engine.serve.folder import RunsFolder
from bulkops.engine.serve.listing import Lister, Listing
from bulkops.engine.serve.looks import Look, Looks
from bulkops.engine.serve.reports import Reports
from bulkops.files.rundir import RunDirectory

T = TypeVar("T")

#: Seconds between two looks at the folder, for each of those between two at a run.
_SELDOM: Final = 2
#: Runs whose readers are kept, with what they have read.
_KEPT: Final = 64


class Desk:
    """
    The runs of a folder, read for whoever asks.

    `aside` is a folder of the server's own. `asking` carries out what waits for processes,
    `reading` what reads logs. `ended` is set when the server ends, so that nobody waits for more.
    """

    def __init__(
        self,
        folder: RunsFolder,
        *,
        asking: Executor,
        reading: Executor,
        aside: Path,
        every_s: float,
        alive_s: float,
    ) -> None:
        self.folder = folder
        self.aside = aside
        self.reports = Reports(aside)
        self.alive_s = alive_s
        self.ended = asyncio.Event()
        self._asking = asking
        self._reading = reading
        self._every_s = every_s
        lister = Lister(folder, asking)
        self.runs: Feed[Listing] = Feed(
            lambda: self.in_thread(lister.read), every_s=_SELDOM * every_s
        )
        self._feeds: OrderedDict[str, Feed[Look]] = OrderedDict()

    def of_run(self, run: RunDirectory) -> Feed[Look]:
        """Return the one reader of a run."""
        feed = self._feeds.get(run.name)
        if feed is None:
            looks = Looks(run, asking=self._asking, reading=self._reading)
            feed = self._feeds[run.name] = Feed(looks.look, every_s=self._every_s)
        self._feeds.move_to_end(run.name)
        while len(self._feeds) > _KEPT:
            self._feeds.popitem(last=False)
        return feed

    async def in_thread(self, read: Callable[[], T]) -> T:
        """Do what looks at small files."""
        return await asyncio.get_running_loop().run_in_executor(None, read)

    async def in_turn(self, read: Callable[[], T]) -> T:
        """Do what reads logs: one at a time, whoever asks, because each takes memory."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, read)
