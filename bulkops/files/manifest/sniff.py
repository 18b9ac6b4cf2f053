"""
Finding out what a file is: format, compression, encoding, delimiter and header.

Looks at the first bytes only, but for the digest, which takes the file in one pass.
"""

from __future__ import annotations

import hashlib
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson

from bulkops.errors import ManifestError
from bulkops.files.manifest import parquet
from bulkops.files.manifest.apostrophes import plain_header
from bulkops.files.manifest.layout import check_names
from bulkops.files.manifest.records import Refusal, records
from bulkops.files.manifest.source import Format, Source
from bulkops.files.manifest.stream import CHUNK, chunks, lines, readable, texts
from bulkops.files.manifest.zst import begins_frame, check_whole

_SAMPLE = 256 * 1024
_SAMPLE_RECORDS = 100
_DELIMITERS = ",;\t|"
_SUFFIXES = {".gz": "gz", ".zst": "zst"}
_FORMATS = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}
#: What somebody with a spreadsheet can do.
_SAVE_AS = '; "Save as, CSV UTF-8" makes one of a sheet'
_OTHERS = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", _SAVE_AS),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", _SAVE_AS),
    b"%PDF": ("a PDF", ""),
}
_EXPECTED = "expected CSV, JSON lines or Parquet"
_BLANK = " \t\r\n"


def inspect(path: Path, file_format: Format | None = None) -> Source:
    """
    Return how `path` is to be read; `file_format` says what it is, whatever its name.

    Raise `ManifestError`, naming the file, what was found and what was expected, if it is not
    a manifest at all.
    """
    with readable(path):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            raise ManifestError(f"{path}: found a device or a pipe, expected a file")
        with path.open("rb") as file:
            magic = file.read(4)
        if _is_parquet(path, magic, file_format):
            header = parquet.columns(path)
            return Source(path, Format.PARQUET, "", "", "", "", header, *_digest(path))
        compression = _compression(path, magic)
        if compression == "zst":
            check_whole(path)
    sample, whole = _sample(path, compression=compression)
    encoding = _encoding(path, sample)
    text = "".join(texts(path, pieces=[sample], encoding=encoding, whole=whole))
    if not whole:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
        if not text:
            raise ManifestError(
                f"{path}: found no end of the first line in {_SAMPLE:,} bytes, {_EXPECTED}"
            )
    first = next((line for line in lines([text], universal=True) if line.strip(_BLANK)), "")
    if not first:
        raise ManifestError(f"{path}: found nothing in this file, expected a header or records")
    file_format = file_format or _format(path, first)
    delimiter, quote, header = "", "", ()
    if file_format is Format.CSV:
        quote = _quote(first)
        delimiter = _delimiter(text, quote=quote, whole=whole)
        header = _header(path, text, delimiter=delimiter, quote=quote)
    else:
        _refuse_array(path, first)
    size, sha256 = _digest(path)
    return Source(path, file_format, compression, encoding, delimiter, quote, header, size, sha256)


def _is_parquet(path: Path, magic: bytes, file_format: Format | None) -> bool:
    """Tell whether the file is Parquet; raise `ManifestError` where name and bytes disagree."""
    named = _FORMATS.get(_plain(path).suffix.lower())
    expected = file_format or named
    if magic == parquet.MAGIC:
        if expected in (None, Format.PARQUET):
            return True
        by = f"--format says {file_format}" if file_format else f"the name says {expected}"
        raise ManifestError(f"{path}: {by}, but the file is Parquet")
    if expected is Format.PARQUET and magic:
        by = "--format" if file_format else "the name"
        raise ManifestError(
            f"{path}: {by} says parquet, but the file does not begin like one"
            f" (found bytes {magic.hex(' ')})"
        )
    return False


def _compression(path: Path, magic: bytes) -> str:
    """Return the compression that the first bytes show, which the name must not contradict."""
    for begin, (what, hint) in _OTHERS.items():
        if magic.startswith(begin):
            raise ManifestError(f"{path}: found {what}, {_EXPECTED}{hint}")
    found = "gz" if magic.startswith(b"\x1f\x8b") else "zst" if begins_frame(magic) else ""
    named = _SUFFIXES.get(path.suffix.lower(), "")
    if magic and named and named != found:
        raise ManifestError(
            f"{path}: the name says {named}, but the file does not begin like one"
            f" (found bytes {magic.hex(' ')})"
        )
    return found


def _sample(path: Path, *, compression: str) -> tuple[bytes, bool]:
    """Return the first bytes, and whether they are all."""
    sample = b""
    pieces = chunks(path, compression=compression)
    for piece in pieces:
        sample += piece
        if len(sample) > _SAMPLE:
            pieces.close()
            return sample[:_SAMPLE], False
    if not sample:
        raise ManifestError(f"{path}: found an empty file, expected a header or records")
    return sample, True


def _encoding(path: Path, sample: bytes) -> str:
    """Return the encoding by the byte order mark."""
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if sample.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if sample.count(0) * 4 > len(sample):
        raise ManifestError(
            f"{path}: found NUL bytes all over, as in a binary file or in UTF-16 without a byte"
            " order mark; expected UTF-8 (or UTF-16 with a byte order mark)"
        )
    return "utf-8"


def _format(path: Path, first: str) -> Format:
    """Return the format by the name without a compression, or else by the first line."""
    by_content = Format.JSONL if first.lstrip(_BLANK)[0] in "{[" else Format.CSV
    return _FORMATS.get(_plain(path).suffix.lower(), by_content)


def _plain(path: Path) -> Path:
    """Return `path` without the ending of a compression."""
    return path.with_suffix("") if path.suffix.lower() in _SUFFIXES else path


def _refuse_array(path: Path, first: str) -> None:
    """Raise `ManifestError` if the file is one JSON value over many lines, not one a line."""
    text = first.strip(_BLANK)
    if text == "{":
        raise ManifestError(
            f"{path}: found a JSON object over several lines, expected one object a line"
        )
    if not text.startswith("["):
        return
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = [{}]
    if any(isinstance(member, dict) for member in value):
        raise ManifestError(
            f"{path}: found one JSON array, expected one object a line"
            " (jq -c '.[]' turns the one into the other)"
        )


def _quote(first: str) -> str:
    """Return the quote: the double one, unless every name of the header has single ones."""
    for delimiter in _DELIMITERS:
        names = first.strip().split(delimiter)
        if all(len(name) > 1 and name[0] == name[-1] == "'" for name in names):
            return "'"
    return '"'


def _sampled(text: str, *, delimiter: str, quote: str) -> Iterator[list[str] | Refusal]:
    found = records(lines([text], universal=True), delimiter=delimiter, quote=quote)
    for (_, record), _ in zip(found, range(_SAMPLE_RECORDS), strict=False):
        yield record


def _delimiter(text: str, *, quote: str, whole: bool) -> str:
    """
    Return the delimiter that gives most records of the sample as many fields as the header.

    One that breaks the header (0 fields) is better than one that does not cut it: its error
    is the one to tell.
    """

    def fitness(delimiter: str) -> tuple[bool, float, int]:
        widths = [
            len(record) if isinstance(record, list) else 0
            for record in _sampled(text, delimiter=delimiter, quote=quote)
        ]
        # The last record of a cut sample may lack its end.
        widths = widths if whole or len(widths) < 2 else widths[:-1]
        return widths[0] != 1, Counter(widths)[widths[0]] / len(widths), widths[0]

    return max(_DELIMITERS, key=fitness)


def _header(path: Path, text: str, *, delimiter: str, quote: str) -> tuple[str, ...]:
    """Return the trimmed names of the columns, each with a name of its own."""
    first = next(_sampled(text, delimiter=delimiter, quote=quote))
    if isinstance(first, Refusal):
        what = first.words.removeprefix("line 0: ")
        raise ManifestError(f"{path}: the header cannot be read: {what}")
    names = plain_header([cell.strip() for cell in first])
    check_names(path, names, hint=". Is there a line above the header?")
    return names


def _digest(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of the file as it lies on the disk."""
    digest, size = hashlib.sha256(), 0
    with readable(path), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
