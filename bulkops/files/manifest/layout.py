"""Which column of the manifest goes where: known columns, relation fields, and all the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkops.errors import ManifestError

#: Is told while a file is read how many records have been read of it, about.
Heard = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Our columns in terms of theirs.

    `known` and `fields` give the manifest's own name for each of ours; `fixed` values win over
    whatever a column says; `used` are their names that have a place, while all others are
    carried through: also those whose place a fixed value has taken. `ids` are those of ours that
    hold ids.
    """

    known: Mapping[str, str]
    fields: Mapping[str, str]
    fixed: Mapping[str, str]
    used: frozenset[str]
    ids: frozenset[str] = frozenset()


def lay_out(
    path: Path,
    *,
    known: Collection[str],
    fields: Collection[str],
    columns: Mapping[str, str],
    fixed: Mapping[str, str],
    ids: Collection[str] = (),
) -> Layout:
    """
    Return the layout, relation fields sorted by name.

    Raise `ManifestError` if `columns` or `fixed` speaks of a name that is neither known nor a
    relation field.
    """
    ours = dict.fromkeys(known)
    relation = sorted(set(fields) - set(ours))
    for name in [*columns, *fixed]:
        if name not in ours and name not in relation:
            raise ManifestError(
                f"{path}: column {name!r} cannot be mapped or set, expected one of"
                f" {', '.join([*ours, *relation])}"
            )
    theirs = {name: columns.get(name, name) for name in [*ours, *relation]}
    return Layout(
        known={name: theirs[name] for name in ours},
        fields={name: theirs[name] for name in relation},
        fixed=dict(fixed),
        used=frozenset(theirs[name] for name in theirs if name not in fixed),
        ids=frozenset(ids),
    )


def check_columns(path: Path, *, columns: Mapping[str, str], own: Sequence[str]) -> None:
    """Raise `ManifestError` if a column is mapped from one that the manifest does not have."""
    for ours, theirs in columns.items():
        if theirs not in own:
            raise ManifestError(
                f"{path}: column {theirs!r}, mapped to {ours!r}, is not in the file;"
                f" its columns are {', '.join(own) or '(none)'}"
            )


def check_names(path: Path, names: Sequence[str], *, hint: str = "") -> None:
    """
    Raise `ManifestError` unless each column has a name, and one of its own.

    `hint` says what else may be wrong where one has none.
    """
    for place, column in enumerate(names, 1):
        if not column:
            raise ManifestError(
                f"{path}: column {place} of {len(names)} has no name in the header,"
                f" expected a name for each column{hint}"
            )
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        places = [str(place) for place, column in enumerate(names, 1) if column == twice[0]]
        raise ManifestError(
            f"{path}: the header has {twice[0]!r} {len(places)} times (columns"
            f" {', '.join(places)}), expected each name once"
        )
