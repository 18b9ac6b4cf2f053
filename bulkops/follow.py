"""
Follow the jobs that the server does later, until each of their lines has its outcome.

Records are asked about together, up to 100 a call, at intervals that grow. One that is no
longer listed is read back: its territories say whether the job did its work. Lines whose job
had no effect are sent once more; lines that only waited for another's job are sent as if new.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from bulkops.carrier import Awaited
from bulkops.errors import BulkopsError, PausedError
from bulkops.model import Api, Outcome, Status
from bulkops.operations import SPECS
from bulkops.operations.territories import (
    feature_info,
    pending_jobs,
    read_many_territories,
    read_territories,
    territories_of,
)
from bulkops.readback import judge_record
from bulkops.reader import Reader, Refusal
from bulkops.recorder import Recorder
from bulkops.stop import Stop
from bulkops.tally import Tally

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Intervals:
    """
    When to ask: after `first_s`, then twice as long each time up to `longest_s`.

    A record whose job is still listed `give_up_s` after it was seen first is left to a later
    run.
    """

    first_s: float
    longest_s: float
    give_up_s: float


@dataclass(slots=True)
class _Watch:
    """One record with pending work."""

    module: str
    record_id: str
    since: float
    due: float
    interval: float
    awaited: list[Awaited] = field(default_factory=list)


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
    ) -> None:
        self._api = api
        self._reader = reader
        self._recorder = recorder
        self._intervals = intervals
        self._read_many = read_many
        self._singly: set[str] = set()
        self._stop = stop
        self._tally = tally
        self._send_again = send_again
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._busy: dict[tuple[str, str], tuple[float, float]] = {}
        self._changed = asyncio.Event()
        self._closed = False
        self._resending = 0
        self._unlisted: set[str] = set()
        self._left = 0
        self._log = structlog.get_logger("bulkops.follow")

    def add(self, awaited: Awaited) -> None:
        """Watch the record of one more operation."""
        now = asyncio.get_running_loop().time()
        key = (awaited.batch.route.module, awaited.operation.item)
        # A record that is busy time and again is asked about ever more rarely.
        since, interval = self._busy.get(key, (now, self._intervals.first_s))
        # Whole ticks let records that were scheduled at about the same time share a call.
        due = math.ceil((now + interval) / interval) * interval
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = _Watch(*key, since=since, due=due, interval=interval)
        watch.due, watch.interval = min(watch.due, due), min(watch.interval, interval)
        watch.awaited.append(awaited)
        self._tally.pending += 1
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
                for group in _by_batch(await self._look()):
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
        due = min((watch.due for watch in self._watches.values()), default=math.inf)
        if due <= now or self._is_done():
            return
        # An addition only shortens the wait where nothing was watched before.
        change = self._changed.wait() if due == math.inf else asyncio.sleep(due - now)
        await self._stop.first(change)

    async def _look(self) -> list[Awaited]:
        """Ask about all records that are due; return what is to be sent again."""
        now = asyncio.get_running_loop().time()
        by_module: dict[str, list[_Watch]] = {}
        for watch in self._watches.values():
            if watch.due <= now:
                by_module.setdefault(watch.module, []).append(watch)
        async with asyncio.TaskGroup() as group:
            looks = [
                group.create_task(
                    self._look_unless_stopped(module, watches[start : start + _AT_ONCE])
                )
                for module, watches in by_module.items()
                for start in range(0, len(watches), _AT_ONCE)
            ]
        return [each for look in looks for each in look.result()]

    async def _look_unless_stopped(self, module: str, watches: Sequence[_Watch]) -> list[Awaited]:
        try:
            return await self._look_at(module, watches)
        except BulkopsError as error:
            self._stop.ask(error)
            return []

    async def _look_at(self, module: str, watches: Sequence[_Watch]) -> list[Awaited]:
        # What is added from here on, no answer to this question can know of.
        asked = {watch.record_id: tuple(watch.awaited) for watch in watches}
        listed = await self._jobs(module, list(asked))
        ended = [
            watch
            for watch in watches
            if listed is not None
            and not _is_pending(asked[watch.record_id], listed.get(watch.record_id, ()))
        ]
        again = await self._read_back(module, ended, asked) if ended else []
        now = asyncio.get_running_loop().time()
        for watch in watches:
            if not watch.awaited:
                del self._watches[watch.module, watch.record_id]
            elif now - watch.since >= self._intervals.give_up_s:
                self._leave(watch)
            else:
                watch.interval = min(watch.interval * 2, self._intervals.longest_s)
                watch.due = now + watch.interval
        return again

    async def _jobs(self, module: str, records: Sequence[str]) -> dict[str, set[str]] | None:
        """
        Return the pending jobs of `records`; none once the server refuses to list them.

        `None` if they cannot be listed just now.
        """
        if module in self._unlisted:
            return {}
        body = await self._reader.read(feature_info(self._api, module, records))
        if isinstance(body, Refusal) and body.passing:
            return None
        if isinstance(body, Refusal):
            # The records themselves will show when the jobs are done.
            self._unlisted.add(module)
            self._recorder.note("jobs.unlisted", module=module, code=body.code, why=body.message)
            self._log.warning("jobs.unlisted", code=body.code, message=body.message)
            return {}
        return pending_jobs(body, records)

    async def _read_back(
        self, module: str, ended: Sequence[_Watch], asked: Mapping[str, Sequence[Awaited]]
    ) -> list[Awaited]:
        held = await self._territories(module, [watch.record_id for watch in ended])
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
                elif module not in self._unlisted and not self._is_late(watch, awaited):
                    again.append(self._sent_again(watch, awaited))
                else:
                    kept.append(awaited)
            self._tally.pending -= len(watch.awaited) - len(kept)
            watch.awaited = kept
        return again

    def _is_late(self, watch: _Watch, awaited: Awaited) -> bool:
        """Whether a record that others keep busy has been waited for long enough."""
        waited = asyncio.get_running_loop().time() - watch.since
        return awaited.job_id is None and waited >= self._intervals.give_up_s

    def _leave(self, watch: _Watch) -> None:
        """Leave the lines of a record to a later run."""
        self._left += len(watch.awaited)
        self._tally.pending -= len(watch.awaited)
        del self._watches[watch.module, watch.record_id]

    def _sent_again(self, watch: _Watch, awaited: Awaited) -> Awaited:
        """Return what is sent again; a mere waiter's record is remembered as busy."""
        if awaited.job_id is None:
            interval = min(watch.interval * 2, self._intervals.longest_s)
            self._busy[watch.module, watch.record_id] = (watch.since, interval)
        return replace(awaited, resent=awaited.resent or awaited.job_id is not None)

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
            ours=awaited.job_id is not None or awaited.doubtful,
            last_chance=awaited.resent and awaited.batch.route.module not in self._unlisted,
            job_id=awaited.job_id,
        )

    async def _territories(
        self, module: str, records: Sequence[str]
    ) -> dict[str, dict[str, str] | Refusal]:
        """Read the territories of `records`, together where the server allows it."""
        found: dict[str, dict[str, str] | Refusal] = {}
        if self._read_many and module not in self._singly and len(records) > 1:
            body = await self._reader.read(read_many_territories(self._api, module, records))
            known = {} if isinstance(body, Refusal) else territories_of(body)
            found.update({key: each for key, each in known.items() if each is not None})
            if not found and not (isinstance(body, Refusal) and body.passing):
                self._singly.add(module)
                self._recorder.note("territories.read_singly", module=module)
        for record in records:
            if record not in found:
                found[record] = await self._read_one(module, record)
        return found

    async def _read_one(self, module: str, record: str) -> dict[str, str] | Refusal:
        body = await self._reader.read(read_territories(self._api, module, record))
        if isinstance(body, Refusal):
            return body
        held = territories_of(body).get(record)
        return Refusal("unreadable", "it has no Territories", 0) if held is None else held


def _is_pending(awaited: Sequence[Awaited], jobs: Collection[str]) -> bool:
    """Whether a job that these lines of one record wait for is among those listed for it."""
    return any(bool(jobs) if not each.job_id else each.job_id in jobs for each in awaited)


def _by_batch(again: Iterable[Awaited]) -> list[list[Awaited]]:
    """Group what is sent again by the batch it came from, and by whether it had its chance."""
    groups: dict[tuple[int, bool], list[Awaited]] = {}
    for each in again:
        groups.setdefault((each.batch.number, each.resent), []).append(each)
    return list(groups.values())
