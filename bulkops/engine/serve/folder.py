"""
The folder of runs as a place that names lead into, and never out of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bulkops.engine.ctl import SOCKET
from bulkops.files.rundir import RunDirectory

#: What makes a folder a run: its description, or a process that reads before it plans.
_SIGNS = ("run.json", SOCKET)


@dataclass(frozen=True, slots=True)
class RunsFolder:
    """
    The folder of runs at `path`. Nothing is ever written into it.
    """

    path: Path

    def runs(self) -> Iterator[RunDirectory]:
        """
        Yield the runs, in no certain order; none if the folder is not there.

        Left out are hidden folders, links, and names that are not text: none of them can be
        asked for.
        """
        try:
            found = os.scandir(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        with found:
            for each in found:
                if _is_name(each.name) and each.is_dir(follow_symlinks=False) and _is_run(each):
                    yield RunDirectory(self.path / each.name)

    def find(self, name: str) -> RunDirectory | None:
        """Return the run of that name; `None` for anything else, a path among them."""
        if not _is_name(name):
            return None
        path = self.path / name
        try:
            # A name that is too long for the system is none of a run.
            known = path.is_dir() and not path.is_symlink() and _is_run(path)
        except OSError:
            return None
        return RunDirectory(path) if known else None


def _is_name(name: str) -> bool:
    """Whether a name is one of a folder right here, to be seen, and made of characters."""
    if not name or name.startswith(".") or any(each in name for each in ("/", "\\", "\0")):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_run(path: os.PathLike[str]) -> bool:
    return any(os.path.lexists(os.path.join(path, sign)) for sign in _SIGNS)  # noqa: PTH118
