"""
Do what follows from a call that left lines unsettled: ask, slow down, refresh, or try again when.

What follows is decided in `retrying.py`; this carries it out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from bulkops.engine.prober import probe
from bulkops.engine.reader import Reader
from bulkops.engine.recorder import Recorder
from bulkops.files.talk import Talk
from bulkops.model import Api, Batch, Exchange, Operation, Outcome, Status
from bulkops.rules.operations import SPECS
from bulkops.rules.parcel import Parcel, lines_of
from bulkops.rules.retrying import Aftermath, Next, Policy, what_next
from bulkops.rules.settle import settle
from bulkops.rules.settlement import Reason, Remainder, Settlement, Settling
from bulkops.rules.spec import Spec
from bulkops.rules.tally import Tally
from bulkops.rules.watches import Awaited
from bulkops.wire.call import Wire
from bulkops.wire.stop import Stop


class Sequel:
    """
    The second half of a carrier: what it does about the lines that a call did not settle.
    """

    def __init__(
        self,
        *,
        api: Api,
        wire: Wire,
        reader: Reader,
        recorder: Recorder,
        policy: Policy,
        stop: Stop,
        tally: Tally,
        follow: Callable[[Awaited], None],
    ) -> None:
        self._api = api
        self._wire = wire
        self._reader = reader
        self._recorder = recorder
        self._policy = policy
        self._stop = stop
        self._tally = tally
        self._follow = follow
        self._log = Talk("bulkops.carrier")

    async def look_up(
        self,
        spec: Spec,
        carried: Batch,
        parcel: Parcel,
        exchange: Exchange,
        settlement: Settlement,
    ) -> Settlement:
        """
        Settle the rest of an exchange with the organisation's territories at hand.

        Where they may not be read, a line in doubt goes to the follower: what an earlier call did
        to it, its record tells.
        """
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
        told = {each.line: each for each in again.outcomes if each.line in asked}
        for operation in carried.operations:
            if operation.line not in told:
                continue
            if known or operation.line not in parcel.doubtful:
                outcome = told[operation.line]
                self._recorder.settle(outcome, batch=carried, attempts=parcel.sent)
            else:
                self._follow_doubt(carried, operation, parcel.sent)
        return again

    async def reconsider(
        self, batch: Batch, refused: Sequence[Outcome], attempts: int, *, aborted: bool
    ) -> None:
        """
        Settle lines that are refused now, and that an earlier call may have done: the server tells.

        Where it does not, or shows them not done, the refusal stands.
        """
        now = {each.line: each for each in refused}
        asked = [each for each in batch.operations if each.line in now]
        for told in await probe(self._reader, self._api, batch, asked, refused[0]):
            done = told.status is Status.SUCCEEDED
            outcome = told if done else now[told.line]
            self._recorder.settle(outcome, batch=batch, attempts=attempts, aborted=aborted)

    async def follow_up(
        self, batch: Batch, parcel: Parcel, rest: Remainder, after: Aftermath
    ) -> list[Parcel]:
        """Do what follows from operations that are left; return the parcels to be sent."""
        now = asyncio.get_running_loop().time()
        if rest.reason in {Reason.RETRY, Reason.THROTTLED}:
            parcel = parcel._replace(since=min(parcel.since, now))
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
        if then.slow_down and rest.http_status != 429:
            self._wire.refused(after.retry_after)
        if then.stop is not None:
            self._stop.ask(then.stop)
        if then.refresh:
            await self._wire.refresh(after.token)
        return _timed(then, now)

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
                self._follow_doubt(batch, operation, attempts)
            return known
        given_up = next(iter(unknown.values()))
        return known + await probe(self._reader, self._api, batch, asked, given_up)

    def _follow_doubt(self, batch: Batch, operation: Operation, attempts: int) -> None:
        """Have the record of a line tell what a silent call did, and send it no more."""
        self._follow(Awaited(batch, operation, None, attempts, doubtful=True, resent=True))


def _timed(then: Next, now: float) -> list[Parcel]:
    """
    Return the parcels of `then`, those that wait with the time when they are due.

    A refusal for too many calls is not the parcel's trouble but everybody's: its worker waits
    itself, and so there is one less to be refused.
    """
    if then.slow_down:
        return list(then.parcels)
    return [
        each._replace(wait_s=0.0, due=now + each.wait_s) if each.wait_s else each
        for each in then.parcels
    ]
