"""Events of a run over real sockets, and what becomes of it when nobody listens any more."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

import bulkops
from bulkops.errors import CheckpointError, ExitCode, LockedError
from bulkops.model import Status
from tests.library.desk import Desk, desk, in_doubt, log_of, rows, told_by, told_in, whole
from tests.listening import listening

#: Rows that end otherwise: no relation, a repeated one, and no operation.
_ODD = (
    "unlink,Products,4150868050000000001,Deals,4150868010000000099,T\n"
    "unlink,Products,4150868050000000001,Deals,4150868010000000001,T\n"
    "unlink,Products,4.15E+18,Deals,4150868010000000001,T\n"
)


async def test_events_are_the_log(tmp_path: Path) -> None:
    """Each outcome once, in the log's order, whatever its status; and the end comes last."""
    async with desk(tmp_path, latency_s=0.02) as at:
        plan = at.plan(also=_ODD)
        events = await whole(plan, every_s=0.1)
    assert told_in(log_of(plan)) == told_by(events)
    assert {*range(1, 64)} == {line for line, *_ in told_by(events)}
    *others, last = events
    assert isinstance(last, bulkops.Finished)
    assert not any(isinstance(each, bulkops.Finished) for each in others)
    assert (ExitCode.INCOMPLETE, "", plan.run) == (last.code, last.reason, last.run)
    assert Counter(status for _, status, _ in told_by(events)) == last.statuses
    seen = [each for each in events if isinstance(each, bulkops.Progress)]
    assert seen
    assert sorted(each.settled for each in seen) == [each.settled for each in seen]
    assert {63} == {each.rows for each in seen}
    assert sum(isinstance(each, bulkops.Settled) for each in events) > 1


async def test_a_finished_run_yields_its_end_alone(tmp_path: Path) -> None:
    """As the program does: it says so, and sends nothing."""
    async with desk(tmp_path) as at:
        plan = at.plan()
        *_, first = await whole(plan)
        calls = len(at.emulator.ledger)
        (again,) = await whole(at.plan())
        assert calls == len(at.emulator.ledger)
    assert isinstance(first, bulkops.Finished)
    assert isinstance(again, bulkops.Finished)
    assert (ExitCode.OK, {Status.SUCCEEDED: 60}) == (again.code, again.statuses)


async def test_no_rows_are_nothing_to_do(tmp_path: Path) -> None:
    """No call, no log, and a good end."""
    async with desk(tmp_path) as at:
        plan = at.plan(products=range(0))
        (end,) = await whole(plan)
        assert isinstance(end, bulkops.Finished)
        assert (ExitCode.OK, 0) == (end.code, len(at.emulator.ledger))


async def test_whoever_leaves_has_the_run_drained(tmp_path: Path) -> None:
    """Calls under way are written down, none is begun, and the same plan goes on with the rest."""
    async with desk(tmp_path, latency_s=0.03) as at:
        plan = at.plan()
        events: list[bulkops.Event] = []
        async with aclosing(bulkops.run(plan)) as running:
            async for event in running:
                events.append(event)
                if isinstance(event, bulkops.Settled):
                    break
        log = log_of(plan)
        assert ("run.stopped", 0) == (log[-1]["event"], in_doubt(log))
        assert 0 < len(told_in(log)) < 60
        assert told_in(log)[: len(told_by(events))] == told_by(events)
        await assert_rest_is_done(at, plan, before=len(told_in(log)))


async def assert_rest_is_done(at: Desk, plan: bulkops.Plan, *, before: int) -> None:
    """Run it again: only what is left is told, and each line ended once."""
    events = await whole(plan)
    assert 60 - before == len(told_by(events))
    assert Counter(range(1, 61)) == Counter(line for line, *_ in told_in(log_of(plan)))
    assert ExitCode.OK is events[-1].code  # type: ignore[union-attr]
    assert 20 == at.written


async def test_a_break_alone_drains_behind_the_loop(tmp_path: Path) -> None:
    """Nobody waits for it, and it is done all the same while the program goes on."""
    async with desk(tmp_path, latency_s=0.03) as at:
        plan = at.plan()
        async for event in bulkops.run(plan):
            if isinstance(event, bulkops.Settled):
                break
        await until(lambda: not is_locked(plan))
        log = log_of(plan)
        assert ("run.stopped", 0) == (log[-1]["event"], in_doubt(log))
        await assert_rest_is_done(at, plan, before=len(told_in(log)))


async def until(so: Callable[[], bool]) -> None:
    """Return once it is so; nobody tells of it."""
    async with asyncio.timeout(20):
        while not so():  # noqa: ASYNC110  (files and locks have no event)
            await asyncio.sleep(0.02)


def is_locked(plan: bulkops.Plan) -> bool:
    try:
        with plan.prepared.run.locked():
            return False
    except LockedError:
        return True


async def test_being_cancelled_drains_and_a_second_time_stops_at_once(tmp_path: Path) -> None:
    """As the first and the second Ctrl-C; either way the log is resumed from."""
    async with desk(tmp_path, latency_s=0.3) as at:
        plan = at.plan()
        for cancelled, doubts in ((1, 0), (2, 1)):
            begun = asyncio.Event()
            task = asyncio.create_task(listen(plan, begun))
            await begun.wait()
            await until_in_flight(at)
            for _ in range(cancelled):
                task.cancel()
                await asyncio.sleep(0.01)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert doubts == in_doubt(log_of(plan))
            assert not is_locked(plan)
        at.emulator.behaviour = at.emulator.behaviour.changed({"latency_median_s": 0.0})
        events = await whole(plan)
        assert ExitCode.OK is events[-1].code  # type: ignore[union-attr]
    assert Counter(range(1, 61)) == Counter(line for line, *_ in told_in(log_of(plan)))


async def listen(plan: bulkops.Plan, begun: asyncio.Event) -> None:
    async for event in bulkops.run(plan, every_s=0.0):
        if isinstance(event, bulkops.Progress):
            begun.set()


async def until_in_flight(at: Desk) -> None:
    """Return once a call is being served."""
    before = len(at.emulator.ledger)
    await until(lambda: len(at.emulator.ledger) > before)
    # The next one leaves at once.
    await asyncio.sleep(0.05)


async def test_a_time_limit_ends_a_run_in_peace(tmp_path: Path) -> None:
    """`asyncio.timeout` is a way to be cancelled."""
    async with desk(tmp_path, latency_s=0.03) as at:
        plan = at.plan()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await whole(plan)
        log = log_of(plan)
        assert 0 == in_doubt(log)
        await assert_rest_is_done(at, plan, before=len(told_in(log)))


async def test_a_slow_reader_holds_nothing_up_and_misses_nothing(tmp_path: Path) -> None:
    """The run ends behind its back, and then it hears the rest in one piece."""
    async with desk(tmp_path, latency_s=0.02) as at:
        plan = at.plan()
        events: list[bulkops.Event] = []
        async for event in bulkops.run(plan):
            if not events:
                await until(lambda: log_of(plan)[-1].get("event") == "run.finished")
            events.append(event)
    assert told_in(log_of(plan)) == told_by(events)
    assert 2 >= sum(isinstance(each, bulkops.Settled) for each in events)


async def test_runs_go_on_side_by_side(tmp_path: Path) -> None:
    """Two in one loop, each with its own events, and none in the other's way."""
    async with desk(tmp_path, latency_s=0.02) as at:
        plans = [at.plan(f"{at_}.csv", range(at_, at_ + 10)) for at_ in (0, 10)]
        found = await asyncio.gather(*map(whole, plans))
    for plan, events in zip(plans, found, strict=True):
        assert told_in(log_of(plan)) == told_by(events)
        assert 30 == len(told_by(events))
        assert ExitCode.OK is events[-1].code  # type: ignore[union-attr]


async def test_what_keeps_it_from_starting_is_raised(tmp_path: Path) -> None:
    """With the words and the code of the program; the lock is that of the other one."""
    async with desk(tmp_path) as at:
        plan = at.plan()
        with plan.prepared.run.locked(), pytest.raises(LockedError, match="another process"):
            await whole(plan)
        assert 0 == len(at.emulator.ledger)


async def test_what_ends_it_early_is_in_its_end(tmp_path: Path) -> None:
    """A token that is refused: no exception, for the log has all there is to know."""
    async with desk(tmp_path, auth={"access_token": "1000.wrong"}) as at:
        *_, end = await whole(at.plan())
    assert isinstance(end, bulkops.Finished)
    assert ExitCode.AUTH is end.code
    assert end.reason


async def test_a_log_that_is_gone_is_an_error_of_ours(tmp_path: Path) -> None:
    """What cannot be written or read back ends the run, with words; nothing more is sent."""
    async with desk(tmp_path, latency_s=0.03) as at:
        plan = at.plan()
        with pytest.raises(CheckpointError, match=r"checkpoint\.jsonl"):
            await take_its_log_away(plan)
        assert not is_locked(plan)
        assert 20 > at.written


async def take_its_log_away(plan: bulkops.Plan) -> None:
    async for event in bulkops.run(plan):
        if isinstance(event, bulkops.Settled):
            (plan.run / "checkpoint.jsonl").unlink(missing_ok=True)


async def test_leaving_tells_what_went_wrong_meanwhile(tmp_path: Path) -> None:
    """An error while the run ends is not lost with whoever left."""
    async with desk(tmp_path, latency_s=0.03) as at:
        plan = at.plan()
        running = bulkops.run(plan)
        async for event in running:
            if isinstance(event, bulkops.Settled):
                (plan.run / "checkpoint.jsonl").unlink()
                with pytest.raises(CheckpointError, match="cannot be written"):
                    await running.aclose()


async def test_no_signal_is_taken_unless_asked(tmp_path: Path) -> None:
    """The process is not ours."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(each) for each in numbers]
    async with desk(tmp_path, latency_s=0.02) as at:
        async for event in bulkops.run(at.plan(), every_s=0.0):
            assert before == [signal.getsignal(each) for each in numbers]
            if isinstance(event, bulkops.Progress):
                assert "running" == event.state


def test_a_run_may_live_in_a_thread(tmp_path: Path) -> None:
    """Where no signal could be taken at all."""
    ends: list[bulkops.Event] = []

    async def go() -> None:
        async with desk(tmp_path) as at:
            ends.append((await whole(at.plan()))[-1])

    thread = threading.Thread(target=asyncio.run, args=(go(),))
    thread.start()
    thread.join(30)
    assert [ExitCode.OK] == [each.code for each in ends]  # type: ignore[union-attr]


async def test_hooks_and_metrics_are_as_of_the_program(tmp_path: Path) -> None:
    """They are of the configuration; whoever leaves has told them why it ended."""
    metrics = tmp_path / "bulkops.prom"
    with listening() as listener:
        hooks = {"health_check": f"{listener.url}/alive", "webhook": f"{listener.url}/hook"}
        async with desk(
            tmp_path, latency_s=0.03, hooks=hooks, run={"metrics_file": str(metrics)}
        ) as at:
            plan = at.plan()
            async with aclosing(bulkops.run(plan)) as running:
                async for event in running:
                    if isinstance(event, bulkops.Settled):
                        break
            await whole(plan)
    posted = [call for call in listener.calls if call.path == "/hook"]
    assert [b'"exit":130' in call.body for call in posted] == [True, False]
    paths = [call.path for call in listener.calls if call.method == "GET"]
    assert ["/alive/start", "/alive/log", "/alive/start", "/alive"] == paths
    assert 'bulkops_exit_code{run="' in metrics.read_text()


async def test_a_reader_begins_behind_a_torn_line(tmp_path: Path) -> None:
    """What a crash left is cut off, and what stood before it is not told again."""
    async with desk(tmp_path, latency_s=0.03) as at:
        plan = at.plan()
        async with aclosing(bulkops.run(plan)) as running:
            async for event in running:
                if isinstance(event, bulkops.Settled):
                    break
        before = len(told_in(log_of(plan)))
        with (plan.run / "checkpoint.jsonl").open("ab") as log:
            log.write(b'{"type":"outcome","line":3,"stat')
        await assert_rest_is_done(at, plan, before=before)


def test_rows_of_the_sample_are_one_call_each() -> None:
    """What the other tests count on."""
    assert 3 == len(rows(range(1), 3))
