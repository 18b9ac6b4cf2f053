"""What a manifest file turned out to be, and the limits on what is read of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

#: Characters a field of CSV may have. More is a quote left open, not a field of a CRM.
LONGEST_FIELD = 100_000
#: Characters a line of the file may have; this bounds the memory of the exact reader.
LONGEST_LINE = 1_000_000
#: Characters of a refused record that are kept to show it.
LONGEST_RAW = 2_000


class Format(StrEnum):
    """
    How the records of a manifest are written.
    """

    #: A header line, then a record a line (or more, where a quoted field holds newlines).
    CSV = "csv"
    #: A JSON object a line.
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Source:
    """
    A file that can be read, and how.

    `compression` is "", "gz" or "zst"; `encoding` is "utf-8", "utf-8-sig" (with a byte order
    mark) or "utf-16"; `delimiter`, `quote` and `header` (trimmed names) are empty for JSONL;
    `size` and `sha256` are of the file as it lies on the disk.
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
