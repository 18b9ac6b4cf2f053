"""What a file is found to be, and the one sentence for a file that is no manifest."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
from pathlib import Path

import pytest

from bulkops.errors import ExitCode, ManifestError
from bulkops.files.manifest import Format, inspect, suggest
from tests.files.manifest.conftest import Reader

ROWS = b"module,record_id\nLeads,1\nLeads,2\n"


def test_a_source_tells_size_and_digest_of_the_file_on_disk(reader: Reader) -> None:
    """Size and SHA-256 are of the compressed file: they identify what the user gave."""
    content = gzip.compress(ROWS, mtime=0)

    source = inspect(reader.write(content, "m.csv.gz"))

    assert (source.format, source.compression, source.encoding) == (Format.CSV, "gz", "utf-8")
    assert (len(content), hashlib.sha256(content).hexdigest()) == (source.size, source.sha256)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(reader: Reader, delimiter: str) -> None:
    """Of the four delimiters the one is taken that cuts header and records alike."""
    text = f"module{delimiter}record_id{delimiter}note\nLeads{delimiter}1{delimiter}a, b; c | d\n"

    source = inspect(reader.write(text.encode()))

    assert (delimiter, ("module", "record_id", "note")) == (source.delimiter, source.header)


def test_a_single_column_has_no_delimiter_to_find(reader: Reader) -> None:
    """One column is read as comma-separated."""
    source = inspect(reader.write(b"territory_id\n1\n2\n"))

    assert (source.delimiter, source.header) == (",", ("territory_id",))


def test_single_quotes_around_all_names_are_quotes(reader: Reader) -> None:
    """The quote is a single one only if the header says so throughout."""
    source = inspect(reader.write(b"'module';'record_id'\n'Le;ads';'1'\n"))

    assert (source.quote, source.delimiter, source.header) == ("'", ";", ("module", "record_id"))


def test_header_names_are_trimmed_and_may_hold_newlines(reader: Reader) -> None:
    """Spaces around a name are no part of it; quoted newlines within are."""
    source = inspect(reader.write(b'\n module ,"Lead\nId", x\n1,2,3\n'))

    assert source.header == ("module", "Lead\nId", "x")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.csv", b'{"a":1}\n', Format.CSV),
        ("m.json", b"a,b\n", Format.JSONL),
        ("m.ndjson.gz", gzip.compress(b'{"a":1}\n', mtime=0), Format.JSONL),
        ("m.txt", b'\n  {"a":1}\n', Format.JSONL),
        ("m", b"a,b\n1,2\n", Format.CSV),
        ("m.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), Format.CSV),
    ],
)
def test_the_format_is_by_name_then_by_content(
    reader: Reader, name: str, content: bytes, expected: Format
) -> None:
    """A known extension decides; without one the first character does."""
    assert expected == inspect(reader.write(content, name)).format


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.csv", b"", "found an empty file, expected a header or records"),
        ("m.csv", b"\n \r\n", "found nothing in this file, expected a header or records"),
        (
            "m.csv",
            b"a,b,a\n1,2,3\n",
            "the header has 'a' 2 times (columns 1, 3), expected each name once",
        ),
        (
            "m.csv",
            b"a,,c\n1,2,3\n",
            "column 2 of 3 has no name in the header, expected a name for each column. Is there",
        ),
        (
            "m.csv",
            b'a,"b\n1,2\n',
            "the header cannot be read: a quoted field begins here and is never closed",
        ),
        (
            "m.csv.gz",
            b"a,b\n1,2\n",
            "the name says gz, but the file does not begin like one (found bytes 61 2c 62 0a)",
        ),
        (
            "m.csv.gz",
            gzip.compress(random.Random(7).randbytes(500), mtime=0)[:300],
            (
                "found a truncated or damaged gzip file (Compressed file ended before the"
                " end-of-stream marker was reached), expected a whole one"
            ),
        ),
        ("m.csv", b"PK\x03\x04xlsx", "found a zip archive or an Excel workbook, expected CSV,"),
        ("m.csv", b"PAR1....", "the name says csv, but the file is Parquet"),
        (
            "m.parquet",
            b"a,b\n1,2\n",
            "the name says parquet, but the file does not begin like one (found bytes 61 2c 62 0a)",
        ),
        (
            "m.parquet",
            b"PAR1" + b"." * 20,
            (
                "found a truncated Parquet file (it does not end with PAR1), expected a whole"
                " Parquet file"
            ),
        ),
        ("m", b"PAR1PA", "found a truncated Parquet file (it does not end with PAR1), expected"),
        ("m.pq", b"PAR1....PAR1", "found a damaged Parquet file ("),
        ("m.parquet", b"", "found an empty file, expected a header or records"),
        (
            "m.csv",
            "module,record_id\n".encode("utf-16-le"),
            (
                "found NUL bytes all over, as in a binary file or in UTF-16 without a byte order"
                " mark; expected UTF-8 (or UTF-16 with a byte order mark)"
            ),
        ),
        (
            "m.csv",
            "module,name\nLeads,x\nLeads,Müller\n".encode("latin-1"),
            (
                "found bytes fc 6c 6c 65 at byte 27, line 3 of the file, that are not UTF-8;"
                " expected UTF-8 (or UTF-16 with a byte order mark), as a spreadsheet saves it with"
                ' "CSV UTF-8"'
            ),
        ),
        (
            "m.json",
            b'[{"op":"unlink"},{"op":"unlink"}]',
            (
                "found one JSON array, expected one object a line"
                " (jq -c '.[]' turns the one into the other)"
            ),
        ),
        ("m.json", b'[\n{"op":"unlink"}\n]\n', "found one JSON array, expected one object a line"),
        ("m.json", b'{\n"op": 1\n}\n', "found a JSON object over several lines, expected one"),
        ("m.csv", b"a" * 300_000, "found no end of the first line in 262,144 bytes, expected"),
    ],
)
def test_what_is_no_manifest_gets_one_sentence(
    reader: Reader, name: str, content: bytes, words: str
) -> None:
    """The sentence names the file, what was found and what was expected; the exit code is 2."""
    path = reader.write(content, name)

    with pytest.raises(ManifestError) as caught:
        inspect(path)

    assert str(caught.value).startswith(f"{path}: {words}")
    assert caught.value.exit_code == ExitCode.USAGE


def test_what_cannot_be_opened_gets_one_sentence(tmp_path: Path) -> None:
    """Missing, a directory, a pipe: each is named for what it is."""
    os.mkfifo(tmp_path / "pipe")
    expected = {
        tmp_path / "none.csv": "there is no such file",
        tmp_path: "found a directory, expected a file",
        tmp_path / "pipe": "found a device or a pipe, expected a file",
        Path("/proc/self/mem"): "cannot be read (Input/output error)",
    }
    for path, words in expected.items():
        if path.is_relative_to("/proc") and not path.exists():
            continue
        with pytest.raises(ManifestError) as caught:
            inspect(path)
        assert f"{path}: {words}" == str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_gets_one_sentence(reader: Reader) -> None:
    """An unreadable file says so."""
    path = reader.write(ROWS)
    path.chmod(0)

    with pytest.raises(ManifestError, match="may not be read by this user"):
        inspect(path)


def test_near_misses_among_names_are_suggested() -> None:
    """Case, spaces and slips are seen; exact names and unlike ones are not suggested."""
    header = ["Record_Id", "related  ID", "op", "modul", "Email"]

    found = suggest(header, ["op", "module", "record_id", "related_id", "related_list"])

    expected = {"Record_Id": "record_id", "related  ID": "related_id", "modul": "module"}
    assert expected == found


def test_a_name_that_is_there_is_not_suggested_again() -> None:
    """Beside `record_id`, `RECORD_ID` is a column of its own."""
    assert suggest(["record_id", "RECORD_ID"], ["record_id"]) == {}
