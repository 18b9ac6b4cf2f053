"""Encodings, line ends and compressions: the same records, however they are written."""

from __future__ import annotations

import gzip

import pytest

from bulkops.errors import ManifestError
from bulkops.files.manifest import inspect
from bulkops.files.manifest.sql import literal
from tests.files.manifest.conftest import Reader

CSV = 'op,module,Näme\nlink,Leads,"a\nb"\nlink,Deals,ü\n'
JSONL = '{"op":"link","module":"Leads","Näme":"a\\nb"}\n{"op":"link","module":"Deals","Näme":"ü"}\n'
#: A gzip file may be several, one after the other.
_PARTS = (CSV.encode()[:30], CSV.encode()[30:])
ROWS = [
    (1, "link", "Leads", '{"Näme":"a\\nb"}'),
    (2, "link", "Deals", '{"Näme":"ü"}'),
]


@pytest.mark.parametrize(
    ("name", "content", "encoding", "exact"),
    [
        ("m.csv", CSV.encode(), "utf-8", False),
        ("m.csv", CSV.encode("utf-8-sig"), "utf-8-sig", False),
        ("m.csv", CSV.encode("utf-16"), "utf-16", True),
        ("m.csv", b"\xfe\xff" + CSV.encode("utf-16-be"), "utf-16", True),
        ("m.csv.gz", gzip.compress(CSV.encode(), mtime=0), "utf-8", False),
        ("m.csv.gz", b"".join(gzip.compress(part, mtime=0) for part in _PARTS), "utf-8",
         False),
        ("m.jsonl", JSONL.encode(), "utf-8", False),
        ("m.jsonl", JSONL.encode("utf-8-sig"), "utf-8-sig", True),
        ("m.jsonl", JSONL.encode("utf-16"), "utf-16", True),
        ("m.jsonl", JSONL.replace("\n", "\r\n").encode(), "utf-8", False),
        ("m.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0), "utf-8", False),
        ("m.csv", CSV.replace("Leads", "Leads").encode() + b"\n\n", "utf-8", False),
        ("m.csv", b"\n\n" + CSV.encode(), "utf-8", True),
        ("m.jsonl", JSONL.replace("\n", "\n\n").encode(), "utf-8", True),
    ],
)  # fmt: skip
def test_the_same_records_however_they_are_written(
    reader: Reader, name: str, content: bytes, encoding: str, exact: bool
) -> None:
    """Byte order marks, UTF-16, gzip (of several members) and blank lines change nothing."""
    source = inspect(reader.write(content, name))
    usual, _ = reader.both(source)

    assert reader.rows("line, op, module, extra") == ROWS
    assert (2, 0, exact, encoding) == (usual.rows, usual.refused, usual.exact, source.encoding)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_change_nothing(reader: Reader, end: str) -> None:
    """CRLF and the old CR end lines too; a newline within quotes stays what it is."""
    usual, _ = reader.both(inspect(reader.write(CSV.replace("\n", end).encode())))

    assert [row[:3] for row in ROWS] == reader.rows("line, op, module")
    ((extra,), _) = reader.rows("extra::JSON ->> 'Näme'")
    assert f"a{end}b" == extra
    assert (usual.rows, usual.refused) == (2, 0)


def test_mixed_line_ends_are_read(reader: Reader) -> None:
    """A file put together from two systems is no reason to refuse it."""
    loaded = reader.read(b"op,module\r\nlink,A\nlink,B\r\nlink,C\rlink,D")

    assert reader.rows("module") == [("A",), ("B",), ("C",), ("D",)]
    assert (loaded.rows, loaded.refused, loaded.exact) == (4, 0, True)


@pytest.mark.parametrize("content", [b"op,module", b"op,module\r\n", b"\xef\xbb\xbfop,module\n\n"])
def test_a_header_alone_is_no_error(reader: Reader, content: bytes) -> None:
    """There is nothing to do, which the caller says."""
    usual, certain = reader.both(inspect(reader.write(content)))

    assert (usual.rows, usual.refused, usual.own_columns) == (0, 0, ("op", "module"))
    assert certain.rows == 0


def test_one_column_is_read_exactly(reader: Reader) -> None:
    """A blank line is none, an empty quoted cell is one, and spaces stay text."""
    loaded = reader.read(b'territory_id\n1\n\n""\n  \n 2\n')

    assert reader.rows("line, territory_id") == [(1, "1"), (2, None), (3, " 2")]
    assert (loaded.rows, loaded.refused) == (3, 0)


def zst(reader: Reader, text: str, name: str) -> bytes:
    """Compress `text` with DuckDB, which is the one that has zstandard here."""
    path = reader.directory / ("made-" + name)
    lines = ", ".join(f"({literal(line)})" for line in text.splitlines())
    reader.connection.execute(
        f"COPY (FROM (VALUES {lines})) TO {literal(str(path))}"
        " (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f', COMPRESSION zstd)"
    )
    return path.read_bytes()


@pytest.mark.parametrize(("name", "text"), [("m.csv.zst", CSV), ("m.jsonl.zst", JSONL)])
def test_zstandard_is_read(reader: Reader, name: str, text: str) -> None:
    """Both readings know it, the exact one by way of DuckDB's lines."""
    source = inspect(reader.write(zst(reader, text, name), name))

    usual, _ = reader.both(source)

    assert reader.rows("line, op, module, extra") == ROWS
    assert (source.compression, usual.exact) == ("zst", False)


def test_a_zstandard_that_is_cut_off_anywhere_is_one_error(reader: Reader) -> None:
    """DuckDB takes the lines before a cut for the whole file; the frames tell otherwise."""
    content = zst(reader, CSV, "m.csv.zst")
    for size in range(4, len(content)):
        path = reader.write(content[:size], "m.csv.zst")
        with pytest.raises(ManifestError) as caught:
            inspect(path)
        words = f"it ends within a frame, after {size} bytes"
        expected = f"{path}: found a truncated zst file ({words}), expected a whole one"
        assert expected == str(caught.value)


def test_what_follows_a_zstandard_frame_must_be_one(reader: Reader) -> None:
    """Frames may follow each other, some of them to be skipped; anything else is damage."""
    frame = zst(reader, CSV, "m.csv.zst")
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00xyz"
    more = zst(reader, "link,Cases,z\n", "n.csv.zst")

    loaded = reader.read(skipped + frame + skipped + more, "m.csv.zst")

    expected = [*ROWS, (3, "link", "Cases", '{"Näme":"z"}')]
    assert expected == reader.rows("line, op, module, extra")
    assert (loaded.rows, loaded.refused, loaded.exact) == (3, 0, False)
    with pytest.raises(ManifestError, match="found a damaged zst file"):
        inspect(reader.write(frame + b"junk", "m.csv.zst"))


def test_a_zstandard_that_duckdb_cannot_read_says_what_to_do(reader: Reader) -> None:
    """What cannot be decompressed here can be elsewhere."""
    block = (5 << 3 | 2 << 1 | 1).to_bytes(3, "little") + b"@" * 5
    path = reader.write(bytes.fromhex("28b52ffd0058") + block, "m.csv.zst")

    with pytest.raises(ManifestError, match=r"decompress it \(zstd -d\) and give the file that"):
        inspect(path)
