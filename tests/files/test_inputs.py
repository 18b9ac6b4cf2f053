"""The input of a run: several files and standard input lead to one run, which is found again."""

from __future__ import annotations

import gzip
import io
import json
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bulkops.errors import ManifestError, PlanStaleError, UsageError
from bulkops.files.config import Config
from bulkops.files.failed_file import write_failed
from bulkops.files.manifest import Format
from bulkops.files.outcomes import copy_outcomes, read_outcomes
from bulkops.files.plan_file import read_batches, read_refusals
from bulkops.files.prepare import Asked, Prepared, ask, prepare

_HEADER = "op,module,record_id,related_list,related_id\n"
_ROWS = "unlink,Leads,1,Campaigns,2\nunlink,Leads,1,Campaigns,3\n"
STDIN = Path("-")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Runs live in the working directory, and so do the manifests."""
    monkeypatch.chdir(tmp_path)
    return Config.model_validate({"run": {"directory": "runs"}})


def write(name: str, text: str = _HEADER + _ROWS) -> Path:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


def piped(content: bytes | str) -> io.BytesIO:
    return io.BytesIO(content.encode() if isinstance(content, str) else content)


def settle(made: Prepared, *outcomes: Mapping[str, Any]) -> None:
    """Write a log in which these lines have an outcome."""
    head = {"type": "run", "v": 1, "plan": made.digest, "rows": made.rows}
    records = [{"type": "outcome", "t": 1.0, **each} for each in outcomes]
    made.run.checkpoint.write_bytes(
        b"".join(orjson.dumps(each) + b"\n" for each in [head, *records])
    )


def left(folder: str = "runs") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).exists() else []


def test_several_files_are_one_run(config: Config) -> None:
    """It is named by the first and found again by a pattern that means the same."""
    write("parts/a.csv")
    write("parts/b.csv", _HEADER + "unlink,Leads,4,Campaigns,2\n")
    made = prepare(Asked((Path("parts/*.csv"),)), config)
    again = prepare(Asked((Path("parts/a.csv"), Path("parts/b.csv"))), config)

    assert (made.run, made.digest) == (again.run, again.digest)
    assert "a-and-1-more" == made.run.name.rpartition("-")[0]
    files = made.description["manifest"]["files"]
    assert [("parts/a.csv", 1, 2), ("parts/b.csv", 3, 1)] == [
        (each["name"], each["first_line"], each["rows"]) for each in files
    ]
    assert [str(Path(each["name"]).absolute()) for each in files] == [
        each["path"] for each in files
    ]
    assert str(Path("parts/*.csv").absolute()) == made.description["manifest"]["path"]


def test_files_that_changed_are_refused_while_their_run_is_unfinished(config: Config) -> None:
    """A part more, under the same pattern, is another manifest."""
    write("parts/a.csv")
    write("parts/b.csv", _HEADER + "unlink,Leads,4,Campaigns,2\n")
    asked = Asked((Path("parts/*.csv"),))
    made = prepare(asked, config)
    settle(made, {"line": 1, "status": "succeeded"})
    write("parts/c.csv", _HEADER)
    with pytest.raises(PlanStaleError) as caught:
        prepare(asked, config)

    assert (
        f"parts/*.csv: the files have changed since run {made.run.name} was planned, and that run "
        "has settled 1 of 3 lines. To finish it, put the files back as they were; to leave it and "
        "plan the files as they are now, add --new."
    ) == str(caught.value)


def test_outcomes_name_file_and_line_there(config: Config, tmp_path: Path) -> None:
    """In every shape of them, and in `failed.csv`; a conflict names the other's place."""
    write("a.csv", _HEADER.strip() + ",file\nunlink,Leads,1,Campaigns,2,own\nunlink,Leads\n")
    write("b.csv", _HEADER + _ROWS + "link,Leads,1,Campaigns,2\n")
    made = prepare(Asked((Path("a.csv"), Path("b.csv"))), config)
    refusals = {each.line: each for each in read_refusals(made.run.rows)}
    settle(
        made,
        *(
            {"line": line, "status": each.status, "code": each.code, "message": each.message}
            for line, each in refusals.items()
        ),
        {"line": 4, "status": "succeeded"},
    )
    told = list(read_outcomes(made.run))
    write_failed(made.run, made.description)
    copy_outcomes(made.run, tmp_path / "out.csv")

    places = [(1, "a.csv", 1), (2, "a.csv", 2), (3, "b.csv", 1), (4, "b.csv", 2), (5, "b.csv", 3)]
    assert places == [(each["line"], each["file"], each["file_line"]) for each in told]
    assert ["line", "file", "file_line", "op"] == list(told[0])[:4]
    assert "b.csv, line 3 wishes otherwise of the same relation" == told[0]["message"]
    assert "a.csv, line 1 wishes otherwise of the same relation" == told[4]["message"]
    assert told[1]["message"].startswith("a.csv, line 2: 2 fields, expected 6 (op, ")
    failed = (made.run.path / "failed.csv").read_text(encoding="utf-8").splitlines()
    own = f"{_HEADER.strip()},file,"
    assert f"{own}raw,outcome_file,file_line,status,code,message" == failed[0]
    assert failed[1].startswith("unlink,Leads,1,Campaigns,2,own,,a.csv,1,conflict,")
    assert failed[2].startswith(',,,,,,"unlink,Leads",a.csv,2,invalid,too_few_fields,')
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT line, file, file_line FROM read_csv('out.csv') ORDER BY line"
        ).fetchall()
    assert places == found


def test_outcomes_of_one_file_name_no_file(config: Config) -> None:
    """There is no question."""
    made = prepare(Asked(write("a.csv")), config)
    settle(made, {"line": 1, "status": "failed"})
    write_failed(made.run, made.description)

    assert {"file", "file_line"}.isdisjoint(next(read_outcomes(made.run)))
    assert (
        f"{_HEADER.strip()},status,code,message"
        == ((made.run.path / "failed.csv").read_text(encoding="utf-8").splitlines()[0])
    )


def test_standard_input_is_kept_in_the_run(config: Config) -> None:
    """Under its own format, for its owner alone, and as it came."""
    made = prepare(Asked(STDIN), config, stdin=piped(_HEADER + _ROWS))
    kept = made.run.path / "stdin.csv"

    assert "stdin" == made.run.name.rpartition("-")[0]
    assert (_HEADER + _ROWS, 0o600) == (
        kept.read_text(encoding="utf-8"),
        stat.S_IMODE(kept.stat().st_mode),
    )
    assert str(kept.absolute()) == made.description["manifest"]["path"]
    assert "standard input" == made.description["manifest"]["files"][0]["name"]
    assert [made.run.name] == left()


def test_the_same_standard_input_finds_the_same_run(config: Config) -> None:
    """Whatever it comes from; something else has a run of its own, also while one is unfinished."""
    first = prepare(Asked(STDIN), config, stdin=piped(_HEADER + _ROWS))
    settle(first, {"line": 1, "status": "succeeded"})
    again = prepare(Asked(STDIN), config, stdin=piped(_HEADER + _ROWS))
    other = prepare(Asked(STDIN), config, stdin=piped(_HEADER + _ROWS + _ROWS))

    assert (first.run, first.digest) == (again.run, again.digest)
    assert (2, 4) == (first.rows, other.rows)
    assert sorted([first.run.name, other.run.name]) == left()


def parquet(tmp_path: Path, text: str) -> bytes:
    """Return the rows of a CSV text as a Parquet file."""
    (tmp_path / "made.csv").write_text(text, encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (FROM read_csv('{tmp_path}/made.csv', all_varchar = true, header = true)) TO"
            f" '{tmp_path}/made.parquet' (FORMAT parquet)"
        )
    return (tmp_path / "made.parquet").read_bytes()


def test_standard_input_is_sniffed(config: Config, tmp_path: Path) -> None:
    """Its first bytes tell the format and the compression, and its file is named by them."""
    line = {"op": "unlink", "module": "Leads", "record_id": "1", "related_list": "Campaigns"}
    for name, content in {
        "stdin.csv": (_HEADER + _ROWS).replace(",", ";").encode(),
        "stdin.csv.gz": gzip.compress((_HEADER + _ROWS).encode(), mtime=0),
        "stdin.jsonl": json.dumps({**line, "related_id": 2}).encode(),
        "stdin.parquet": parquet(tmp_path, _HEADER + _ROWS),
    }.items():
        made = prepare(Asked(STDIN), config, stdin=piped(content))

        assert content == (made.run.path / name).read_bytes()
        assert [made.rows] == [len(each.operations) for _, each in read_batches(made.run.plan)]


def test_a_format_that_is_told_counts(config: Config) -> None:
    """It changes what is read, so it is part of what the run is found by."""
    text = "[op,module\nunlink,Leads\n"
    with pytest.raises(ManifestError) as caught:
        prepare(Asked(STDIN), config, stdin=piped(text))
    assert str(caught.value).startswith("standard input: found one JSON array")

    asked = Asked(STDIN, columns={"op": "[op"}, file_format=Format.CSV)
    made = prepare(asked, config, stdin=piped(text))
    assert ("csv", 1) == (made.description["asked"]["format"], made.rows)
    plain = prepare(Asked(write("m.csv")), config)
    told = prepare(Asked(Path("m.csv"), file_format=Format.CSV), config)
    assert plain.run != told.run


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found an empty file, expected a header or records"),
        (b"PK\x03\x04", "found a zip archive or an Excel workbook, expected CSV, JSON lines or"),
        (b"module\nLeads\n", "found columns module; expected also op (give it with --op)"),
        (_HEADER.encode() + b"unlink,\xff\n", "found bytes ff 0a at byte 51, line 2 of the file"),
        (b"\x1f\x8b" + gzip.compress(b"x" * 99, mtime=0)[2:-9], "found a truncated or damaged gzi"),
    ],
)
def test_standard_input_that_is_no_manifest_leaves_nothing(
    config: Config, content: bytes, words: str
) -> None:
    """One error that speaks of standard input; neither its file nor a run remains."""
    with pytest.raises(ManifestError) as caught:
        prepare(Asked(STDIN), config, stdin=piped(content))

    assert str(caught.value).startswith(f"standard input: {words}")
    assert [] == left()


def test_standard_input_may_be_one_of_several(config: Config) -> None:
    """In its place, and once; it is called what it is."""
    write("a.csv")
    asked = Asked((Path("a.csv"), STDIN))
    rows = _HEADER + "unlink,Leads,1,Campaigns\nunlink,Leads,7,Campaigns,8\n"
    made = prepare(asked, config, stdin=piped(rows))

    assert [("a.csv", 1, 2), ("standard input", 3, 2)] == [
        (part.name, part.first_line, part.rows) for part in made.parts
    ]
    (refused,) = read_refusals(made.run.rows)
    assert refused.message.startswith("standard input, line 1: 4 fields, expected 5")
    assert made.run == prepare(asked, config, stdin=piped(rows)).run
    with pytest.raises(UsageError) as caught:
        prepare(Asked((STDIN, STDIN)), config, stdin=piped(""))
    assert "-: named twice; expected each file of a manifest once" == str(caught.value)


def test_a_named_directory_keeps_standard_input_too(config: Config) -> None:
    """`--run-dir` may be on another disk; other input for it is refused and leaves it alone."""
    made = prepare(Asked(STDIN), config, run_dir=Path("mine"), stdin=piped(_HEADER + _ROWS))
    before = left("mine")
    with pytest.raises(PlanStaleError, match="the manifest has changed since this run was planned"):
        prepare(Asked(STDIN), config, run_dir=Path("mine"), stdin=piped(_HEADER))

    assert "stdin.csv" in before
    assert before == left("mine")
    assert made.run.path == Path("mine")
    assert [] == left()


def test_a_job_may_name_several_files(config: Config) -> None:
    """A list, from the folder of the job file; patterns are patterns there too."""
    write("jobs/a.csv")
    write("jobs/b.txt", '{"op":"unlink"}\n')
    write("jobs/job.toml", 'manifest = ["*.csv", "-", "b.txt"]\nformat = "jsonl"\n')
    asked, _ = ask(Path("jobs/job.toml"), config, op=None, fixed={}, columns={}, fields=())

    wanted = Asked((Path("jobs/*.csv"), STDIN, Path("jobs/b.txt")), file_format=Format.JSONL)
    assert wanted == replace(asked, job=None)
    with pytest.raises(UsageError) as caught:
        ask(
            (Path("a.csv"), Path("jobs/job.toml")), config, op=None, fixed={}, columns={}, fields=()
        )
    assert "jobs/job.toml: a job file names its own manifest; expected it alone" == str(
        caught.value
    )


ROW = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["unlink", "link", "remove_territories", "delete", ""]),
        "module": st.sampled_from(["Leads", "Contacts", "L x", ""]),
        "record_id": st.sampled_from(["1", "4150868000000376008", "4.15087E+18", "12 13", ""]),
        "related_list": st.sampled_from(["Campaigns", "Products", ""]),
        "related_id": st.sampled_from(["1", "2", "3", "99999999999999999999", "x", ""]),
        "territory_id": st.sampled_from(["1;2", "7", "[1]", ""]),
        "note": st.text("ab,;\"'\n\té{", max_size=5),
    }
)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Any, ...]]:
    """Return a function that plans rows, however they are written, and says what is in the plan."""
    config = Config()

    def planned(manifest: Path | tuple[Path, ...], stdin: bytes | None = None) -> tuple[Any, ...]:
        made = prepare(
            Asked(manifest),
            config,
            run_dir=tmp_path_factory.mktemp("run"),
            stdin=piped(stdin) if stdin is not None else None,
        )
        batches = tuple(read_batches(made.run.plan))
        refusals = tuple(
            (each.line, each.status, each.code, each.of_line)
            for each in read_refusals(made.run.rows)
        )
        return made.rows, batches, refusals

    return planned


def as_csv(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    header = sorted(rows[0])
    lines = [header, *([row[name] for name in header] for row in rows)]
    return "".join(delimiter.join(map(cell, line)) + "\n" for line in lines)


@settings(
    max_examples=4,
    deadline=None,
    # Each example makes seven plans: one that fails is small enough as it is.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(ROW, min_size=2, max_size=8), data=st.data())
def test_the_same_rows_are_the_same_plan(
    shapes: Callable[..., tuple[Any, ...]],
    tmp_path: Path,
    rows: list[dict[str, str]],
    data: st.DataObject,
) -> None:
    """As CSV, JSON lines or Parquet, in one file or several of any format, or through a pipe."""
    cut = data.draw(st.integers(1, len(rows) - 1))
    jsonl = [json.dumps(row) + "\n" for row in rows]
    (tmp_path / "all.csv").write_text(as_csv(rows), encoding="utf-8", newline="")
    (tmp_path / "all.jsonl").write_text("".join(jsonl), encoding="utf-8")
    (tmp_path / "all.parquet").write_bytes(parquet(tmp_path, as_csv(rows)))
    (tmp_path / "a.csv").write_text(as_csv(rows[:cut], ";"), encoding="utf-8", newline="")
    (tmp_path / "b.jsonl").write_text("".join(jsonl[cut:]), encoding="utf-8")
    (tmp_path / "c.parquet").write_bytes(parquet(tmp_path, as_csv(rows[:cut])))

    expected = shapes(tmp_path / "all.csv")

    assert expected == shapes(tmp_path / "all.jsonl")
    assert expected == shapes(tmp_path / "all.parquet")
    assert expected == shapes((tmp_path / "a.csv", tmp_path / "b.jsonl"))
    assert expected == shapes((tmp_path / "c.parquet", tmp_path / "b.jsonl"))
    assert expected == shapes(STDIN, (tmp_path / "all.csv").read_bytes())
    assert expected == shapes((tmp_path / "a.csv", STDIN), "".join(jsonl[cut:]).encode())
