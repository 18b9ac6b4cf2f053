"""What became of every row: the rows of the manifest joined with the log of the run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.engine.retry import retry_of
from bulkops.errors import UsageError
from bulkops.files import prepare as preparing
from bulkops.files.config import Config
from bulkops.files.failed_file import write_failed
from bulkops.files.manifest.apostrophes import MARK, plain
from bulkops.files.outcomes import (
    COLUMNS,
    copy_outcomes,
    count_outcomes,
    read_outcomes,
    to_line,
)
from bulkops.files.plan_file import read_batches, read_refusals
from bulkops.files.prepare import Asked, Prepared, prepare
from tests.files.planner.remembered import remembering

_COLUMNS = ["op", "module", "record_id", "related_list", "related_id"]
_HEADER = ",".join(_COLUMNS) + "\n"

Run = Callable[..., Prepared]


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plan each manifest of this file once, whatever the number of its runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "make_plan", remembering(tmp_path_factory.mktemp("plans")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that plans a manifest in a folder of its own, and writes a log."""

    def prepared(
        text: str,
        *log: Mapping[str, Any],
        name: str = "manifest.csv",
        tables: Mapping[str, Any] | None = None,
        **asked: Any,
    ) -> Prepared:
        folder = tmp_path_factory.mktemp("outcomes")
        (folder / name).write_bytes(text.encode())
        here = {"directory": str(folder / "runs")}
        changed = dict(tables or {})
        config = Config.model_validate({**changed, "run": here | dict(changed.get("run", {}))})
        made = prepare(Asked(folder / name, **asked), config)
        head = {"type": "run", "v": 1, "plan": made.digest, "rows": made.rows}
        write_log(made, head, *log)
        return made

    return prepared


def write_log(made: Prepared, *records: Mapping[str, Any]) -> None:
    with made.run.checkpoint.open("ab") as file:
        file.writelines(orjson.dumps(each) + b"\n" for each in records)


def outcome(line: int, status: str = "failed", **more: Any) -> dict[str, Any]:
    return {"type": "outcome", "line": line, "status": status, "t": 1700000000.123, **more}


def job(line: int, job_id: str, t: float) -> dict[str, Any]:
    return {"type": "job", "batch": 1, "line": line, "job_id": job_id, "t": t}


#: Ten rows, of which the tests settle as many as they need.
UNLINKS = _HEADER + "".join(f"unlink,Leads,1,Campaigns,{each}\n" for each in range(1, 11))


def failed_of(made: Prepared) -> tuple[int, str]:
    """Write `failed.csv` and return the number of its rows and its text."""
    number = write_failed(made.run, made.description)
    return number, (made.run.path / "failed.csv").read_bytes().decode()


def table(text: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return header and rows of a CSV text, by a reader that is not ours."""
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return header, [dict(zip(header, row, strict=True)) for row in rows]


def again(made: Prepared) -> Prepared:
    """Plan `failed.csv` as a manifest, asked for as the run was."""
    failed_of(made)
    asked = made.description["asked"]
    config = Config.model_validate(dict(made.description["config"]))
    return prepare(
        Asked(
            made.run.path / "failed.csv",
            asked["columns"],
            asked["fixed"],
            tuple(asked["fields"]),
        ),
        config,
        run_dir=made.run.path / "again",
    )


def wished(made: Prepared) -> list[tuple[Any, ...]]:
    """Return what a plan sends, without line numbers."""
    return [
        (batch.spec, batch.route, each.item, each.members, each.fields)
        for _, batch in read_batches(made.run.plan)
        for each in batch.operations
    ]


def test_outcomes_come_in_the_order_of_the_manifest(run: Run) -> None:
    """The log has them as they happened; keys have one order, and absent ones are left out."""
    made = run(
        _HEADER + "unlink,Leads,1,Campaigns,5\nunlink,Leads,1,Campaigns,6\nlink,,,,\n",
        outcome(3, "invalid", code="missing_value", message="module is empty"),
        outcome(2, "failed", code="NO_PERMISSION", message="no", http_status=403, batch=1),
        outcome(1, "succeeded", http_status=200, batch=1, attempts=2),
    )
    found = list(read_outcomes(made.run))

    assert [
        {
            "line": 1,
            "op": "unlink",
            "module": "Leads",
            "record_id": "1",
            "related_list": "Campaigns",
            "related_id": "5",
            "status": "succeeded",
            "http_status": 200,
            "attempts": 2,
            "batch": 1,
            "learnt": "answered",
            "finished_at": "2023-11-14T22:13:20.123Z",
        },
        {
            "line": 2,
            "op": "unlink",
            "module": "Leads",
            "record_id": "1",
            "related_list": "Campaigns",
            "related_id": "6",
            "status": "failed",
            "code": "NO_PERMISSION",
            "message": "no",
            "http_status": 403,
            "batch": 1,
            "learnt": "answered",
            "finished_at": "2023-11-14T22:13:20.123Z",
        },
        {
            "line": 3,
            "op": "link",
            "status": "invalid",
            "code": "missing_value",
            "message": "module is empty",
            "finished_at": "2023-11-14T22:13:20.123Z",
        },
    ] == found
    for each in found:
        assert [name for name in COLUMNS if name in each] == list(each)


def test_a_repeat_names_its_line(run: Run) -> None:
    """`of_line` and the columns of territories are told as they are."""
    made = run(
        "op,module,record_id,territory_id,transfer_to_id\n"
        "remove_territories,Leads,1,9;8,\n"
        "remove_territories,Leads,1,8;9,\n"
        "delete_territory,,,5,6\n",
        outcome(2, "duplicate", of_line=1),
        outcome(3, "succeeded"),
    )

    assert [
        {"record_id": "1", "territory_id": "8;9", "status": "duplicate", "of_line": 1},
        {"territory_id": "5", "transfer_to_id": "6", "status": "succeeded"},
    ] == [
        {
            key: value
            for key, value in each.items()
            if key not in {"line", "op", "module", "finished_at"}
        }
        for each in read_outcomes(made.run)
    ]


def test_lines_without_a_state_are_left_out(run: Run) -> None:
    """While a run goes on only what is known is told; calls and notes are no outcome."""
    made = run(
        UNLINKS,
        {"type": "note", "event": "run.started", "t": 1.0},
        {"type": "sent", "batch": 1, "attempt": 1, "call": 1, "t": 1.0},
        {"type": "answer", "batch": 1, "call": 1, "doubtful": [2], "t": 1.0},
        outcome(3, "succeeded"),
    )

    assert [3] == [each["line"] for each in read_outcomes(made.run)]


def test_a_pending_job_is_scheduled_until_it_ends(run: Run) -> None:
    """A remote job is not terminal; its line keeps the id of the latest job when it ends."""
    made = run(
        UNLINKS,
        job(1, "early", 1.0),
        job(2, "only", 2.0),
        job(1, "late", 3.0),
    )

    def told() -> list[tuple[Any, ...]]:
        keys = ("line", "status", "job_id", "batch", "finished_at")
        return [tuple(each.get(key) for key in keys) for each in read_outcomes(made.run)]

    assert [(1, "scheduled", "late", 1, None), (2, "scheduled", "only", 1, None)] == told()

    write_log(made, outcome(1, "succeeded", batch=1))

    assert [
        (1, "succeeded", "late", 1, "2023-11-14T22:13:20.123Z"),
        (2, "scheduled", "only", 1, None),
    ] == told()
    assert [2] == [each["line"] for each in read_outcomes(made.run, ["scheduled"])]


def test_what_was_unknown_may_become_known(run: Run) -> None:
    """A later run may ask about a line again, and what it finds counts, once."""
    made = run(
        UNLINKS,
        outcome(1, "unknown", code="no_reply"),
        outcome(2, "unknown", code="no_reply"),
        outcome(1, "succeeded", code="probed"),
    )

    assert [("succeeded", "probed"), ("unknown", "no_reply")] == [
        (each["status"], each["code"]) for each in read_outcomes(made.run)
    ]
    assert (1, ["2"]) == (
        failed_of(made)[0],
        [row["related_id"] for row in table(failed_of(made)[1])[1]],
    )
    assert 2 == sum(each["lines"] for each in count_outcomes(made.run))


def test_of_what_stays_unknown_the_latest_counts(run: Run) -> None:
    """Asked about twice in vain, a line is told with what the last asking found."""
    made = run(
        UNLINKS,
        outcome(1, "unknown", code="no_reply") | {"t": 1.0},
        outcome(1, "unknown", code="not_asked") | {"t": 2.0},
    )

    assert ["not_asked"] == [each["code"] for each in read_outcomes(made.run)]


def test_a_clock_that_went_back_does_not_change_what_is_the_latest(run: Run) -> None:
    """The place in the log says what came last, of jobs and of vain askings; no clock does."""
    made = run(
        UNLINKS,
        job(1, "early", 900.0),
        job(1, "late", 100.0),
        outcome(2, "unknown", code="no_reply") | {"t": 900.0},
        outcome(2, "unknown", code="not_asked") | {"t": 100.0},
    )

    assert [("scheduled", "late", None), ("unknown", None, "not_asked")] == [
        (each["status"], each.get("job_id"), each.get("code")) for each in read_outcomes(made.run)
    ]


def test_how_an_outcome_was_learnt_is_told(run: Run) -> None:
    """As the log says; an answer, where a line was sent and it says nothing; else not at all."""
    made = run(
        UNLINKS,
        outcome(1, "succeeded", batch=1, learnt="probed"),
        outcome(2, "succeeded", batch=1),
        outcome(3, "invalid"),
        outcome(4, "skipped", batch=1),
        job(5, "pending", 1.0),
    )

    assert ["probed", "answered", None, None, None] == [
        each.get("learnt") for each in read_outcomes(made.run)
    ]


@pytest.mark.parametrize(
    "torn",
    [
        b'{"type":"outcome","line":2,"status":"succee',
        b'{"type":"outcome","line":2,"status":"succeeded"',
        b"{",
        b"\x00\x00\x00\x00",
    ],
    ids=["in a value", "before the end", "at the begin", "zeros"],
)
def test_a_torn_tail_of_the_log_is_not_read(run: Run, torn: bytes) -> None:
    """What a crash, or a write under way, left at the end of the log says nothing yet."""
    made = run(UNLINKS, outcome(1, "succeeded"))
    with made.run.checkpoint.open("ab") as file:
        file.write(torn)

    assert [1] == [each["line"] for each in read_outcomes(made.run)]
    assert 1 == sum(each["lines"] for each in count_outcomes(made.run))


def test_statuses_are_filtered(run: Run) -> None:
    """Any number of statuses may be asked for; none means all."""
    statuses = ["succeeded", "failed", "unknown", "failed"]
    made = run(
        UNLINKS,
        *(outcome(line, status) for line, status in enumerate(statuses, 1)),
    )

    assert [1, 2, 3, 4] == [each["line"] for each in read_outcomes(made.run)]
    assert [2, 3, 4] == [each["line"] for each in read_outcomes(made.run, ["unknown", "failed"])]
    assert [] == list(read_outcomes(made.run, ["it's", "skipped"]))


def test_a_line_of_json_is_one_line() -> None:
    """Whatever stands in a value, an outcome is one line of UTF-8 JSON."""
    told = {"line": 1, "status": "failed", "extra": {"note": "two\nlines\u2028é"}}

    assert b"\n" not in to_line(told)[:-1]
    assert told == json.loads(to_line(told).decode())


@pytest.mark.parametrize("parquet", [False, True], ids=["csv", "parquet"])
def test_files_of_outcomes_have_all_columns(run: Run, tmp_path: Path, parquet: bool) -> None:
    """CSV and Parquet say the same as the lines of JSON, absent values empty, in that order."""
    made = run(
        _HEADER.strip()
        + ",note\n"
        + 'unlink,Leads,1,Campaigns,2,"a ""b"",\nü"\n'
        + "unlink,,,,,\n",
        outcome(2, "invalid", code="missing_value", message="module is empty"),
        outcome(1, "succeeded", http_status=200, batch=1, attempts=1),
    )
    target = tmp_path / "it's.out"
    copy_outcomes(made.run, target, parquet=parquet)
    if parquet:
        with duckdb.connect() as connection:
            result = connection.execute("SELECT * FROM read_parquet(?)", [str(target)])
            names = [each[0] for each in result.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    else:
        names, rows = table(target.read_bytes().decode())
    expected = [
        {**each, "extra": json.dumps(each["extra"], ensure_ascii=False, separators=(",", ":"))}
        for each in read_outcomes(made.run)
    ]

    assert [*COLUMNS, "extra"] == names
    assert [
        {name: each.get(name) if parquet else str(each.get(name, "")) for name in names}
        for each in expected
    ] == rows


def test_files_of_outcomes_have_the_whole_extra(run: Run, tmp_path: Path) -> None:
    """Fields and carried values are one object in the files, as in the lines of JSON."""
    row = {"op": "link", "module": "Leads", "record_id": "1", "related_list": "Campaigns"}
    row |= {"related_id": "2", "Status": "Active"}
    made = run(
        json.dumps({**row, "note": {"deep": None}, "empty": None}) + "\n",
        outcome(1),
        name="manifest.jsonl",
    )
    copy_outcomes(made.run, tmp_path / "outcomes.csv")
    _, rows = table((tmp_path / "outcomes.csv").read_text(encoding="utf-8"))
    (told,) = read_outcomes(made.run)

    assert {"Status": "Active", "note": {"deep": None}, "empty": None} == told["extra"]
    assert told["extra"] == json.loads(rows[0]["extra"])


def test_files_of_outcomes_are_filtered(run: Run, tmp_path: Path) -> None:
    """The filter of the lines holds for the files."""
    made = run(UNLINKS, outcome(1, "succeeded"), outcome(2, "failed"))
    copy_outcomes(made.run, tmp_path / "failed.csv", ["failed"])
    _, rows = table((tmp_path / "failed.csv").read_text(encoding="utf-8"))

    assert ["2"] == [row["line"] for row in rows]


def test_outcomes_are_counted(run: Run) -> None:
    """By operation, module, status and code, with an example; the most frequent first."""
    made = run(
        UNLINKS + "link,Deals,1,Products,2\nunlink,B d,1,x,2\n",
        *(outcome(line, "succeeded") for line in (1, 3)),
        outcome(2, "failed", code="NO_PERMISSION", message="Permission denied"),
        outcome(11, "succeeded"),
        outcome(12, "invalid", code="not_a_name", message="words"),
    )

    assert [
        ("unlink", "Leads", "succeeded", "", None, 2),
        ("link", "Deals", "succeeded", "", None, 1),
        ("unlink", "", "invalid", "not_a_name", "words", 1),
        ("unlink", "Leads", "failed", "NO_PERMISSION", "Permission denied", 1),
    ] == [tuple(each.values()) for each in count_outcomes(made.run)]


def test_failed_rows_are_those_not_in_their_wanted_state(run: Run) -> None:
    """A repeat is tried with the line it repeats, and a pending job is not over."""
    statuses = [
        "succeeded",
        "unchanged",
        "duplicate",
        "failed",
        "invalid",
        "conflict",
        "skipped",
        "unknown",
    ]
    made = run(
        UNLINKS,
        *(outcome(line, status) for line, status in enumerate(statuses, 1)),
        job(9, "pending", 1.0),
    )
    number, text = failed_of(made)
    _, rows = table(text)

    assert 5 == number
    assert ["failed", "invalid", "conflict", "skipped", "unknown"] == [
        row["status"] for row in rows
    ]
    assert ["4", "5", "6", "7", "8"] == [row["related_id"] for row in rows]


def test_failed_rows_have_their_own_columns_first(run: Run) -> None:
    """The manifest's columns in its order, then `status, code, message`."""
    made = run(
        "note,related_id,op,module,record_id,related_list\n"
        "first,2,unlink,Leads,1,Campaigns\n"
        "second,3,unlink,Leads,1,Campaigns\n",
        outcome(1, code="NO_PERMISSION", message='Permission, "denied"\nto you'),
        outcome(2, "unknown"),
    )
    header, rows = table(failed_of(made)[1])

    assert ["note", "related_id", "op", "module", "record_id", "related_list"] == header[:-3]
    assert ["status", "code", "message"] == header[-3:]
    assert [
        ("first", "2", "failed", "NO_PERMISSION", 'Permission, "denied"\nto you'),
        ("second", "3", "unknown", "", ""),
    ] == [
        tuple(row[name] for name in ("note", "related_id", "status", "code", "message"))
        for row in rows
    ]


def test_without_failures_there_is_a_header_alone(run: Run) -> None:
    """`failed.csv` of a good run is a manifest of no rows."""
    made = run(UNLINKS, outcome(1, "succeeded"))

    assert (0, _HEADER.strip() + ",status,code,message\n") == failed_of(made)
    assert 0 == again(made).rows


def test_failed_rows_are_a_manifest_again(run: Run) -> None:
    """Planned once more with the same options, they are what was planned of those rows."""
    made = run(
        "op,module,record_id,related_list,related_id,territory_id,transfer_to_id,role_id,role_name,"
        "delete_previous_forecasts,list_price,note\n"
        "unlink,Leads,1,Campaigns,2,,,,,,,a\n"
        "link,Price_Books,1,Products,2,,,,,,10.50,b\n"
        "link,Deals,1,Contact_Roles,2,,,7,Buyer,,,c\n"
        'remove_territories,Leads,1,,,"[""9"", ""8""]",,,,,,d\n'
        "assign_territories,Leads,3,,,9;8,,,,,,e\n"
        "delete_territory,,,,,5,6,,,yes,,f\n"
        "link,Leads,9,Campaigns,9,,,,,,,done\n",
        *(outcome(line) for line in range(1, 7)),
        outcome(7, "succeeded"),
    )
    retried = again(made)

    assert 6 == retried.rows
    assert [each for each in wished(made) if each[2] != "9"] == wished(retried)
    assert [] == list(read_refusals(retried.run.rows))


def test_failed_rows_of_json_lines_are_a_manifest_again(run: Run) -> None:
    """Lists and carried objects stand as JSON in their cells."""
    rows = [
        {
            "op": "remove_territories",
            "module": "Leads",
            "record_id": 12345678901234567890,
            "territory_id": ["9", 8],
            "note": {"deep": [1, None, "ü"]},
        },
        {"op": "unlink", "module": "Leads", "record_id": 1, "related_list": "Campaigns"}
        | {"related_id": "2", "later": True},
    ]
    made = run(
        "".join(json.dumps(row) + "\n" for row in rows),
        outcome(1),
        outcome(2),
        name="manifest.jsonl",
    )
    header, cells = table(failed_of(made)[1])
    retried = again(made)

    assert ["op", "module", "record_id", "territory_id", "note"] == header[:5]
    assert {"deep": [1, None, "ü"]} == json.loads(cells[0]["note"])
    assert ["", "true"] == [row["later"] for row in cells]
    assert wished(made) == wished(retried)


def test_failed_rows_of_failed_rows_have_the_columns_once(run: Run) -> None:
    """`status, code, message` of an earlier try are replaced, not doubled."""
    first = run(UNLINKS, outcome(1), outcome(2, "succeeded"), outcome(3))
    second = again(first)
    head = {"type": "run", "v": 1, "plan": second.digest, "rows": second.rows}
    write_log(second, head, outcome(1, "unknown", code="no_reply"), outcome(2, "succeeded"))
    header, rows = table(failed_of(second)[1])
    third = again(second)

    assert [*_COLUMNS, "status", "code", "message"] == header
    assert [("1", "unknown", "no_reply")] == [
        (row["related_id"], row["status"], row["code"]) for row in rows
    ]
    assert [*_COLUMNS, "status", "code", "message"] == third.description["plan"]["own_columns"]
    assert wished(first)[:1] == wished(third)


def test_failed_rows_with_mapped_and_set_columns(run: Run) -> None:
    """The columns keep the names that the user gave them, so that the same options fit."""
    made = run(
        "Lead Id,note,Campaign\n1,a,2\n3,b,4\n",
        outcome(1),
        outcome(2, "succeeded"),
        columns={"record_id": "Lead Id", "related_id": "Campaign"},
        fixed={"op": "unlink", "module": "Leads", "related_list": "Campaigns"},
    )
    header, rows = table(failed_of(made)[1])
    retried = again(made)

    assert ["Lead Id", "note", "Campaign", "status", "code", "message"] == header
    assert [["1", "a", "2", "failed", "", ""]] == [list(row.values()) for row in rows]
    assert (1, wished(made)[:1]) == (retried.rows, wished(retried))


def test_failed_rows_with_mapped_fields(run: Run) -> None:
    """A field of the relation that stands in a column of another name is kept as well."""
    made = run(
        "op,module,record_id,related_list,related_id,Price,Note\n"
        "link,Price_Books,1,Products,2,10.50,x\n",
        outcome(1),
        columns={"list_price": "Price"},
        fields=("Note",),
    )
    _, rows = table(failed_of(made)[1])

    assert ("10.50", "x") == (rows[0]["Price"], rows[0]["Note"])
    assert [{"list_price": "10.50", "Note": "x"}] == [each[4] for each in wished(again(made))]


def test_a_row_that_was_no_record_is_told_of(run: Run) -> None:
    """A row that broke as CSV has no cells, but its text; its place, and why, are there."""
    made = run(
        _HEADER + "unlink,Leads,1,Campaigns,2,surplus\nunlink,Leads,1,Campaigns,2\n",
        outcome(1, "invalid", code="too_many_fields", message="line 1: 6 fields, expected 5"),
    )
    number, text = failed_of(made)
    header, rows = table(text)
    (told,) = read_outcomes(made.run)

    assert 1 == number
    assert [*_COLUMNS, "raw", "status", "code", "message"] == header
    assert [
        *[""] * 5,
        "unlink,Leads,1,Campaigns,2,surplus",
        "invalid",
        "too_many_fields",
        "line 1: 6 fields, expected 5",
    ] == [*rows[0].values()]
    assert "unlink,Leads,1,Campaigns,2,surplus" == told["raw"]


def test_the_text_of_a_row_that_was_no_record_outlives_a_retry(run: Run) -> None:
    """Broken again or read this time, what stood in the manifest stays in the column `raw`."""
    made = run(
        _HEADER + 'unlink,Leads,1,"Camp"x,2\nunlink,Leads\nunlink,Leads,1,Campaigns,2\n',
        *(outcome(line, "invalid") for line in (1, 2)),
    )
    retried = again(made)
    head = {"type": "run", "v": 1, "plan": retried.digest, "rows": retried.rows}
    write_log(retried, head, *(outcome(line, "invalid") for line in (1, 2)))

    for each in (made, retried):
        header, rows = table(failed_of(each)[1])
        assert [*_COLUMNS, "raw", "status", "code", "message"] == header
        assert ['unlink,Leads,1,"Camp"x,2', "unlink,Leads"] == [row["raw"] for row in rows]


def test_a_column_named_raw_holds_the_text_of_what_could_not_be_read(run: Run) -> None:
    """A row has either cells of its own or a text, so one column has room for both."""
    made = run(
        _HEADER.strip() + ",raw\nunlink,Leads,1,Campaigns,2,mine\nunlink\n",
        outcome(1),
        outcome(2, "invalid"),
    )
    header, rows = table(failed_of(made)[1])

    assert [*_COLUMNS, "raw", "status", "code", "message"] == header
    assert ["mine", "unlink"] == [row["raw"] for row in rows]


def test_a_column_named_raw_that_means_something_to_us_is_left_alone(run: Run) -> None:
    """Where it is mapped, the text has another name: a retry must not read it as a value."""
    made = run(
        "op,module,record_id,related_list,raw\nunlink,Leads,1,Campaigns,2\nunlink\n",
        outcome(1),
        outcome(2, "invalid"),
        columns={"related_id": "raw"},
    )
    _, rows = table(failed_of(made)[1])

    assert [("2", ""), ("", "unlink")] == [(row["raw"], row["outcome_raw"]) for row in rows]
    assert wished(made) == wished(again(made))


def test_numbers_are_carried_as_they_stand(run: Run, tmp_path: Path) -> None:
    """Whatever size or precision a number of JSON has, no digit of it changes."""
    numbers = '{"a":123456789012345678901234567890,"b":1.50,"c":4.15e18,"d":0.1,"e":7}'
    made = run(
        '{"op":"unlink","module":"Leads","record_id":"1","related_list":"Campaigns",'
        f'"related_id":"2","n":{numbers}}}\n',
        outcome(1),
        name="manifest.jsonl",
    )
    (told,) = read_outcomes(made.run)
    copy_outcomes(made.run, tmp_path / "outcomes.csv")
    _, rows = table((tmp_path / "outcomes.csv").read_text(encoding="utf-8"))

    assert f'"n":{numbers}'.encode() in to_line(told)
    assert f'{{"n":{numbers}}}' == rows[0]["extra"]
    assert numbers == table(failed_of(made)[1])[1][0]["n"]


def test_a_carried_column_wins_over_a_field_of_its_name(run: Run, tmp_path: Path) -> None:
    """In the files as in the lines: the manifest's own `Status` beside one mapped from another."""
    made = run(
        _HEADER.strip() + ",Member,Status,note\nlink,Leads,1,Campaigns,2,Active,own,x\n",
        outcome(1),
        columns={"Status": "Member"},
    )
    copy_outcomes(made.run, tmp_path / "outcomes.csv")
    _, rows = table((tmp_path / "outcomes.csv").read_text(encoding="utf-8"))
    (told,) = read_outcomes(made.run)

    assert {"Status": "own", "note": "x"} == told["extra"] == json.loads(rows[0]["extra"])


def test_what_a_later_row_overruled_is_not_tried_again(run: Run) -> None:
    """With `on_conflict = "last"` the earlier wish lost for good: no retry may undo the later."""
    made = run(
        _HEADER + "link,Leads,1,Campaigns,2\nunlink,Leads,1,Campaigns,2\n",
        outcome(1, "conflict", code="opposite_wishes", of_line=2),
        outcome(2, "succeeded"),
        tables={"run": {"on_conflict": "last"}},
    )

    assert [] == wished(again(made))


#: Names that a manifest may have, and that SQL, JSON paths, HTML or our own tables may misread.
ODD_NAMES = [
    pytest.param("select", id="SQL"),
    pytest.param('a "quoted" name', id="quotes"),
    pytest.param("it's", id="apostrophe"),
    pytest.param("'; DROP TABLE told; --", id="injection"),
    pytest.param("a.b", id="dot"),
    pytest.param("a,b;c", id="delimiters"),
    pytest.param("$.x[0]", id="JSON path"),
    pytest.param("/a/b~c", id="JSON pointer"),
    pytest.param("back\\slash", id="backslash"),
    pytest.param("{x}", id="braces"),
    pytest.param("%s", id="percent"),
    pytest.param("<script>alert(1)</script>", id="script"),
    pytest.param("extra", id="extra"),
    pytest.param("fields", id="fields"),
    pytest.param("raw", id="raw"),
    pytest.param("spec", id="spec"),
    pytest.param("batch", id="batch"),
    pytest.param("job_id", id="job_id"),
    pytest.param("of_line", id="of_line"),
    pytest.param("finished_at", id="finished_at"),
    pytest.param("two\nlines", id="line end"),
    pytest.param("Straße", id="umlaut"),
    pytest.param("名前", id="Japanese"),
    pytest.param("*", id="star"),
    pytest.param("refused", id="refused"),
    pytest.param("refused_code", id="refused_code"),
    pytest.param("Module", id="Module"),
    pytest.param("RECORD_ID", id="RECORD_ID"),
    pytest.param("Code", id="Code"),
    pytest.param("Status", id="Status"),
]


def name_of(parameter: Any) -> str:
    return str(parameter.values[0])


def text_of(*rows: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


@pytest.fixture(scope="module")
def odd(run: Run) -> Prepared:
    """A run whose manifest carries a column of each odd name."""
    names = [name_of(each) for each in ODD_NAMES]
    cells = [f"<{place}>" for place, _ in enumerate(names)]
    manifest = text_of(
        [*_COLUMNS, *names],
        ["unlink", "Leads", "1", "Campaigns", "2", *cells],
    )
    return run(manifest, outcome(1))


@pytest.fixture(scope="module")
def odd_failed(odd: Prepared) -> tuple[list[str], list[dict[str, Any]]]:
    return table(failed_of(odd)[1])


@pytest.fixture(scope="module")
def odd_outcome(odd: Prepared) -> Mapping[str, Any]:
    (told,) = read_outcomes(odd.run)
    return told


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_carried_column_may_have_any_name(
    odd_failed: tuple[list[str], list[dict[str, Any]]], name: str
) -> None:
    """Name and cell of a carried column are in `failed.csv` as they were in the manifest."""
    place = [name_of(each) for each in ODD_NAMES].index(name)
    header, rows = odd_failed

    assert header.index(name) == len(_COLUMNS) + place
    assert f"<{place}>" == rows[0][name]


def test_our_columns_keep_their_names_beside_similar_ones(
    odd_failed: tuple[list[str], list[dict[str, Any]]],
) -> None:
    """`status, code, message` are last, also where the manifest has `Status` and `Code`."""
    assert ["status", "code", "message"] == odd_failed[0][-3:]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_carried_column_of_any_name_is_in_the_outcomes(
    odd_outcome: Mapping[str, Any], name: str
) -> None:
    """What has no key of its own stands under `extra`, a field of the relation too."""
    place = [name_of(each) for each in ODD_NAMES].index(name)

    assert f"<{place}>" == odd_outcome["extra"][name]


def test_a_carried_column_named_line_does_not_mix_the_rows(run: Run) -> None:
    """`failed.csv` has the order of the manifest, whatever its columns are called."""
    made = run(
        _HEADER.strip() + ",line\nunlink,Leads,1,Campaigns,2,b\nunlink,Leads,1,Campaigns,3,a\n",
        outcome(1),
        outcome(2),
    )
    _, rows = table(failed_of(made)[1])

    assert [("2", "b"), ("3", "a")] == [(row["related_id"], row["line"]) for row in rows]


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        pytest.param(
            "op,module,record_id,related_list,related_id,status",
            {"columns": {"Member_Status": "status"}},
            id="status",
        ),
        pytest.param(
            "op,module,code,related_list,related_id,other",
            {"columns": {"record_id": "code"}},
            id="code",
        ),
    ],
)
def test_a_mapped_column_of_the_name_of_ours_is_not_lost(
    run: Run, header: str, asked: Mapping[str, Any]
) -> None:
    """A retry sends what the manifest says, never `failed` as the status of a member."""
    made = run(f"{header}\nlink,Leads,1,Campaigns,2,3\n", outcome(1, code="4"), **asked)
    retried = again(made)

    assert wished(made) == wished(retried)


@pytest.mark.parametrize(
    ("manifest", "asked"),
    [
        pytest.param(
            "op,module,Lead Id,related_list,related_id,record_id\nunlink,Leads,1,Campaigns,2,own\n",
            {"columns": {"record_id": "Lead Id"}},
            id="mapped",
        ),
        pytest.param(
            "op,module,record_id,related_list,related_id,Member,Status\n"
            "link,Leads,1,Campaigns,2,Active,own\n",
            {"columns": {"Status": "Member"}},
            id="mapped field",
        ),
        pytest.param(
            "op,module,record_id,related_list,related_id\nadd,Leads,1,Campaigns,2\n",
            {"fixed": {"op": "link"}},
            id="set",
        ),
    ],
)
def test_a_column_that_was_mapped_or_set_keeps_its_own_cells(
    run: Run, manifest: str, asked: Mapping[str, Any]
) -> None:
    """`failed.csv` has the manifest's own cells, also where other values were used instead."""
    made = run(manifest, outcome(1), **asked)
    _, rows = table(failed_of(made)[1])
    _, before = table(manifest)

    assert before[0].items() <= rows[0].items()


def test_a_mapped_column_of_the_name_of_ours_may_be_tried_twice(run: Run) -> None:
    """However often rows fail, their file is a manifest again."""
    made = run(
        "op,module,record_id,related_list,related_id,status\nlink,Leads,1,Campaigns,2,Active\n",
        outcome(1),
        columns={"Member_Status": "status"},
    )
    second = again(made)
    head = {"type": "run", "v": 1, "plan": second.digest, "rows": second.rows}
    write_log(second, head, outcome(1))
    header, _ = table(failed_of(second)[1])

    assert len(set(header)) == len(header)
    assert wished(made) == wished(again(second))


def test_a_lone_carriage_return_in_a_cell_survives(run: Run) -> None:
    """An old Macintosh's line end in a cell does not break the row."""
    made = run(
        text_of([*_COLUMNS, "note"], ["unlink", "Leads", "1", "Campaigns", "2", "one\rtwo"]),
        outcome(1),
    )

    assert ["one\rtwo"] == [row["note"] for row in table(failed_of(made)[1])[1]]


def test_a_folder_named_like_a_partition_adds_no_column(run: Run, tmp_path: Path) -> None:
    """The name of the run directory says nothing about the rows."""
    file = tmp_path / "manifest.csv"
    file.write_text(_HEADER.strip() + ",note\nunlink,Leads,1,Campaigns,2,own\n", encoding="utf-8")
    made = prepare(Asked(file), Config(), run_dir=tmp_path / "note=1")
    write_log(made, {"type": "run", "v": 1, "plan": made.digest, "rows": 1}, outcome(1))
    _, rows = table(failed_of(made)[1])

    assert "own" == rows[0]["note"]


def test_outcomes_are_read_from_their_own_folder(tmp_path: Path) -> None:
    """Whatever a run directory is called, no other run's log is read in its place."""
    for name, record in (("run1", "9"), ("run[1]", "1")):
        file = tmp_path / f"{record}.csv"
        file.write_text(f"{_HEADER}unlink,Leads,{record},Campaigns,2\n", encoding="utf-8")
        made = prepare(Asked(file), Config(), run_dir=tmp_path / name)
        head = {"type": "run", "v": 1, "plan": made.digest, "rows": 1}
        write_log(made, head, outcome(1, code=record))

    assert [("1", "1")] == [(each["record_id"], each["code"]) for each in read_outcomes(made.run)]


@settings(max_examples=3, deadline=None)
@given(
    cells=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
        min_size=1,
        max_size=60,
    )
)
def test_any_text_survives(run: Run, cells: list[str]) -> None:
    """Carried cells are the same after a failure, and after a failure of the retry's."""
    rows = [["unlink", "Leads", "1", "Campaigns", str(line)] for line, _ in enumerate(cells)]
    manifest = text_of(
        [*_COLUMNS, "note"], *([*row, cell] for row, cell in zip(rows, cells, strict=True))
    )
    made = run(manifest, *(outcome(line) for line, _ in enumerate(cells, 1)))
    retried = again(made)
    head = {"type": "run", "v": 1, "plan": retried.digest, "rows": retried.rows}
    write_log(retried, head, *(outcome(line) for line, _ in enumerate(cells, 1)))

    for each in (made, retried):
        assert cells == [told["extra"].get("note", "") for told in read_outcomes(each.run)]
        header, rows = table(failed_of(each)[1])
        bare = plain if MARK in header else str
        assert cells == [bare(row["note"]) for row in rows]


def test_no_formula_reaches_a_spreadsheet_and_the_rows_are_the_same(run: Run) -> None:
    """Neither a manifest nor a server writes a formula into our files; a retry sees no change."""
    made = run(
        text_of(
            [*_COLUMNS, "=note", "price"],
            ["unlink", "Leads", "1", "Campaigns", "2", "=cmd|' /C calc'!A0", "-5"],
            ["unlink", "Leads", "=1+1", "Campaigns", "3", "'=own", "'-5"],
        ),
        outcome(1, code="@code", message="+message"),
        outcome(2, "invalid"),
    )
    header, rows = table(failed_of(made)[1])
    retried = again(made)

    assert [*_COLUMNS, "'=note", "price", MARK, "status", "code", "message"] == header
    assert [
        ("1", "'=cmd|' /C calc'!A0", "-5", "3", "'@code", "'+message"),
        ("'=1+1", "''=own", "''-5", "3", "", ""),
    ] == [
        tuple(row[key] for key in ("record_id", "'=note", "price", MARK, "code", "message"))
        for row in rows
    ]
    assert wished(made) == wished(retried)
    head = {"type": "run", "v": 1, "plan": retried.digest, "rows": retried.rows}
    write_log(retried, head, outcome(1), outcome(2, "invalid"))
    (first, second) = read_outcomes(retried.run)
    assert ("=cmd|' /C calc'!A0", "-5", "@code") == tuple(
        first["extra"][key] for key in ("=note", "price", "code")
    )
    assert ("=1+1", "'=own", "'-5") == (
        second["record_id"],
        second["extra"]["=note"],
        second["extra"]["price"],
    )
    assert header == table(failed_of(retried)[1])[0]


def test_files_of_outcomes_hold_no_formula(run: Run, tmp_path: Path) -> None:
    """What a server says is text, whatever it begins with; Parquet has no formulas."""
    made = run(UNLINKS, outcome(1, message="=message", code="-1"))
    copy_outcomes(made.run, tmp_path / "o.csv", ["failed"])
    copy_outcomes(made.run, tmp_path / "o.parquet", ["failed"], parquet=True)
    ((_, row),) = enumerate(table((tmp_path / "o.csv").read_text())[1])

    assert ("'=message", "-1") == (row["message"], row["code"])
    with duckdb.connect() as connection:
        told = connection.execute(f"SELECT message FROM '{tmp_path / 'o.parquet'}'").fetchall()
    assert [("=message",)] == told


def test_an_apostrophe_in_a_manifest_of_theirs_is_their_own(run: Run) -> None:
    """Only a file of ours is read without the apostrophes that ours have."""
    made = run(text_of([*_COLUMNS, "note"], ["unlink", "Leads", "1", "Campaigns", "2", "'=x"]))
    write_log(made, outcome(1))

    assert ["'=x"] == [each["extra"]["note"] for each in read_outcomes(made.run)]


def test_a_retry_asks_for_the_failed_rows_with_the_same_options(run: Run) -> None:
    """The new run lies beside the old one, and is asked for as that was."""
    made = run(
        "Lead,Campaign,note\n1,2,a\n3,4,b\n",
        outcome(1, "succeeded"),
        outcome(2, "failed", code="INTERNAL_ERROR"),
        columns={"record_id": "Lead", "related_id": "Campaign"},
        fixed={"op": "link", "module": "Leads", "related_list": "Campaigns"},
        fields=("note",),
    )
    asked, directory = retry_of(made.run)

    assert (
        Asked(
            made.run.path / "failed.csv",
            {"record_id": "Lead", "related_id": "Campaign"},
            {"op": "link", "module": "Leads", "related_list": "Campaigns"},
            ("note",),
            retries=(made.run.name,),
        )
        == asked
    )
    assert made.run.path.with_name(f"{made.run.name}-retry") == directory
    assert "Lead,Campaign,note,status,code,message\n3,4,b,failed,INTERNAL_ERROR,\n" == (
        asked.manifest.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("begun", [True, False])
def test_an_unfinished_run_is_not_retried(run: Run, begun: bool) -> None:
    """Running it again goes on with it; a retry would send what is still to be sent."""
    made = run(UNLINKS, outcome(1, "failed"))
    if not begun:
        made.run.checkpoint.unlink()
    with pytest.raises(UsageError) as caught:
        retry_of(made.run)

    assert (
        f"run {made.run.name} is not finished; run it again to go on with it, then retry what is "
        "left"
    ) == str(caught.value)
    assert not (made.run.path / "failed.csv").exists()
