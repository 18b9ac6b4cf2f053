"""
Read a run without a trace in its directory: through links, from a folder of the server's own.

Readers put beside the run what their memory does not hold, and the report itself. Of a run that
a process is on, or will be, that is not for a server of pages to do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bulkops.files.rundir import RunDirectory

#: What readers ask a run directory for.
_FILES: Final = (
    *("run.json", "plan.parquet", "rows.parquet", "refused.parquet", "checkpoint.jsonl"),
    *("verification.json", "summary.json", "failed.csv", "outcomes.csv"),
)


@contextmanager
def aside(run: RunDirectory, folder: Path) -> Iterator[RunDirectory]:
    """Yield `run` as it is, of the same name, in a part of `folder` that goes with the block."""
    with tempfile.TemporaryDirectory(dir=folder) as part:
        linked = RunDirectory(Path(part) / run.name)
        linked.create()
        for name in _FILES:
            with suppress(FileNotFoundError):
                (linked.path / name).symlink_to((run.path / name).resolve(strict=True))
        yield linked
