"""
Files for their owner alone, replaced whole or not at all.

What goes wrong is an `OSError` here: those who keep something say what to do about it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def replace_privately(path: Path, content: bytes, *, durable: bool = False) -> None:
    """
    Put `content` in place of what is at `path`, for its owner alone from its first byte on.

    A folder that is not there is made for its owner alone too. `durable` content survives a
    power cut.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_with_mode(path: Path) -> tuple[bytes, int]:
    """Return a file's content and its permission bits, both of the same file."""
    with path.open("rb") as stream:
        return stream.read(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
