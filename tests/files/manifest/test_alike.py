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
    assert (usual.rows, usual.refused, usual.own_columns) == (
        exact.rows,
        exact.refused,
        exact.own_columns,
    )
    return seen[0] if seen else "exact"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_GOOD * 3, id="as jq writes it"),
        pytest.param(_GOOD.replace(b":", b": ").replace(b",", b", ") * 3, id="with spaces"),
        pytest.param(_GOOD.replace(b"\n", b"\r\n") * 3, id="CRLF"),
        pytest.param((_GOOD * 3)[:-1], id="no end of the last line"),
        pytest.param(_GOOD + _GOOD.replace(b'"a"', b'""'), id="an empty value"),
        pytest.param(_GOOD + _GOOD.replace(b'"a"', '"{[é, 9\u2028]}"'.encode()), id="odd text"),
        pytest.param(_GOOD.replace(b'"1"', b'"007"'), id="an id that begins with 0"),
    ],
)
def test_lines_that_are_alike_are_cut(reader: Reader, content: bytes) -> None:
    """Every value is what stands between its quotes."""
    assert "cut" == read_so(reader, content)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"op":"unlink","record_id":"1","note":"\\u0041"}', id="escaped"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a\\"b"}', id="escaped quote"),
        pytest.param(b'{"op":"unlink","record_id":1,"note":"a"}', id="a number"),
        pytest.param(b'{"op":"unlink","note":"a","record_id":"1"}', id="another order"),
        pytest.param(b'{"op":"unlink","record_id":"1"}', id="a key less"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a","more":"b"}', id="a key more"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":["a"]}', id="nested"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a"} ', id="a space at the end"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a"', id="not closed"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a"}}', id="closed twice"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a\tb"}', id="a tab"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a\rb"}', id="a carriage return"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a\x00b"}', id="NUL"),
        pytest.param(b'{"op":"unlink","record_id":"1","note":"a\x1fb"}', id="control"),
        pytest.param(b"", id="blank"),
        pytest.param(b"[]", id="a list"),
    ],
)
@pytest.mark.parametrize("lines_before", [0, 1, 1500])
def test_one_line_that_is_otherwise_is_read_as_it_stands(
    reader: Reader, line: bytes, lines_before: int
) -> None:
    """First, in the sample or behind it: no row is lost, and none is read as something else."""
    assert "cut" != read_so(reader, _GOOD * lines_before + line + b"\n" + _GOOD)


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
        assert alike.pieces_of(source) is None


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
