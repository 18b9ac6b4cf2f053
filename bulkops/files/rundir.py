"""
The run directory: its name, its lock, and `run.json`.

A run is found again by its name, which holds a digest of the manifest and of all that changes
the plan; so the same command finds the same run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bulkops.errors import CheckpointError, LockedError, UsageError
from bulkops.version import __version__

#: Of `run.json` and of the Parquet files beside it.
SCHEMA_VERSION = 2
#: Names in an error for a run that is not there.
_SHOWN_RUNS = 10


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """
    Where everything of one run lies.
    """

    path: Path

    @property
    def name(self) -> str:
        """The run's name: the folder's."""
        return self.path.name

    @property
    def description(self) -> Path:
        """`run.json`: what was asked, without secrets."""
        return self.path / "run.json"

    @property
    def plan(self) -> Path:
        """`plan.parquet`: the batches."""
        return self.path / "plan.parquet"

    @property
    def rows(self) -> Path:
        """`rows.parquet`: every row of the manifest as it was read."""
        return self.path / "rows.parquet"

    @property
    def refused(self) -> Path:
        """`refused.parquet`: which of the rows are not sent, and why."""
        return self.path / "refused.parquet"

    @property
    def checkpoint(self) -> Path:
        """`checkpoint.jsonl`: the truth."""
        return self.path / "checkpoint.jsonl"

    def create(self) -> None:
        """Make the folder, for its owner alone; an existing one is used as it is."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.path}: the run directory cannot be made ({error})") from error

    def describe(self, description: Mapping[str, Any]) -> None:
        """Write `run.json`, whole or not at all."""
        content = {"v": SCHEMA_VERSION, "bulkops": __version__, **description}
        write_atomically(self.description, orjson.dumps(content, option=orjson.OPT_INDENT_2))

    def read_description(self) -> dict[str, Any] | None:
        """Return `run.json`, or `None` if there is no plan here yet."""
        try:
            content = orjson.loads(self.description.read_bytes())
        except FileNotFoundError:
            return None
        except orjson.JSONDecodeError as error:
            raise CheckpointError(f"{self.description}: cannot be read ({error})") from error
        if not isinstance(content, dict):
            raise CheckpointError(
                f"{self.description}: cannot be read (found {type(content).__name__}, expected a "
                "JSON object)"
            )
        if content.get("v") != SCHEMA_VERSION:
            raise CheckpointError(
                f"{self.description}: found schema {content.get('v')!r}, expected {SCHEMA_VERSION}"
                "; finish this run with the version of bulkops that planned it, or start over with"
                " --new"
            )
        return dict(content)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Hold the run's lock. Raises `LockedError` at once, naming the holder, if another has it.

        The system drops the lock of a process that died, so a stale one never blocks.
        """
        path = self.path / "lock"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: the run directory cannot be written ({error}); nothing is sent"
            ) from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(file, 200, 0).decode(errors="replace").strip()
                raise LockedError(
                    f"{self.path}: another process is on this run ({holder or 'unknown'}); "
                    "`bulkops status` shows how far it is, `bulkops ctl` steers it"
                ) from error
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            yield
        finally:
            os.close(file)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` so that a crash leaves either the old or the new."""
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, as `fsync` does for what is in a file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def run_name(manifest: Path, digest: str) -> str:
    """Return the default name: the manifest's stem and the first of `digest`."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", manifest.name.split(".")[0]).lstrip("-")
    return f"{stem[:40] or 'run'}-{digest[:8]}"


def digest_of(*parts: Any) -> str:
    """Return a SHA-256 of JSON values, the same for the same values in any order of keys."""
    content = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()


def find_run(directory: Path, named: str) -> RunDirectory:
    """
    Return the run that a user names: a path, or a name within `directory`.

    Raises `UsageError` if it is neither, with the runs that were last active.
    """
    for candidate in (Path(named), directory / named):
        if (candidate / "run.json").is_file():
            return RunDirectory(candidate)
        if (candidate / "lock").is_file():
            raise UsageError(
                f"{candidate}: this run has no plan yet: it is being planned, or planning was "
                "interrupted; the command that began it plans it"
            )
    known = sorted(directory.glob("*/run.json"), key=_last_active, reverse=True)
    names = [path.parent.name for path in known[:_SHOWN_RUNS]]
    more = f", and {len(known) - _SHOWN_RUNS} older ones" if len(known) > _SHOWN_RUNS else ""
    raise UsageError(
        f"{named}: no run of that name; expected a run directory, or one of those in "
        f"{directory}: {', '.join(names) or 'none yet'}{more}"
    )


def _last_active(description: Path) -> float:
    """Return when something was last written for a run, in seconds; 0 if it is gone again."""
    for path in (description.with_name("checkpoint.jsonl"), description):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0
