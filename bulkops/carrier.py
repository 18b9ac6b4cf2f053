"""
Carry a batch to its end: send, settle, write down, and send what is left, until nothing is.

A batch stays with whoever carries it: there is no queue for second tries. What it cannot settle
itself is a line that the server scheduled, or whose record is busy with another job; those go
to the follower.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from bulkops.model import Api, Batch, Exchange, Operation, Outcome, Status, merge_items
from bulkops.operations import SPECS
from bulkops.parcel import Parcel, cut, lines_of
from bulkops.prober import probe
from bulkops.progress import Progress
from bulkops.reader import Reader
from bulkops.recorder import Recorder, skipped
from bulkops.retrying import Aftermath, Policy, what_next
from bulkops.settle import settle
from bulkops.settlement import Halt, Reason, Remainder, Settlement, Settling
from bulkops.spec import Spec
from bulkops.stop import Stop
from bulkops.tally import Tally
from bulkops.wire import Wire


@dataclass(frozen=True, slots=True)
class Awaited:
    """
    An operation that waits for a remote job: its own (`job_id`), or another's on its record.
    """

    batch: Batch
    operation: Operation
    job_id: str | None
    attempts: int
    doubtful: bool = False
    resent: bool = False


class Carrier:
    """
    Sends batches. One serves all workers of a run; it remembers what the server taught.
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
    ) -> None:
        self._api = api
        self._wire = wire
        self._reader = reader
        self._recorder = recorder
        self._progress = progress
        self._policy = policy
        self._stop = stop
        self._tally = tally
        self._follow = follow
        self._capacities = dict(progress.capacities)
        self._aborted: dict[tuple[str, str, str], Halt] = {}
        self._learning = {
            spec.name: asyncio.Lock()
            for spec in SPECS.values()
            if spec.learns_capacity and spec.name not in self._capacities
        }
        self._log = structlog.get_logger("bulkops.carrier")

    @property
    def halts(self) -> tuple[Halt, ...]:
        """Why groups were aborted, one for each group."""
        return tuple(self._aborted.values())

    async def carry(self, batch: Batch, *, resent: bool = False) -> None:
        """
        Send `batch` until every line is settled, handed to the follower, or the run ends.

        `resent` marks lines whose remote job ended without effect: they get no second chance.
        """
        spec = SPECS[batch.spec]
        lines = lines_of(batch.operations)
        doubtful = frozenset(line for line in lines if self._progress.doubts(batch.number, line))
        sent = len(self._progress.calls.of(batch.number))
        whole = Parcel(batch.operations, doubtful, sent, resent=resent)
        if spec.name in self._learning and len(merge_items(batch.operations)) > 1:
            await self._learn(spec, batch, whole)
        else:
            await self._carry_parcels(spec, batch, [whole])

    async def _learn(self, spec: Spec, batch: Batch, whole: Parcel) -> None:
        """Let one call find out how many items the server takes, while its like wait."""
        lock = self._learning[spec.name]
        async with lock:
            rest = [whole]
            if spec.name in self._learning:
                rest = await self._carry_one(spec, batch, whole)
                left = sum(len(parcel.operations) for parcel in rest)
                if spec.name in self._capacities or left < len(whole.operations):
                    self._learning.pop(spec.name, None)
        await self._carry_parcels(spec, batch, rest)

    async def _carry_parcels(self, spec: Spec, batch: Batch, parcels: list[Parcel]) -> None:
        waiting = deque(parcels)
        while waiting and not self._stop.asked:
            parcel, *others = cut(waiting.popleft(), self._capacities.get(spec.name))
            waiting.extendleft(reversed(others))
            waiting.extend(await self._carry_one(spec, batch, parcel))

    async def _carry_one(self, spec: Spec, batch: Batch, parcel: Parcel) -> list[Parcel]:
        """Make one call; return what is left of it to be sent."""
        if not await self._stop.sleep(parcel.wait_s):
            return []
        halt = self._aborted.get(_group(batch))
        # What was sent before must hear its own answer: it may have had its effect.
        if halt is not None and not parcel.sent:
            for operation in parcel.operations:
                outcome = skipped(operation, halt.code, halt.message)
                self._recorder.settle(outcome, batch=batch, aborted=True)
            return []
        now = asyncio.get_running_loop().time()
        parcel = replace(parcel, sent=parcel.sent + 1, since=min(parcel.since, now), wait_s=0.0)
        # Whatever may fail before a call can leave comes before the log says that it does.
        token = await self._wire.token()
        call = await self._recorder.intend(batch, parcel.operations, parcel.sent)
        carried = replace(batch, operations=parcel.operations)
        request = spec.request(self._api, batch.route, merge_items(parcel.operations))
        exchange = await self._wire.call(request, token)
        settlement = settle(spec, carried, exchange, Settling(parcel.doubtful))
        self._record(batch, parcel, call, settlement)
        if any(rest.reason is Reason.LOOKUP for rest in settlement.unprocessed):
            settlement = await self._look_up(spec, carried, parcel, exchange, settlement)
        after = Aftermath(token.value, settlement.retry_after, settlement.limit)
        left: list[Parcel] = []
        for rest in settlement.unprocessed:
            left.extend(await self._next(spec, batch, parcel, rest, after))
        return left

    def _record(self, batch: Batch, parcel: Parcel, call: int, settlement: Settlement) -> None:
        """Write down an exchange, at once and without waiting for anything."""
        for outcome in settlement.outcomes:
            if outcome.status is not Status.SCHEDULED:
                aborted = settlement.halt is not None
                self._recorder.settle(outcome, batch=batch, attempts=parcel.sent, aborted=aborted)
        scheduled = {
            each.line: each.job_id or ""
            for each in settlement.outcomes
            if each.status is Status.SCHEDULED
        }
        for line, job_id in scheduled.items():
            self._recorder.schedule(batch, line, job_id)
        if scheduled or settlement.unprocessed:
            doubtful = (
                each.line
                for rest in settlement.unprocessed
                if rest.in_doubt
                for each in rest.operations
            )
            self._recorder.answered(batch, call, doubtful)
        for operation in parcel.operations:
            if operation.line in scheduled:
                job_id = scheduled[operation.line]
                self._follow(Awaited(batch, operation, job_id, parcel.sent, resent=parcel.resent))
        if settlement.halt is not None and _group(batch) not in self._aborted:
            self._aborted[_group(batch)] = settlement.halt
            self._recorder.note("group.aborted", group=_group(batch), code=settlement.halt.code)
            self._log.warning(
                "group.aborted",
                group=".".join(filter(None, _group(batch))),
                code=settlement.halt.code,
                message=settlement.halt.message,
            )

    async def _look_up(
        self,
        spec: Spec,
        carried: Batch,
        parcel: Parcel,
        exchange: Exchange,
        settlement: Settlement,
    ) -> Settlement:
        """Settle the rest of an exchange with the organisation's territories at hand."""
        asked = lines_of(
            tuple(
                each
                for rest in settlement.unprocessed
                if rest.reason is Reason.LOOKUP
                for each in rest.operations
            )
        )
        known = await self._reader.known_territories(self._api)
        again = settle(spec, carried, exchange, Settling(parcel.doubtful, known))
        for outcome in again.outcomes:
            if outcome.line in asked:
                self._recorder.settle(outcome, batch=carried, attempts=parcel.sent)
        return again

    async def _next(
        self, spec: Spec, batch: Batch, parcel: Parcel, rest: Remainder, after: Aftermath
    ) -> tuple[Parcel, ...]:
        """Do what follows from operations that are left; return the parcels to be sent."""
        now_silent = self._wire.last_served < parcel.since
        chance = random.random()  # noqa: S311  (jitter, not a secret)
        then = what_next(parcel, rest, after, self._policy, silent=now_silent, chance=chance)
        self._tally.retries += 1
        self._log.debug(
            "call.repeated", batch=batch.number, reason=rest.reason.name, code=rest.code
        )
        for outcome in await self._asked_about(batch, rest, then.outcomes, parcel.sent):
            self._recorder.settle(outcome, batch=batch, attempts=parcel.sent)
        for operation in then.awaiting:
            # What a job of ours was sent for is ours, whichever job is listed now.
            ours = operation.line in parcel.doubtful or rest.in_doubt or parcel.resent
            self._follow(Awaited(batch, operation, None, parcel.sent, ours, parcel.resent))
        if after.limit is not None and spec.learns_capacity:
            self._learnt(spec, after.limit)
        if then.slow_down:
            self._wire.refused(after.retry_after)
        if then.stop is not None:
            self._stop.ask(then.stop)
        if then.refresh:
            await self._wire.refresh(after.token)
        return then.parcels

    async def _asked_about(
        self, batch: Batch, rest: Remainder, outcomes: Sequence[Outcome], attempts: int
    ) -> list[Outcome]:
        """Return `outcomes` with those that nobody knows replaced by what the server shows."""
        unknown = {each.line: each for each in outcomes if each.status is Status.UNKNOWN}
        if not unknown:
            return list(outcomes)
        asked = [each for each in rest.operations if each.line in unknown]
        known = [each for each in outcomes if each.line not in unknown]
        if SPECS[batch.spec].probe is None:
            # The silent call may have scheduled jobs: they end first, and then the record tells.
            for operation in asked:
                self._follow(Awaited(batch, operation, None, attempts, doubtful=True, resent=True))
            return known
        given_up = next(iter(unknown.values()))
        return known + await probe(self._reader, self._api, batch, asked, given_up)

    def _learnt(self, spec: Spec, limit: int) -> None:
        if self._capacities.get(spec.name, limit + 1) <= limit:
            return
        self._capacities[spec.name] = limit
        self._recorder.note("capacity.learnt", spec=spec.name, limit=limit)
        self._log.info("capacity.learnt", operation=spec.name, limit=limit)


def _group(batch: Batch) -> tuple[str, str, str]:
    return batch.spec, batch.route.module, batch.route.related_list
