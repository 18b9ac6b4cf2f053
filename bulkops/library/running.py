"""
A run as an iterator of what happens: batches of outcomes, where it stands, and how it ended.

Outcomes are read back from the log, as far as it is safe from a power cut. So what is told is what
is there; a slow reader holds nothing up and makes nothing grow, because the log is the queue; and a
run that nobody listens to pays nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import orjson

from bulkops.engine.hooks import announcing
from bulkops.engine.rig import Manner
from bulkops.errors import CheckpointError, ExitCode, SignalledError
from bulkops.library.carrying import nothing_to_do, sent
from bulkops.library.events import Event, Finished, Progress, Settled
from bulkops.library.planning import Plan
from bulkops.library.seat import Look
from bulkops.model import Learnt, Outcome, Status
from bulkops.wire.stop import Stop

#: Seconds between two looks into the log.
_LOOK_S: Final = 0.1
#: So much of the log is read at once: a few thousand outcomes.
_CHUNK_BYTES: Final = 1 << 20
_OUTCOME: Final = b'"type":"outcome"'

_T = TypeVar("_T")


async def run(
    plan: Plan,
    *,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
    every_s: float = 1.0,
) -> AsyncGenerator[Event, None]:
    """
    Carry out a plan, or go on with it, and yield what happens; the last event is `Finished`.

    One that is finished yields that alone, and sends nothing. `Settled` comes several times a
    second, `Progress` every `every_s` seconds; whoever is slow to ask hears all outcomes, later and
    in larger batches, and fewer of the other. Several plans may run in one loop.

    Whoever leaves before the end (`break`, an error, being cancelled) ends the run as the first
    Ctrl-C does: calls under way are waited for and written down, none is begun, and the same plan
    goes on with the rest. Being cancelled a second time stops at once, and what was under way is
    looked up next time. A `break` does not wait; use `contextlib.aclosing`, which does.

    Asks nobody for a yes. Tells those whom `[hooks]` names, and keeps the metrics file. Raises
    `LockedError`, or what else keeps it from starting; what ends it early is in `Finished`.
    """
    feed, stop = _Feed(plan.prepared.run.checkpoint), Stop()
    task = asyncio.create_task(_whole(plan, manner, feed, stop))
    clock = asyncio.get_running_loop().time
    due = clock() + every_s
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_S)
            while outcomes := await feed.read():
                yield Settled(outcomes)
            if feed.look is not None and clock() >= due and not task.done():
                due = clock() + every_s
                yield Progress.of(feed.look())
        while outcomes := await feed.read():
            yield Settled(outcomes)
        yield task.result()
    except GeneratorExit:
        if trouble := await _left(task, stop):
            raise trouble from None
        raise
    except BaseException:
        await _left(task, stop)
        raise


async def _whole(plan: Plan, manner: Manner, feed: _Feed, stop: Stop) -> Finished:
    """Do what `carry_out` does, with nobody to ask."""
    async with _in_thread(announcing(plan.config.hooks)) as ending:
        ending.about(plan.prepared.run)
        if plan.rows:
            finished = await sent(plan, manner=manner, watch=feed.begin, stop=stop)
        else:
            finished = nothing_to_do(plan)
        ending.code = finished.code
    return finished


async def _left(task: asyncio.Task[Finished], stop: Stop) -> BaseException | None:
    """End the run, because nobody listens any more; return what went wrong with that."""
    words = "whoever listened has left; run the same plan again to go on"
    stop.ask(SignalledError(words, ExitCode.INTERRUPTED))
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise
    return None if task.cancelled() else task.exception()


class _Feed:
    """
    The outcomes of this process, read from the log behind its writer.
    """

    def __init__(self, log: Path) -> None:
        self.look: Look | None = None
        self._log = log
        self._at = 0

    def begin(self, look: Look) -> None:
        """Read what is written from now on; `look` returns where the run stands."""
        self._at = _end_of_lines(self._log)
        self.look = look

    async def read(self) -> list[Outcome]:
        """Return the next outcomes, as many as are safe; none where there are none yet."""
        if self.look is None:
            return []
        # What else is in the log may fill a whole chunk.
        while chunk := await asyncio.to_thread(_lines_from, self._log, self._at):
            self._at += len(chunk)
            if outcomes := list(_outcomes_in(chunk)):
                return outcomes
        return []


@contextmanager
def _opened(log: Path) -> Iterator[BinaryIO]:
    try:
        with log.open("rb") as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"{log}: the outcomes cannot be read back ({error})") from error


def _end_of_lines(log: Path) -> int:
    """Return where the last whole line ends; the writer may be within the next one."""
    with _opened(log) as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - 4096)
            found = os.pread(file.fileno(), end - begin, begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
    return 0


def _lines_from(log: Path, offset: int) -> bytes:
    """Return whole lines from `offset` on that a power cut cannot take back; none if none are."""
    with _opened(log) as file:
        chunk = os.pread(file.fileno(), _CHUNK_BYTES, offset)
        chunk = chunk[: chunk.rfind(b"\n") + 1]
        if chunk:
            # The writer does the same, but it may stand between writing and syncing.
            os.fsync(file.fileno())
    return chunk


def _outcomes_in(lines: bytes) -> Iterator[Outcome]:
    for line in lines.splitlines():
        if _OUTCOME in line:
            record = orjson.loads(line)
            if record["type"] == "outcome":
                yield Outcome(
                    record["line"],
                    Status(record["status"]),
                    record.get("code", ""),
                    record.get("message", ""),
                    record.get("http_status"),
                    record.get("job_id"),
                    record.get("of_line"),
                    Learnt(record.get("learnt", Learnt.ANSWERED)),
                )


@asynccontextmanager
async def _in_thread(blocking: AbstractContextManager[_T]) -> AsyncGenerator[_T, None]:
    """Enter and leave a context manager that blocks in a thread, so that the loop goes on."""
    value = await asyncio.to_thread(blocking.__enter__)
    try:
        yield value
    except BaseException as error:
        if not await asyncio.to_thread(blocking.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await asyncio.to_thread(blocking.__exit__, None, None, None)
