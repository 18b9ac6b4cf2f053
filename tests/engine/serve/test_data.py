"""What programs are given: outcomes in parts, and metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulkops.cli.schema import names, verbs
from bulkops.engine.serve.entry import Entry
from bulkops.engine.serve.listing import Listing
from bulkops.engine.serve.measures import MOST, metrics_of, told_of
from bulkops.files.metrics import CONTENT_TYPE
from bulkops.files.outcomes import read_outcomes
from bulkops.files.rundir import RunDirectory
from tests.e2e.shapes import held, titles
from tests.engine.report.runs import log, note, outcome, sent, unlinks
from tests.engine.serve.house import STATUS, finished, process_on, served, shape_of
from tests.files.test_metrics import parse, value_of


async def test_outcomes_are_those_of_the_verb_a_page_at_a_time(tmp_path: Path) -> None:
    """In manifest order, none twice and none left out, whatever the size of a page."""
    made = log(
        unlinks(tmp_path, 7),
        note(0, "run.started"),
        sent(0, 1),
        *(outcome(1, line, "failed" if line % 3 == 0 else "succeeded") for line in (7, 3, 1, 6, 2)),
    )
    expected = list(read_outcomes(made.run))
    path = f"/api/runs/{made.run.name}/outcomes"
    async with served(tmp_path / "runs") as server:
        whole = await server.json(path)
        assert {"v": 1, "outcomes": expected, "next": None} == whole
        found: list[Any] = []
        after: int | None = 0
        while after is not None:
            page = await server.json(f"{path}?limit=2&after={after}")
            found += page["outcomes"]
            after = page["next"]
        assert expected == found
        failed = await server.json(f"{path}?status=failed,unknown&limit=1")
        assert ([3], 3) == ([each["line"] for each in failed["outcomes"]], failed["next"])


async def test_answers_are_as_their_schemas_say_and_these_are_strict(tmp_path: Path) -> None:
    """Each alternative is met, and a key more or less is refused."""
    name, met = finished(tmp_path, bad=True).run.name, set()
    (tmp_path / "runs" / "torn").mkdir()
    (tmp_path / "runs" / "torn" / "run.json").write_text("{")
    (tmp_path / "live").mkdir()
    live = log(unlinks(tmp_path / "live", 1), note(0, "run.started"))
    live.run.path.rename(tmp_path / "runs" / "live")
    live = replace(live, run=RunDirectory(tmp_path / "runs" / "live"))
    paths = ("runs", "runs?limit=0", "runs/none", f"runs/{name}", "runs/torn", "runs/live")
    async with served(tmp_path / "runs") as server, process_on(live):
        for path in (*paths, f"runs/{name}/outcomes", f"runs/{name}/outcomes?limit=x"):
            said = await (await server.get(f"/api/{path}")).text()
            title, words = shape_of(f"/api/{path}", said)
            held(title, words, said)
            met.add((" ".join(words), title))
    assert {(each, title) for each in set(names()) - {*verbs()} for title in titles(each)} == met


async def test_outcomes_as_lines_name_the_next_page_in_a_header(tmp_path: Path) -> None:
    """A line is as `bulkops outcomes` prints it."""
    made = finished(tmp_path, bad=True)
    path = f"/api/runs/{made.run.name}/outcomes?format=jsonl&limit=1"
    async with served(tmp_path / "runs") as server:
        got = await server.get(path)
        assert "application/x-ndjson" == got.headers["Content-Type"]
        (line,) = (await got.text()).splitlines()
        assert next(iter(read_outcomes(made.run))) == json.loads(line)
        following = got.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')
        last = await server.get(following)
        assert [2] == [json.loads(each)["line"] for each in (await last.text()).splitlines()]
        assert "Link" not in last.headers


@pytest.mark.parametrize(
    "wrong",
    [
        *("status=done", "status=failed'--", "limit=0", "limit=10001", "after=-1", "after=x"),
        *("format=csv", "after=%F0%9D%9F%8F"),
    ],
)
async def test_a_wrong_question_is_answered_with_what_was_expected(
    tmp_path: Path, wrong: str
) -> None:
    """And with 400, as JSON."""
    made = unlinks(tmp_path, 1)
    async with served(tmp_path / "runs") as server:
        got = await server.get(f"/api/runs/{made.run.name}/outcomes?{wrong}")
        told = await got.json()
        assert (400, 1) == (got.status, told["v"])
        assert "expected" in told["error"]


async def test_a_run_that_has_not_begun_has_no_outcomes(tmp_path: Path) -> None:
    """An empty page, not an error."""
    made = unlinks(tmp_path, 1)
    async with served(tmp_path / "runs") as server:
        told = await server.json(f"/api/runs/{made.run.name}/outcomes")
    assert {"v": 1, "outcomes": [], "next": None} == told


async def test_metrics_are_those_of_the_file(tmp_path: Path) -> None:
    """Under the same names, with the same labels; of a process, and of a run that ended."""
    made, live = finished(tmp_path, bad=True), unlinks(tmp_path, 3)
    async with served(tmp_path / "runs") as server:
        ended = parse(await server.text("/metrics"))
        async with process_on(live):
            found = parse(await server.until("/metrics", 'bulkops_runs{state="running"} 1'))
        assert CONTENT_TYPE == (await server.get("/metrics")).headers["Content-Type"]
    one, other = {"run": live.run.name, "job": ""}, {"run": made.run.name, "job": ""}
    expected: dict[str, float] = {
        "bulkops_up": 1,
        "bulkops_rows": STATUS["rows"],
        "bulkops_calls_total": STATUS["calls"],
        "bulkops_throttled_total": STATUS["throttled"],
        "bulkops_credits_left": STATUS["credits"]["left"],
        "bulkops_calls_in_flight": STATUS["in_flight"],
        "bulkops_seconds_to_end": STATUS["end"]["seconds"],
    }
    assert expected == {name: value_of(found, name, **one) for name in expected}
    assert 1 == value_of(found, "bulkops_lines", status="failed", **one)
    expected = {"bulkops_up": 0, "bulkops_rows": 2, "bulkops_exit_code": 3}
    assert expected == {name: value_of(ended, name, **other) for name in expected}
    states = {"running": 1, "finished": 1, "planned": 0, "holding": 0}
    assert states == {each: value_of(found, "bulkops_runs", state=each) for each in states}


def entries(number: int, **facts: Any) -> list[Entry]:
    return [Entry(name=f"run-{at}", **facts) for at in range(number)]


def test_each_night_does_not_make_new_series_for_ever() -> None:
    """Of a job only the latest run is told, and what is under way; never more than so many."""
    nights = entries(400, job="nightly", state="finished", exit=0, ended=7.0)
    by_hand = entries(400, state="unfinished")
    live = entries(3, job="nightly", state="running")
    told = told_of(Listing([*live, *nights, *by_hand]))
    assert [*live, by_hand[0]] == list(told)
    assert MOST == len(told_of(Listing(entries(500, state="holding"))))


def test_a_job_says_when_it_last_went_well() -> None:
    """Though its latest run did not: that is what one asks for at night."""
    runs = [
        Entry(name="c", job="nightly", state="finished", exit=3, ended=30.0),
        Entry(name="b", job="nightly", state="finished", exit=0, ended=20.0),
        Entry(name="a", job="nightly", state="finished", exit=0, ended=10.0),
    ]
    found = parse(metrics_of(Listing(runs), now=40.0))
    assert 20 == value_of(found, "bulkops_last_success_timestamp_seconds", job="nightly")
    assert 3 == value_of(found, "bulkops_exit_code", run="c")
    assert value_of(found, "bulkops_exit_code", run="b") is None


def test_labels_of_others_are_escaped() -> None:
    """A name may hold what ends a label."""
    runs = [Entry(name='a"} 1\nb', job="\\", state="running")]
    found = parse(metrics_of(Listing(runs), now=1.0))
    assert 1 == value_of(found, "bulkops_up", run='a"} 1\nb', job="\\")
