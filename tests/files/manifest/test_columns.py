"""Where the columns of a manifest go, as text that nothing has touched."""

from __future__ import annotations

import json

import pytest

from bulkops.errors import ManifestError
from bulkops.files.manifest import drop, inspect
from tests.files.manifest.conftest import Reader


@pytest.mark.parametrize("exact", [False, True])
def test_ids_of_csv_stay_the_text_they_are(reader: Reader, exact: bool) -> None:
    """What a spreadsheet did to an id stays visible; only the empty text is NULL."""
    ids = ["4.15087E+18", " 12 ", "4150868000000000000.0", "007", "NULL", ""]
    content = "module,record_id\n" + "".join(f"Leads,{each}\n" for each in ids)

    reader.load(inspect(reader.write(content.encode())), exact=exact)

    assert [*ids[:-1], None] == [found for (found,) in reader.rows("record_id")]


@pytest.mark.parametrize("exact", [False, True])
def test_values_of_json_lines_stay_the_text_they_are(reader: Reader, exact: bool) -> None:
    """Strings come without quotes, numbers with their own digits, the rest as JSON."""
    values = {
        '"12"': "12",
        "4150868000000376008": "4150868000000376008",
        "4.15087e18": "4.15087e18",
        "1.50": "1.50",
        "-0": "-0",
        "123456789012345678901234567890": "123456789012345678901234567890",
        '[ "1", 2.0, {"a": null} ]': '["1",2.0,{"a":null}]',
        "true": "true",
        "null": None,
        '""': None,
    }
    content = "".join(f'{{"record_id": {value}}}\n' for value in values)

    loaded = reader.load(inspect(reader.write(content.encode(), "m.jsonl")), exact=exact)

    assert list(values.values()) == [found for (found,) in reader.rows("record_id")]
    assert (len(values), 0) == (loaded.rows, loaded.refused)


def test_the_last_of_two_equal_keys_counts(reader: Reader) -> None:
    """As in JSON parsers; DuckDB would take the first."""
    loaded = reader.read(b'{"op":"a","op":"b"}\n', "m.jsonl")

    assert (reader.rows("op"), loaded.exact) == ([("b",)], True)


@pytest.mark.parametrize("exact", [False, True])
def test_columns_are_mapped_fixed_packed_and_carried(reader: Reader, exact: bool) -> None:
    """
    Each column has one place: known, relation field, or carried along in the file's order.

    A column whose place a fixed value has taken is carried along too.
    """
    source = inspect(
        reader.write(
            b'Zip,Lead Id,module,list_price,record_id,Note\n1,10,Deals,9.50,x,"a\nb"\n2,11,,,y,\n'
        )
    )

    loaded = reader.load(
        source,
        exact=exact,
        fields=("list_price", "Member_Status"),
        columns={"record_id": "Lead Id"},
        fixed={"module": "Leads", "Member_Status": "Sent"},
    )

    assert reader.rows("record_id, module, fields, extra") == [
        (
            "10",
            "Leads",
            '{"Member_Status":"Sent","list_price":"9.50"}',
            '{"Zip":"1","module":"Deals","record_id":"x","Note":"a\\nb"}',
        ),
        (
            "11",
            "Leads",
            '{"Member_Status":"Sent"}',
            '{"Zip":"2","module":"","record_id":"y","Note":""}',
        ),
    ]
    assert source.header == loaded.own_columns


@pytest.mark.parametrize("exact", [False, True])
def test_fields_of_json_lines_keep_their_types(reader: Reader, exact: bool) -> None:
    """Numbers, lists and objects are carried as they are; null and empty fields are left out."""
    first = {"op": "link", "list_price": 9, "tags": ["a", None], "deep": {"n": None}, "none": None}
    second = {"op": "link", "list_price": "", "more": False}
    content = f"{json.dumps(first)}\n{json.dumps(second)}\n"

    loaded = reader.load(
        inspect(reader.write(content.encode(), "m.jsonl")),
        exact=exact,
        fields=("tags", "list_price", "gone"),
    )

    assert reader.rows("fields, extra") == [
        ('{"list_price":9,"tags":["a",null]}', '{"deep":{"n":null},"none":null}'),
        (None, '{"more":false}'),
    ]
    assert loaded.own_columns == ("op", "list_price", "tags", "deep", "none", "more")


def test_without_further_columns_extra_is_null(reader: Reader) -> None:
    """No column is left, so there is nothing to carry."""
    reader.read(b"op,module\nunlink,Leads\n")

    assert reader.rows("op, module, fields, extra") == [("unlink", "Leads", None, None)]


@pytest.mark.parametrize(
    ("name", "content"), [("m.csv", b"op,Id\nunlink,1\n"), ("m.jsonl", b'{"op":"unlink","Id":1}\n')]
)
def test_mapping_an_absent_column_names_the_columns(
    reader: Reader, name: str, content: bytes
) -> None:
    """The error tells which columns there are to map."""
    path = reader.write(content, name)

    with pytest.raises(ManifestError) as caught:
        reader.load(inspect(path), columns={"record_id": "id"})

    assert (
        f"{path}: column 'id', mapped to 'record_id', is not in the file; its columns are op, Id"
    ) == str(caught.value)


def test_mapping_or_setting_an_unknown_name_is_refused(reader: Reader) -> None:
    """A slip in the name on our side is as bad as one on theirs."""
    source = inspect(reader.write(b"op,Id\nunlink,1\n"))

    with pytest.raises(ManifestError, match="column 'recordid' cannot be mapped or set, expected"):
        reader.load(source, columns={"recordid": "Id"})


def test_odd_names_are_only_text(reader: Reader) -> None:
    """Names and file names that mean something to SQL, JSON or globbing mean nothing here."""
    names = ["it's", 'say "x"', "$.a", "a/b~c", "É*", "Name", "name"]
    for file in ("a[1]*?'s.csv", "y=1;b.csv"):
        header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
        source = inspect(reader.write(f"op,{header}\nx,1,2,3,4,5,6,7\n".encode(), file))

        loaded = reader.load(source, fields=(names[1],), columns={"module": names[0]})

        ((module, fields, extra),) = reader.rows("module, fields, extra")
        assert ("1", {names[1]: "2"}, False) == (module, json.loads(fields), loaded.exact)
        assert dict(zip(names[2:], "34567", strict=True)) == json.loads(extra)

    line = json.dumps(dict(zip(names, "1234567", strict=True)), ensure_ascii=False)
    usual, _ = reader.both(
        inspect(reader.write(line.encode(), "a[1]*?'s.jsonl")),
        fields=(names[2],),
        columns={"module": names[0], "record_id": names[3], "op": names[1]},
    )
    assert reader.rows("module, record_id, op, fields") == [("1", "4", "2", '{"$.a":"3"}')]
    assert tuple(names) == usual.own_columns


def test_loading_again_replaces_and_drop_removes(reader: Reader) -> None:
    """The name can be used again, and nothing stays behind."""
    reader.read(b"op,module\nlink,Leads\nlink,Leads\n")
    reader.read(b"op,module\nunlink,Leads\n")

    assert reader.rows("line, op") == [(1, "unlink")]
    drop(reader.connection, "manifest")
    left = "SELECT count(*) FROM (FROM duckdb_tables() SELECT 1 UNION ALL FROM duckdb_views()"
    left += " SELECT 1 WHERE NOT internal)"
    assert reader.connection.execute(left).fetchone() == (0,)
