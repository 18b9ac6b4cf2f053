"""Ids kept as numbers: beside each text stands a number only where it prints as that text."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.files.manifest import gather, inspect, some
from tests.files.manifest.conftest import Reader

_IDS = ["record_id", "related_id"]
_PLAIN = ["1", "42", "4150870000000000000", "9999999999999999999"]
_OTHERS = ["0", "007", "10000000000000000000", "18446744073709551616", " 5", "5 ", "+5", "-1", "5."]
_OTHERS += ["1e3", "4.0", "1_0", "0x1f", "\uff15", "1;2", "x", "9" * 40]


def lines_of(values: list[str]) -> bytes:
    """Return a JSON line for each value, and one without."""
    rows = [{"op": "a", "record_id": value} for value in values]
    return b"".join(orjson.dumps(row) + b"\n" for row in [*rows, {"op": "a"}])


@pytest.mark.parametrize("exact", [False, True])
def test_a_number_stands_for_a_text_only_if_it_prints_so(reader: Reader, *, exact: bool) -> None:
    """Every text comes back as it stood; a column that no row has is there, and empty."""
    source = inspect(reader.write(lines_of([*_PLAIN, *_OTHERS]), "manifest.jsonl"))
    reader.load(source, exact=exact, ids=_IDS)
    expected = [(text, int(text)) for text in _PLAIN]
    expected += [(text, None) for text in _OTHERS]

    assert [*expected, (None, None)] == reader.rows("record_id, record_id_number")
    assert {(None, None)} == set(reader.rows("related_id, related_id_number"))


def test_some_rows_are_those_of_the_whole(reader: Reader) -> None:
    """Chosen by their lines, with texts and numbers as all the others have them."""
    source = inspect(reader.write(lines_of([*_PLAIN, *_OTHERS]), "manifest.jsonl"))
    reader.load(source, ids=_IDS)
    expected = [row for row in reader.rows() if row[0] in (2, 5, 6)]

    chosen = some(reader.connection, "manifest", lines="SELECT unnest([5, 2, 6]) AS line")
    assert expected == reader.connection.execute(f"FROM ({chosen}) ORDER BY line").fetchall()
    none = some(reader.connection, "manifest", lines="SELECT 1 AS line WHERE false")
    assert [] == reader.connection.execute(none).fetchall()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("0123456789 .e+", min_size=1, max_size=21), min_size=1, max_size=8))
def test_any_id_comes_back_as_it_stood(reader: Reader, values: list[str]) -> None:
    """Numbers or not, whatever is near to being one."""
    reader.load(inspect(reader.write(lines_of(values), "manifest.jsonl")), ids=_IDS)

    assert [(value,) for value in values] == reader.rows("record_id")[:-1]
    for text, number in reader.rows("record_id, record_id_number"):
        assert number is None or str(number) == text


def test_files_one_after_another_keep_numbers_and_texts(reader: Reader) -> None:
    """Also where a file has nothing but the one or the other, or no such column at all."""
    for place, content in enumerate((lines_of(_PLAIN), lines_of(_OTHERS), b'{"op":"b"}\n')):
        reader.write(content, f"{place}.jsonl")
    manifest = gather([reader.directory / f"{place}.jsonl" for place in range(3)])
    loaded = reader.load(manifest, ids=_IDS)  # type: ignore[arg-type]
    texts = [*_PLAIN, None, *_OTHERS, None, None]

    assert (len(texts), 0) == (loaded.rows, loaded.refused)
    assert [(line, text) for line, text in enumerate(texts, 1)] == reader.rows("line, record_id")


def test_a_file_that_is_named_stays(reader: Reader, tmp_path: Path) -> None:
    """Rows kept for later are there when the table is gone; others leave nothing behind."""
    kept = tmp_path / "kept.parquet"
    source = inspect(reader.write(lines_of(_PLAIN), "manifest.jsonl"))
    reader.load(source, file=kept, ids=_IDS)
    reader.load(source, ids=_IDS)
    content = kept.read_bytes()
    reader.load(source, ids=_IDS)

    assert content == kept.read_bytes()
    assert 1 == len(list(tmp_path.glob("bulkops-*.parquet")))
