"""
A file as bytes, as text, as lines: in pieces of bounded size, with one clear error each.

Knows nothing of records. What the disk, gzip or the decoder complain of becomes a
`ManifestError` that names the file, what was found and what was expected.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from bulkops.errors import ManifestError
from bulkops.files.database import connect
from bulkops.files.manifest.source import LONGEST_LINE
from bulkops.files.manifest.sql import literal, pattern

CHUNK = 1 << 20
_ZST_LINES = 10_000


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what can go wrong while reading `path` into a `ManifestError`."""
    try:
        yield
    except FileNotFoundError:
        raise ManifestError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ManifestError(f"{path}: found a directory, expected a file") from None
    except PermissionError:
        raise ManifestError(f"{path}: may not be read by this user") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ManifestError(
            f"{path}: found a truncated or damaged gzip file ({error}), expected a whole one"
        ) from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error})") from None


def chunks(path: Path, *, compression: str) -> Generator[bytes, None, None]:
    """
    Yield the uncompressed bytes of `path`, about a MiB at a time.

    Python 3.11 has no zstandard, so `.zst` comes through DuckDB line by line: its line ends all
    become LF.
    """
    with readable(path):
        if compression == "zst":
            yield from _zst_chunks(path)
            return
        with gzip.open(path) if compression == "gz" else path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


def _zst_chunks(path: Path) -> Iterator[bytes]:
    """Yield the lines of a zstandard file; a delimiter that no manifest has keeps them whole."""
    with connect(None, threads=1) as connection:
        try:
            connection.execute(
                f"SELECT text FROM read_csv({literal(pattern(path))},"
                " columns = {'text': 'VARCHAR'}, compression = 'zstd', auto_detect = false,"
                " header = false, delim = '\x1f',"
                f" quote = '', escape = '', max_line_size = {4 * LONGEST_LINE},"
                f" buffer_size = {16 * LONGEST_LINE}, hive_partitioning = false)"
            )
            while rows := connection.fetchmany(_ZST_LINES):
                yield "".join(f"{text or ''}\n" for (text,) in rows).encode()
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            first = str(error).partition("\n")[0]
            raise ManifestError(
                f"{path}: DuckDB cannot read this zst file ({first});"
                " decompress it (zstd -d) and give the file that comes out"
            ) from None


def texts(
    path: Path, *, pieces: Iterable[bytes], encoding: str, whole: bool = True
) -> Iterator[str]:
    """
    Decode `pieces`, without the byte order mark.

    Raise `ManifestError` with offset and line of the first byte that is not text. Unless
    `whole`, the pieces may end within a character.
    """
    decoder = codecs.getincrementaldecoder("utf-16" if encoding == "utf-16" else "utf-8")()
    at_start, offset, line = True, 0, 1
    for piece, final in _with_last(pieces):
        try:
            text = decoder.decode(piece, final and whole)
        except UnicodeDecodeError as error:
            # The decoder may hold bytes of the piece before: `error.object` begins with them.
            begin = offset + len(piece) - len(error.object)
            line += error.object[: error.start].count(b"\n")
            found = " ".join(f"{byte:02x}" for byte in error.object[error.start :][:4])
            raise ManifestError(
                f"{path}: found bytes {found} at byte {begin + error.start}, line {line} of the"
                f" file, that are not {'UTF-16' if encoding == 'utf-16' else 'UTF-8'};"
                " expected UTF-8 (or UTF-16 with a byte order mark), as a spreadsheet saves it with"
                ' "CSV UTF-8"'
            ) from None
        offset += len(piece)
        line += text.count("\n")
        if at_start and text:
            text = text.removeprefix("\ufeff")
            at_start = False
        if text:
            yield text


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece, then an empty one that is marked as the last."""
    for piece in pieces:
        yield piece, False
    yield b"", True


def lines(pieces: Iterable[str], *, universal: bool) -> Iterator[str]:
    r"""
    Yield lines with their line ends: LF, and if `universal` also CRLF and CR.

    A line longer than `LONGEST_LINE` comes with its middle cut out, so that it is still longer
    than that, one line, and no burden.
    """
    newline = "" if universal else "\n"
    rest = ""
    for piece in pieces:
        text = rest + piece
        found = io.StringIO(text, newline=newline).readlines()
        rest = found.pop() if found and not text.endswith("\n") else ""
        yield from found
        if len(rest) > LONGEST_LINE:
            # The last character may be a CR that ends the line.
            rest = rest[:LONGEST_LINE] + rest[-1]
    if rest:
        yield rest
