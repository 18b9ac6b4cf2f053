"""
What became of the rows of a run, a page at a time, for programs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bulkops.engine.serve.aside import aside
from bulkops.errors import UsageError
from bulkops.files.outcomes import known_statuses, read_outcomes, to_line
from bulkops.files.rundir import RunDirectory

#: Version of the shape of a page.
SCHEMA_VERSION: Final = 1
_USUAL: Final = 1000
_MOST: Final = 10_000
_FORMATS: Final = ("json", "jsonl")
#: More lines than any manifest has.
_LAST_LINE: Final = 2**62


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Which outcomes are asked for: of `statuses` (all, if none), behind the line `after`.
    """

    statuses: Collection[str] = ()
    limit: int = _USUAL
    after: int = 0
    lines: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """Read a query. Raises `UsageError` that says what was expected."""
        statuses = known_statuses(filter(None, query.get("status", "").split(",")))
        shape = query.get("format", "json")
        if shape not in _FORMATS:
            raise UsageError(f"format={shape}: expected {' or '.join(_FORMATS)}")
        return cls(
            statuses,
            limit=whole(query, "limit", usual=_USUAL, least=1, most=_MOST),
            after=whole(query, "after", usual=0, least=0, most=_LAST_LINE),
            lines=shape == "jsonl",
        )


@dataclass(frozen=True, slots=True)
class Page:
    """
    Outcomes, and the line behind which the rest stands; `None` if there is no more.
    """

    outcomes: Sequence[dict[str, Any]]
    next: int | None

    def to_json(self) -> bytes:
        """Return it as one object."""
        content = {"v": SCHEMA_VERSION, "outcomes": self.outcomes, "next": self.next}
        return orjson.dumps(content, option=orjson.OPT_INDENT_2)

    def to_lines(self) -> Iterable[bytes]:
        """Yield each outcome as `bulkops outcomes` prints it."""
        return map(to_line, self.outcomes)


def page_of(run: RunDirectory, asked: Asked, *, folder: Path) -> Page:
    """Return the outcomes asked for, as the log has them now. Reads all of it, from `folder`."""
    if not run.checkpoint.exists():
        return Page((), None)
    with aside(run, folder) as linked:
        found = list(read_outcomes(linked, asked.statuses, after=asked.after, most=asked.limit + 1))
    shown = found[: asked.limit]
    return Page(shown, shown[-1]["line"] if len(found) > asked.limit else None)


def whole(query: Mapping[str, str], name: str, *, usual: int, least: int, most: int) -> int:
    """Return a whole number of a query. Raises `UsageError` if it is none, or out of bounds."""
    text = query.get(name)
    if text is None:
        return usual
    # Python reads more digits as numbers than programs write.
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise UsageError(f"{name}={text[:40]}: expected a whole number from {least} to {most}")
    return int(text)
