"""What signals do to a run: the first drains, the second ends it at once, whatever it does."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from bulkops.engine.signals import draining, hanging_up
from bulkops.errors import BulkopsError, ExitCode, PausedError, SignalledError
from bulkops.wire.stop import Stop

QUOTA = PausedError("the day's credits are used up")


async def drained(stop: Stop, *, signals: int) -> bool:
    """Get so many SIGINT while something takes its time; return whether it was cut."""
    with draining(stop, signals=True):
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)
            await asyncio.sleep(0.01)
        return False
    return True


async def test_the_first_drains() -> None:
    """It asks for the end, and cuts nothing."""
    stop = Stop()
    assert not await drained(stop, signals=1)
    assert isinstance(stop.reason, SignalledError)
    assert stop.reason.exit_code is ExitCode.INTERRUPTED


@pytest.mark.parametrize("why", [None, QUOTA])
async def test_the_second_ends_at_once_whatever_the_run_was_ending_for(
    why: BulkopsError | None,
) -> None:
    """A run that drains for its quota, or for a threshold, can be stopped like any other."""
    stop = Stop()
    if why is not None:
        stop.ask(why)
        assert not await drained(stop, signals=1)
    assert await drained(stop, signals=2)
    assert (stop.reason is why) is (why is not None)


async def test_who_cancels_without_a_signal_is_heard() -> None:
    """Only what a signal cut ends here."""
    stop = Stop()
    stop.ask(SignalledError("whoever listened has left", ExitCode.INTERRUPTED))

    async def waiting() -> None:
        with draining(stop, signals=True):
            await asyncio.sleep(5)

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_request_to_read_the_limits_again_kills_at_no_time() -> None:
    """Neither before there is somebody to read them, nor while the tables are written."""
    stop, read = Stop(), list[str]()

    async def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)

    with draining(stop, signals=True):
        await hang_up()
        with hanging_up(stop, lambda: read.append("again")):
            await hang_up()
        await hang_up()
    assert (read, stop.asked) == (["again"], False)
