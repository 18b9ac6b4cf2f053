"""
Keep what standard input says as a file, since a plan must be repeatable and a pipe is not.

It is written beside the runs while it is read, for its owner alone; whoever makes a run of it
moves it into the run's directory. Nothing here knows what is in it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from bulkops.errors import BulkopsError, ManifestError
from bulkops.files.rundir import sync_folder

#: What standard input is called in messages and outcomes.
SHOWN = "standard input"
_PREFIX = ".stdin-"
_CHUNK = 1 << 20
#: Seconds after which an unlocked file is nobody's: its maker locks it at once.
_FRESH_S = 60.0


@contextmanager
def spooled(stream: BinaryIO, folder: Path) -> Iterator[Path]:
    """
    Read `stream` to its end into a file in `folder`, which is made for its owner if absent.

    The file goes at the end unless it was moved, and so does a folder that was made for it; what
    a killed process left is swept away. Raises `BulkopsError` where it cannot be kept.
    """
    there = folder.is_dir()
    try:
        with _file_in(folder, stream) as file:
            yield Path(file.name)
    finally:
        if not there:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _file_in(folder: Path, stream: BinaryIO) -> Iterator[IO[bytes]]:
    """Hold a locked file in `folder` with all that `stream` says."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(folder)
        file = tempfile.NamedTemporaryFile(prefix=_PREFIX, dir=folder, delete=False)  # noqa: SIM115
    except OSError as error:
        raise BulkopsError(f"{folder}: {SHOWN} cannot be kept there ({error})") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            while chunk := stream.read(_CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise BulkopsError(
                f"{SHOWN} cannot be read, or not be kept in {folder} ({error})"
            ) from error
        yield file
    finally:
        Path(file.name).unlink(missing_ok=True)
        file.close()


def keep(path: Path, target: Path) -> None:
    """Move a spooled file to `target` in the same file system, whole or not at all."""
    path.replace(target)
    sync_folder(target.parent)


@contextmanager
def called_by_its_name(path: Path | None) -> Iterator[None]:
    """Speak of standard input, not of the file that it was spooled to."""
    try:
        yield
    except ManifestError as error:
        if path is None:
            raise
        raise ManifestError(str(error).replace(str(path), SHOWN)) from None


def _sweep(folder: Path) -> None:
    """Remove the spooled files of processes that are gone."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < _FRESH_S:
                continue
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
