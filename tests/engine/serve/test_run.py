"""One run: its page, its JSON, and the stream of each."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bulkops.engine.derive import derive
from bulkops.engine.serve import RunsFolder, serving
from bulkops.engine.serve import looks as module
from bulkops.engine.standing import look
from bulkops.errors import ExitCode
from tests.engine.report.outline import outline
from tests.engine.report.runs import log, note, outcome, sent, unlinks
from tests.engine.serve.house import STATUS, finished, first, process_on, served, unfinished

HARM = "<script>alert(1)</script>"


async def test_the_json_is_that_of_the_verb_status(tmp_path: Path) -> None:
    """Of a process, and of a log; with the run's name, job and times besides."""
    made = finished(tmp_path, bad=True)
    path = f"/api/runs/{made.run.name}"
    more = {"name", "job", "started_at", "active_at", "ended_at", "has_report", "problem"}
    async with served(tmp_path / "runs") as server:
        told = await server.json(path)
        expected = look(made.run)
        assert expected == {name: told[name] for name in expected}
        assert more == told.keys() - expected.keys()
        assert ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:23.000Z") == (
            told["started_at"],
            told["ended_at"],
        )
        async with process_on(made):
            live = json.loads(await server.until(path, '"pid"'))
            expected = {"v": 1, **STATUS, "run": str(made.run.path)}
            assert expected == {name: live[name] for name in expected}
            assert (2, "", None) == (live["scheduled"], live["stopped_because"], live["exit"])


async def test_the_page_says_what_the_process_says(tmp_path: Path) -> None:
    """Every number of it, each under its name."""
    made = unfinished(tmp_path, None)
    async with served(tmp_path / "runs") as server, process_on(made):
        page = outline(await server.text(f"/runs/{made.run.name}"))
    shown = dict(
        zip(
            (each.words for each in page.all("dt")),
            (each.words for each in page.all("dd")),
            strict=True,
        )
    )
    assert {
        "Rows a second": "17",
        "Calls a second": "18",
        "Time to go": "3 min17 lines/s of the last 19 s",
        "Calls in flight": "911 allowed now, at most 12",
        "Calls": "720 planned",
        "Refused with 429": "8",
        "Sent again": "6",
        "Credits used": "13by this process",
        "Credits left": "14of 100 a day, 15 kept for others",
        "Wait for remote jobs": "2rows",
        "Parked": "1batches that wait for their time",
    } == {name: each.replace("\N{NO-BREAK SPACE}", " ") for name, each in shown.items()}
    bars = [(each.attributes["value"], each.attributes["max"]) for each in page.all("progress")]
    assert [("4", "10"), ("3", "5")] == bars
    assert "4 of 10 rows have their outcome" in page.words


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"state": "holding", "held": {"ctl": "until `bulkops ctl RUN resume`"}}, "Held by ctl"),
        ({"state": "ending", "ending": "drained by hand"}, "Drained by hand."),
        ({"rows": 0, "settled": 0, "statuses": {}, "reads": 77}, "77 reads so far."),
        ({"end": {"seconds": None, "basis": "it is too early to tell"}}, "it is too early to tell"),
    ],
)
async def test_the_page_says_why_nothing_goes_on(
    tmp_path: Path, told: dict[str, Any], expected: str
) -> None:
    """What holds a run, what ends it, and that it is only reading."""
    made = unlinks(tmp_path, 2)
    async with served(tmp_path / "runs") as server, process_on(made, lambda: {**STATUS, **told}):
        page = outline(await server.text(f"/runs/{made.run.name}"))
    assert expected in page.words


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("drained by hand", "Stopped. Drained by hand."), (None, "Cut off. No process is on it")],
)
async def test_an_unfinished_run_leads_to_its_report(
    tmp_path: Path, reason: str | None, expected: str
) -> None:
    """And says how it goes on."""
    made = unfinished(tmp_path, reason)
    async with served(tmp_path / "runs") as server:
        page = outline(await server.text(f"/runs/{made.run.name}"))
    assert expected in " ".join(page.words.split())
    assert f"/runs/{made.run.name}/report" in {each.attributes["href"] for each in page.all("a")}


async def test_a_damaged_log_is_told_on_the_page(tmp_path: Path) -> None:
    """With the words of the verb, which name the place and what mends it."""
    made = unfinished(tmp_path, None)
    with made.run.checkpoint.open("ab") as file:
        file.write(b"garbage\n" + b'{"type":"note","event":"x","t":1.0}\n')
    async with served(tmp_path / "runs") as server:
        assert "bulkops repair" in await server.text(f"/runs/{made.run.name}")
        told = await server.json(f"/api/runs/{made.run.name}")
        assert ("unreadable", 1) == (told["state"], told["v"])
        assert "cannot be read" in told["problem"]


async def test_whatever_others_wrote_is_escaped(tmp_path: Path) -> None:
    """Names of runs and jobs, reasons, codes and messages, on every page and in every stream."""
    code, message = f"X{HARM}", f"said {HARM}\x1b[2J"
    made = log(
        unlinks(tmp_path, 2),
        note(0, "run.started"),
        sent(1, 1),
        outcome(2, 1, "failed", code=code, message=message),
        note(3, "run.stopped", reason=f"because {HARM}"),
    )
    derive(made, ExitCode.INCOMPLETE, finished=False)
    name = f"run {HARM.replace('/', '')} \"'&?#%"
    made.run.path.rename(tmp_path / "runs" / name)
    async with served(tmp_path / "runs") as server:
        listed = await server.text("/")
        (link,) = [
            each.attributes["href"]
            for each in outline(listed).all("a")
            if each.attributes["href"].startswith("/runs/")
            and not each.attributes["href"].endswith("/report")
        ]
        pages = [listed, await server.text(link), await (await server.get("/runs/<b>")).text()]
        for path in ("/events", f"{link}/events"):
            async with server.events(path) as events:
                pages.append(await first(events, "stopped"))
        for page in pages:
            assert "<script>alert" not in page
            assert "\x1b" not in page
            assert ["/assets/live.js"] == [
                each.attributes.get("src") for each in outline(page).all("script")
            ] or "<script" not in page
        assert name in outline(listed).words
        assert f"Because {HARM}" in outline(pages[1]).words


async def test_a_stream_follows_a_run_to_its_end(tmp_path: Path) -> None:
    """Running, gone, begun again, finished: each without asking anew; then it is over."""
    made = unfinished(tmp_path, "drained by hand")
    state = {**STATUS, "settled": 5}
    path = f"/runs/{made.run.name}/events"
    async with (
        served(tmp_path / "runs") as server,
        server.events(path) as pages,
        server.events(f"/api{path}") as data,
    ):
        assert "unfinished" == json.loads(await first(data, "unfinished"))["state"]
        await first(pages, "Drained by hand.")
        async with process_on(made, lambda: state):
            await first(pages, "Running.")
            assert 5 == json.loads(await first(data, '"running"'))["settled"]
            state["settled"] = 6
            await first(pages, "6 of 10")
            assert 6 == json.loads(await first(data, '"settled":6'))["settled"]
        await first(pages, "Drained by hand.")
        with made.run.checkpoint.open("ab") as file:
            file.write(b'{"type":"outcome","line":2,"status":"succeeded","t":1.0}\n')
            file.write(b'{"type":"note","event":"run.finished","reason":"","t":2.0}\n')
        assert "Open its report" in await first(pages, "Finished, exit code 0.")
        assert 0 == json.loads(await first(data, '"finished"'))["exit"]
        for events in (pages, data):
            assert [("end", "")] == [each async for each in events if each[0]]


async def test_a_run_that_starts_appears_in_the_list(tmp_path: Path) -> None:
    """While the page is open; what stays the same is not sent again."""
    (tmp_path / "runs").mkdir()
    async with (
        served(tmp_path / "runs", alive_s=0.02) as server,
        server.events("/events") as pages,
        server.events("/api/events") as data,
    ):
        await first(pages, "No run yet")
        assert ("", ": alive") == await anext(pages)
        made = unlinks(tmp_path, 2)
        await first(pages, f"/runs/{made.run.name}")
        async with process_on(made):
            await first(pages, "running")
            told = json.loads(await first(data, '"running"'))
            assert (1, {"running": 1}) == (told["v"], told["states"])


async def test_all_browsers_share_one_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log without a process is read once, however many look at it, and again when it changes."""
    readings: list[str] = []
    reading = module._by_log

    def counted(run: Any) -> Any:
        readings.append(run.name)
        return reading(run)

    monkeypatch.setattr(module, "_by_log", counted)
    made = unfinished(tmp_path, "drained by hand")
    path = f"/runs/{made.run.name}"
    async with served(tmp_path / "runs", alive_s=0.02) as server:

        async def look_on() -> None:
            async with server.events(f"{path}/events") as events:
                await first(events, "Drained by hand.")
                assert ("", ": alive") == await anext(events)

        await asyncio.gather(*(look_on() for _ in range(10)), server.text(path))
        assert [made.run.name] == readings
        made.run.checkpoint.touch()
        async with asyncio.timeout(60):
            while len(readings) < 2:
                await server.text(path)


async def test_a_log_that_did_not_change_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often somebody looks."""
    reading, readings = module._by_log, list[str]()

    def counted(run: Any) -> Any:
        readings.append(run.name)
        return reading(run)

    monkeypatch.setattr(module, "_by_log", counted)
    made = unfinished(tmp_path, None)
    with ThreadPoolExecutor(1) as threads:
        looks = module.Looks(made.run, asking=threads, reading=threads)
        states = [(await looks.look()).entry.state for _ in range(3)]
    assert ["unfinished"] * 3 == states
    assert [made.run.name] == readings


async def test_a_browser_that_leaves_is_noticed(tmp_path: Path) -> None:
    """Its stream ends, and its run is not asked any more."""
    made = unlinks(tmp_path, 2)
    asked: list[None] = []

    def told() -> Any:
        asked.append(None)
        return STATUS

    async with served(tmp_path / "runs") as server, process_on(made, told):
        async with server.events(f"/runs/{made.run.name}/events") as events:
            await first(events, "Running.")
        await quiet(asked)


async def quiet(asked: list[None]) -> None:
    """Return once nobody has asked for a while."""
    async with asyncio.timeout(60):
        still, before = 0, -1
        while still < 10:
            still = still + 1 if before == len(asked) else 0
            before = len(asked)
            await asyncio.sleep(0.02)


async def test_the_server_ends_with_streams_open(tmp_path: Path) -> None:
    """At once, and they end as answers do, not as broken ones."""
    made = unlinks(tmp_path, 2)
    async with ClientSession() as session, process_on(made), asyncio.timeout(60):
        async with serving(RunsFolder(tmp_path / "runs"), host="127.0.0.1", port=0) as address:
            streams = []
            for path in ("events", f"runs/{made.run.name}/events", "api/events"):
                got = await session.get(f"{address.url}{path}")
                await got.content.readuntil(b"data:")
                streams.append(asyncio.create_task(got.content.read()))
        for each in streams:
            # An answer that was cut off would raise here.
            assert (await each).endswith(b"\n")
