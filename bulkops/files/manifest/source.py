"""What the files of a manifest turned out to be, and the limits on what is read of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

#: Characters a field of CSV may have. More is a quote left open, not a field of a CRM.
LONGEST_FIELD = 100_000
#: Characters a line of the file may have; this bounds the memory of the exact reader.
LONGEST_LINE = 1_000_000
#: Characters of a refused record that are kept to show it.
LONGEST_RAW = 20_000


class Format(StrEnum):
    """
    How the records of a manifest are written.
    """

    #: A header line, then a record a line (or more, where a quoted field holds newlines).
    CSV = "csv"
    #: A JSON object a line.
    JSONL = "jsonl"
    #: Typed columns, https://parquet.apache.org/docs/file-format/
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Source:
    """
    A file that can be read, and how: a manifest, or one of the files of one.

    `compression` is "", "gz" or "zst"; `encoding` is "utf-8", "utf-8-sig" (with a byte order
    mark) or "utf-16"; `delimiter` and `quote` are empty but for CSV, and `header` (trimmed
    names) for JSONL; `size` and `sha256` are of the file as it lies on the disk. `called` is
    what people call it, if not by its path.
    """

    path: Path
    format: Format
    compression: str
    encoding: str
    delimiter: str
    quote: str
    header: tuple[str, ...]
    size: int
    sha256: str
    called: str = ""

    @property
    def name(self) -> str:
        """What to call the file in words."""
        return self.called or str(self.path)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files of this manifest: itself."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Several:
    """
    Files that are one manifest, in this order. `path` is what was asked for, to be shown.
    """

    path: Path
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(source.size for source in self.sources)

    @property
    def sha256(self) -> str:
        """A digest of what is in the files and of their order, not of their names."""
        digests = "\n".join(source.sha256 for source in self.sources)
        return hashlib.sha256(digests.encode()).hexdigest()


#: What can be planned: both have `path`, `sources`, `size` and `sha256`.
Manifest = Source | Several
