"""
Find or make the run that a command asks for: its directory, its description, its plan.

The same manifest and options lead to the same run. Nothing here touches the network, and
nothing is sent until a whole plan stands.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from bulkops.errors import UsageError
from bulkops.files import jobfile
from bulkops.files.asked import Asked, ask, digest_asked
from bulkops.files.choose_run import choose, refuse_if_stale
from bulkops.files.config import Config
from bulkops.files.inputs import Input, opened_input, parts_in
from bulkops.files.manifest.places import Part
from bulkops.files.odd_ids import Hint, find_hints
from bulkops.files.planner import Wanted, make_plan
from bulkops.files.planner.summary import Summary
from bulkops.files.rundir import RunDirectory
from bulkops.files.spool import called_by_its_name
from bulkops.rules.phases import Phase, Told, nobody
from bulkops.rules.spec import CallLimits

__all__ = ["Asked", "Prepared", "ask", "load", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A run with its plan.

    `planning` is from when to when this process planned it, in seconds since 1970; `None` if it
    found the plan.
    """

    run: RunDirectory
    description: Mapping[str, Any]
    summary: Summary
    planning: tuple[float, float] | None = field(default=None, compare=False)

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
        digest = digest_asked(source, asked, config)
        run = choose(source, digest, config, run_dir=run_dir, new=new)
        if run.description.exists():
            return _found(run, source, digest)
        run.create()
        with run.locked():
            # Another process may have planned it since.
            if run.description.exists():
                return _found(run, source, digest)
            return _plan(run, source, asked, config, digest=digest, told=told)


def _found(run: RunDirectory, source: Input, digest: str) -> Prepared:
    """Return a run that was prepared before, for the same wish."""
    prepared = load(run)
    refuse_if_stale(run, prepared.description, source, digest)
    return prepared


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
    begun = time.time()
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
        for leftover in (run.plan, run.rows, run.refused, run.path / "lock", source.kept):
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
    return Prepared(run, description, planned.summary, (begun, time.time()))


def _told(job: jobfile.Job) -> dict[str, str]:
    """Return what `run.json` says of the job that planned a run."""
    planned_at = datetime.now(tz=UTC).isoformat(timespec="microseconds")
    return {"name": job.name, "path": str(job.source.absolute()), "planned_at": planned_at}
