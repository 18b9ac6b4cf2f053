"""
Mend a damaged checkpoint log: keep what stands before the damage, and say what is lost.

What was cut off may have said that lines were sent or settled. So the mended log says that it
was repaired, and every line it does not settle is taken to be in doubt: it is asked for again,
and an answer that only our own lost success explains is read as that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from bulkops.errors import CheckpointError
from bulkops.files.resume import first_damage
from bulkops.files.rundir import RunDirectory, write_atomically
from bulkops.rules.progress import Progress


@dataclass(frozen=True, slots=True)
class Repaired:
    """
    What a repair did. `aside` is the damaged log as it was; `lost` counts bytes and lines.
    """

    aside: Path | None
    kept_bytes: int
    lost_bytes: int
    lost_lines: int
    lost_outcomes: int


def repair(run: RunDirectory) -> Repaired:
    """
    Replace a damaged log by its good prefix; leave a good one alone.

    The damaged file is kept beside it. Raises `CheckpointError` if not even the header is good,
    or if there is no log.
    """
    path = run.checkpoint
    if not path.exists():
        raise CheckpointError(f"{path}: there is no log to repair")
    content = path.read_bytes()
    offset = first_damage(path)
    if offset is None:
        return Repaired(None, len(content), 0, 0, 0)
    good, lost = content[:offset], content[offset:]
    progress = Progress()
    for line in good.splitlines():
        progress.take(orjson.loads(line))
    if not progress.plan:
        raise CheckpointError(f"{path}: its first line is damaged; nothing can be kept")
    count = 1
    while (aside := path.with_name(f"{path.name}.damaged-{count}")).exists():
        count += 1
    write_atomically(aside, content)
    note = orjson.dumps({"type": "note", "event": "log.repaired", "lost_bytes": len(lost)})
    write_atomically(path, good + note + b"\n")
    return Repaired(aside, len(good), len(lost), lost.count(b"\n"), lost.count(b'"type":"outcome"'))
