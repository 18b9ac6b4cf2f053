"""
Find or make the run that a command asks for: its directory, its description, its plan.

The same manifest and options lead to the same run. Nothing here touches the network, and
nothing is sent until a whole plan stands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulkops import jobfile
from bulkops.config import Config
from bulkops.errors import PlanStaleError, UsageError
from bulkops.manifest import Source, inspect
from bulkops.planner import Wanted, make_plan
from bulkops.planner.summary import Summary
from bulkops.resume import read_progress
from bulkops.rundir import RunDirectory, digest_of, run_name
from bulkops.spec import CallLimits


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What the command line or a job file asks to be done.
    """

    manifest: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    confirm: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A run with its plan. `made` tells whether the plan was made just now.
    """

    run: RunDirectory
    description: Mapping[str, Any]
    summary: Summary
    made: bool

    @property
    def rows(self) -> int:
        """Rows of the manifest."""
        return int(self.description["plan"]["rows"])

    @property
    def digest(self) -> str:
        """The plan's digest."""
        return str(self.description["plan"]["digest"])


def ask(
    target: Path,
    config: Config,
    *,
    op: str | None,
    fixed: Mapping[str, str],
    columns: Mapping[str, str],
    fields: tuple[str, ...],
) -> tuple[Asked, Config]:
    """
    Return what is asked, and the configuration to do it with, from a manifest or a job file.

    The command line's words come before the job's. Raises `UsageError` for a job that does not
    fit the configuration.
    """
    given = {**fixed, **({"op": op} if op else {})}
    if target.suffix != ".toml":
        return Asked(target, columns, given, fields), config
    job = jobfile.load_job(target)
    by_job = {**job.fixed, **({"op": job.operation} if job.operation else {})}
    asked = Asked(
        job.manifest,
        {**job.columns, **columns},
        {**by_job, **given},
        (*job.fields, *fields),
        job.confirm,
    )
    return asked, jobfile.apply(job, config)


def prepare(
    asked: Asked, config: Config, *, run_dir: Path | None = None, new: bool = False
) -> Prepared:
    """
    Return the run for what is asked, planning it unless it has its plan already.

    Raises `ManifestError` where the manifest cannot be read, and `PlanStaleError` where a run
    was begun for something else: another content of this manifest, or other options.
    """
    if asked.manifest == jobfile.STDIN:
        raise UsageError("standard input cannot be planned from; give the manifest as a file")
    source = inspect(asked.manifest)
    digest = _digest(source, asked, config)
    run = _choose(source, digest, config, run_dir=run_dir, new=new)
    found = run.read_description()
    if found is not None:
        _refuse_if_stale(run, found, source, digest)
        summary = Summary.from_json(found["plan"]["summary"])
        return Prepared(run, found, summary, made=False)
    run.create()
    with run.locked():
        return _plan(run, source, asked, config, digest)


def _plan(run: RunDirectory, source: Source, asked: Asked, config: Config, digest: str) -> Prepared:
    limits = config.limits
    records = limits.territory_records_per_call
    wanted = Wanted(
        product=config.api.product,
        columns=asked.columns,
        fixed=asked.fixed,
        fields=asked.fields,
        limits=CallLimits(
            ids_per_call=limits.ids_per_call,
            territory_records_per_call=records if isinstance(records, int) else None,
            contact_roles_bulk=limits.contact_roles_bulk,
        ),
        relations=config.relations,
        last_wins=config.run.on_conflict == "last",
    )
    try:
        planned = make_plan(
            source,
            wanted,
            plan=run.plan,
            rows=run.rows,
            memory=config.plan.memory,
            temp_directory=Path(config.plan.temp_directory or run.path),
        )
    except BaseException:
        # A run without a description was never begun; its folder would only be in the way.
        for leftover in (run.plan, run.rows, run.path / "lock"):
            leftover.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            run.path.rmdir()
        raise
    description = {
        "digest": digest,
        "manifest": {
            "path": str(source.path.absolute()),
            "size": source.size,
            "sha256": source.sha256,
        },
        "asked": {
            "columns": dict(asked.columns),
            "fixed": dict(asked.fixed),
            "fields": list(asked.fields),
        },
        "config": config.public(),
        "plan": {
            "rows": planned.rows,
            "digest": planned.digest,
            "own_columns": list(planned.own_columns),
            "summary": planned.summary.to_json(),
        },
    }
    run.describe(description)
    return Prepared(run, description, planned.summary, made=True)


def _digest(source: Source, asked: Asked, config: Config) -> str:
    return digest_of(
        source.sha256,
        dict(asked.columns),
        dict(asked.fixed),
        list(asked.fields),
        config.digest_options(),
    )


def _choose(
    source: Source, digest: str, config: Config, *, run_dir: Path | None, new: bool
) -> RunDirectory:
    """Return the directory that a run of this digest has or is to have."""
    if run_dir is not None:
        if new and (run_dir / "run.json").exists():
            raise UsageError(f"{run_dir}: holds a run already; --new needs another directory")
        return RunDirectory(run_dir)
    directory = config.run.directory
    name = run_name(source.path, digest)
    if not new:
        _refuse_if_changed(directory, source, name)
        return RunDirectory(directory / name)
    count = 2
    while (directory / f"{name}-{count}").exists():
        count += 1
    fresh = directory / name
    return RunDirectory(directory / f"{name}-{count}" if fresh.exists() else fresh)


def _refuse_if_changed(directory: Path, source: Source, name: str) -> None:
    """Refuse to plan anew while a run of this manifest's earlier content is unfinished."""
    for description in sorted(directory.glob("*/run.json")):
        run = RunDirectory(description.parent)
        if run.name == name:
            continue
        try:
            found = run.read_description() or {}
        except Exception:  # noqa: BLE001, S112  (another run's damage is not this one's business)
            continue
        manifest = found.get("manifest", {})
        same_path = manifest.get("path") == str(source.path.absolute())
        if not same_path or manifest.get("sha256") == source.sha256:
            continue
        if not run.checkpoint.exists():
            continue
        progress = read_progress(run.checkpoint, mend=False)
        if not progress.finished:
            raise PlanStaleError(
                f"{source.path}: the file has changed since run {run.name} was planned, and that "
                f"run has settled {len(progress.settled)} of {progress.rows} lines. To finish it, "
                "put the file back as it was; to leave it and plan the file as it is now, add "
                "--new."
            )


def _refuse_if_stale(
    run: RunDirectory, found: Mapping[str, Any], source: Source, digest: str
) -> None:
    if found["digest"] == digest:
        return
    what = "the manifest has" if found["manifest"]["sha256"] != source.sha256 else "options have"
    raise PlanStaleError(
        f"{run.path}: {what} changed since this run was planned; its log speaks of the old plan. "
        "Put things back as they were to go on, or start over with --new or another --run-dir."
    )
