"""
Choose the run directory that a manifest and its options have, and refuse one that is of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bulkops.errors import PlanStaleError, UsageError
from bulkops.files.config import Config
from bulkops.files.inputs import Input
from bulkops.files.resume import read_progress
from bulkops.files.rundir import RunDirectory, run_name

#: A manifest of one file in words, and one of several.
_ONE = ("file", "has", "it was", "it is")
_MANY = ("files", "have", "they were", "they are")


def choose(
    source: Input, digest: str, config: Config, *, run_dir: Path | None, new: bool
) -> RunDirectory:
    """Return the directory that a run of this digest has or is to have."""
    if run_dir is not None:
        if new and (run_dir / "run.json").exists():
            raise UsageError(f"{run_dir}: holds a run already; --new needs another directory")
        return RunDirectory(run_dir)
    directory = config.run.directory
    name = run_name(source.stem, digest)
    if not new:
        _refuse_if_changed(directory, source, name)
        return RunDirectory(directory / name)
    count = 2
    while (directory / f"{name}-{count}").exists():
        count += 1
    fresh = directory / name
    return RunDirectory(directory / f"{name}-{count}" if fresh.exists() else fresh)


def _refuse_if_changed(directory: Path, source: Input, name: str) -> None:
    """Refuse to plan anew while a run of this manifest's earlier content is unfinished."""
    if not source.repeatable:
        return
    for description in sorted(directory.glob("*/run.json")):
        run = RunDirectory(description.parent)
        if run.name == name:
            continue
        try:
            found = run.read_description() or {}
        except Exception:  # noqa: BLE001, S112  (another run's damage is not this one's business)
            continue
        manifest = found.get("manifest", {})
        same_path = manifest.get("path") == source.whereabouts
        if not same_path or manifest.get("sha256") == source.manifest.sha256:
            continue
        if not run.checkpoint.exists():
            continue
        progress = read_progress(run.checkpoint, mend=False)
        if not progress.finished:
            one = len(source.manifest.sources) == 1
            file, has, was, now = _ONE if one else _MANY
            raise PlanStaleError(
                f"{source.shown}: the {file} {has} changed since run {run.name} was planned, and "
                f"that run has settled {len(progress.settled)} of {progress.rows} lines. To finish "
                f"it, put the {file} back as {was}; to leave it and plan the {file} as {now} now, "
                "add --new."
            )


def refuse_if_stale(
    run: RunDirectory, found: Mapping[str, Any], source: Input, digest: str
) -> None:
    if found["digest"] == digest:
        return
    what = (
        "the manifest has"
        if found["manifest"]["sha256"] != source.manifest.sha256
        else "options have"
    )
    raise PlanStaleError(
        f"{run.path}: {what} changed since this run was planned; its log speaks of the old plan. "
        "Put things back as they were to go on, or start over with --new or another --run-dir."
    )
