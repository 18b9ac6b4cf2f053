"""
All runs of a folder as a list, the last active first: cheap enough to be made again and again.

What a run's files say is kept until one of them changes. Processes are asked at the same time, and
one that does not answer at once is shown as such instead of waited for.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bulkops.engine.ctl import SOCKET
from bulkops.engine.serve.entry import Entry, of_process, read_entry
from bulkops.engine.serve.folder import RunsFolder
from bulkops.engine.standing import by_process
from bulkops.engine.steering import PAUSE_FILE
from bulkops.files.rundir import RunDirectory

#: Version of the shape of the list.
SCHEMA_VERSION: Final = 1
#: Files that say something of a run which a list shows.
_FILES: Final = ("run.json", "checkpoint.jsonl", "summary.json", "report.html")
#: Seconds that all processes together have to answer.
_PATIENCE_S: Final = 1.0

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """
    The runs of a folder, the last active first.

    `all_held` says that a pause file holds them all, `problem` why the folder cannot be read.
    """

    runs: Sequence[Entry] = ()
    all_held: bool = False
    problem: str = ""

    @property
    def states(self) -> Mapping[str, int]:
        """How many runs there are in each state."""
        return Counter(each.state for each in self.runs)

    def to_json(self, *, limit: int, after: int) -> dict[str, Any]:
        """Return a part of it as JSON values; `next` is where the rest begins."""
        end = after + limit
        return {
            "v": SCHEMA_VERSION,
            "runs": [each.to_json() for each in self.runs[after:end]],
            "total": len(self.runs),
            "states": dict(self.states),
            "all_held": self.all_held,
            "problem": self.problem,
            "next": end if end < len(self.runs) else None,
        }


class Lister:
    """
    Makes the list of one folder; `asking` carries out what waits for processes.
    """

    def __init__(self, folder: RunsFolder, asking: Executor) -> None:
        self._folder = folder
        self._asking = asking
        self._known: dict[str, tuple[Stamp, Entry]] = {}

    def read(self) -> Listing:
        """Return the list as it is now."""
        try:
            runs = list(self._folder.runs())
        except OSError as error:
            return Listing(problem=f"the folder of runs cannot be read: {error}")
        entries = {run.name: self._entry(run) for run in runs}
        # Runs that are gone are forgotten.
        self._known = {name: self._known[name] for name in entries}
        entries.update(self._live(runs, entries))
        ordered = sorted(entries.values(), key=_order)
        return Listing(ordered, all_held=(self._folder.path / PAUSE_FILE).exists())

    def _entry(self, run: RunDirectory) -> Entry:
        stamp = tuple(_stamp(run.path / name) for name in _FILES)
        known = self._known.get(run.name)
        if known is None or known[0] != stamp:
            known = self._known[run.name] = stamp, read_entry(run)
        return known[1]

    def _live(self, runs: Iterable[RunDirectory], entries: Mapping[str, Entry]) -> dict[str, Entry]:
        """Return the entries of the runs that a process is on."""
        asked = {
            self._asking.submit(by_process, run): entries[run.name]
            for run in runs
            if os.path.lexists(run.path / SOCKET)
        }
        done, late = wait(asked, timeout=_PATIENCE_S)
        found = {}
        for each in done:
            if (told := each.result()) is not None:
                found[asked[each].name] = of_process(asked[each], told)
        for each in late:
            each.cancel()
            found[asked[each].name] = replace(
                asked[each], state="running", problem="its process does not answer"
            )
        return found


def _order(entry: Entry) -> tuple[bool, float, str]:
    return not entry.is_live, -entry.active, entry.name


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
