"""
Follow the jobs that the server does later, until each of their lines has its outcome.

Records are asked about together, up to 100 a call, at intervals that grow. One that is no
longer listed is read back: its territories say whether the job did its work. Lines whose job
had no effect are sent once more; lines that only waited for another's job are sent as if new.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext

from bulkops.engine.reader import Reader, Refusal
from bulkops.engine.recorder import Recorder
from bulkops.engine.records import Records
from bulkops.engine.telemetry import Telemetry
from bulkops.errors import BulkopsError, PausedError
from bulkops.model import Api, Outcome, Status
from bulkops.rules.operations import SPECS
from bulkops.rules.readback import judge_record
from bulkops.rules.tally import Tally
from bulkops.rules.watches import Awaited, Intervals, Watch, Watches, by_batch, is_pending
from bulkops.wire.stop import Stop

_AT_ONCE = 100


class Follower:
    """
    Watches records. `add` never waits; `run` ends when it is closed and nothing is pending.
    """

    def __init__(
        self,
        *,
        api: Api,
        reader: Reader,
        recorder: Recorder,
        intervals: Intervals,
        read_many: bool,
        stop: Stop,
        tally: Tally,
        send_again: Callable[[Sequence[Awaited]], Awaitable[None]],
        telemetry: Telemetry | None = None,
    ) -> None:
        self._records = Records(api, reader, recorder, read_many=read_many)
        self._recorder = recorder
        self._intervals = intervals
        self._stop = stop
        self._tally = tally
        self._send_again = send_again
        self._telemetry = telemetry
        self._watches = Watches(intervals)
        self._changed = asyncio.Event()
        self._closed = False
        self._resending = 0
        self._left = 0

    def add(self, awaited: Awaited) -> None:
        """Watch the record of one more operation."""
        self._watches.add(awaited, asyncio.get_running_loop().time())
        self._tally.pending += 1
        self._tally.followed += 1
        self._changed.set()

    def close(self) -> None:
        """Say that nothing is added any more, but by what is sent again."""
        self._closed = True
        self._changed.set()

    async def run(self) -> None:
        """Follow until nothing is pending, or the run ends; then say what is left."""
        async with asyncio.TaskGroup() as sending:
            while not self._stop.asked and not self._is_done():
                self._changed.clear()
                await self._pause()
                for group in by_batch(await self._look()):
                    self._resending += 1
                    sending.create_task(self._resend(group))
        if self._left:
            self._stop.ask(
                PausedError(
                    f"{self._left} lines wait for jobs of the server that have not ended after "
                    f"{self._intervals.give_up_s:.0f} s. Run the same command again later."
                )
            )

    def _is_done(self) -> bool:
        return self._closed and not self._watches and not self._resending

    async def _resend(self, group: Sequence[Awaited]) -> None:
        try:
            await self._send_again(group)
        except BulkopsError as error:
            self._stop.ask(error)
        finally:
            self._resending -= 1
            self._changed.set()

    async def _pause(self) -> None:
        """Sleep until the next record is due, something changes, or the run ends."""
        now = asyncio.get_running_loop().time()
        due = self._watches.next_due
        if due <= now or self._is_done():
            return
        # An addition only shortens the wait where nothing was watched before.
        change = self._changed.wait() if due == math.inf else asyncio.sleep(due - now)
        await self._stop.first(change)

    async def _look(self) -> list[Awaited]:
        """Ask about all records that are due; return what is to be sent again."""
        due = self._watches.due(asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as group:
            looks = [
                group.create_task(
                    self._look_unless_stopped(module, watches[start : start + _AT_ONCE])
                )
                for module, watches in due.items()
                for start in range(0, len(watches), _AT_ONCE)
            ]
        return [each for look in looks for each in look.result()]

    async def _look_unless_stopped(self, module: str, watches: Sequence[Watch]) -> list[Awaited]:
        told = self._telemetry.polling(module, watches) if self._telemetry else nullcontext()
        try:
            with told:
                return await self._look_at(module, watches)
        except BulkopsError as error:
            self._stop.ask(error)
            return []

    async def _look_at(self, module: str, watches: Sequence[Watch]) -> list[Awaited]:
        # What is added from here on, no answer to this question can know of.
        asked = {watch.record_id: tuple(watch.awaited) for watch in watches}
        listed = await self._records.jobs(module, list(asked))
        ended = [
            watch
            for watch in watches
            if listed is not None
            and not is_pending(asked[watch.record_id], listed.get(watch.record_id, ()))
        ]
        again = await self._read_back(module, ended, asked) if ended else []
        now = asyncio.get_running_loop().time()
        for watch in watches:
            left = self._watches.look_later(watch, now)
            self._left += left
            self._tally.pending -= left
        return again

    async def _read_back(
        self, module: str, ended: Sequence[Watch], asked: Mapping[str, Sequence[Awaited]]
    ) -> list[Awaited]:
        held = await self._records.territories(module, [watch.record_id for watch in ended])
        now = asyncio.get_running_loop().time()
        again: list[Awaited] = []
        for watch in ended:
            kept = watch.awaited[len(asked[watch.record_id]) :]
            for awaited in asked[watch.record_id]:
                found = held[watch.record_id]
                if isinstance(found, Refusal) and found.passing:
                    kept.append(awaited)
                    continue
                verdict = self._judge(awaited, found)
                if isinstance(verdict, Outcome):
                    self._recorder.settle(verdict, batch=awaited.batch, attempts=awaited.attempts)
                elif self._records.lists_jobs(module) and not self._watches.is_late(
                    watch, awaited, now
                ):
                    again.append(self._watches.sent_again(watch, awaited))
                else:
                    kept.append(awaited)
            self._tally.pending -= len(watch.awaited) - len(kept)
            watch.awaited = kept
        return again

    def _judge(self, awaited: Awaited, held: dict[str, str] | Refusal) -> Outcome | None:
        line = awaited.operation.line
        if isinstance(held, Refusal):
            words = f"the job ended, and the record cannot be read back ({held.message})"
            return Outcome(line, Status.UNKNOWN, held.code, words, held.http_status or None)
        return judge_record(
            line=line,
            wish=SPECS[awaited.batch.spec].wish,
            members=awaited.operation.members,
            held=held,
            ours=awaited.is_ours,
            last_chance=awaited.resent and self._records.lists_jobs(awaited.batch.route.module),
            job_id=awaited.job_id,
        )
