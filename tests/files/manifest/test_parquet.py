"""Parquet: typed columns become the text and the JSON that the other formats have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkops.errors import ManifestError
from bulkops.files.manifest import Format, Source, inspect
from bulkops.files.manifest.sql import literal
from tests.files.manifest.conftest import Reader


def write(reader: Reader, select: str, name: str = "m.parquet", options: str = "") -> Path:
    """Write what `select` gives to a Parquet file."""
    path = reader.directory / name
    reader.connection.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet{options})")
    return path


def look(reader: Reader, select: str) -> Source:
    return inspect(write(reader, select))


def test_a_parquet_file_is_known_by_its_first_bytes(reader: Reader) -> None:
    """Whatever it is called, and with the names of its columns as they are, but for spaces."""
    select = """SELECT 1 AS " op ", 2 AS "Lead Id", {'a': {'b': [1]}, 'c': 2} AS deep, 3 AS "É" """
    for name in ("m.parquet", "m.pq", "m", "m.2026-11-22"):
        source = inspect(write(reader, select, name))

        assert (Format.PARQUET, ("op", "Lead Id", "deep", "É")) == (source.format, source.header)
        assert write(reader, select, name).stat().st_size == source.size


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4150868000000376008::BIGINT", "4150868000000376008"),
        ("18446744073709551615::UBIGINT", "18446744073709551615"),
        ("99999999999999999999::DECIMAL(20,0)", "99999999999999999999"),
        ("7::TINYINT", "7"),
        ("'007'", "007"),
        ("' 12 '", " 12 "),
        ("'4.15087E+18'", "4.15087E+18"),
        ("''", None),
        ("NULL::VARCHAR", None),
        ("NULL::BIGINT", None),
        ("'12'::BLOB", "12"),
        (r"'\xFF'::BLOB", "xFF"),
        ("true", "true"),
        ("['9', '8']", '["9","8"]'),
        ("[4150868000000376008, 8]", "[4150868000000376008,8]"),
        ("4.50::DECIMAL(10,2)", "4.50"),
        ("DATE '2026-11-22'", "2026-11-22"),
        ("'x'::ENUM('x', 'y')", "x"),
    ],
)
def test_known_columns_are_text(reader: Reader, value: str, expected: str | None) -> None:
    """Whole numbers are their digits, and nothing is rounded or trimmed on the way."""
    loaded = reader.load(look(reader, f"SELECT {value} AS record_id"))

    assert [(expected,)] == reader.rows("record_id")
    assert (1, 0, False) == (loaded.rows, loaded.refused, loaded.exact)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4150868000000376008::BIGINT", 4150868000000376008),
        ("18446744073709551615::UBIGINT", 18446744073709551615),
        ("9.5::DOUBLE", 9.5),
        ("0.1::FLOAT", 0.1),
        ("1e300::DOUBLE", 1e300),
        ("'inf'::DOUBLE", "inf"),
        ("1.50::DECIMAL(10,2)", 1.5),
        ("false", False),
        ("''", ""),
        ("'say \"x\"'", 'say "x"'),
        ("DATE '2026-11-22'", "2026-11-22"),
        ("TIMESTAMP '2026-11-22 01:02:03'", "2026-11-22 01:02:03"),
        ("TIMESTAMPTZ '2026-11-22 01:02:03+02'", "2026-11-21 23:02:03+00"),
        ("{'a': [1, NULL], 'b': {'c': NULL}}", {"a": [1, None], "b": {"c": None}}),
        ("MAP {'k': 'v'}", {"k": "v"}),
        ("[1.5::DOUBLE]", [1.5]),
        ("['NaN'::DOUBLE, 1.0]", "[NaN,1.0]"),
    ],
)
def test_further_columns_are_carried_as_json(reader: Reader, value: str, expected: object) -> None:
    """Numbers and nested values as they are; what JSON has no word for as text."""
    reader.connection.execute("SET TimeZone = 'Asia/Tokyo'")

    reader.load(look(reader, f"SELECT 'a' AS op, {value} AS note"))

    ((extra,),) = reader.rows("extra")
    assert {"note": expected} == json.loads(extra)


def test_absent_values_are_absent(reader: Reader) -> None:
    """Nulls, and the NaN that pandas writes for them, make no key; nor do they make a field."""
    reader.load(
        look(
            reader,
            "SELECT * FROM (VALUES ('link', NULL, NULL::BIGINT, 'NaN'::DOUBLE, NULL),"
            " ('link', 'x', 5, 1.5, [1])) AS rows(op, note, list_price, weight, tags)",
        ),
        fields=("list_price", "weight"),
    )

    assert [
        (None, None),
        ('{"list_price":5,"weight":1.5}', '{"note":"x","tags":[1]}'),
    ] == reader.rows("fields, extra")


def test_columns_are_mapped_and_fixed(reader: Reader) -> None:
    """As in the other formats; a column that gave way to a fixed value is carried along."""
    loaded = reader.load(
        look(reader, """SELECT 10 AS "Lead Id", 'Deals' AS module, 'x' AS record_id"""),
        columns={"record_id": "Lead Id"},
        fixed={"module": "Leads"},
    )

    assert [("10", "Leads", '{"module":"Deals","record_id":"x"}')] == reader.rows(
        "record_id, module, extra"
    )
    assert ("Lead Id", "module", "record_id") == loaded.own_columns


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("4150868000000376008::DOUBLE", "DOUBLE"),
        ("4.5::FLOAT", "FLOAT"),
        ("[1::DOUBLE]", "DOUBLE[]"),
    ],
)
def test_ids_with_a_decimal_point_are_refused(reader: Reader, value: str, kind: str) -> None:
    """A double has 15 digits for certain, an id up to 20: nobody can tell which were meant."""
    path = write(reader, f"""SELECT {value} AS "Lead Id", 1.5::DOUBLE AS weight""")
    with pytest.raises(ManifestError) as caught:
        reader.load(inspect(path), columns={"record_id": "Lead Id"})

    assert (
        f"{path}: column 'Lead Id', read as record_id, has the type {kind}, a number with a"
        " decimal point, in which the last digits of a long id are lost; expected text or whole"
        " numbers. Export the column as text or as INT64"
    ) == str(caught.value)


def test_a_decimal_point_without_a_number_is_no_reason(reader: Reader) -> None:
    """A column that pandas made of nothing but absent values loses no digit; nor does a fixed."""
    select = "SELECT 'a' AS op, 'NaN'::DOUBLE AS territory_id, NULL::DOUBLE AS related_id"
    reader.load(look(reader, select))

    assert [("a", None, None)] == reader.rows("op, territory_id, related_id")
    reader.load(look(reader, "SELECT 1.5::DOUBLE AS op"), fixed={"op": "link"})
    assert [("link", '{"op":1.5}')] == reader.rows("op, extra")


@pytest.mark.parametrize(
    ("select", "words"),
    [
        (
            'SELECT 1 AS "a ", 2 AS " a"',
            "the header has 'a' 2 times (columns 1, 2), expected each name once",
        ),
        (
            'SELECT 1 AS a, 2 AS " "',
            "column 2 of 2 has no name in the header, expected a name for each column",
        ),
    ],
)
def test_columns_need_a_name_of_their_own(reader: Reader, select: str, words: str) -> None:
    """As in the header of a CSV file."""
    path = write(reader, select)
    with pytest.raises(ManifestError) as caught:
        inspect(path)

    assert f"{path}: {words}" == str(caught.value)


def test_names_of_columns_are_only_text(reader: Reader) -> None:
    """Names that differ in case, or mean something to SQL, are names like others."""
    names = ["it's", 'say "x"', "Name", "c0", "line"]
    aliases = ", ".join('"' + each.replace('"', '""') + '"' for each in names)
    path = write(reader, f"SELECT * FROM (VALUES (1, 2, 3, 4, 5)) AS rows({aliases})", "y=1;[a].pq")

    reader.load(inspect(path), columns={"op": names[1]}, fields=("line",))

    ((op, fields, extra),) = reader.rows("op, fields, extra")
    assert ("2", {"line": 5}, {"it's": 1, "Name": 3, "c0": 4}) == (
        op,
        json.loads(fields),
        json.loads(extra),
    )


def test_rows_are_in_the_order_of_the_file(reader: Reader) -> None:
    """Over many row groups, read by many threads."""
    path = write(
        reader,
        "SELECT range AS record_id FROM range(1, 300001)",
        options=", ROW_GROUP_SIZE 20000",
    )
    reader.connection.execute("SET threads = 4")

    loaded = reader.load(inspect(path))

    wrong = "SELECT count(*) FROM manifest WHERE line <> record_id::BIGINT"
    assert (0,) == reader.connection.execute(wrong).fetchone()
    assert (300_000, (300_000,)) == (loaded.rows, loaded.counts)


def test_a_file_without_rows_is_no_error(reader: Reader) -> None:
    """There is nothing to do, which the caller says."""
    loaded = reader.load(look(reader, "SELECT 1 AS op WHERE false"))

    assert (0, ("op",)) == (loaded.rows, loaded.own_columns)


def test_damage_anywhere_is_one_error(reader: Reader) -> None:
    """A byte that fell over in the middle of the data is found, and nothing of it is used."""
    path = write(
        reader,
        "SELECT hash(range)::VARCHAR AS record_id FROM range(20000)",
        options=", COMPRESSION zstd",
    )
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)

    with pytest.raises(ManifestError) as caught:
        reader.load(inspect(path))

    assert str(caught.value).startswith(f"{path}: found a damaged Parquet file (")
    assert str(caught.value).endswith("), expected a whole Parquet file")
