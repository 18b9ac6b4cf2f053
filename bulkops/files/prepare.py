"""
Find or make the run that a command asks for: its directory, its description, its plan.

The same manifest and options lead to the same run. Nothing here touches the network, and
nothing is sent until a whole plan stands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from bulkops.errors import PlanStaleError, UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config
from bulkops.files.inputs import Input, opened_input, parts_in
from bulkops.files.manifest import Format
from bulkops.files.manifest.places import Part
from bulkops.files.odd_ids import Hint, find_hints
from bulkops.files.planner import Wanted, make_plan
from bulkops.files.planner.phases import Phase, Told, nobody
from bulkops.files.planner.summary import Summary
from bulkops.files.resume import read_progress
from bulkops.files.rundir import RunDirectory, digest_of, run_name
from bulkops.files.spool import called_by_its_name
from bulkops.rules.spec import CallLimits

#: A manifest of one file in words, and one of several.
_ONE = ("file", "has", "it was", "it is")
_MANY = ("files", "have", "they were", "they are")


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What the command line or a job file asks to be done.

    `manifest` is a file, or several: paths, patterns of them, and `-` for standard input.
    `file_format` says what they all are, whatever they are called. `job` is the job file that it
    comes from, and `retries` are the runs beside this one whose rows are tried again.
    """

    manifest: Path | tuple[Path, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    confirm: bool = True
    file_format: Format | None = None
    job: jobfile.Job | None = None
    retries: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The manifest as it was named: one word, or several."""
        return self.manifest if isinstance(self.manifest, tuple) else (self.manifest,)


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A run with its plan.
    """

    run: RunDirectory
    description: Mapping[str, Any]
    summary: Summary

    @property
    def rows(self) -> int:
        """Rows of the manifest."""
        return int(self.description["plan"]["rows"])

    @property
    def digest(self) -> str:
        """The plan's digest."""
        return str(self.description["plan"]["digest"])

    @property
    def parts(self) -> tuple[Part, ...]:
        """The files of the manifest, and which lines they hold."""
        return parts_in(self.description)

    @property
    def hints(self) -> tuple[Hint, ...]:
        """What may be wrong with rows that are going to be sent."""
        found = self.description["plan"].get("warnings", ())
        return tuple(Hint.from_json(each) for each in found)


def ask(
    target: Path | tuple[Path, ...],
    config: Config,
    *,
    op: str | None,
    fixed: Mapping[str, str],
    columns: Mapping[str, str],
    fields: tuple[str, ...],
    file_format: Format | None = None,
) -> tuple[Asked, Config]:
    """
    Return what is asked, and the configuration to do it with, from a manifest or a job file.

    The command line's words come before the job's. Raises `UsageError` for a job that does not
    fit the configuration, or that is not given alone.
    """
    given = {**fixed, **({"op": op} if op else {})}
    targets = target if isinstance(target, tuple) else (target,)
    jobs = [each for each in targets if each.suffix == ".toml"]
    if not jobs:
        manifest = targets[0] if len(targets) == 1 else targets
        return Asked(manifest, columns, given, fields, file_format=file_format), config
    if len(targets) > 1:
        raise UsageError(f"{jobs[0]}: a job file names its own manifest; expected it alone")
    job = jobfile.load_job(jobs[0])
    by_job = {**job.fixed, **({"op": job.operation} if job.operation else {})}
    asked = Asked(
        job.manifest,
        {**job.columns, **columns},
        {**by_job, **given},
        (*job.fields, *fields),
        job.confirm,
        file_format or job.format,
        job,
    )
    return asked, jobfile.apply(job, config)


def prepare(
    asked: Asked,
    config: Config,
    *,
    run_dir: Path | None = None,
    new: bool = False,
    stdin: BinaryIO | None = None,
    told: Told = nobody,
) -> Prepared:
    """
    Return the run for what is asked, planning it unless it has its plan already.

    Standard input (the process's, or `stdin`) is kept in the run directory; `told` hears how
    planning comes along. Raises `ManifestError` where the manifest cannot be read, and
    `PlanStaleError` where a run was begun for something else: another content of this manifest,
    or other options.
    """
    folder = run_dir or config.run.directory
    with opened_input(
        asked.inputs, file_format=asked.file_format, folder=folder, stdin=stdin
    ) as source:
        digest = _digest(source, asked, config)
        run = _choose(source, digest, config, run_dir=run_dir, new=new)
        if run.description.exists():
            prepared = load(run)
            _refuse_if_stale(run, prepared.description, source, digest)
            return prepared
        run.create()
        with run.locked():
            return _plan(run, source, asked, config, digest=digest, told=told)


def load(run: RunDirectory) -> Prepared:
    """Return a run as it was prepared. Raises `UsageError` if it never was."""
    description = run.read_description()
    if description is None:
        raise UsageError(f"{run.path}: there is no run here; expected {run.description.name}")
    return Prepared(run, description, Summary.from_json(description["plan"]["summary"]))


def _plan(
    run: RunDirectory, source: Input, asked: Asked, config: Config, *, digest: str, told: Told
) -> Prepared:
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
    memory, room = config.plan.memory, Path(config.plan.temp_directory or run.path)
    try:
        source = source.moved_into(run)
        with called_by_its_name(source.kept):
            planned = make_plan(
                source.manifest,
                wanted,
                plan=run.plan,
                rows=run.rows,
                memory=memory,
                temp_directory=room,
                told=told,
            )
        told(Phase.LOOKING_AGAIN, planned.rows)
        hints = find_hints(run.rows, memory=memory, temp_directory=room)
    except BaseException:
        # A run without a description was never begun; its folder would only be in the way.
        for leftover in (run.plan, run.rows, run.path / "lock", source.kept):
            if leftover is not None:
                leftover.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            run.path.rmdir()
        raise
    description = {
        "digest": digest,
        "manifest": source.described(planned.counts),
        "asked": {
            "columns": dict(asked.columns),
            "fixed": dict(asked.fixed),
            "fields": list(asked.fields),
            **({"format": asked.file_format.value} if asked.file_format else {}),
        },
        **({"job": _told(asked.job)} if asked.job else {}),
        **({"retries": list(asked.retries)} if asked.retries else {}),
        "config": config.public(),
        "plan": {
            "rows": planned.rows,
            "digest": planned.digest,
            "own_columns": list(planned.own_columns),
            "summary": planned.summary.to_json(),
            "warnings": [hint.to_json() for hint in hints],
        },
    }
    run.describe(description)
    return Prepared(run, description, planned.summary)


def _told(job: jobfile.Job) -> dict[str, str]:
    """Return what `run.json` says of the job that planned a run."""
    planned_at = datetime.now(tz=UTC).isoformat(timespec="microseconds")
    return {"name": job.name, "path": str(job.source.absolute()), "planned_at": planned_at}


def _digest(source: Input, asked: Asked, config: Config) -> str:
    return digest_of(
        source.manifest.sha256,
        dict(asked.columns),
        dict(asked.fixed),
        list(asked.fields),
        config.digest_options(),
        *([asked.file_format.value] if asked.file_format else []),
    )


def _choose(
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


def _refuse_if_stale(
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
