"""
One run as its live page shows it: the status that `bulkops status` prints, and when it began.

A running run is asked each time. One without a process is read whole, which takes a while for a
long log, and not again until its log changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import duckdb

from bulkops.engine import standing
from bulkops.engine.serve.entry import Entry, moment, of_process, read_entry
from bulkops.errors import BulkopsError
from bulkops.files.rundir import RunDirectory

#: The readings of a log that grows may take no more than this part of the time.
_SHARE: Final = 0.2
#: What only the whole log tells for certain.
_COUNTED: Final = ("state", "stopped_because", "exit", "rows", "settled", "statuses", "calls")


@dataclass(frozen=True, slots=True)
class Look:
    """
    Where a run stands. `facts` are empty where `entry.problem` says why there are none.
    """

    entry: Entry
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether every line has its outcome, so that nothing more will come by itself."""
        return self.facts.get("state") == "finished"

    def to_json(self) -> dict[str, Any]:
        """
        Return the object of `bulkops status --json`, with the run's name, job and times.
        """
        entry = self.entry
        return {
            "v": standing.SCHEMA_VERSION,
            "state": entry.state,
            **self.facts,
            "name": entry.name,
            "job": entry.job,
            "started_at": moment(entry.started),
            "active_at": moment(entry.active),
            "ended_at": moment(entry.ended),
            "has_report": entry.has_report,
            "problem": entry.problem,
        }


class Looks:
    """
    Looks at one run time and again. `asking` asks processes, `reading` reads logs.
    """

    def __init__(self, run: RunDirectory, *, asking: Executor, reading: Executor) -> None:
        self._run = run
        self._asking = asking
        self._reading = reading
        self._size: tuple[int, int] | None = None
        self._told: _Told | None = None
        self._next = 0.0

    async def look(self) -> Look:
        """Return where the run stands now; what cannot be read is said, and never raised."""
        loop = asyncio.get_running_loop()
        live = await loop.run_in_executor(self._asking, _by_process, self._run)
        if live is not None:
            return live
        size = self._log()
        if self._told is None or (self._size != size and time.monotonic() >= self._next):
            begun = time.monotonic()
            self._told = await loop.run_in_executor(self._reading, _by_log, self._run)
            self._size = size
            ended = time.monotonic()
            self._next = ended + (ended - begun) / _SHARE
        return await loop.run_in_executor(self._asking, _by_files, self._run, self._told)

    def _log(self) -> tuple[int, int] | None:
        try:
            found = self._run.checkpoint.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


@dataclass(frozen=True, slots=True)
class _Told:
    """
    What a log says, or why it cannot be read.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def _by_process(run: RunDirectory) -> Look | None:
    told = standing.by_process(run)
    return None if told is None else Look(of_process(read_entry(run), told), told)


def _by_log(run: RunDirectory) -> _Told:
    try:
        return _Told(standing.by_log(run))
    except (BulkopsError, OSError, duckdb.Error, LookupError, TypeError, ValueError) as error:
        return _Told(problem=str(error) or repr(error))


def _by_files(run: RunDirectory, told: _Told) -> Look:
    """Return what the files say, whose counts are those of the log."""
    if told.problem:
        return Look(Entry(name=run.name, state="unreadable", problem=told.problem))
    known = {name: told.facts[name] for name in _COUNTED}
    return Look(replace(read_entry(run), **known, counted=True), told.facts)
