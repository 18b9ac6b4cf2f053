"""
The command line at its edges: bad input, job files, other products, machine-readable output.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Bench, emulator

_WORLD = {
    "relations": {"Products/500/Deals": ["1", "2", "3"], "Leads/7/Campaigns": ["90"]},
    "records": {"Deals": ["4"]},
}
_HEADER = "op,module,record_id,related_list,related_id,note\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An emulator with a handful of relations."""
    (tmp_path / "world.json").write_text(json.dumps(_WORLD))
    with emulator(tmp_path, tmp_path / "world.json") as ready:
        yield ready


def write(bench: Bench, name: str, content: str) -> str:
    """Write a file beside the runs and return its path."""
    path = bench.folder / name
    path.write_text(content)
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty"),
        ("latin.csv", _HEADER.encode() + b"unlink,Products,500,Deals,1,caf\xe9\n", "UTF-8"),
        ("cut.csv.gz", gzip.compress(_HEADER.encode() * 500, mtime=0)[:-20], "gzip"),
        ("array.jsonl", b'[{"op": "unlink"},\n {"op": "unlink"}]\n', "object"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(
    bench: Bench, name: str, content: bytes, words: str
) -> None:
    """It ends with 2 and one message that names the file; no run is begun."""
    (bench.folder / name).write_bytes(content)
    for verb in (["plan"], ["run", "--yes"]):
        ended = bench.run(verb[0], str(bench.folder / name), *verb[1:])
        assert ended.returncode == 2, ended.stderr
        assert name in ended.stderr
        assert words.casefold() in ended.stderr.casefold()
        assert "Traceback" not in ended.stderr
    assert list(bench.folder.glob("runs/*")) == []


@pytest.mark.parametrize("name", ["no-such-file.csv", ""])
def test_what_is_no_file_is_one_clear_error(bench: Bench, name: str) -> None:
    """A missing path and a folder end with 2."""
    ended = bench.run("plan", str(bench.folder / name))
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_header_alone_is_nothing_to_do(bench: Bench) -> None:
    """No rows: nothing is sent, and the exit code is 0."""
    ended = bench.run("run", write(bench, "header.csv", _HEADER), "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "nothing to do" in ended.stderr
    assert bench.ledger() == []


def test_columns_named_otherwise_are_hinted_at(bench: Bench) -> None:
    """A manifest without a needed column is refused as a whole, with the way to mend it."""
    manifest = write(bench, "theirs.csv", "Record_Id,related_id\n500,1\n")
    words = ("--op", "unlink", "--set", "module=Products", "--set", "related_list=Deals")
    refused = bench.run("run", manifest, *words, "--yes")
    assert refused.returncode == 2
    assert "--map record_id='Record_Id'" in refused.stderr
    ended = bench.run("run", manifest, *words, "--map", "record_id=Record_Id", "--yes")
    assert ended.returncode == 0, ended.stderr


def test_a_job_file_is_a_manifest_with_its_options(bench: Bench) -> None:
    """`run JOB.toml` fills the columns, carries the others, and needs no --yes if it says so."""
    write(bench, "export.jsonl", '{"Deal": "1", "ticket": {"n": 1}}\n{"Deal": 2}\n')
    job = write(
        bench,
        "job.toml",
        'operation = "unlink"\nmanifest = "export.jsonl"\nconfirm = false\n'
        '[columns]\nrelated_id = "Deal"\n'
        '[fixed]\nmodule = "Products"\nrecord_id = "500"\nrelated_list = "Deals"\n',
    )
    ended = bench.run("run", job)
    assert ended.returncode == 0, ended.stderr
    told = bench.run("outcomes", bench.run_directory.name).stdout.splitlines()
    first = json.loads(told[0])
    assert ("1", "succeeded", {"ticket": {"n": 1}}) == (
        first["related_id"],
        first["status"],
        first["extra"],
    )
    assert {"Products/500/Deals": ["3"]}.items() <= bench.world()["relations"].items()


def test_outcomes_as_csv_carry_every_row(bench: Bench) -> None:
    """`outcomes --format csv` prints the documented columns, in manifest order."""
    rows = "unlink,Products,500,Deals,1,a\nunlink,Products,500,Deals,9 9,b\n"
    rows += "unlink,Products,500,Deals,1,c\nunlink,Leads,7,Campaigns,91,d\n"
    ended = bench.run("run", write(bench, "four.csv", _HEADER + rows), "--yes")
    assert ended.returncode == 3, ended.stderr
    printed = bench.run("outcomes", bench.run_directory.name, "--format", "csv").stdout
    told = list(csv.DictReader(io.StringIO(printed)))
    assert ["succeeded", "invalid", "duplicate", "unchanged"] == [each["status"] for each in told]
    assert ["1", "2", "3", "4"] == [each["line"] for each in told]
    assert "1" == told[2]["of_line"]
    assert {"note": "d"} == json.loads(told[3]["extra"])


@pytest.mark.parametrize(
    ("version", "related_list", "status"),
    [("v1", "Deals", "succeeded"), ("v2", "Pipelines", "succeeded")],
)
def test_bigin_is_served_too(bench: Bench, version: str, related_list: str, status: str) -> None:
    """Bigin's versions are called by their own paths; what it has not is invalid."""
    rows = f"unlink,Products,500,{related_list},1,\nunlink,Products,500,{related_list},4,\n"
    rows += "remove_territories,Deals,1,,,\nunlink,Deals,1,Contact_Roles,2,\n"
    ended = bench.run(
        "run",
        write(bench, "bigin.csv", _HEADER + rows),
        "--yes",
        BULKOPS_API__PRODUCT="bigin",
        BULKOPS_API__VERSION=version,
    )
    assert ended.returncode == 3, ended.stderr
    told = [
        json.loads(line)
        for line in bench.run("outcomes", bench.run_directory.name).stdout.splitlines()
    ]
    assert [status, "unchanged", "invalid", "invalid"] == [each["status"] for each in told]
    assert "Bigin has no territories" == told[2]["message"]
    assert "Bigin has no contact roles" == told[3]["message"]


def test_wrong_words_are_usage_errors(bench: Bench) -> None:
    """Unknown operations, columns, keys and runs end with 2 and say what is expected."""
    manifest = write(bench, "one.csv", _HEADER + "unlink,Products,500,Deals,1,\n")
    for words, expected in (
        (("plan", manifest, "--op", "delete"), "expected one of"),
        (("plan", manifest, "--set", "modul=Products"), "is not a column"),
        (("plan", manifest, "--set", "module"), "expected NAME=VALUE"),
        (("status", "nothing"), "no run of that name"),
        (("outcomes", "nothing"), "no run of that name"),
    ):
        ended = bench.run(*words)
        assert ended.returncode == 2, ended.stderr
        assert expected in ended.stderr
    wrong = bench.run("plan", manifest, BULKOPS_LIMITS__CONCURENCY="3")
    assert wrong.returncode == 2
    assert "concurrency" in wrong.stderr
