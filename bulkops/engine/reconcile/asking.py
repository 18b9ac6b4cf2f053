"""
What is asked of a reconciliation, and which of the specs can answer it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulkops.files.config import Config
from bulkops.files.manifest import Format
from bulkops.files.planner import known_columns
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
        """
        The columns that are fields of a relation.

        A column of the file that is read under another name is not a field by its own as well,
        unless it is asked for: `Member_Status = "Status"` does not wish a `Status`.
        """
        renamed = set(self.columns.values()) - self.columns.keys()
        named = (name for _, spec in listed() for name in spec.relation_fields or ())
        known = [name for name in named if name not in renamed]
        return tuple(dict.fromkeys([*known, *self.fields]))

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
