"""
The reports of runs: as they lie there, or made aside where there is none that is up to date.

A run directory is never written to, whoever may be on it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

from bulkops.engine.report import write_report
from bulkops.engine.serve.aside import aside
from bulkops.engine.standing import by_process
from bulkops.files.rundir import RunDirectory

#: What a page of a report may do; it has a stricter policy of its own, by the digests of its parts.
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
#: Files of a run that its report leads to, and that may be fetched.
DOWNLOADS: Final = ("failed.csv", "outcomes.csv")
_REPORT: Final = "report.html"
#: Reports kept of those that were made here.
_KEPT: Final = 8


class Reports:
    """
    Finds and makes reports, in a `folder` of the server's own. One at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()

    def read(self, run: RunDirectory) -> bytes | None:
        """
        Return the report of a run; `None` if it has none and goes on, or never began.

        One that is older than the log of a run without a process is made anew, aside. Raises what
        `write_report` raises.
        """
        lying = read_regular(run.path / _REPORT)
        if not run.checkpoint.exists() or by_process(run) is not None:
            return lying
        log = run.checkpoint.stat()
        if lying is not None and (run.path / _REPORT).stat().st_mtime_ns >= log.st_mtime_ns:
            return lying
        key = run.name, log.st_mtime_ns, log.st_size
        if key not in self._made:
            with aside(run, self.folder) as linked:
                self._made[key] = write_report(linked).read_bytes()
        self._made.move_to_end(key)
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return self._made[key]


def read_regular(path: Path) -> bytes | None:
    """Return a file that lies there itself; `None` for a link, or for nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
