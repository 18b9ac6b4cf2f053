"""
The input of a run: the files that were named, opened as one manifest, standard input among them.

Standard input lies in a file of its own from the begin; with a plan it moves into the run's
directory and stays there, so that whoever reads the manifest again finds it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from bulkops.errors import UsageError
from bulkops.files import spool
from bulkops.files.jobfile import STDIN
from bulkops.files.manifest import Format, Manifest, Source, gather
from bulkops.files.manifest.places import Part, parts_of
from bulkops.files.rundir import RunDirectory

_STEM = 24


@dataclass(frozen=True, slots=True)
class Input:
    """
    A manifest and the words that it was asked for with; `kept` is where standard input lies.
    """

    words: tuple[Path, ...]
    manifest: Manifest
    kept: Path | None = None

    @property
    def shown(self) -> str:
        """The words, as a command has them."""
        return " ".join(map(str, self.words))

    @property
    def whereabouts(self) -> str:
        """The words, the same from wherever they are said."""
        return " ".join(str(word if word == STDIN else word.absolute()) for word in self.words)

    @property
    def repeatable(self) -> bool:
        """Whether the same words mean the same files the next time."""
        return self.kept is None

    @property
    def stem(self) -> Path:
        """A name for its run: that of the first file, and how many more there are."""
        first = self.manifest.sources[0].path
        if first == self.kept:
            first = Path("stdin")
        more = len(self.manifest.sources) - 1
        return Path(f"{first.name.split('.')[0][:_STEM]}-and-{more}-more") if more else first

    def moved_into(self, run: RunDirectory) -> Input:
        """Return this input with standard input in the directory of `run`, where it now lies."""
        if self.kept is None:
            return self
        (spooled,) = (each for each in self.manifest.sources if each.path == self.kept)
        ending = f".{spooled.compression}" if spooled.compression else ""
        target = run.path / f"stdin.{spooled.format}{ending}"
        spool.keep(self.kept, target)
        moved = replace(spooled, path=target, called=spool.SHOWN)
        manifest: Manifest = moved
        if not isinstance(self.manifest, Source):
            sources = (moved if each is spooled else each for each in self.manifest.sources)
            manifest = replace(self.manifest, sources=tuple(sources))
        return replace(self, manifest=manifest, kept=target)

    def described(self, counts: Sequence[int]) -> dict[str, Any]:
        """Return what `run.json` says of it; `counts` are the records of each file."""
        sources = self.manifest.sources
        parts = parts_of([source.name for source in sources], counts)
        alone = self.kept and len(sources) == 1
        return {
            "path": str(sources[0].path.absolute()) if alone else self.whereabouts,
            "size": self.manifest.size,
            "sha256": self.manifest.sha256,
            "files": [
                {
                    "name": part.name,
                    "path": str(source.path.absolute()),
                    "size": source.size,
                    "sha256": source.sha256,
                    "format": source.format.value,
                    "first_line": part.first_line,
                    "rows": part.rows,
                }
                for source, part in zip(sources, parts, strict=True)
            ],
        }


def parts_in(description: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return the files of a run's manifest, by what `described` said of them."""
    files = description.get("manifest", {}).get("files", ())
    return tuple(Part(each["name"], each["first_line"], each["rows"]) for each in files)


@contextmanager
def opened_input(
    words: tuple[Path, ...],
    *,
    file_format: Format | None,
    folder: Path,
    stdin: BinaryIO | None = None,
) -> Iterator[Input]:
    """
    Hold the manifest that `words` name; standard input is spooled to `folder` until it moves on.

    Raises `ManifestError` where it cannot be read.
    """
    if STDIN not in words:
        yield Input(words, gather(words, file_format=file_format))
        return
    if words.count(STDIN) > 1:
        raise UsageError("-: named twice; expected each file of a manifest once")
    with spool.spooled(stdin or sys.stdin.buffer, folder) as kept:
        with spool.called_by_its_name(kept):
            paths = [kept if word == STDIN else word for word in words]
            manifest = gather(paths, file_format=file_format)
        yield Input(words, manifest, kept)
