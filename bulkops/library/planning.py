"""
Plan what is wished, without the network; the same wish finds the same run again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkops.engine.telemetry import is_wanted
from bulkops.errors import UsageError
from bulkops.files import jobfile, preview
from bulkops.files.config import Config, load_config
from bulkops.files.manifest import Format
from bulkops.files.manifest.places import Part, say_place
from bulkops.files.odd_ids import Hint
from bulkops.files.planner.summary import Summary
from bulkops.files.prepare import Asked, Prepared, ask, prepare
from bulkops.files.refusals import Reason as Refused
from bulkops.files.refusals import reasons_planned
from bulkops.rules.phases import Told, nobody

#: A file, or a word that names one.
Named = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A run that stands ready, and may have begun. Nothing here sends anything.

    `config` is what it is carried out with, a job file laid over it; `asked` is the wish.
    """

    prepared: Prepared
    asked: Asked
    config: Config

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.prepared.run.path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.prepared.run.name

    @property
    def rows(self) -> int:
        """Rows of the manifest."""
        return self.prepared.rows

    @property
    def calls(self) -> int:
        """Calls that send them."""
        return self.prepared.summary.total.calls

    @property
    def digest(self) -> str:
        """The digest of the plan."""
        return self.prepared.digest

    @property
    def summary(self) -> Summary:
        """The plan in numbers, by operation and module."""
        return self.prepared.summary

    @property
    def files(self) -> tuple[Part, ...]:
        """The files of the manifest, and which lines they hold."""
        return self.prepared.parts

    @property
    def warnings(self) -> tuple[Hint, ...]:
        """What may be wrong with rows that are going to be sent."""
        return self.prepared.hints

    def refusals(self, *, most: int = 10) -> list[Refused]:
        """Return the most frequent reasons why rows are not sent, with the first lines of each."""
        return reasons_planned(self.prepared.run, most=most)

    def place(self, line: int) -> str:
        """Return a line in words: with its file, where there are several."""
        return say_place(self.prepared.parts, line)

    def cost(self, *, latency_s: float | None = None) -> preview.Cost:
        """Return what it takes of calls, credits and time, with `latency_s` a call if given."""
        return preview.cost_of(self.prepared, self.config, now=time.time(), latency_s=latency_s)

    def requests(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield the first `count` requests as they would be sent, without the token."""
        return preview.sample(self.prepared, self.config, count)

    def explain(self, line: int) -> dict[str, Any] | None:
        """Return where a line went: its row, and its call or why it has none."""
        return preview.explain(self.prepared, self.config, line)


def plan(
    *manifest: Named,
    config: Config | Named | None = None,
    op: str | None = None,
    fixed: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    fields: Sequence[str] = (),
    file_format: Format | None = None,
    run_dir: Named | None = None,
    new: bool = False,
    told: Told = nobody,
) -> Plan:
    """
    Plan a manifest of one file or several, or what a job file names; sends nothing.

    What comes of it is carried out by `run` or `carry_out`; a job's own turn, with its lock and its
    journal, is `start`'s.

    `fixed` fills columns of every row, `columns` says what of theirs ours are read from, `fields`
    are sent as fields of relations. What was planned before is found again, unless it is to be
    `new`. Blocks while it reads and plans; `told` hears how that comes along. Raises
    `ManifestError`, `PlanStaleError` where a run was begun for something else, and `UsageError` for
    a job that cannot be planned before it starts.
    """
    targets = paths(manifest)
    if reconciles(targets):
        raise UsageError(
            f"{targets[0]}: a reconciliation has no plan before it has read what is there; "
            "bulkops run or reconcile reads, shows its plan and asks"
        )
    asked, laid_out = wish(
        targets,
        as_config(config),
        op=op,
        fixed=fixed,
        columns=columns,
        fields=fields,
        file_format=file_format,
    )
    if asked.job and asked.job.retry:
        raise UsageError(
            f"{targets[0]}: what it tries again is known when it starts; bulkops run shows it "
            "and asks"
        )
    return planned(asked, laid_out, run_dir=path_of(run_dir), new=new, told=told)


def wish(
    targets: tuple[Path, ...],
    config: Config,
    *,
    op: str | None,
    fixed: Mapping[str, str] | None,
    columns: Mapping[str, str] | None,
    fields: Sequence[str],
    file_format: Format | None,
) -> tuple[Asked, Config]:
    """Return what is asked, and the configuration to do it with."""
    return ask(
        targets,
        config,
        op=op,
        fixed=fixed or {},
        columns=columns or {},
        fields=tuple(fields),
        file_format=file_format,
    )


def planned(
    asked: Asked,
    config: Config,
    *,
    run_dir: Path | None = None,
    new: bool = False,
    told: Told = nobody,
) -> Plan:
    """
    Return the plan of what is asked, made now or found.

    Raises `UsageError` before it plans for a configuration that nothing can be carried out with.
    """
    # It would be refused all the same where it is carried out.
    is_wanted(config)
    return Plan(prepare(asked, config, run_dir=run_dir, new=new, told=told), asked, config)


def reconciles(targets: Sequence[Path]) -> bool:
    """Return whether a job file of a reconciliation is named alone."""
    named = len(targets) == 1 and targets[0].suffix == ".toml"
    return named and jobfile.load_job(targets[0]).reconciles


def as_config(config: Config | Named | None) -> Config:
    """Return a configuration, read from a file or where it is usually found if it is none yet."""
    return config if isinstance(config, Config) else load_config(path_of(config))


def paths(named: Sequence[Named]) -> tuple[Path, ...]:
    """Return the paths of words; there must be one. Raises `UsageError` if there is none."""
    if not named:
        raise UsageError("no manifest is named; expected a file, several, or a job file")
    return tuple(map(Path, named))


def path_of(named: Named | None) -> Path | None:
    """Return the path of a word, if there is one."""
    return None if named is None else Path(named)
