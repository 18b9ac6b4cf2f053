"""Planning that remembers: the same content, asked for in the same way, is planned once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bulkops.files.manifest import Source
from bulkops.files.planner import Planned, Wanted, make_plan
from bulkops.files.planner.rows import refused_beside


def remembering(folder: Path) -> Callable[..., Planned]:
    """
    Return a `make_plan` that copies what an equal call stored, kept in `folder`.

    For tests of what is around a plan. Only whole plans are remembered, never failures.
    """
    made: dict[str, tuple[Planned, Path]] = {}

    def planned(source: Source, wanted: Wanted, *, plan: Path, rows: Path, **more: Any) -> Planned:
        key = f"{source.path.suffix} {source.sha256} {wanted}"
        if key not in made:
            found = make_plan(source, wanted, plan=plan, rows=rows, **more)
            kept = folder / f"{len(made)}"
            kept.mkdir()
            shutil.copy(plan, kept / "plan")
            shutil.copy(rows, kept / "rows")
            shutil.copy(refused_beside(rows), kept / "refused")
            made[key] = (found, kept)
        found, kept = made[key]
        shutil.copy(kept / "plan", plan)
        shutil.copy(kept / "rows", rows)
        shutil.copy(kept / "refused", refused_beside(rows))
        return found

    return planned
