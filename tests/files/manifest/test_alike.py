"""Lines that are all alike are cut, not parsed: whoever tells the difference has found an error."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest.mock import patch

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.files.manifest import alike, fast, inspect
from bulkops.files.manifest import objects as reading
from bulkops.files.manifest.layout import lay_out
from bulkops.files.manifest.objects import cell_reader, objects
from bulkops.files.manifest.records import Refusal
from bulkops.files.manifest.source import LONGEST_LINE
from bulkops.files.manifest.stored import forget
from tests.files.manifest.conftest import Reader

_GOOD = b'{"op":"unlink","record_id":"1","note":"a"}\n'


def read_so(reader: Reader, content: bytes) -> str:
    """Load as ever and line by line, hold that both are equal, and say which reader it was."""
    seen: list[str] = []
    cut, parse = fast._read_alike, fast._read_jsonl

    def told(name: str, function: object) -> object:
        def reading(*given: object, **named: object) -> object:
            found = function(*given, **named)  # type: ignore[operator]
            if found is not None:
                seen.append(name)
            return found

        return reading

    with (
        patch.object(fast, "_read_alike", told("cut", cut)),
        patch.object(fast, "_read_jsonl", told("parsed", parse)),
    ):
        source = inspect(reader.write(content, "manifest.jsonl"))
        usual = reader.load(source)
        rows = reader.rows()
        exact = reader.load(source, exact=True)
    assert rows == reader.rows()
    assert (usual.rows, usual.refused, usual.own_columns, usual.counts) == (
        exact.rows,
        exact.refused,
        exact.own_columns,
        exact.counts,
    )
    how = seen[0] if seen else "exact"
    return "set aside" if how == "cut" and usual.exact else how


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_GOOD * 3, id="as jq writes it"),
        pytest.param(_GOOD.replace(b":", b": ").replace(b",", b", ") * 3, id="with spaces"),
        pytest.param(_GOOD.replace(b"\n", b"\r\n") * 3, id="CRLF"),
        pytest.param((_GOOD * 3)[:-1], id="no end of the last line"),
        pytest.param(b"\xef\xbb\xbf" + _GOOD * 3, id="with a byte order mark"),
        pytest.param(_GOOD + _GOOD.replace(b'"a"', b'""'), id="an empty value"),
        pytest.param(_GOOD + _GOOD.replace(b'"a"', '"{[é, 9\u2028]}"'.encode()), id="odd text"),
        pytest.param(_GOOD.replace(b'"1"', b'"007"'), id="an id that begins with 0"),
    ],
)
def test_lines_that_are_alike_are_cut(reader: Reader, content: bytes) -> None:
    """Every value is what stands between its quotes."""
    assert "cut" == read_so(reader, content)


_OTHERWISE = [
    pytest.param(b'{"op":"unlink","record_id":"1","note":"\\u0041"}', id="escaped"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a\\"b"}', id="escaped quote"),
    pytest.param(b'{"op":"unlink","record_id":1,"note":"a"}', id="a number"),
    pytest.param(b'{"op":"unlink","record_id":4.15e18,"note":-0}', id="odd numbers"),
    pytest.param(b'{"op":"unlink","note":"a","record_id":"1"}', id="another order"),
    pytest.param(b'{"op":"unlink","record_id":"1"}', id="a key less"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a","more":"b"}', id="a key more"),
    pytest.param(b'{"op":"unlink","module":"L","record_id":"1","note":"a"}', id="a known key more"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a","note":"b"}', id="a key twice"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":["a"]}', id="nested"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":","}', id="what stands between"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a"b"}', id="a quote more"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"}', id="a quote less"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a"} ', id="a space at the end"),
    pytest.param(b' {"op":"unlink","record_id":"1","note":"a"}', id="a space before"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a"', id="not closed"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a"}}', id="closed twice"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a\tb"}', id="a tab"),
    pytest.param(b"", id="blank"),
    pytest.param(b" \t", id="blank but for spaces"),
    pytest.param(b"[]", id="a list"),
    pytest.param(b"\xef\xbb\xbf" * 2 + _GOOD[:-1], id="byte order marks"),
]
_SPOILT = [
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a\rb"}', id="a carriage return"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a\x00b"}', id="NUL"),
    pytest.param(b'{"op":"unlink","record_id":"1","note":"a\x1fb"}', id="control"),
]


@pytest.mark.parametrize("line", [*_OTHERWISE, *_SPOILT])
@pytest.mark.parametrize("lines_before", [0, 1, 1500])
def test_one_line_that_is_otherwise_is_read_as_it_stands(
    reader: Reader, line: bytes, lines_before: int
) -> None:
    """First, in the sample or behind it: no row is lost, and none is read as something else."""
    assert "cut" != read_so(reader, _GOOD * lines_before + line + b"\n" + _GOOD)


@pytest.mark.parametrize("length", range(LONGEST_LINE - 3, LONGEST_LINE + 3))
@pytest.mark.parametrize("value", ["cut", "set\\aside"])
def test_the_longest_line_is_as_long_for_every_reading(
    reader: Reader, length: int, value: str
) -> None:
    """Its end counts; whatever reads it, the same lines are refused."""
    line = f'{{"op":"unlink","record_id":"1","note":"{value}'.encode()
    line += b"x" * (length - len(line) - 2) + b'"}'
    read_so(reader, _GOOD * 1500 + line + b"\n" + _GOOD)
    read_so(reader, _GOOD * 1500 + line)


@pytest.mark.parametrize("line", _OTHERWISE)
@pytest.mark.parametrize("lines_after", [0, 1, 1500])
def test_a_few_lines_that_are_otherwise_do_not_slow_the_others(
    reader: Reader, line: bytes, lines_after: int
) -> None:
    """They are set aside and come back where they stood, with the reason if they are refused."""
    content = _GOOD * 1500 + (line + b"\n") * 2 + _GOOD * lines_after + line + b"\n"
    assert "set aside" == read_so(reader, content)


def test_lines_that_are_otherwise_are_told_by_file_and_line(reader: Reader) -> None:
    """Blank lines are none, and count for nothing; the first line may be one that is otherwise."""
    content = b'{"more":1,"op":"a"}\n' + _GOOD * 40 + b"\n[]\n\n\n" + _GOOD + b"{\n\n"
    with patch.object(alike, "ONE_IN", 5):
        assert "set aside" == read_so(reader, content)
        loaded, _ = reader.both(inspect(reader.write(content, "manifest.jsonl")))
    assert (42, 2, (44,)) == (loaded.rows, loaded.refused, loaded.counts)
    assert ("more", "op", "record_id", "note") == loaded.own_columns
    assert [(42, "not_an_object"), (44, "not_json")] == [row[:2] for row in reader.refusals()]
    assert reader.refusals()[0][2].startswith("line 42: found a list")


def test_many_lines_that_are_otherwise_are_left_to_others(reader: Reader) -> None:
    """Each takes its time: DuckDB reads them as JSON, where they are more than a few."""
    odd = _GOOD.replace(b'"1"', b"1")
    with patch.object(fast, "_ALWAYS_ASIDE", 10):
        assert "parsed" == read_so(reader, _GOOD * 1500 + odd * 100)
    assert "parsed" == read_so(reader, _GOOD * 10 + odd)


def test_nothing_is_left_of_lines_set_aside(reader: Reader) -> None:
    """Neither a file nor a function, whether reading them went well or not."""
    before = sorted(reader.directory.iterdir())
    functions = "SELECT count(*) FROM duckdb_functions() WHERE function_name LIKE '%aside%'"
    for end in (b"[]\n", b"a\x1fb\n"):
        read_so(reader, _GOOD * 1500 + end)
        reader.connection.execute("DROP VIEW manifest")
        forget(reader.connection, "manifest_rows")
        assert (0,) == reader.connection.execute(functions).fetchone()
    left = [file.name for file in sorted(reader.directory.iterdir()) if file not in before]
    assert ["manifest.jsonl"] == left


def test_lines_set_aside_keep_their_order_by_many_threads(reader: Reader) -> None:
    """Record n has line n in a file that several threads read, blank lines or not."""
    for blank in (b"", b"\n"):
        lines = [
            b'{"op":"a","record_id":%d}\n%b' % (line, blank)
            if line % 5_000 == 0
            else b'{"op":"a","record_id":"%d"}\n' % line
            for line in range(1, 400_001)
        ]
        loaded = reader.read(b"".join(lines), "manifest.jsonl")
        wrong = "SELECT count(*) FROM manifest WHERE line <> record_id::BIGINT"
        assert (0,) == reader.connection.execute(wrong).fetchone()
        assert (400_000, True) == (loaded.rows, loaded.exact)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries({"op": _TEXTS, "record_id": _TEXTS, "a b": _TEXTS}), min_size=1
    ),
    spaced=st.booleans(),
)
def test_any_text_is_read_as_it_stands(
    reader: Reader, rows: list[dict[str, str]], *, spaced: bool
) -> None:
    """Whatever the strings hold, the fast readings say what the exact one says."""
    lines = [orjson.dumps(row) for row in rows]
    if spaced:
        lines = [line.replace(b'":"', b'": "', 1) for line in lines]
    with patch.object(alike, "ONE_IN", 1):
        read_so(reader, b"".join(line + b"\n" for line in lines))


def test_a_first_line_that_is_no_pattern_is_left_to_others(reader: Reader) -> None:
    """Keys that come twice or are empty, and our own mark, which means something in CSV alone."""
    for line in (
        b'{"a":"1","a":"2"}',
        b'{"":"1"}',
        b"{}",
        b'{"bulkops_apostrophes":"1"}',
        b'{"a":"1"',
    ):
        source = inspect(reader.write(line + b"\n", "manifest.jsonl"))
        assert alike.alike(source) is None


_NUMBERS = st.sampled_from(
    [
        *("0", "-0", "1.0", "1e3", "4.15E+18", "1E400", "0.1", "-1.5", "-5", "true", "null"),
        *("18446744073709551616", "9999999999999999999", "-9223372036854775809", "9" * 25),
    ]
)
_VALUES = st.recursive(
    _NUMBERS | st.text(max_size=4).map(lambda text: json.dumps(text)),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]")
        | st.lists(inner, max_size=2).map(
            lambda found: "{" + ",".join(f'"{n}" :{each}' for n, each in enumerate(found)) + "}"
        )
    ),
    max_leaves=6,
)


@given(value=_VALUES)
def test_the_faster_parser_is_asked_only_where_it_is_exact(value: str) -> None:
    """With it or without, the same lines are refused, and the others read the same."""
    layout = lay_out(Path("x"), known=("op",), fields=("a",), columns={}, fixed={})
    cells = cell_reader(layout)
    line = f'{{"op":{value},"a": {value},"b":{value}}}'

    def read() -> list[object]:
        found = (each for _, each in objects(iter([line, value])))
        return [each if isinstance(each, Refusal) else cells(each) for each in found]

    with_it = read()
    with patch.object(reading, "_RISKY", re.compile("")):
        assert read() == with_it
