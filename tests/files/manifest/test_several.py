"""Several files and patterns as one manifest: their order, their lines, and what is an error."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.errors import ManifestError
from bulkops.files.manifest import Several, Source, gather, inspect
from bulkops.files.manifest.places import file_line_sql, file_sql, parts_of, place_of, say_place
from bulkops.files.manifest.source import Format
from tests.files.manifest.conftest import Reader

CSV = b"op,record_id\na,1\na,2\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: names are relative to it, as people type them."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, *names: str, content: bytes = CSV) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def named(*words: str) -> list[str]:
    return [str(source.path) for source in gather([Path(each) for each in words]).sources]


def test_one_file_is_a_manifest_by_itself(folder: Path) -> None:
    """Named, or the only one of a pattern; a file whose name looks like a pattern is a file."""
    write(folder, "a.csv", "[b].csv")

    assert isinstance(gather([Path("a.csv")]), Source)
    assert gather([Path("a*.csv")]) == gather([Path("a.csv")])
    assert ["[b].csv"] == named("[b].csv")


def test_files_come_as_they_are_named_and_by_name_within_a_pattern(folder: Path) -> None:
    """Hidden files and folders are passed over; `**` looks into folders."""
    write(folder, "p/b.csv", "p/a.csv", "p/c/d.csv", "p/.hidden.csv", "z.csv", "p/e.csv/inner")

    assert ["z.csv", "p/a.csv", "p/b.csv"] == named("z.csv", "p/*.csv")
    assert ["p/b.csv", "z.csv", "p/a.csv"] == named("p/b*", "z.csv", "p/[a]*")
    assert ["p/a.csv", "p/b.csv", "p/c/d.csv"] == named("p/**/*.csv")
    assert [str(folder / "p/a.csv")] == named(str(folder / "p/?.csv"))[:1]


def test_a_pattern_that_no_file_has_is_an_error(folder: Path) -> None:
    """An empty manifest by a slip of the pen must not look like nothing to do."""
    write(folder, "a.csv")
    (folder / "parts").mkdir()
    for pattern in ("*.jsonl", "part?"):
        with pytest.raises(ManifestError) as caught:
            named("a.csv", pattern)

        assert f"{pattern}: no file has a name of this pattern, expected at least one" == str(
            caught.value
        )


def test_a_name_that_is_not_utf8_is_an_error(folder: Path) -> None:
    """The database takes no such name, and no log could say it."""
    path = folder / os.fsdecode(b"caf\xe9.csv")
    path.write_text("op\n")
    with pytest.raises(ManifestError, match=r"caf\\xe9\.csv: the name is not UTF-8"):
        gather([path])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.csv", "a.csv"), "a.csv: this file is named twice"),
        (("*.csv", "./a.csv"), "a.csv: this file is named twice"),
        (("a.csv", "link.csv"), "link.csv: this file is named twice, also as a.csv"),
        (("a.csv", "hard.csv"), "hard.csv: this file is named twice, also as a.csv"),
        (("sub/../a.csv", "a.csv"), "a.csv: this file is named twice, also as sub/../a.csv"),
    ],
)
def test_a_file_named_twice_is_an_error(folder: Path, words: tuple[str, ...], said: str) -> None:
    """By whatever name: its rows would be there twice."""
    write(folder, "a.csv")
    (folder / "sub").mkdir()
    if "link.csv" in words:
        (folder / "link.csv").symlink_to("a.csv")
    if "hard.csv" in words:
        os.link("a.csv", "hard.csv")
    with pytest.raises(ManifestError) as caught:
        named(*words)

    assert f"{said}; expected each file of a manifest once" == str(caught.value)


def test_a_file_that_is_none_is_named(folder: Path) -> None:
    """Missing among others, each file is told of by its own name."""
    write(folder, "a.csv")
    with pytest.raises(ManifestError) as caught:
        named("a.csv", "b.csv")

    assert "b.csv: there is no such file" == str(caught.value)


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("m.csv", Format.PARQUET, "--format says parquet, but the file does not begin like one"),
        ("m.json", Format.CSV, ""),
        ("m.txt", Format.CSV, ""),
    ],
)
def test_a_format_may_be_told(folder: Path, name: str, asked: Format, words: str) -> None:
    """What a file is said to be counts before its name, but not before what it cannot be."""
    write(folder, name)
    if not words:
        assert asked == inspect(Path(name), asked).format
        return
    with pytest.raises(ManifestError, match=words):
        inspect(Path(name), asked)


def test_the_digest_is_of_contents_and_their_order(folder: Path) -> None:
    """Renamed files are the same manifest; other contents, order or borders are another."""
    write(folder, "a.csv", "c.csv")
    write(folder, "b.csv", "d.csv", content=CSV + b"a,3\n")

    def digest(*words: str) -> str:
        return gather([Path(each) for each in words]).sha256

    assert digest("a.csv", "b.csv") == digest("c.csv", "d.csv")
    assert 4 == len({digest("a.csv", "b.csv"), digest("b.csv", "a.csv"), digest("a.csv"),
                     digest("a.csv", "b.csv", "c.csv")})  # fmt: skip


def several(reader: Reader) -> Several:
    """Files of every format, each with columns, a delimiter and an encoding of its own."""
    write(reader.directory, "1.csv.gz", content=gzip.compress(CSV, mtime=0))
    write(reader.directory, "2.csv", content=b"record_id;note;op\n3;x;b\n4;broken\n5;y;b\n")
    write(reader.directory, "3.jsonl", content=b'{"op":"c","record_id":6,"deep":[1]}\n[]\n')
    write(reader.directory, "4.csv", content=b"record_id,op\n")
    write(reader.directory, "5.csv", content="op,record_id,note\nd,8,ü\n".encode("utf-16"))
    reader.connection.execute(
        "COPY (SELECT 9 AS record_id, 'e' AS op, 1.5::DOUBLE AS weight) TO "
        f"'{reader.directory / '6.parquet'}' (FORMAT parquet)"
    )
    manifest = gather([reader.directory / "[1-6].*"])
    assert isinstance(manifest, Several)
    return manifest


@pytest.mark.parametrize("exact", [False, True])
def test_lines_go_on_from_file_to_file(reader: Reader, exact: bool) -> None:
    """Each file is read by its own format, delimiter, header and encoding; none refuses another."""
    loaded = reader.load(several(reader), exact=exact)

    assert [
        (1, "a", "1", None),
        (2, "a", "2", None),
        (3, "b", "3", '{"note":"x"}'),
        (4, None, None, None),
        (5, "b", "5", '{"note":"y"}'),
        (6, "c", "6", '{"deep":[1]}'),
        (7, None, None, None),
        (8, "d", "8", '{"note":"ü"}'),
        (9, "e", "9", '{"weight":1.5}'),
    ] == reader.rows("line, op, record_id, extra")
    assert (7, 2, (2, 3, 2, 0, 1, 1)) == (loaded.rows, loaded.refused, loaded.counts)
    assert ("op", "record_id", "note", "deep", "weight") == loaded.own_columns


def test_a_refused_record_names_its_file_and_its_line_there(reader: Reader) -> None:
    """The line is the one that a person finds in that file."""
    reader.load(several(reader))

    assert [
        (
            4,
            "too_few_fields",
            f"{reader.directory}/2.csv, line 2: 2 fields, expected 3 (record_id, note, op)",
        ),
        (
            7,
            "not_an_object",
            f"{reader.directory}/3.jsonl, line 2: found a list, expected an object",
        ),
    ] == reader.refusals()
    said = "SELECT say_line(line) FROM manifest WHERE line IN (1, 8) ORDER BY line"
    assert [f"{reader.directory}/1.csv.gz, line 1", f"{reader.directory}/5.csv, line 1"] == [
        each for (each,) in reader.connection.execute(said).fetchall()
    ]


def test_each_file_needs_the_columns_that_are_mapped(reader: Reader) -> None:
    """A file that lacks one is named, before anything is read."""
    write(reader.directory, "a.csv", content=b"op,Id\na,1\n")
    write(reader.directory, "b.csv", content=b"op,id\na,1\n")
    with pytest.raises(ManifestError) as caught:
        reader.load(gather([reader.directory / "?.csv"]), columns={"record_id": "Id"})

    assert (
        f"{reader.directory}/b.csv: column 'Id', mapped to 'record_id', is not in the file;"
        " its columns are op, id"
    ) == str(caught.value)


def test_nothing_is_left_of_files_that_cannot_be_read(reader: Reader) -> None:
    """An error in the last file takes back what was read of the first."""
    write(reader.directory, "a.csv")
    write(reader.directory, "b.csv", content=CSV * 30_000 + b"a,\xff\n")
    with pytest.raises(ManifestError, match=r"b\.csv: found bytes ff"):
        reader.load(gather([reader.directory / "?.csv"]))

    left = "SELECT count(*) FROM (FROM duckdb_tables() SELECT 1 UNION ALL FROM duckdb_views()"
    left += " SELECT 1 WHERE NOT internal)"
    assert (0,) == reader.connection.execute(left).fetchone()
    assert ["a.csv", "b.csv"] == sorted(path.name for path in reader.directory.iterdir())


def test_hundreds_of_files_are_one_manifest(reader: Reader) -> None:
    """As a cluster writes them: nothing grows with their number but the time."""
    for number in range(300):
        write(reader.directory, f"part-{number:05}.csv", content=b"op,record_id\na,%d\n" % number)

    loaded = reader.load(gather([reader.directory / "part-*.csv"]))

    assert (300, (1,) * 300) == (loaded.rows, loaded.counts)
    said = "SELECT say_line(line) FROM manifest WHERE line = 251"
    assert (f"{reader.directory}/part-00250.csv, line 1",) == (
        reader.connection.execute(said).fetchone()
    )


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_every_line_has_its_place(rows: list[int]) -> None:
    """In words and in SQL: files without records have no line, and each line has one place."""
    parts = parts_of([f"f{number}" for number, _ in enumerate(rows)], rows)
    expected = [
        (f"f{number}", place) for number, each in enumerate(rows) for place in range(1, each + 1)
    ]
    lines = range(1, sum(rows) + 1)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {file_sql(parts, 'line')}, {file_line_sql(parts, 'line')}"
            f" FROM range(1, {sum(rows) + 1}) AS lines(line) ORDER BY line"
        ).fetchall()

    assert expected == [place_of(parts, line) for line in lines] == found
    assert [f"{name}, line {place}" if len(rows) > 1 else f"line {place}"
            for name, place in expected] == [say_place(parts, line) for line in lines]  # fmt: skip
