"""
What one night knows of the other: which run of the reconciliation is unfinished, and its numbers.

The home of a reconciliation is a folder beside its runs. Its history is append-only: `begun`, and
then `ended` with the exit code, or `left` for a run that another one has taken the place of.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from bulkops.engine.reconcile.asking import Asking
from bulkops.errors import ExitCode, UsageError
from bulkops.files.config import Config
from bulkops.files.rundir import RunDirectory

#: So many runs say how many rows DESIRED usually has.
_REMEMBERED = 5
#: How a run ends that carried out what it planned.
_DONE = frozenset({int(ExitCode.OK), int(ExitCode.INCOMPLETE)})


@dataclass(frozen=True, slots=True)
class Home:
    """
    The folder of a reconciliation, which the same command finds again.
    """

    path: Path
    runs: Path

    @classmethod
    def of(cls, asking: Asking, config: Config) -> Home:
        """Return the home of what is asked."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", asking.desired[0].name.split(".")[0]).lstrip("-")
        name = f"{stem[:40] or 'desired'}-{asking.key(config)[:8]}"
        return cls(config.run.directory / ".reconcile" / name, config.run.directory)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold it for one process. Raises `LockedError` at once if another has it."""
        home = RunDirectory(self.path)
        home.create()
        with home.locked():
            yield

    def history(self) -> list[dict[str, Any]]:
        """Return what is written down, without a torn last line."""
        try:
            lines = (self.path / "history.jsonl").read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [orjson.loads(line) for line in lines]

    def write(self, **record: Any) -> None:
        """Add a record to the history, safe from a power cut."""
        path = self.path / "history.jsonl"
        with path.open("a+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                # A crash may have torn the last line.
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
            file.write(orjson.dumps({**record, "t": round(time.time(), 3)}) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def unfinished(self) -> Mapping[str, Any] | None:
        """Return how the run was begun that has not come to its end, if there is one."""
        last: dict[str, Any] | None = None
        for record in self.history():
            if record["type"] == "begun":
                last = record
            elif last is not None and record["run"] == last["run"]:
                last = None
        return last

    def rows_before(self) -> Sequence[int]:
        """Return how many rows DESIRED had in the last runs that came to their end."""
        ended = [
            int(record["rows"])
            for record in self.history()
            if record["type"] == "ended" and record["exit"] in _DONE
        ]
        return ended[-_REMEMBERED:]

    def begin(self, inputs: str, *, run_dir: Path | None) -> RunDirectory:
        """Return a new run directory, and write down that its run has begun."""
        run = RunDirectory(run_dir or self._free())
        if run_dir is not None and any(run_dir.glob("*.json*")):
            raise UsageError(f"{run_dir}: holds another run already; expected a new directory")
        run.create()
        self.write(type="begun", run=str(run.path.absolute()), inputs=inputs)
        return run

    def _free(self) -> Path:
        """Return a directory named by the moment, which no run has yet."""
        moment = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        name = f"{self.path.name}-{moment}"
        count = 1
        while (found := self.runs / (name if count == 1 else f"{name}-{count}")).exists():
            count += 1
        return found
