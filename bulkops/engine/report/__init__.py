"""
The report of a run: one HTML file for people, the same figures for programs.

Derived from the run directory alone, while the run goes on or after it; it may be deleted and made
again. Nothing here calls anybody.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bulkops.engine.report.figures import Counted, Figures, count_lines, read_figures
from bulkops.engine.report.shape import SCHEMA_VERSION, to_json
from bulkops.files.rundir import RunDirectory, write_atomically

__all__ = [
    "SCHEMA_VERSION",
    "Counted",
    "Figures",
    "count_lines",
    "read_figures",
    "to_json",
    "write_report",
]

#: Files of the run directory that the page links to, where they are.
_LINKED = ("failed.csv", "outcomes.csv", "summary.json", "run.json", "checkpoint.jsonl")


def write_report(
    run: RunDirectory, target: Path | None = None, *, figures: Figures | None = None
) -> Path:
    """
    Write the report of `run` to `target`, or `report.html` in its directory; return where.

    `figures` are read unless they are at hand. Raises what `read_figures` raises, and `OSError`
    where the file cannot be written.
    """
    # Charts and templates take a moment to import, which only the end of a run should pay.
    from bulkops.engine.report.page import render

    target = target or run.path / "report.html"
    page = render(
        figures or read_figures(run), links=_links(run, target.parent), made_at=time.time()
    )
    write_atomically(target, page.encode())
    return target


def _links(run: RunDirectory, folder: Path) -> dict[str, str]:
    """Return the addresses of the run's files as seen from `folder`."""
    found: dict[str, Any] = {}
    for name in _LINKED:
        file = run.path / name
        if file.is_file():
            found[name] = quote(Path(os.path.relpath(file, folder)).as_posix(), safe="/.")
    return found
