"""
Following remote jobs to the outcome of every line, against the emulator on a real socket.

What the emulator does not do wrong (an endless refusal, an envelope nobody knows) a server of a
few lines does here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from bulkops.emulator import Behaviour, Emulator, world_from
from bulkops.errors import ExitCode, PausedError, SignalledError
from bulkops.model import Batch, Operation, Route
from bulkops.rules.watches import Awaited, Intervals
from tests.rigging import SOON, Run, running, serving

RECORD, OTHER = "4150868000000000101", "4150868000000000102"
WEST, EAST = "4150868000000000701", "4150868000000000702"


def batch_of(*operations: Operation, spec: str = "remove_territories", number: int = 1) -> Batch:
    return Batch(number, spec, Route("Leads"), operations)


def world(held: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A seed of leads in territories West and East, below the organisation's own."""
    top = "4150868000000000700"
    below = [{"id": each, "name": each, "parent_id": top} for each in (WEST, EAST)]
    return {
        "territories": [{"id": top, "name": "All", "parent_id": None}, *below],
        "record_territories": {"Leads": held},
        **more,
    }


async def followed(
    path: Path,
    seed: dict[str, Any],
    *batches: Batch,
    adopted: Sequence[Awaited] = (),
    intervals: Intervals = SOON,
    read_many: bool = True,
    **knobs: Any,
) -> tuple[Run, Emulator]:
    """Carry batches against an emulator whose jobs end when they are first looked at."""
    behaviour = Behaviour().changed({"job_looks": 1, "territory_records_per_call": 100, **knobs})
    async with Emulator(world=world_from(seed), behaviour=behaviour) as emulator:
        log, token = path / "checkpoint.jsonl", emulator.access_token
        async with running(
            emulator.url, log, token=token, intervals=intervals, read_many=read_many
        ) as run:
            await run.carry(*batches, adopted=adopted)
    return run, emulator


def held_by(emulator: Emulator, record: str) -> set[str]:
    return set(emulator.world.organisation.record_territories.of("Leads", record))


def calls(emulator: Emulator, method: str, part: str) -> int:
    """Count the calls of a method whose path has a part."""
    return sum(row.method == method and part in row.path for row in emulator.ledger)


WRITES = ("POST", "_territories")
LOOKS = ("GET", "get_feature_specific_info")
ONE = batch_of(Operation(1, RECORD, (WEST,)))


async def test_a_job_that_did_its_work_ends_as_succeeded(tmp_path: Path) -> None:
    """Gone from the queue and gone from the record: done, by one call."""
    run, emulator = await followed(tmp_path, world({RECORD: [WEST, EAST]}), ONE)
    assert run.outcomes == {1: ("succeeded", "read_back")}
    assert held_by(emulator, RECORD) == {EAST}
    assert calls(emulator, *WRITES) == 1
    (job,), (outcome,) = run.records("job"), run.records("outcome")
    assert (job["line"], job["job_id"]) == (1, outcome["job_id"])
    assert (run.tally.pending, run.stop.asked) == (0, False)


async def test_an_assignment_is_followed_like_a_removal(tmp_path: Path) -> None:
    """What is wanted there must be there when it is read back."""
    batch = batch_of(Operation(1, RECORD, (EAST,)), spec="assign_territories")
    run, emulator = await followed(tmp_path, world({RECORD: [WEST]}), batch)
    assert run.outcomes == {1: ("succeeded", "read_back")}
    assert held_by(emulator, RECORD) == {WEST, EAST}


@pytest.mark.parametrize("shape", ["records", "flat", "keyed", "with_status"])
@pytest.mark.parametrize("shared", [True, False])
async def test_jobs_are_followed_in_any_envelope(tmp_path: Path, shape: str, shared: bool) -> None:
    """Pending through several looks, with a job for each record or one for all."""
    held = {RECORD: [WEST], OTHER: [WEST, EAST]}
    lines = (
        Operation(1, RECORD, (WEST,)),
        Operation(2, OTHER, (WEST,)),
        Operation(3, OTHER, (EAST,)),
    )
    run, emulator = await followed(
        tmp_path,
        world(held),
        batch_of(*lines),
        job_looks=3,
        feature_info_shape=shape,
        job_id_shared=shared,
    )
    assert run.outcomes == dict.fromkeys((1, 2, 3), ("succeeded", "read_back"))
    assert (calls(emulator, *WRITES), calls(emulator, *LOOKS)) == (1, 3)


async def test_records_are_asked_about_a_hundred_at_a_time(tmp_path: Path) -> None:
    """250 records are asked about once each, in a few questions, and read back in as few calls."""
    ids = [str(4150868000000001000 + each) for each in range(250)]
    batches = [
        batch_of(*(Operation(each, ids[each], (WEST,)) for each in range(at, min(at + 100, 250))))
        for at in (0, 100, 200)
    ]
    numbered = [replace(batch, number=number) for number, batch in enumerate(batches, 1)]
    run, emulator = await followed(
        tmp_path,
        world({each: [WEST] for each in ids}),
        *numbered,
        intervals=replace(SOON, first_s=0.2, longest_s=0.2),
    )
    assert set(run.outcomes.values()) == {("succeeded", "read_back")}
    assert len(run.outcomes) == 250
    for path in ("/Leads/actions/get_feature_specific_info", "/crm/v8/Leads"):
        asked = [row.query for row in emulator.ledger if row.path.endswith(path)]
        sizes = [len(parse_qs(query)["ids"][0].split(",")) for query in asked]
        assert (max(sizes), sum(sizes)) == (100, 250)
        assert len(sizes) <= 6


async def test_a_list_without_territories_is_read_record_by_record(tmp_path: Path) -> None:
    """That a list has them is not documented; one try shows it, and is not repeated."""
    held = {str(4150868000000001000 + each): [WEST] for each in range(5)}
    lines = [Operation(line, record, (WEST,)) for line, record in enumerate(held)]
    run, emulator = await followed(
        tmp_path, world(held), batch_of(*lines), list_returns_territories=False
    )
    assert run.outcomes == dict.fromkeys(range(5), ("succeeded", "read_back"))
    assert sum(row.path.endswith("/Leads") for row in emulator.ledger) == 1
    assert "territories.read_singly" in run.notes


async def test_a_job_without_effect_has_one_more_chance(tmp_path: Path) -> None:
    """The line is sent twice in all, and then fails with a reason."""
    run, emulator = await followed(tmp_path, world({RECORD: [WEST]}), ONE, job_failure_ratio=1.0)
    assert run.outcomes == {1: ("failed", "job_without_effect")}
    assert calls(emulator, *WRITES) == 2
    assert held_by(emulator, RECORD) == {WEST}


def adopted(*members: str, job_id: str | None = "4150868000000000500") -> Awaited:
    """Line 1 as a resumed run takes it over from the log."""
    operation = Operation(1, RECORD, members)
    return Awaited(batch_of(operation), operation, job_id, attempts=1)


def pending(*territories: str, **more: Any) -> dict[str, Any]:
    """A job of the seed: a removal from the record."""
    return {
        "id": "4150868000000000500",
        "module": "Leads",
        "record_id": RECORD,
        "kind": "manual_territory_removal",
        "territories": territories,
        "looks": 1,
        **more,
    }


async def test_a_resumed_run_adopts_jobs_and_sends_nothing_twice(tmp_path: Path) -> None:
    """The line ends as if the run had never stopped."""
    seed = world({RECORD: [WEST, EAST]}, jobs=[pending(WEST)])
    run, emulator = await followed(tmp_path, seed, adopted=[adopted(WEST)])
    assert run.outcomes == {1: ("succeeded", "read_back")}
    assert calls(emulator, *WRITES) == 0


async def test_a_job_that_ended_while_nobody_looked_is_read_back(tmp_path: Path) -> None:
    """Nothing is listed any more: the record alone tells."""
    run, emulator = await followed(tmp_path, world({RECORD: [EAST]}), adopted=[adopted(WEST)])
    assert run.outcomes == {1: ("succeeded", "read_back")}
    assert calls(emulator, *WRITES) == 0


async def test_a_territory_assigned_by_a_rule_fails_with_that_reason(tmp_path: Path) -> None:
    """Only a rule can take it away: it is not sent again."""
    seed = world({RECORD: {WEST: "automatically"}}, jobs=[pending(WEST, fails=True)])
    run, emulator = await followed(tmp_path, seed, adopted=[adopted(WEST)])
    assert run.outcomes == {1: ("failed", "system_assigned")}
    assert calls(emulator, *WRITES) == 0


async def test_another_s_job_that_does_the_same_leaves_the_line_unchanged(tmp_path: Path) -> None:
    """`ALREADY_SCHEDULED` is waited for, and is neither a failure nor an attempt of ours."""
    seed = world({RECORD: [WEST, EAST]}, jobs=[pending(WEST, looks=2)])
    run, emulator = await followed(tmp_path, seed, ONE)
    assert run.outcomes == {1: ("unchanged", "read_back")}
    assert calls(emulator, *WRITES) == 1


async def test_another_s_job_that_does_something_else_is_only_waited_for(tmp_path: Path) -> None:
    """Then the line is sent as if new."""
    seed = world({RECORD: [WEST, EAST]}, jobs=[pending(EAST, looks=2)])
    run, emulator = await followed(tmp_path, seed, ONE)
    assert run.outcomes == {1: ("succeeded", "read_back")}
    assert held_by(emulator, RECORD) == set()
    assert calls(emulator, *WRITES) == 2


async def test_a_removal_and_an_assignment_of_one_record_take_turns(tmp_path: Path) -> None:
    """The second meets the job of the first, waits for it, and is sent again."""
    assign = batch_of(Operation(2, RECORD, (EAST,)), spec="assign_territories", number=2)
    run, emulator = await followed(tmp_path, world({RECORD: [WEST]}), ONE, assign)
    assert run.outcomes == dict.fromkeys((1, 2), ("succeeded", "read_back"))
    assert held_by(emulator, RECORD) == {EAST}


async def test_a_record_that_cannot_be_read_back_leaves_its_line_unknown(tmp_path: Path) -> None:
    """Gone is not done, and nobody can say what it is."""
    seed = world({OTHER: [WEST]}, jobs=[pending(WEST, fails=True)])
    run, _ = await followed(tmp_path, seed, adopted=[adopted(WEST)])
    assert run.outcomes == {1: ("unknown", "unreadable")}


async def test_a_job_that_never_ends_is_left_to_a_later_run(tmp_path: Path) -> None:
    """The run is paused, not failed: the line has no outcome yet, and its job stays in the log."""
    run, emulator = await followed(
        tmp_path,
        world({RECORD: [WEST]}),
        ONE,
        intervals=replace(SOON, give_up_s=0.05),
        job_stuck_ratio=1.0,
    )
    assert run.outcomes == {}
    assert isinstance(run.stop.reason, PausedError)
    assert [each["line"] for each in run.records("job")] == [1]
    assert calls(emulator, *WRITES) == 1


async def test_questions_come_at_intervals_that_grow(tmp_path: Path) -> None:
    """A job that takes long is not asked about as often as one that may end at once."""
    _, emulator = await followed(
        tmp_path,
        world({RECORD: [WEST]}),
        ONE,
        intervals=Intervals(first_s=0.01, longest_s=0.04, give_up_s=0.3),
        job_stuck_ratio=1.0,
    )
    assert 3 <= calls(emulator, *LOOKS) <= 10


async def test_a_stop_ends_the_waiting_at_once(tmp_path: Path) -> None:
    """Pending jobs stay in the log for the next run."""
    behaviour = Behaviour().changed({"job_stuck_ratio": 1.0})
    async with Emulator(world=world_from(world({RECORD: [WEST]})), behaviour=behaviour) as emulator:
        late = Intervals(first_s=600, longest_s=600, give_up_s=6000)
        log = tmp_path / "checkpoint.jsonl"
        async with running(emulator.url, log, token=emulator.access_token, intervals=late) as run:
            loop = asyncio.get_running_loop()
            loop.call_later(0.3, run.stop.ask, SignalledError("interrupted", ExitCode.INTERRUPTED))
            await run.carry(ONE)
    assert run.outcomes == {}
    assert len(run.records("job")) == 1


async def test_with_nothing_pending_the_follower_ends_when_it_is_closed(tmp_path: Path) -> None:
    """A run without territories waits for nothing and asks nothing."""
    run, emulator = await followed(tmp_path, world({}))
    assert (len(emulator.ledger), run.stop.asked) == (0, False)


Answer = Callable[[web.Request], Awaitable[web.Response]]


class Server:
    """An organisation of a few lines: what it answers is up to the test."""

    def __init__(self) -> None:
        self.writes = 0
        self.looks = 0
        self.held = {WEST}
        #: Answers to a write: (HTTP status, item); the last one is repeated.
        self.answers: list[tuple[int, dict[str, Any]]] = []
        #: What the list of jobs answers.
        self.listed: Callable[[], web.Response] = lambda: web.Response(status=204)

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.writes += 1
            status, item = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return web.json_response({"data": [item]}, status=status)
        if "get_feature_specific_info" in request.path:
            self.looks += 1
            return self.listed()
        held = [{"id": each, "$assigned": "manually"} for each in self.held]
        return web.json_response({"data": [{"id": RECORD, "Territories": held}]})


def item(code: str, **details: Any) -> dict[str, Any]:
    status = "success" if code in {"SUCCESS", "SCHEDULED"} else "error"
    return {"code": code, "details": {"id": RECORD, **details}, "message": "", "status": status}


SCHEDULED = (202, item("SCHEDULED", job_id="500"))
BUSY = (400, item("ALREADY_SCHEDULED"))


async def test_where_jobs_are_not_listed_the_records_are_watched(tmp_path: Path) -> None:
    """A refused list is asked for once; the line waits until its record shows the effect."""
    server = Server()
    server.answers = [SCHEDULED]
    refusal = {"code": "NOT_SUPPORTED", "message": "", "details": {}, "status": "error"}
    server.listed = lambda: web.json_response(refusal, status=400)
    async with serving(server, tmp_path / "checkpoint.jsonl") as run:
        asyncio.get_running_loop().call_later(0.04, server.held.clear)
        await run.carry(ONE)
    assert run.outcomes == {1: ("succeeded", "read_back")}
    assert (server.writes, server.looks) == (1, 1)
    assert "jobs.unlisted" in run.notes


async def test_lines_of_one_record_are_judged_apart(tmp_path: Path) -> None:
    """One job did its work and the other did not: only that line is sent again."""
    server = Server()
    server.held = {EAST}
    server.answers = [(200, item("SUCCESS"))]
    line = Operation(2, RECORD, (EAST,))
    async with serving(server, tmp_path / "checkpoint.jsonl") as run:
        await run.carry(adopted=[adopted(WEST), replace(adopted(EAST), operation=line)])
    assert run.outcomes == {1: ("succeeded", "read_back"), 2: ("succeeded", "SUCCESS")}
    assert server.writes == 1


async def test_a_job_scheduled_after_the_question_is_not_taken_for_ended(tmp_path: Path) -> None:
    """The answer was on its way when the second line was scheduled: it cannot list its job."""
    server = Server()
    server.held = {EAST}
    server.answers = [SCHEDULED]
    second = Operation(2, RECORD, (EAST,))
    jobs = {"data": [{"id": RECORD, "jobs": [{"job_id": "501"}]}]}
    async with serving(server, tmp_path / "checkpoint.jsonl") as run:

        def listed() -> web.Response:
            if server.looks == 1:
                run.follower.add(Awaited(batch_of(second), second, "501", attempts=1))
                return web.Response(status=204)
            server.held.clear()
            return web.json_response(jobs) if server.looks == 2 else web.Response(status=204)

        server.listed = listed
        await run.carry(adopted=[adopted(WEST)])
    assert run.outcomes == dict.fromkeys((1, 2), ("succeeded", "read_back"))
    assert server.writes == 0


async def test_a_job_that_ends_after_the_second_try_is_still_ours(tmp_path: Path) -> None:
    """A list that does not show our job makes us send again; whose job it was does not change."""
    server = Server()
    server.answers = [SCHEDULED, BUSY]
    async with serving(server, tmp_path / "checkpoint.jsonl") as run:

        def listed() -> web.Response:
            if server.writes > 1:
                server.held.clear()
            return web.Response(status=204)

        server.listed = listed
        await run.carry(ONE)
    assert server.writes == 2
    assert run.outcomes == {1: ("succeeded", "read_back")}


async def test_a_record_that_is_always_busy_comes_to_an_end(tmp_path: Path) -> None:
    """If the list does not show whose job it is, asking and sending grow rarer, and stop."""
    server = Server()
    server.answers = [BUSY]
    given_up = Intervals(first_s=0.01, longest_s=0.04, give_up_s=0.2)
    async with serving(server, tmp_path / "checkpoint.jsonl", intervals=given_up) as run:
        loop = asyncio.get_running_loop()
        too_late = SignalledError("the test waited long enough", ExitCode.INTERRUPTED)
        loop.call_later(0.6, run.stop.ask, too_late)
        await run.carry(ONE)
    assert run.stop.reason is not too_late
    assert server.writes < 12


class _Silent:
    """Does the first removal unheard, and does not show the organisation's territories."""

    def __init__(self, *, removes: bool) -> None:
        self.held = [{"id": WEST, "$assigned": "manually"}]
        self._removes = removes
        self._calls = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.endswith("remove_territories"):
            self._calls += 1
            if self._calls == 1:
                self.held = [] if self._removes else self.held
                assert request.transport is not None
                request.transport.abort()
            details = {"api_name": "id", "json_path": "$.data[0].Territories[0].id"}
            return web.json_response(
                {"data": [{"code": "INVALID_DATA", "details": details, "status": "error"}]},
                status=400,
            )
        if path.endswith("settings/territories"):
            return web.json_response({"code": "OAUTH_SCOPE_MISMATCH", "details": {}}, status=401)
        if path.endswith("get_feature_specific_info"):
            return web.Response(status=204)
        return web.json_response({"data": [{"id": RECORD, "Territories": self.held}]})


@pytest.mark.parametrize(
    ("removes", "expected"),
    [(True, ("succeeded", "read_back")), (False, ("failed", "job_without_effect"))],
)
async def test_where_territories_may_not_be_listed_the_record_tells_what_a_silent_call_did(
    tmp_path: Path, removes: bool, expected: tuple[str, str]
) -> None:
    """ "Not assigned" after silence may be our own success, and no refusal of the row."""
    async with serving(_Silent(removes=removes), tmp_path / "log") as run:
        await run.carry(ONE)
    assert run.outcomes == {1: expected}


class _Late:
    """Ends a job without effect, so that it seems, and has done its work when asked again."""

    calls = 0

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path
        if path.endswith("remove_territories"):
            self.calls += 1
            if self.calls == 1:
                details = {"id": RECORD, "job_id": "7"}
                item = {"code": "SCHEDULED", "details": details, "status": "success"}
                return web.json_response({"data": [item]}, status=202)
            details = {"api_name": "id", "json_path": "$.data[0].Territories[0].id"}
            item = {"code": "INVALID_DATA", "details": details, "status": "error"}
            return web.json_response({"data": [item]}, status=400)
        if path.endswith("settings/territories"):
            info = {"more_records": False}
            return web.json_response({"territories": [{"id": WEST}], "info": info})
        if path.endswith("get_feature_specific_info"):
            return web.Response(status=204)
        held = [{"id": WEST, "$assigned": "manually"}]
        return web.json_response({"data": [{"id": RECORD, "Territories": held}]})


async def test_what_our_job_did_later_than_it_seemed_is_ours(tmp_path: Path) -> None:
    """ "Not assigned" is no news of others then; and both calls are counted."""
    server = _Late()
    async with serving(server, tmp_path / "log") as run:
        await run.carry(ONE)
    assert run.outcomes == {1: ("succeeded", "INVALID_DATA")}
    (outcome,) = run.records("outcome")
    assert (outcome["learnt"], outcome["attempts"], server.calls) == ("echo", 2, 2)
