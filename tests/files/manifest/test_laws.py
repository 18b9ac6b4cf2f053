"""The two laws: both readings agree, and no record of a file is lost."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bulkops.errors import ManifestError
from bulkops.files.manifest import inspect
from bulkops.files.manifest.stream import lines, texts
from bulkops.files.manifest.survey import survey
from tests.files.manifest.conftest import KNOWN, Reader

LAW = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\ufeff", exclude_categories=["Cs"]),
    max_size=8,
)
CELL = st.one_of(TEXT, st.text('a1 ",;\t|\n\r\\é', max_size=6), st.sampled_from(["", "4.15E+18"]))
HEADERS = st.lists(
    st.sampled_from([*KNOWN, "list_price", "Full Name", "Größe", "a,b", 'say "x"', "fields"]),
    min_size=2,
    max_size=6,
    unique=True,
)
JSON_LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**25), max_value=10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
JSON_VALUE = st.recursive(
    JSON_LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
CSV_PIECES = (
    *(b"a", b"1", b" ", b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"\t", b";", b"\xc3\xa9", b"\0"),
    *(b"1,2\n", b'"x",y\n', b'"p\nq",r\n', b"a,b\r\n", b"=1", b"'", b"\\", b"#"),
    # Marks and line ends that only some readers know, and a letter beyond the first 65536.
    *(b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\x1c", b"\xf0\x9f\x98\x80"),
)
NEAR_CSV = st.lists(st.sampled_from(CSV_PIECES), max_size=24).map(b"".join)
JSON_PIECES = (
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"\r\n", b" ", b"1", b"-0", b"1.50", b"\0"),
    *(b'{"op":"x"}\n', b'{"a":1,}\n', b'{"a":NaN}\n', b'{"a":1e5,"op":[1]}\n', b"\xc3\xa9"),
    *(b'{"op":null,"z":"\\u00e9\\u001f"}\n', b'{"a":1,"a":2}\n', b"[1]\n", b"null\n"),
    # Half a surrogate pair, a whole one, NUL, and ids of 1, 19, 20 and more digits as numbers.
    *(b'{"op":"\\ud800"}\n', b'{"\\udc00":1}\n', b'{"op":"\\ud83d\\ude00","a":"\\u0000"}\n'),
    *(b'{"record_id":7}\n', b'{"record_id":4150868000000000001}\n', b'{"record_id":-0}\n'),
    *(b'{"record_id":18446744073709551616}\n', b'{"record_id":%s}\n' % (b"9" * 25)),
    *(
        b'{"op":"a","record_id":"1"}\n',
        b'{"op":"b","record_id":""}\n',
        b'{"op":" ","record_id":[]}\n',
    ),
    *(b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\\", b"\xf0\x9f\x98\x80", b"\xff"),
)
NEAR_JSONL = st.lists(st.sampled_from(JSON_PIECES), max_size=16).map(b"".join)


def written(cell: str, *, always: bool) -> str:
    """Write a cell of CSV, in quotes where it must be or `always`."""
    plain = not always and not set(cell) & set(' ",;\t|\r\n')
    return cell if plain else '"' + cell.replace('"', '""') + '"'


@LAW
@given(data=st.data())
def test_both_readings_of_well_formed_csv_agree(reader: Reader, data: st.DataObject) -> None:
    """What is written comes back cell by cell, whichever reading is used."""
    header = data.draw(HEADERS)
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(header), max_size=len(header))))
    delimiter = data.draw(st.sampled_from(",;\t|"))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    always = data.draw(st.booleans())
    text = "".join(
        delimiter.join(written(cell, always=always) for cell in row) + end
        for row in [header, *rows]
    )
    # Cells full of other delimiters may mislead the sniffing, which is not the matter here.
    source = replace(
        inspect(reader.write(text.encode())), delimiter=delimiter, header=tuple(header)
    )

    usual, _ = reader.both(source, fields=("list_price",))

    assert (len(rows), 0) == (usual.rows, usual.refused)
    for row, (line, fields, extra, *known) in zip(
        rows, reader.rows(f"line, fields, extra, {', '.join(KNOWN)}"), strict=True
    ):
        cells = dict(zip(header, row, strict=True))
        assert [cells.get(name) or None for name in KNOWN] == known, line
        price = cells.get("list_price")
        assert ({"list_price": price} if price else None) == (fields and json.loads(fields))
        rest = {key: cells[key] for key in header if key not in (*KNOWN, "list_price")}
        assert (rest or None) == (extra and json.loads(extra))


@LAW
@given(
    objects=st.lists(
        st.dictionaries(st.one_of(st.sampled_from([*KNOWN, "list_price"]), TEXT), JSON_VALUE)
    ),
    ascii_only=st.booleans(),
    compact=st.booleans(),
)
def test_both_readings_of_well_formed_json_lines_agree(
    reader: Reader, objects: list[dict[str, object]], ascii_only: bool, compact: bool
) -> None:
    """Objects come back with their values, whichever reading is used."""
    separators = (",", ":") if compact else (", ", ": ")
    written = [json.dumps(each, ensure_ascii=ascii_only, separators=separators) for each in objects]
    if not written:
        return

    usual, _ = reader.both(
        inspect(reader.write("\n".join(written).encode(), "m.jsonl")), fields=("list_price",)
    )

    assert (len(objects), 0) == (usual.rows, usual.refused)
    assert tuple(dict.fromkeys(key for each in objects for key in each)) == usual.own_columns
    for each, (fields, extra) in zip(objects, reader.rows("fields, extra"), strict=True):
        price = each.get("list_price")
        assert (None if price in (None, "") else {"list_price": price}) == (
            fields and json.loads(fields)
        )
        rest = {key: each[key] for key in each if key not in (*KNOWN, "list_price")}
        assert (rest or None) == (extra and json.loads(extra))


@LAW
@given(content=NEAR_CSV)
@example(content=b'"" "x",y\n')
@example(content=b'"x" ,y\n')
@example(content=b'x, "y"\n')
@example(content=b"x,y,,\n")
@example(content=b'x","y"\n')
def test_both_readings_of_anything_like_csv_agree(reader: Reader, content: bytes) -> None:
    """
    The fast reading never gives what the exact one would not, and lines have no gaps.

    The examples are what DuckDB forgives in strict mode: spaces around quotes, empty surplus
    fields.
    """
    source = inspect(reader.write(b"a,%s\n" % (b"b" * 100) + content))

    usual, _ = reader.both(source)

    lines = [line for (line,) in reader.rows("line")]
    assert list(range(1, usual.rows + usual.refused + 1)) == lines


@LAW
@given(content=NEAR_JSONL)
def test_both_readings_of_anything_like_json_lines_agree(reader: Reader, content: bytes) -> None:
    """Accepted and refused lines are all lines that are not blank, whichever reading is used."""
    try:
        source = inspect(reader.write(content, "m.jsonl"))
    except ManifestError:
        return

    usual, _ = reader.both(source)

    written = [line for line in content.split(b"\n") if line.strip(b" \t\r")]
    assert len(written) == usual.rows + usual.refused


@LAW
@given(content=NEAR_CSV.filter(lambda content: b'"' not in content))
def test_every_line_without_quotes_is_a_record(reader: Reader, content: bytes) -> None:
    """Without quotes, records are the lines of the file that are not blank, but the header."""
    # A long header keeps a few NUL bytes from looking like UTF-16.
    source = inspect(reader.write(b"a,%s\n" % (b"b" * 100) + content, "m.csv"))

    loaded = reader.load(source, exact=True)

    blank = b" \t".replace(source.delimiter.encode(), b"")
    written = [line for line in re.split(b"\r\n|\r|\n", content) if line.strip(blank)]
    assert len(written) == loaded.rows + loaded.refused


@LAW
@given(content=st.binary(max_size=200), name=st.sampled_from(["m.csv", "m.jsonl", "m"]))
def test_any_bytes_are_read_or_refused_with_one_sentence(
    reader: Reader, content: bytes, name: str
) -> None:
    """Whatever a file holds, the answer is a table or a `ManifestError` that names the file."""
    path = reader.write(content, name)
    said = ""
    try:
        loaded = reader.load(inspect(path))
    except ManifestError as error:
        said = str(error)

    if said:
        assert said.startswith(f"{path}: ")
    else:
        assert loaded.rows + loaded.refused == len(reader.rows())


@pytest.mark.parametrize("tail", [b"", b"4,5\n"])
def test_lines_are_numbered_in_file_order_by_many_threads(tail: bytes, tmp_path: Path) -> None:
    """Record n has line n, in a file that several threads read, by either reading."""
    rows = b"".join(b"Leads,%d,Campaigns,%d,unlink\n" % (n, n + 7) for n in range(1, 500_001))
    path = tmp_path / "m.csv"
    path.write_bytes(b"module,record_id,related_list,related_id,op\n" + rows + tail)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 4")
        connection.execute("SET preserve_insertion_order = false")
        reader = Reader(connection, tmp_path)

        loaded = reader.load(inspect(path))

        wrong = "SELECT count(*) FROM manifest WHERE line <> record_id::BIGINT"
        assert connection.execute(wrong).fetchone() == (0,)
        assert (500_000, bool(tail), bool(tail)) == (loaded.rows, loaded.refused, loaded.exact)
        setting = "SELECT current_setting('preserve_insertion_order')"
        assert connection.execute(setting).fetchone() == (False,)


@LAW
@given(content=NEAR_CSV, data=st.data())
def test_where_the_pieces_of_a_file_end_changes_nothing(
    content: bytes, data: st.DataObject
) -> None:
    """Counts, text and lines are of the file, not of the pieces that it was read in."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)))))
    pieces = [content[i:j] for i, j in pairwise([0, *cuts, len(content)])]

    whole = survey([content], delimiter=",", quote='"')
    pieced = survey(pieces, delimiter=",", quote='"')
    text = "".join(texts(Path("m"), pieces=pieces, encoding="utf-8"))

    # Distrust may only grow.
    assert replace(pieced, odd=pieced.odd and whole.odd) == whole
    # A byte order mark is no text of the file.
    assert text == content.decode("utf-8-sig")
    for universal in (True, False):
        expected = list(lines([content.decode()], universal=universal))
        found = list(lines([piece.decode("latin-1") for piece in pieces], universal=universal))
        assert [line.encode() for line in expected] == [line.encode("latin-1") for line in found]
        assert "".join(expected) == content.decode()


def test_plain_files_are_read_fast(reader: Reader) -> None:
    """The laws above are worth something only if the fast reading is in fact used."""
    for content in (b'a,b\n1,"x,""y""\nz"\n\n', b"a;b\r\n1;2\r\n", b'"a"\t"b"\n"1"\t""\n'):
        assert not reader.read(content).exact
    for content in (b'{"a":[1,{"b":null}]}\n{"c":"\\u00e9"}', b"{}\n"):
        assert not reader.read(content, "m.jsonl").exact


@pytest.mark.parametrize(
    "odd",
    [
        b'{":":NaN,"op":"tag"}',
        b'{"record_id":1e3,":":":","op":"tag"}',
        b'{":":1.50,"op":"tag"}',
        b'{"op":"' + b"x" * (1_000_000 - 9) + b'"}',
    ],
    ids=["not a number", "an id", "as it stands", "as long as can be"],
)
def test_what_looks_plain_and_is_not_is_read_alike(reader: Reader, odd: bytes) -> None:
    """A key that is a colon, and a line whose end makes it too long, mislead no reading."""
    source = inspect(reader.write(b'{"op":"tag"}\n' + odd + b"\n", "manifest.jsonl"))
    reader.both(source)
