"""
What is asked of a reconciliation, and which of the specs can answer it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bulkops.errors import UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config
from bulkops.files.jobfile import Job
from bulkops.files.manifest import Format
from bulkops.files.planner.rows import known_columns, relation_fields
from bulkops.files.rundir import digest_of
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import Spec, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """
    DESIRED and what it speaks for.

    `parents` is a file of records that are in the scope besides those that DESIRED names;
    `territories` limits it to these, if there are any; `actual` is a snapshot to believe instead
    of reading. `columns`, `fixed`, `fields` and `file_format` as for a manifest.
    """

    desired: tuple[Path, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    file_format: Format | None = None
    parents: Path | None = None
    territories: frozenset[str] = frozenset()
    actual: Path | None = None
    confirm: bool = True

    @property
    def relation_fields(self) -> tuple[str, ...]:
        """The columns that are fields of a relation."""
        return relation_fields(self.columns, self.fixed, self.fields)

    @property
    def known(self) -> tuple[str, ...]:
        """The columns that some operation reads."""
        return known_columns()

    def key(self, config: Config) -> str:
        """
        Return a digest of what makes it the same reconciliation night after night.

        The content of the files is not in it, nor how careful it is.
        """
        said: list[Any] = [
            [str(path.absolute()) for path in self.desired],
            dict(self.columns),
            dict(self.fixed),
            list(self.fields),
            str(self.parents.absolute()) if self.parents else "",
            sorted(self.territories),
            str(self.actual.absolute()) if self.actual else "",
            config.reconcile.prune,
            [config.api.product, config.api.api_url],
        ]
        return digest_of(*said)


def job_among(targets: tuple[Path, ...]) -> Job | None:
    """
    Return the job file that is named alone, if there is one.

    Raises `UsageError` for one that is of no reconciliation.
    """
    if len(targets) != 1 or targets[0].suffix != ".toml":
        return None
    job = jobfile.load_job(targets[0])
    if not job.reconciles:
        raise UsageError(f"{targets[0]}: is no job of a reconciliation; expected the key desired")
    return job


def of_job(job: Job, asking: Asking) -> Asking:
    """Return what a job asks for; the words of `asking` come before the job's."""
    return replace(
        asking,
        desired=job.manifest if isinstance(job.manifest, tuple) else (job.manifest,),
        columns={**job.columns, **asking.columns},
        fixed={**job.fixed, **asking.fixed},
        fields=(*job.fields, *asking.fields),
        file_format=asking.file_format or job.format,
        parents=asking.parents or job.parents,
        territories=asking.territories or frozenset(job.territories),
        actual=asking.actual or job.actual,
        confirm=job.confirm,
    )


def listed() -> Iterator[tuple[str, Spec]]:
    """Yield the specs whose wishes can be reconciled, by name."""
    for name, spec in SPECS.items():
        if spec.listing is not None and spec.wish is Wish.PRESENT:
            yield name, spec


def opposite(spec: Spec) -> Spec:
    """Return the spec that takes away what `spec` wishes."""
    (found,) = (
        each
        for each in SPECS.values()
        if each.family == spec.family
        and each.wish is Wish.ABSENT
        and each.related_list == spec.related_list
    )
    return found


def telling_columns() -> Mapping[str, Collection[str]]:
    """Return op -> the columns that tell its rows from those of other ops that are listed."""
    needed: dict[str, set[str]] = {}
    for _, spec in listed():
        names = {column.name for column in spec.columns if column.required}
        needed.setdefault(spec.op, set()).update(names)
    return {
        op: sorted(names - {each for other in needed if other != op for each in needed[other]})
        for op, names in needed.items()
    }
