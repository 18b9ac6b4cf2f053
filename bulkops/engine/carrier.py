"""
Carry a batch as far as it goes: send, settle, write down, and send at once what may go at once.

What is left then has to wait for its time, and whoever called keeps it until that. What the
carrier cannot settle at all is a line that the server scheduled, or whose record is busy with
another job; those go to the follower.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from bulkops.engine.capture import Capturer
from bulkops.engine.observe import Observer
from bulkops.engine.reader import Reader
from bulkops.engine.recorder import Recorder, skipped
from bulkops.engine.sequel import Sequel
from bulkops.engine.taught import Taught
from bulkops.engine.telemetry import Telemetry
from bulkops.model import Api, Batch, Exchange, NoReply, Status, merge_items
from bulkops.rows import lines_in
from bulkops.rules.evidence import done_only_now, refused_after_silence, relieved
from bulkops.rules.operations import SPECS
from bulkops.rules.parcel import Parcel, cut, split
from bulkops.rules.parking import Load
from bulkops.rules.progress import Progress
from bulkops.rules.retrying import Aftermath, Policy
from bulkops.rules.settlement import Halt, Reason, Settlement
from bulkops.rules.spec import Spec
from bulkops.rules.tally import Tally
from bulkops.rules.watches import Awaited
from bulkops.wire.call import Wire
from bulkops.wire.stop import Stop


class Carrier:
    """
    Sends batches. One serves all workers of a run.
    """

    def __init__(
        self,
        *,
        api: Api,
        wire: Wire,
        reader: Reader,
        recorder: Recorder,
        progress: Progress,
        policy: Policy,
        stop: Stop,
        tally: Tally,
        follow: Callable[[Awaited], None],
        heard: Callable[[Exchange], None],
        capture: bool = False,
        telemetry: Telemetry | None = None,
    ) -> None:
        """
        `follow` takes what waits for remote jobs; `heard` is told how every call ended.

        With `capture`, what a call is to change is written down before it leaves.
        """
        self._api = api
        self._wire = wire
        self._recorder = recorder
        self._progress = progress
        self._stop = stop
        self._follow = follow
        self._heard = heard
        self._telemetry = telemetry
        self._capturer = Capturer(Observer(reader, api), recorder, wanted=capture)
        self._taught = Taught(recorder, progress.capacities)
        self._sequel = Sequel(
            api=api,
            wire=wire,
            reader=reader,
            recorder=recorder,
            policy=policy,
            stop=stop,
            tally=tally,
            follow=follow,
        )

    @property
    def halts(self) -> tuple[Halt, ...]:
        """Why groups were aborted, one for each group."""
        return self._taught.halts

    async def carry(self, load: Load) -> tuple[Parcel, ...]:
        """
        Send what may go of `load`; return the parcels that have to wait until they are due.

        Every other line is settled, handed to the follower, or the run ends.
        """
        spec, batch = SPECS[load.batch.spec], load.batch
        if load.parcels:
            return await self._carry_parcels(spec, batch, load.parcels)
        whole = self._whole(batch)
        if not whole.sent and self._taught.halt_of(batch) is None:
            await self._capturer.capture(batch)
        lesson = self._taught.lesson(spec)
        if lesson is not None and len(merge_items(batch.operations)) > 1:
            return await self._learn(lesson, spec, batch, whole)
        return await self._carry_parcels(spec, batch, [whole])

    def left_of(self, load: Load) -> tuple[Parcel, ...] | None:
        """
        Settle what waits in `load` and belongs to an aborted group; return what is still to go.

        `None` if that is all of it. What has not begun is left as it is if it is in doubt.
        """
        if self._taught.halt_of(load.batch) is None:
            return None
        whole = self._whole(load.batch) if not load.parcels else None
        if whole is not None and whole.doubtful:
            return None
        return self._kept(load.batch, load.parcels if whole is None else (whole,))

    async def send_again(self, group: Sequence[Awaited]) -> None:
        """
        Carry lines of one batch to their end that were waited for, and are as they were.

        A job of ours may still do its work, later than it seemed: then the answer is an echo.
        """
        first = group[0]
        batch = replace(first.batch, operations=tuple(each.operation for each in group))
        whole = self._whole(batch, resent=first.resent)
        ours = {each.operation.line for each in group if each.is_ours}
        sent = max(each.attempts for each in group)
        await self._carry_on(batch, whole._replace(doubtful=whole.doubtful | ours, sent=sent))

    async def carry_through(self, batch: Batch) -> None:
        """Carry `batch` to its end, and wait in between."""
        await self._carry_on(batch, self._whole(batch))

    async def _carry_on(self, batch: Batch, whole: Parcel) -> None:
        load = Load(batch, (whole,))
        while load.parcels:
            load = Load(batch, await self.carry(load))
            if not await self._stop.sleep(load.due - asyncio.get_running_loop().time()):
                return

    def _whole(self, batch: Batch, *, resent: bool = False) -> Parcel:
        doubtful = self._progress.doubted(batch.number, lines_in(batch.operations))
        sent = len(self._progress.calls.of(batch.number))
        silent = self._progress.silences(batch.number, doubtful) if doubtful else frozenset()
        return Parcel(batch.operations, doubtful, sent, resent=resent, silent=silent)

    async def _learn(
        self, lesson: asyncio.Lock, spec: Spec, batch: Batch, whole: Parcel
    ) -> tuple[Parcel, ...]:
        """Let one call find out how many items the server takes, while its like wait."""
        async with lesson:
            rest = [whole]
            if self._taught.lesson(spec) is not None:
                rest, _ = await self._carry_one(spec, batch, whole)
                left = sum(len(parcel.operations) for parcel in rest)
                if left < len(whole.operations):
                    self._taught.end_lesson(spec)
        return await self._carry_parcels(spec, batch, rest)

    async def _carry_parcels(
        self, spec: Spec, batch: Batch, parcels: Sequence[Parcel]
    ) -> tuple[Parcel, ...]:
        """Send parcels until none is left, or those that are left have to wait."""
        going = deque(parcels)
        waiting: list[Parcel] = []
        while going and not self._stop.asked:
            parcel, *others = cut(going.popleft(), self._taught.capacity_of(spec))
            if parcel.due > asyncio.get_running_loop().time():
                waiting.extend((parcel, *others))
                continue
            going.extendleft(reversed(others))
            left, done_now = await self._carry_one(spec, batch, parcel)
            if done_now:
                left = [relieved(each, done_now) for each in left]
                going = deque(relieved(each, done_now) for each in going)
                waiting = [relieved(each, done_now) for each in waiting]
            going.extend(left)
        return self._kept(batch, waiting)

    async def _carry_one(
        self, spec: Spec, batch: Batch, parcel: Parcel
    ) -> tuple[list[Parcel], frozenset[int]]:
        """Make one call; return what is left of it to be sent, and the lines `done_only_now`."""
        if parcel.wait_s:
            await self._stop.sleep(parcel.wait_s)
        if self._stop.asked:
            return [], frozenset()
        kept = self._skip(batch, parcel)
        if kept is None:
            return [], frozenset()
        parcel = kept._replace(sent=kept.sent + 1, wait_s=0.0)
        # Whatever may fail before a call can leave comes before the log says that it does.
        token = await self._wire.token()
        call = await self._recorder.intend(batch, parcel.operations, parcel.sent)
        whole = parcel.operations is batch.operations
        carried = batch if whole else replace(batch, operations=parcel.operations)
        request = spec.request(self._api, batch.route, merge_items(parcel.operations))
        exchange = await self._wire.call(request, token)
        settlement, refused = refused_after_silence(
            spec, parcel, self._taught.settle(spec, carried, exchange, parcel)
        )
        self._record(batch, parcel, call, settlement, asked=bool(refused))
        if isinstance(exchange, NoReply) and exchange.kept_back:
            return [parcel], frozenset()
        self._heard(exchange)
        if self._telemetry is not None:
            attempt = parcel.sent
            self._telemetry.sent(
                request, exchange, batch=batch, attempt=attempt, settlement=settlement
            )
        if any(rest.reason is Reason.LOOKUP for rest in settlement.unprocessed):
            settlement = await self._sequel.look_up(spec, carried, parcel, exchange, settlement)
        if refused:
            aborted = settlement.halt is not None
            await self._sequel.reconsider(carried, refused, parcel.sent, aborted=aborted)
        if settlement.limit is not None:
            self._taught.limit(spec, settlement.limit)
        after = Aftermath(token.value, settlement.retry_after, settlement.limit)
        left: list[Parcel] = []
        for remainder in settlement.unprocessed:
            left.extend(await self._sequel.follow_up(batch, parcel, remainder, after))
        return left, done_only_now(spec, parcel, settlement)

    def _kept(self, batch: Batch, parcels: Sequence[Parcel]) -> tuple[Parcel, ...]:
        """Return what of parcels is to wait for its time: all, unless their group is aborted."""
        kept = [self._skip(batch, each) for each in parcels]
        return tuple(each for each in kept if each is not None)

    def _skip(self, batch: Batch, parcel: Parcel) -> Parcel | None:
        """
        Settle the lines of an aborted group without a call; return what is sent all the same.

        That is what an earlier call may have changed: it must hear its own answer.
        """
        halt = self._taught.halt_of(batch)
        if halt is None:
            return parcel
        doubtful, certain = split(parcel)
        for operation in certain:
            outcome = skipped(operation, halt.code, halt.message)
            self._recorder.settle(outcome, batch=batch, attempts=parcel.sent, aborted=True)
        return parcel._replace(operations=doubtful) if doubtful else None

    def _record(
        self, batch: Batch, parcel: Parcel, call: int, settlement: Settlement, *, asked: bool
    ) -> None:
        """
        Write down an exchange, at once and without waiting for anything.

        `asked`: the server is to be asked about some lines before they are settled.
        """
        scheduled: dict[int, str] = {}
        aborted = settlement.halt is not None
        for alike in settlement.ended:
            if alike.outcome.status is Status.SCHEDULED:
                scheduled.update(dict.fromkeys(alike.lines, alike.outcome.job_id or ""))
            else:
                self._recorder.settle_all(alike, batch=batch, attempts=parcel.sent, aborted=aborted)
        for line, job_id in scheduled.items():
            self._recorder.schedule(batch, line, job_id)
        if scheduled or settlement.unprocessed or asked:
            doubtful = (
                each.line
                for rest in settlement.unprocessed
                if rest.in_doubt
                for each in rest.operations
            )
            self._recorder.answered(batch, call, doubtful)
        for operation in parcel.operations if scheduled else ():
            if operation.line in scheduled:
                job_id = scheduled[operation.line]
                self._follow(Awaited(batch, operation, job_id, parcel.sent, resent=parcel.resent))
        if settlement.halt is not None:
            self._taught.abort(batch, settlement.halt)
