"""The real program reads what a shell gives it: patterns, several files, Parquet, and pipes."""

from __future__ import annotations

import csv
import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.e2e.harness import Bench, closed_window, emulator

_WORLD = {"relations": {"Products/500/Deals": [str(deal) for deal in range(1, 31)]}}
_HEADER = "op,module,record_id,related_list,related_id\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An emulator with thirty deals of a product."""
    (tmp_path / "world.json").write_text(json.dumps(_WORLD))
    with emulator(tmp_path, tmp_path / "world.json") as ready:
        yield ready


def rows(*deals: object) -> str:
    return "".join(f"unlink,Products,500,Deals,{deal}\n" for deal in deals)


def write(bench: Bench, name: str, content: str) -> None:
    (bench.folder / name).parent.mkdir(exist_ok=True)
    (bench.folder / name).write_text(content, encoding="utf-8")


def pipe(
    bench: Bench, content: bytes, *words: str, **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end with `content` as standard input."""
    return subprocess.run(
        bench.command(*words),
        cwd=bench.folder,
        env=bench.environment(**more),
        input=content,
        capture_output=True,
        check=False,
        timeout=110,
    )


def outcomes(bench: Bench) -> list[dict[str, object]]:
    told = bench.run("outcomes", bench.run_directory.name)
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_a_pattern_and_a_file_are_one_run(bench: Bench) -> None:
    """Planned, run, told of by file and line, and finished: the same command sends nothing."""
    write(bench, "parts/b.csv", _HEADER + rows(3, "4 5"))
    write(bench, "parts/a.csv", _HEADER + rows(1, 2))
    write(bench, "more.jsonl", json.dumps({"related_id": 6, "ticket": {"n": None}}) + "\n")
    words = ("parts/*.csv", "more.jsonl", "--op", "unlink", "--set", "module=Products")
    words += ("--set", "record_id=500", "--set", "related_list=Deals")
    plan = bench.run("plan", *words, "--json")
    ended = bench.run("run", *words, "--yes")
    calls = len(bench.ledger())
    again = bench.run("run", *words, "--yes")

    assert [
        {"file": "parts/a.csv", "first_line": 1, "rows": 2},
        {"file": "parts/b.csv", "first_line": 3, "rows": 2},
        {"file": "more.jsonl", "first_line": 5, "rows": 1},
    ] == json.loads(plan.stdout)["files"]
    assert (3, 3) == (ended.returncode, again.returncode), ended.stderr
    assert calls == len(bench.ledger())
    assert [
        ("parts/a.csv", 1, "succeeded"),
        ("parts/a.csv", 2, "succeeded"),
        ("parts/b.csv", 1, "succeeded"),
        ("parts/b.csv", 2, "invalid"),
        ("more.jsonl", 1, "succeeded"),
    ] == [(each["file"], each["file_line"], each["status"]) for each in outcomes(bench)]
    with (bench.run_directory / "failed.csv").open(encoding="utf-8", newline="") as file:
        (failed,) = csv.DictReader(file)
    assert ("parts/b.csv", "2", "4 5") == (
        failed["file"],
        failed["file_line"],
        failed["related_id"],
    )


def test_a_retry_of_several_files_is_a_manifest(bench: Bench) -> None:
    """What failed is tried again from one file, which keeps where each row came from."""
    write(bench, "a.csv", _HEADER + rows(1, "x"))
    write(bench, "b.csv", _HEADER + rows(2) + "unlink,Products\n")
    bench.run("run", "a.csv", "b.csv", "--yes")
    name = bench.run_directory.name
    retried = bench.run("retry", name, "--yes")
    told = bench.run("outcomes", f"{name}-retry").stdout.splitlines()

    assert retried.returncode == 3, retried.stderr
    assert [("a.csv", "2", None), ("b.csv", "2", "unlink,Products")] == [
        (extra["file"], extra["file_line"], extra["raw"] or None)
        for extra in (json.loads(line)["extra"] for line in told)
    ]


def test_a_pipe_is_planned_once_and_run_once(bench: Bench) -> None:
    """`run -` twice finds the same run; what came through the pipe lies in it, for its owner."""
    content = (_HEADER + rows(*range(1, 21))).encode()
    planned = pipe(bench, content, "plan", "-")
    unconfirmed = pipe(bench, content, "run", "-")
    ended = pipe(bench, content, "run", "-", "--yes")
    calls = len(bench.ledger())
    again = pipe(bench, content, "run", "-", "--yes")

    assert [0, 8, 0, 0] == [each.returncode for each in (planned, unconfirmed, ended, again)], (
        ended.stderr
    )
    assert b"is finished already; nothing is sent" in again.stderr
    assert calls == len(bench.ledger())
    kept = bench.run_directory / "stdin.csv"
    assert (content, 0o600) == (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode))
    assert {str(deal) for deal in range(21, 31)} == set(
        bench.world()["relations"]["Products/500/Deals"]
    )


def test_a_pipe_that_was_interrupted_goes_on(bench: Bench) -> None:
    """A run that paused is found by the same input, and only the rest is sent."""
    content = (_HEADER + rows(*range(1, 21))).encode()
    few = {"BULKOPS_LIMITS__IDS_PER_CALL": "1"}
    shut = pipe(bench, content, "run", "-", "--yes", **few, BULKOPS_RUN__WINDOW=closed_window())
    ended = pipe(bench, content, "run", "-", "--yes", **few)

    assert (5, 0) == (shut.returncode, ended.returncode), ended.stderr
    assert 1 == len([path for path in bench.folder.glob("runs/*") if path.is_dir()])
    assert 20 == len(outcomes(bench))


def test_a_job_reads_a_pipe(bench: Bench) -> None:
    """A job whose manifest is `-`, with its own columns, fed by another program."""
    write(
        bench,
        "job.toml",
        'operation = "unlink"\nmanifest = ["-"]\nconfirm = false\n[columns]\nrelated_id = "Deal"\n'
        '[fixed]\nmodule = "Products"\nrecord_id = "500"\nrelated_list = "Deals"\n',
    )
    ended = pipe(bench, b'{"Deal": 7}\n{"Deal": "8"}\n', "run", "job.toml")

    assert ended.returncode == 0, ended.stderr
    assert ["7", "8"] == [each["related_id"] for each in outcomes(bench)]


def test_parquet_runs_as_it_is(bench: Bench) -> None:
    """Ids as 64-bit integers, nested values carried; a double for an id is refused with words."""
    with duckdb.connect() as connection:
        for name, kind in (("good", "BIGINT"), ("bad", "DOUBLE")):
            connection.execute(
                "COPY (SELECT 'unlink' AS op, 'Products' AS module, 500 AS record_id, 'Deals' AS"
                f" related_list, range::{kind} AS related_id, {{'n': [range]}} AS ticket"
                f" FROM range(1, 4)) TO '{bench.folder / name}.parquet' (FORMAT parquet)"
            )
    refused = bench.run("run", "bad.parquet", "--yes")
    ended = bench.run("run", "good.parquet", "--yes")

    assert refused.returncode == 2
    assert "column 'related_id' has the type DOUBLE" in refused.stderr
    assert ended.returncode == 0, ended.stderr
    assert [("1", {"ticket": {"n": [1]}}), ("2", {"ticket": {"n": [2]}})] == [
        (each["related_id"], each["extra"]) for each in outcomes(bench)
    ][:2]


def test_what_looks_odd_is_shown_before_anything_is_sent(bench: Bench) -> None:
    """In the table and in JSON, by file and line; the rows are in the plan all the same."""
    write(bench, "a.csv", _HEADER + rows(*(f"4150868000000{n:06}" for n in range(300017, 300040))))
    write(bench, "b.csv", _HEADER + rows("300041", "3650868000000300043"))
    shown = bench.run("plan", "a.csv", "b.csv")
    told = json.loads(bench.run("plan", "a.csv", "b.csv", "--json").stdout)

    assert (
        "Look again: related_id: 1 id shorter by 4 digits or more than the 19 of the others; were"
        " leading digits lost? (b.csv, line 1)"
    ) in shown.stdout
    assert (
        "Look again: related_id: 1 id not beginning with 4150868 as the others do; are they of"
        " another organisation? (b.csv, line 2)"
    ) in shown.stdout
    assert 25 == told["total"]["sent"]
    assert [
        ("short_id", "related_id", 1, [24], ["b.csv, line 1"]),
        ("other_organisation", "related_id", 1, [25], ["b.csv, line 2"]),
    ] == [
        (each["code"], each["column"], each["count"], each["lines"], each["places"])
        for each in told["warnings"]
    ]


def test_wrong_words_for_an_input_are_one_clear_error(bench: Bench) -> None:
    """Each ends with 2, says what is wrong, and leaves no run behind."""
    write(bench, "a.csv", _HEADER + rows(1))
    write(bench, "job.toml", 'manifest = "a.csv"\n')
    for words, said in (
        (("a.csv", "./a.csv"), "a.csv: this file is named twice"),
        (("none-*.csv",), "none-*.csv: no file has a name of this pattern, expected at least one"),
        (("job.toml", "a.csv"), "job.toml: a job file names its own manifest; expected it alone"),
        (("-", "-"), "-: named twice; expected each file of a manifest once"),
        (("a.csv", "--format", "xlsx"), "'xlsx' is not one of 'csv', 'jsonl', 'parquet'"),
        (("a.csv", "--format", "parquet"), "--format says parquet, but the file does not begin"),
    ):
        ended = bench.run("plan", *words)
        assert ended.returncode == 2, ended.stderr
        assert said in " ".join(ended.stderr.replace("│", " ").split()), ended.stderr
    empty = pipe(bench, b"", "run", "-", "--yes")
    assert (2, True) == (empty.returncode, b"standard input: found an empty file" in empty.stderr)
    assert [] == list(bench.folder.glob("runs/*"))
