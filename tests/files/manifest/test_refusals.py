"""Records that are none: each with its line, its code and plain words, and none lost."""

from __future__ import annotations

import gzip

import pytest

from bulkops.errors import ManifestError
from bulkops.files.manifest import inspect
from bulkops.files.manifest.source import LONGEST_FIELD, LONGEST_LINE
from tests.files.manifest.conftest import Reader

NAMES = "module, record_id, note"
HEADER = b"module,record_id,note\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"Leads,1,a\nLeads,2,b,c\nLeads,3\n\nLeads,4,d\n",
            [
                (2, "too_many_fields", f"line 2: 4 fields, expected 3 ({NAMES})"),
                (3, "too_few_fields", f"line 3: 2 fields, expected 3 ({NAMES})"),
            ],
        ),
        (
            b"Leads,1,a,\nx\n",
            [
                (1, "too_many_fields", f"line 1: 4 fields, expected 3 ({NAMES})"),
                (2, "too_few_fields", f"line 2: 1 field, expected 3 ({NAMES})"),
            ],
        ),
        (
            b"Leads,1,a\r\nLeads,2\nLeads,3,c\r",
            [(2, "too_few_fields", f"line 2: 2 fields, expected 3 ({NAMES})")],
        ),
        (
            b"Leads,1,a\x00b\nLeads,2,b\n",
            [(1, "nul_byte", "line 1: column note: found a NUL byte, expected text")],
        ),
        (
            b'Leads,1,"a"b\nLeads,2,b\n',
            [
                (
                    1,
                    "bad_quote",
                    "line 1: text follows the closing quote of a field, expected a delimiter",
                )
            ],
        ),
        (
            b'Leads,1,"a\n\nLeads,2,"b"\nLeads,3,c\n',
            [
                (
                    1,
                    "bad_quote",
                    "line 1: text follows the closing quote of a field, expected a delimiter",
                ),
                (
                    2,
                    "inside_bad_quote",
                    "line 2: lies inside the broken quoted field that begins in line 1",
                ),
            ],
        ),
        (
            b'Leads,1,a\nLeads,2,"b\nLeads,3,c\n\nLeads,4,d\n',
            [
                (2, "unclosed_quote", "line 2: a quoted field begins here and is never closed"),
                (
                    3,
                    "after_unclosed_quote",
                    "line 3: comes after the quote that is left open in line 2",
                ),
                (
                    4,
                    "after_unclosed_quote",
                    "line 4: comes after the quote that is left open in line 2",
                ),
            ],
        ),
        (
            b"Leads,1," + b"x" * (LONGEST_FIELD + 1) + b"\nLeads,2,b\n",
            [
                (
                    1,
                    "field_too_long",
                    (
                        "line 1: column note: found a field of more than 100,000 characters,"
                        " expected at most that"
                    ),
                )
            ],
        ),
        (
            b"Leads,1," + b"x" * 3 * LONGEST_LINE + b"\r\nLeads,2,b\r\n",
            [
                (
                    1,
                    "line_too_long",
                    "line 1: found a line of more than 1,000,000 characters, expected at most that",
                )
            ],
        ),
    ],
)
def test_a_bad_record_of_csv_is_refused_with_line_and_reason(
    reader: Reader, content: bytes, expected: list[tuple[int, str, str]]
) -> None:
    """The bad records alone are refused; lines count records, not lines of the file."""
    loaded = reader.read(HEADER + content)

    assert expected == reader.refusals()
    assert (len(expected), True) == (loaded.refused, loaded.exact)
    assert loaded.rows + loaded.refused == len(reader.rows())


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b"{'a':1}", "not_json", "not JSON (Expecting property name enclosed in double quotes at"),
        (b'{"a":NaN}', "not_json", "not JSON (found NaN), expected an object"),
        (b'{"a":1', "not_json", "not JSON (Expecting ',' delimiter at column 7), expected"),
        (b'{"a":"\\ud800"}', "not_json", "not JSON (half a surrogate pair, or nested too deeply)"),
        (b'{"a":' + b"[" * 5_000, "not_json", "not JSON (nested too deeply), expected an object"),
        (b"[1,2]", "not_an_object", "found a list, expected an object"),
        (b"12", "not_an_object", "found a number, expected an object"),
        (b"null", "not_an_object", "found null, expected an object"),
        (
            b'{"a":"' + b"x" * LONGEST_LINE + b'"}',
            "line_too_long",
            "found a line of more than 1,000,000 characters, expected at most that",
        ),
    ],
)
def test_a_bad_line_of_json_is_refused_with_line_and_reason(
    reader: Reader, line: bytes, code: str, words: str
) -> None:
    """The bad line alone is refused, whatever DuckDB would have made of it."""
    loaded = reader.read(b'{"op":"a"}\n\n' + line + b'\n{"op":"b"}\n', "m.jsonl")

    ((number, found, said),) = reader.refusals()
    assert (2, code) == (number, found)
    assert said.startswith(f"line 2: {words}")
    assert reader.rows("op") == [("a",), (None,), ("b",)]
    assert (loaded.rows, loaded.refused, loaded.exact) == (2, 1, True)


def test_a_quote_left_open_never_swallows_a_line(reader: Reader) -> None:
    """Every line after it is refused by itself, however long the file, until a quote closes it."""
    lines = [b"Leads,%d,x\n" % number for number in range(1, 20_001)]
    lines[6] = b'Leads,7,"x\n'
    lines[17_999] = b'Leads,18000,x"\n'

    loaded = reader.read(HEADER + b"".join(lines))

    assert (loaded.rows, loaded.refused) == (2_006, 17_994)
    code, words = reader.refusals()[0][1:]
    assert code == "unclosed_quote"
    assert words == "line 7: a quoted field begins here and is not closed within 100,000 characters"
    assert reader.connection.execute(
        "SELECT line, record_id FROM manifest WHERE line > 7 AND refused_code IS NULL LIMIT 1"
    ).fetchall() == [(18_001, "18001")]


def test_a_refused_record_has_its_text_and_nothing_else(reader: Reader) -> None:
    """The text is cut at 20,000 characters; columns, fixed ones too, are empty."""
    reader.read(HEADER + b"Leads,1\nLeads,2," + b"y" * 90_000 + b",z\n", fixed={"op": "link"})

    assert (reader.rows("op, module, extra, raw")) == [
        (None, None, None, "Leads,1"),
        (None, None, None, "Leads,2," + "y" * 19_992),
    ]


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz"])
def test_a_byte_that_is_not_text_far_into_the_file_is_one_error(reader: Reader, name: str) -> None:
    """Offset and line are of the uncompressed file, wherever the pieces of it end."""
    good = b"Leads,1,\xc3\xa9\n" * 300_000
    content = HEADER + good + b"Leads,2,\xe9\n"
    path = reader.write(
        gzip.compress(content, 1, mtime=0) if name.endswith("gz") else content, name
    )

    with pytest.raises(ManifestError) as caught:
        reader.load(inspect(path))

    assert (
        f"{path}: found bytes e9 0a at byte {len(HEADER + good) + 8}, line 300002 of the file,"
        " that are not UTF-8; expected UTF-8 (or UTF-16 with a byte order mark), as a spreadsheet"
        ' saves it with "CSV UTF-8"'
    ) == str(caught.value)
    tables = reader.connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
    assert tables == (0,)


def test_a_gzip_cut_off_far_into_the_file_is_one_error(reader: Reader) -> None:
    """What lies before the cut is not taken for the whole."""
    rows = b"".join(b"Leads,%d,%d\n" % (n, n * 7_919) for n in range(200_000))
    path = reader.write(gzip.compress(HEADER + rows, 1, mtime=0)[:-9], "m.csv.gz")

    with pytest.raises(ManifestError, match="found a truncated or damaged gzip file"):
        reader.load(inspect(path))


def test_a_file_that_changes_between_looking_and_reading_is_refused(reader: Reader) -> None:
    """The digest is of what was inspected, so nothing else may be loaded under it."""
    path = reader.write(HEADER + b"Leads,1,a\n")
    source = inspect(path)
    with path.open("ab") as file:
        file.write(b"Leads,2,b\n")

    with pytest.raises(ManifestError, match="the file changed while it was read"):
        reader.load(source)
