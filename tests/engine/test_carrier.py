"""
Carrying a batch over a real socket: what goes at once, what has to wait, and what is not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bulkops.errors import ExitCode, SignalledError
from bulkops.model import Batch, Operation, Route
from bulkops.rules.pacing import Waits
from bulkops.rules.parcel import Parcel
from bulkops.rules.parking import Load
from tests.rigging import serving

#: Waits that no test sits through.
PATIENT = Waits(retry_s=60.0, locked_s=60.0, longest_s=60.0)

Answer = Callable[[list[str]], tuple[int, Any]]


class Server:
    """Answers each call for its ids as the test says; remembers the ids of every call."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[list[str]] = []
        self._answer = answer

    async def answer(self, request: web.Request) -> web.Response:
        ids = request.query["ids"].split(",")
        self.calls.append(ids)
        status, body = self._answer(ids)
        return web.json_response(body, status=status)


def batch(count: int, number: int = 1) -> Batch:
    operations = tuple(Operation(number * 100 + n, str(n)) for n in range(1, count + 1))
    return Batch(number, "unlink", Route("Products", "500", "Deals"), operations, count)


def said(code: str, **details: Any) -> dict[str, Any]:
    status = "success" if code == "SUCCESS" else "error"
    return {"code": code, "details": details, "message": "words", "status": status}


def done(ids: list[str]) -> tuple[int, Any]:
    return 200, {"data": [said("SUCCESS", id=each) for each in ids]}


def due_now(parcels: tuple[Parcel, ...]) -> tuple[Parcel, ...]:
    return tuple(each._replace(due=0.0) for each in parcels)


def lines_of(parcels: tuple[Parcel, ...]) -> list[list[int]]:
    return [[each.line for each in parcel.operations] for parcel in parcels]


async def test_a_locked_line_waits_and_its_siblings_are_settled(tmp_path: Path) -> None:
    """Carrying ends when nothing can go at once; nobody sleeps for the one that is locked."""

    def answer(ids: list[str]) -> tuple[int, Any]:
        items = [said("RECORD_LOCKED" if each == "2" else "SUCCESS", id=each) for each in ids]
        return 207, {"data": items}

    server = Server(answer)
    async with serving(server, tmp_path / "log.jsonl", waits=PATIENT) as run:
        left = await run.carrier.carry(Load(batch(3)))
        assert lines_of(left) == [[102]]
        assert left[0].due > asyncio.get_running_loop().time()
        assert (left[0].locks, left[0].wait_s) == (1, 0.0)
    assert run.outcomes == {101: ("succeeded", "SUCCESS"), 103: ("succeeded", "SUCCESS")}
    assert len(server.calls) == 1


async def test_a_fault_of_one_half_does_not_keep_the_other(tmp_path: Path) -> None:
    """Of a poisoned batch everything is sent that can be, before its worker lets go of it."""

    def answer(ids: list[str]) -> tuple[int, Any]:
        if "1" in ids:
            return 400, said("UNABLE_TO_PARSE_DATA_TYPE")
        return (503, {}) if "4" in ids else done(ids)

    server = Server(answer)
    async with serving(server, tmp_path / "log.jsonl", waits=PATIENT) as run:
        left = await run.carrier.carry(Load(batch(4)))
    assert lines_of(left) == [[103, 104]]
    assert run.outcomes == {
        101: ("failed", "UNABLE_TO_PARSE_DATA_TYPE"),
        102: ("succeeded", "SUCCESS"),
    }


@pytest.mark.parametrize(("gone", "expected"), [((), "unchanged"), (("1", "2"), "succeeded")])
async def test_one_half_tells_the_other_what_the_silent_call_did(
    tmp_path: Path, gone: tuple[str, ...], expected: str
) -> None:
    """
    A relation that only the first half removes shows that the call before it removed nothing.

    Where that half finds nothing to remove either, the silent call may have removed all of them.
    """
    absent = {"3", "4", *gone}

    def answer(ids: list[str]) -> tuple[int, Any]:
        if len(server.calls) == 1:
            return 503, {}
        if len(ids) == 4:
            return 400, said("UNABLE_TO_PARSE_DATA_TYPE")
        nothing = {**said("INVALID_DATA"), "message": "relation not found"}
        items = [
            {**nothing, "details": {"id": each}} if each in absent else said("SUCCESS", id=each)
            for each in ids
        ]
        return 207, {"data": items}

    server = Server(answer)
    async with serving(server, tmp_path / "log.jsonl", waits=PATIENT) as run:
        silent = batch(4)
        left = await run.carrier.carry(Load(silent))
        assert lines_of(left) == [[101, 102, 103, 104]]
        assert await run.carrier.carry(Load(silent, due_now(left))) == ()
    assert [["1", "2", "3", "4"]] * 2 + [["1", "2"], ["3", "4"]] == server.calls
    assert {101: "succeeded", 102: "succeeded", 103: expected, 104: expected} == {
        line: status for line, (status, _) in run.outcomes.items()
    }


async def test_what_is_left_of_a_call_hears_what_the_rest_of_it_showed(tmp_path: Path) -> None:
    """A line locked beside one that is removed only now was not removed by the silent call."""

    def answer(ids: list[str]) -> tuple[int, Any]:
        if len(server.calls) == 1:
            return 503, {}
        if len(ids) == 1:
            nothing = {**said("INVALID_DATA", id="2"), "message": "relation not found"}
            return 400, {"data": [nothing]}
        return 207, {"data": [said("SUCCESS", id="1"), said("RECORD_LOCKED", id="2")]}

    server = Server(answer)
    async with serving(server, tmp_path / "log.jsonl", waits=PATIENT) as run:
        locked = batch(2)
        left = await run.carrier.carry(Load(locked))
        left = await run.carrier.carry(Load(locked, due_now(left)))
        assert await run.carrier.carry(Load(locked, due_now(left))) == ()
    assert {101: "succeeded", 102: "unchanged"} == {
        line: status for line, (status, _) in run.outcomes.items()
    }


async def test_a_parcel_that_is_not_due_is_handed_back_as_it_was(tmp_path: Path) -> None:
    """A load comes back for its first parcel; the others keep their time."""
    server = Server(done)
    async with serving(server, tmp_path / "log.jsonl") as run:
        whole = batch(2)
        now = asyncio.get_running_loop().time()
        first, second = (
            run.carrier._whole(Batch(1, whole.spec, whole.route, (each,), 2), resent=False)
            for each in whole.operations
        )
        later = second._replace(due=now + 60)
        left = await run.carrier.carry(Load(whole, (first._replace(due=now), later)))
        assert left == (later,)
    assert server.calls == [["1"]]


async def test_carrying_through_waits_for_what_is_locked(tmp_path: Path) -> None:
    """What goes in order has nobody else to wait for it."""
    locked = [True]

    def answer(ids: list[str]) -> tuple[int, Any]:
        return (400, said("RECORD_LOCKED")) if locked and locked.pop() else done(ids)

    server = Server(answer)
    async with serving(server, tmp_path / "log.jsonl") as run:
        await run.carrier.carry_through(batch(2))
    assert set(run.outcomes.values()) == {("succeeded", "SUCCESS")}
    assert server.calls == [["1", "2"], ["1", "2"]]


async def test_what_was_never_done_is_skipped_with_its_group_without_a_call(
    tmp_path: Path,
) -> None:
    """Not only what was never sent: a line that was locked has surely not been done either."""
    answers = [(400, said("RECORD_LOCKED")), (403, said("NO_PERMISSION"))]
    server = Server(lambda _ids: answers.pop(0))
    async with serving(server, tmp_path / "log.jsonl", waits=PATIENT) as run:
        locked = batch(2)
        left = await run.carrier.carry(Load(locked))
        await run.carrier.carry(Load(batch(1, number=2)))
        assert await run.carrier.carry(Load(locked, due_now(left))) == ()
        assert await run.carrier.carry(Load(batch(3, number=3))) == ()
    assert len(server.calls) == 2
    statuses = {line: status for line, (status, _) in run.outcomes.items()}
    assert statuses == {201: "failed"} | dict.fromkeys((101, 102, 301, 302, 303), "skipped")


async def test_what_waits_is_skipped_as_soon_as_its_group_is_aborted(tmp_path: Path) -> None:
    """Nobody waits until a line is due that is not going to be sent; but for those in doubt."""
    locked, silent, unbegun = batch(2), batch(2, number=3), batch(1, number=4)
    answers = [(400, said("RECORD_LOCKED")), (500, {}), (403, said("NO_PERMISSION"))]
    server = Server(lambda _ids: answers.pop(0))
    async with serving(server, tmp_path / "log.jsonl", waits=PATIENT) as run:
        one, two = [Load(each, await run.carrier.carry(Load(each))) for each in (locked, silent)]
        assert [run.carrier.left_of(each) for each in (one, two, Load(unbegun))] == [None] * 3
        await run.carrier.carry(Load(batch(1, number=2)))
        assert run.carrier.left_of(one) == ()
        assert run.carrier.left_of(two) == two.parcels
        assert run.carrier.left_of(Load(unbegun)) == ()
    statuses = {line: status for line, (status, _) in run.outcomes.items()}
    assert statuses == {201: "failed", 101: "skipped", 102: "skipped", 401: "skipped"}


async def test_what_may_have_been_done_hears_its_answer_though_its_group_is_aborted(
    tmp_path: Path,
) -> None:
    """A line of a call without an answer is never told as skipped."""
    answers: list[tuple[int, Any]] = [(500, {}), (403, said("NO_PERMISSION"))]
    server = Server(lambda ids: answers.pop(0) if answers else done(ids))
    async with serving(server, tmp_path / "log.jsonl", waits=PATIENT) as run:
        silent = batch(2)
        left = await run.carrier.carry(Load(silent))
        await run.carrier.carry(Load(batch(1, number=2)))
        await run.carrier.carry(Load(silent, due_now(left)))
    assert len(server.calls) == 3
    assert {status for status, _ in run.outcomes.values()} == {"failed", "succeeded"}


@pytest.mark.parametrize("status", [429, 400])
async def test_who_is_refused_for_too_many_calls_is_not_parked(tmp_path: Path, status: int) -> None:
    """That is everybody's trouble: its worker waits, and there is one less to be refused."""
    answers: list[tuple[int, Any]] = [(status, said("TOO_MANY_REQUESTS"))]
    server = Server(lambda ids: answers.pop(0) if answers else done(ids))
    async with serving(server, tmp_path / "log.jsonl") as run:
        assert await run.carrier.carry(Load(batch(2))) == ()
    assert len(server.calls) == 2
    assert run.tally.throttled == 1


async def test_a_call_that_the_end_of_the_run_keeps_back_leaves_no_trace_of_trouble(
    tmp_path: Path,
) -> None:
    """It was announced and did not leave: no line is settled, none is in doubt."""
    server = Server(done)
    async with serving(server, tmp_path / "log.jsonl") as run, AsyncExitStack() as others:
        for _ in range(run.limiter.slots):
            await others.enter_async_context(run.limiter.slot())
        carrying = asyncio.create_task(run.carrier.carry(Load(batch(2))))
        await asyncio.sleep(0.03)
        assert not carrying.done()
        run.stop.ask(SignalledError("interrupted", ExitCode.INTERRUPTED))
        await asyncio.wait_for(carrying, 1.0)
    assert run.outcomes == {}
    assert server.calls == []
    assert [each["doubtful"] for each in run.records("answer")] == [[]]


class Refusing:
    """Does the first call unheard, or does not; refuses the next, and shows what is there."""

    def __init__(self, refusal: tuple[int, str], *, shown: list[str] | None) -> None:
        self._answers = [(500, "INTERNAL_ERROR"), refusal]
        self._shown = shown

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            status, code = self._answers.pop(0)
        elif self._shown is not None:
            rows = [{"id": each} for each in self._shown]
            return (
                web.json_response({"data": rows}, status=200) if rows else web.Response(status=204)
            )
        else:
            status, code = 403, "NO_PERMISSION"
        return web.json_response(said(code), status=status)


NOT_NOW, NOT_EVER = (401, "OAUTH_SCOPE_MISMATCH"), (400, "UNABLE_TO_PARSE_DATA_TYPE")


@pytest.mark.parametrize(
    ("refusal", "shown", "expected"),
    [
        (NOT_NOW, [], ("succeeded", "probed")),
        (NOT_NOW, ["1"], ("unknown", "OAUTH_SCOPE_MISMATCH")),
        (NOT_NOW, None, ("unknown", "OAUTH_SCOPE_MISMATCH")),
        (NOT_EVER, [], ("succeeded", "probed")),
        (NOT_EVER, ["1"], ("failed", "UNABLE_TO_PARSE_DATA_TYPE")),
        (NOT_EVER, None, ("failed", "UNABLE_TO_PARSE_DATA_TYPE")),
    ],
)
async def test_what_is_refused_after_silence_is_asked_about(
    tmp_path: Path,
    refusal: tuple[int, str],
    shown: list[str] | None,
    expected: tuple[str, str],
) -> None:
    """A refusal of today is no sign that the silent call of before did nothing."""
    async with serving(Refusing(refusal, shown=shown), tmp_path / "log.jsonl") as run:
        await run.carrier.carry_through(batch(1))
        assert not run.stop.asked
    assert run.outcomes == {101: expected}
