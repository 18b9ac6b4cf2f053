"""
Telling whether a zstandard file is whole, which DuckDB does not: it takes a part for all.

Walks the frames and blocks by their headers, without decompressing anything.
Format: https://www.rfc-editor.org/rfc/rfc8878#section-3.1
"""

from __future__ import annotations

from os import SEEK_CUR
from pathlib import Path
from typing import BinaryIO

from bulkops.errors import ManifestError

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50
_RLE = 1
_EXPECTED = "expected a whole one"


def begins_frame(magic: bytes) -> bool:
    """Tell whether four bytes begin a frame, or one to skip (with which pzstd files begin)."""
    number = int.from_bytes(magic, "little")
    return number == _MAGIC or number & ~0xF == _SKIPPABLE


def check_whole(path: Path) -> None:
    """Raise `ManifestError` unless `path` is frames of zstandard from first to last byte."""
    with path.open("rb") as file:
        try:
            while magic := file.read(4):
                _skip_frame(file, int.from_bytes(magic, "little"))
        except EOFError:
            size = path.stat().st_size
            raise ManifestError(
                f"{path}: found a truncated zst file (it ends within a frame, after {size:,}"
                f" bytes), {_EXPECTED}"
            ) from None
        except ValueError:
            raise ManifestError(
                f"{path}: found a damaged zst file (no frame begins before byte"
                f" {file.tell():,}), {_EXPECTED}"
            ) from None


def _skip_frame(file: BinaryIO, magic: int) -> None:
    """Go over the rest of a frame; `EOFError` if it is not all there."""
    if magic & ~0xF == _SKIPPABLE:
        _skip(file, _number(file, 4))
        return
    if magic != _MAGIC:
        raise ValueError(magic)
    descriptor = _number(file, 1)
    single_segment = descriptor >> 5 & 1
    window = 1 - single_segment
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content_size = (single_segment, 2, 4, 8)[descriptor >> 6]
    _skip(file, window + dictionary + content_size)
    last = False
    while not last:
        header = _number(file, 3)
        last = bool(header & 1)
        _skip(file, 1 if header >> 1 & 3 == _RLE else header >> 3)
    checksum = 4 if descriptor >> 2 & 1 else 0
    _skip(file, checksum)


def _number(file: BinaryIO, size: int) -> int:
    found = file.read(size)
    if len(found) < size:
        raise EOFError
    return int.from_bytes(found, "little")


def _skip(file: BinaryIO, size: int) -> None:
    """Go over `size` bytes, the last of which must be there."""
    if size:
        file.seek(size - 1, SEEK_CUR)
        _number(file, 1)
