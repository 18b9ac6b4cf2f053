"""
Run a plan: workers that carry its batches, a follower, and last what must go in order.

A batch that has to wait is parked, and its worker takes another one (see `parking.py`). Running
again is resuming: whatever the log holds is left alone, everything else is sent. A worker never
dies of a `BulkopsError`; it asks for a stop, and the others finish their calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import structlog

from bulkops.engine.carrier import Carrier
from bulkops.engine.dispatch import Dispatch
from bulkops.engine.follow import Follower
from bulkops.engine.reader import Reader
from bulkops.engine.recorder import Recorder, Thresholds
from bulkops.engine.telemetry import Telemetry
from bulkops.errors import BulkopsError
from bulkops.files.checkpoint import Checkpoint
from bulkops.files.plan_file import read_batches, read_refusals
from bulkops.model import Api, Batch, Learnt, Operation, Outcome, Status
from bulkops.rules.line_set import LineSet
from bulkops.rules.operations import SPECS
from bulkops.rules.parcel import Parcel
from bulkops.rules.parking import Load
from bulkops.rules.progress import Progress
from bulkops.rules.retrying import Policy
from bulkops.rules.settlement import Halt
from bulkops.rules.tally import Tally
from bulkops.rules.watches import Awaited, Intervals
from bulkops.wire.call import Wire
from bulkops.wire.stop import Stop

_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    How a run goes about it; the limits are in the wire it is given.
    """

    api: Api
    workers: int
    policy: Policy
    intervals: Intervals
    thresholds: Thresholds
    read_many: bool = True
    capture: bool = False


class Runner:
    """
    One run over one plan. `run` returns when every line is settled or the stop was asked.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wire: Wire,
        checkpoint: Checkpoint,
        progress: Progress,
        stop: Stop,
        tally: Tally,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._stop = stop
        self._tally = tally
        #: An earlier process may have settled lines of the plan.
        self._begun = bool(progress.settled or progress.calls.count)
        self._recorder = Recorder(
            checkpoint, progress, thresholds=settings.thresholds, stop=stop, tally=tally
        )
        self._aborted = 0
        self._dispatch = Dispatch(workers=settings.workers, policy=settings.policy, stop=stop)
        reader = self._reader = Reader(
            wire,
            checkpoint,
            waits=settings.policy.waits,
            attempts=settings.policy.attempts,
            stop=stop,
            tally=tally,
            heard=self._dispatch.heard,
            again=self._dispatch.again,
            telemetry=telemetry,
        )
        self._follower = Follower(
            api=settings.api,
            reader=reader,
            recorder=self._recorder,
            intervals=settings.intervals,
            read_many=settings.read_many,
            stop=stop,
            tally=tally,
            send_again=self._send_again,
            telemetry=telemetry,
        )
        self._carrier = Carrier(
            api=settings.api,
            wire=wire,
            reader=reader,
            recorder=self._recorder,
            progress=progress,
            policy=settings.policy,
            stop=stop,
            tally=tally,
            follow=self._follower.add,
            heard=self._dispatch.heard,
            capture=settings.capture,
            telemetry=telemetry,
        )

    @property
    def halts(self) -> tuple[Halt, ...]:
        """Why groups of calls were given up."""
        return self._carrier.halts

    async def run(self, *, plan: Path, rows: Path) -> None:
        """
        Settle every line of the plan, as far as it goes; `Stop.reason` says why it ended early.
        """
        await self._settle_refusals(rows)
        batches = _in_steps(plan, self._progress.settled)
        ordered: list[tuple[int, Batch]] = []
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follower.run())
            workers = [group.create_task(self._work()) for _ in range(self._settings.workers)]
            async for step, batch in batches:
                if self._stop.asked:
                    break
                left = self._left_of(batch)
                if left is None:
                    continue
                if step == 0:
                    await self._dispatch.put(Load(left))
                else:
                    ordered.append((step, left))
            self._dispatch.close()
            for worker in workers:
                await worker
            self._follower.close()
            await following
        # Whatever goes in order also goes after everything else, remote jobs included.
        for _, batch in ordered:
            if not self._stop.asked:
                await self._carry_listed(batch)
        await self._follower.run()

    async def _settle_refusals(self, rows: Path) -> None:
        """Write down the outcome of every row that the plan does not send."""
        refusals = read_refusals(rows)
        while chunk := await asyncio.to_thread(lambda: list(islice(refusals, 5000))):
            for outcome in chunk:
                self._recorder.settle(outcome)

    def _left_of(self, batch: Batch) -> Batch | None:
        """Return what of a batch is to be sent; lines with a remote job go to the follower."""
        if not self._begun:
            return batch
        settled, jobs = self._progress.settled, self._progress.jobs
        left = tuple(each for each in batch.operations if each.line not in settled)
        for operation in left:
            if operation.line in jobs:
                attempts = len(self._progress.calls.of(batch.number))
                job_id = jobs[operation.line]
                self._follower.add(Awaited(batch, operation, job_id, attempts))
        unsent = tuple(each for each in left if each.line not in jobs)
        return replace(batch, operations=unsent) if unsent else None

    async def _work(self) -> None:
        while (load := await self._dispatch.take()) is not None:
            left: tuple[Parcel, ...] = ()
            try:
                # Each worker is a task, and what is bound ends with it.
                structlog.contextvars.bind_contextvars(batch=load.batch.number)
                left = await self._carrier.carry(load)
                self._sweep()
            except BulkopsError as error:
                self._stop.ask(error)
            self._dispatch.give_back(load, left)
            self._tally.parked = self._dispatch.parked

    def _sweep(self) -> None:
        """Settle the parked lines of a group that was just aborted: they wait for nothing more."""
        if self._aborted < len(self._carrier.halts):
            self._aborted = len(self._carrier.halts)
            self._dispatch.sweep(self._carrier.left_of)

    async def _carry_through(self, batch: Batch) -> None:
        try:
            with structlog.contextvars.bound_contextvars(batch=batch.number):
                await self._carrier.carry_through(batch)
        except BulkopsError as error:
            self._stop.ask(error)

    async def _carry_listed(self, batch: Batch) -> None:
        """
        Carry a batch without the items that the organisation does not have.

        What was never there costs no call; and what is gone after a call that met silence was
        there before that call, because it was looked for then too.
        """
        if not SPECS[batch.spec].must_be_listed:
            return await self._carry_through(batch)
        try:
            known = await self._reader.known_territories(self._settings.api)
        except BulkopsError as error:
            return self._stop.ask(error)
        missing = [each for each in batch.operations if known and each.item not in known]
        for operation in missing:
            doubtful = self._progress.doubts(batch.number, operation.line)
            attempts = len(self._progress.calls.of(batch.number))
            outcome = _gone(operation) if doubtful else _never_there(operation)
            self._recorder.settle(outcome, batch=batch, attempts=attempts)
        rest = tuple(each for each in batch.operations if each not in missing)
        if rest:
            await self._carry_through(replace(batch, operations=rest))
        return None

    async def _send_again(self, group: Sequence[Awaited]) -> None:
        """Carry operations whose remote job is over and left them as they were."""
        with structlog.contextvars.bound_contextvars(batch=group[0].batch.number):
            await self._carrier.send_again(group)


def _gone(operation: Operation) -> Outcome:
    words = "no answer came, and it is no longer in the organisation's list"
    return Outcome(operation.line, Status.SUCCEEDED, "probed", words, learnt=Learnt.PROBED)


def _never_there(operation: Operation) -> Outcome:
    words = f"{operation.item} is not in the organisation's list of territories; it was not sent"
    return Outcome(operation.line, Status.FAILED, "not_listed", words, learnt=Learnt.PROBED)


async def _in_steps(plan: Path, settled: LineSet) -> AsyncIterator[tuple[int, Batch]]:
    """Read what is left of the plan without holding the loop up."""
    batches = read_batches(plan, settled)

    def chunk(source: Iterator[tuple[int, Batch]] = batches) -> list[tuple[int, Batch]]:
        return list(islice(source, _CHUNK))

    while found := await asyncio.to_thread(chunk):
        for each in found:
            yield each
