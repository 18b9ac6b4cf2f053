"""
The lock and the journal of a job, in the folder `.jobs` beside its runs.

The lock keeps two starts of a job apart, whatever runs they would make. The journal is for
people and for `bulkops jobs`: nothing is decided by it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from bulkops.errors import CheckpointError, LockedError
from bulkops.files.config import Config
from bulkops.files.jobfile import Job
from bulkops.files.talk import Talk

#: Whoever asks whether a job runs holds its lock for a moment.
_TRIES: Final = 4
_BETWEEN_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class JobHome:
    """
    Where a job is locked and its starts are written down.
    """

    folder: Path
    name: str

    @classmethod
    def of(cls, job: Job, config: Config) -> JobHome:
        """Return the home of `job`, which `config` has been laid under."""
        return cls(config.run.directory / ".jobs", job.name)

    @property
    def lock(self) -> Path:
        """The file that is locked while the job runs."""
        return self.folder / f"{self.name}.lock"

    @property
    def journal(self) -> Path:
        """The starts and ends, a line of JSON each."""
        return self.folder / f"{self.name}.jsonl"

    @contextmanager
    def locked(self, *, wait: bool = False) -> Iterator[None]:
        """
        Hold the job's lock, or wait until it is free.

        Raises `LockedError` that names the holder. The system drops the lock of a process that
        died.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CheckpointError(f"{self.lock}: cannot be written ({error})") from error
        try:
            self._take(file, wait=wait)
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            yield
        finally:
            os.close(file)

    def _take(self, file: int, *, wait: bool) -> None:
        if wait:
            return fcntl.flock(file, fcntl.LOCK_EX)
        for _ in range(_TRIES):
            with suppress(BlockingIOError):
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(_BETWEEN_S)
        holder = os.pread(file, 200, 0).decode(errors="replace").strip()
        raise LockedError(
            f"job {self.name} runs already ({holder or 'unknown'}); --if-locked wait waits for its "
            "end, --if-locked skip leaves this start out"
        )

    def is_locked(self) -> bool:
        """Tell whether the job runs now."""
        try:
            file = os.open(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def note(self, event: str, **facts: Any) -> None:
        """
        Add a line to the journal. Safe beside another process that does the same.

        A journal that cannot be written is a warning: it must not change how a run ends.
        """
        t = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
        line = orjson.dumps({"t": t, "event": event, "process": os.getpid(), **facts}) + b"\n"
        try:
            file = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            Talk("bulkops.jobs").warning(
                "journal.failed", file=str(self.journal), reason=str(error)
            )

    def history(self) -> list[dict[str, Any]]:
        """Return the journal, the oldest first; a line that a crash tore is left out."""
        try:
            lines = self.journal.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(record, dict) and "event" in record:
                found.append(record)
        return found
