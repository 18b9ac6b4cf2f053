"""
Ask the server for what is true, with patience: reads are free to repeat.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace

from bulkops.engine.telemetry import Telemetry
from bulkops.errors import AuthError, PausedError
from bulkops.files.checkpoint import Checkpoint
from bulkops.files.token_cache import Token
from bulkops.model import Api, Exchange, Json, NoReply, Reply, Request
from bulkops.rules import pacing
from bulkops.rules.asides import retry_after
from bulkops.rules.operations.territory_settings import list_territories, territory_ids
from bulkops.rules.retrying import REFRESHES, told_to_wait
from bulkops.rules.tally import Tally
from bulkops.rules.verdicts import Answer, Verdict, judge_flat, judge_unreadable
from bulkops.wire.call import Wire
from bulkops.wire.stop import EndingError, Stop

#: Verdicts of a read that is asked again, after a wait.
_LATER = frozenset({Verdict.RETRY, Verdict.THROTTLED})


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    The server will not answer this question; if `passing`, only for now.

    `altogether`: nor others like it, for want of a permission, a module or a feature.
    """

    code: str
    message: str
    http_status: int
    passing: bool = False
    altogether: bool = False


class Reader:
    """
    Reads over the wire, repeated until answered or refused for good.
    """

    def __init__(
        self,
        wire: Wire,
        checkpoint: Checkpoint,
        *,
        waits: pacing.Waits,
        attempts: int,
        stop: Stop,
        tally: Tally,
        heard: Callable[[Exchange], None] = lambda _: None,
        again: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        telemetry: Telemetry | None = None,
    ) -> None:
        """
        `heard` is told how every read ended; one that met a fault is repeated within `again`.
        """
        self._wire = wire
        self._checkpoint = checkpoint
        self._waits = waits
        self._attempts = attempts
        self._stop = stop
        self._tally = tally
        self._heard = heard
        self._again = again
        self._telemetry = telemetry
        self._territories: frozenset[str] | None = None
        self._asking = asyncio.Lock()

    async def read(self, request: Request) -> Json | Refusal:
        """
        Return the parsed body (`None` for an empty answer), or why the server refuses.

        Raises `PausedError` when the server cannot be reached, `AuthError` when no token is good
        any more, `EndingError` when the run ends meanwhile.
        """
        tries = refreshed = 0
        started = asyncio.get_running_loop().time()
        leave: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        while not self._stop.asked:
            async with leave():
                token = await self._wire.token()
                self._checkpoint.append(type="note", event="call.read", path=request.path)
                self._tally.reads += 1
                exchange = await self._ask(request, token, attempt=1 + tries + refreshed)
            if isinstance(exchange, NoReply) and exchange.kept_back:
                continue
            self._heard(exchange)
            verdict, refusal = _judge(exchange)
            asked_to_wait = retry_after(exchange) or 0.0
            if asked_to_wait > self._waits.longest_s and verdict in _LATER:
                raise told_to_wait(asked_to_wait)
            match verdict:
                case Verdict.DONE:
                    assert isinstance(exchange, Reply)
                    return exchange.body
                case Verdict.REFRESH:
                    refreshed += 1
                    if refreshed > REFRESHES:
                        raise AuthError(f"Zoho refuses a fresh access token ({refusal.message})")
                    await self._wire.refresh(token.value)
                    continue
                case Verdict.THROTTLED:
                    if refusal.http_status != 429:
                        self._wire.refused(retry_after(exchange))
                case Verdict.RETRY:
                    pass
                case _:
                    return replace(refusal, altogether=verdict is Verdict.ABORT)
            tries += 1
            leave = self._again if verdict is Verdict.RETRY else nullcontext
            # Who is refused for too many calls waits with all others, as long as the limiter says.
            spent = tries >= self._attempts and verdict is Verdict.RETRY
            if spent and self._wire.last_served < started:
                raise PausedError(
                    f"the server does not answer ({refusal.message}). Run the same command again "
                    "later."
                )
            if spent:
                return replace(refusal, passing=True)
            wait = pacing.backoff(
                self._waits.retry_s,
                tries,
                longest_s=self._waits.longest_s,
                chance=random.random(),  # noqa: S311  (jitter, not a secret)
            )
            await self._stop.sleep(max(wait, asked_to_wait))
        raise EndingError("the run is ending")

    async def _ask(self, request: Request, token: Token, *, attempt: int) -> Exchange:
        """
        Call once, unless the run ends meanwhile: a read that nobody waits for is given up.

        Waiting for a slot or for a pause to end is part of the call.
        """
        call = asyncio.create_task(self._wire.call(request, token))
        try:
            await self._stop.first(asyncio.wait({call}))
        finally:
            if not call.done():
                call.cancel()
                await asyncio.wait({call})
        if self._stop.asked and (call.cancelled() or isinstance(call.result(), NoReply)):
            raise EndingError("the run is ending")
        exchange = call.result()
        if self._telemetry is not None:
            self._telemetry.read(request, exchange, attempt=attempt)
        return exchange

    async def known_territories(self, api: Api) -> frozenset[str]:
        """
        Return the ids of the organisation's territories, read once.

        An empty set if the list may not be read; callers then treat every id as unknown. Raises
        `PausedError` if it cannot be read just now: what is not known must not be guessed.
        """
        async with self._asking:
            if self._territories is None:
                self._territories = await self._read_territories(api)
            return self._territories

    async def _read_territories(self, api: Api) -> frozenset[str]:
        found: set[str] = set()
        page, more = 1, True
        while more:
            body = await self.read(list_territories(api, page))
            if isinstance(body, Refusal) and body.passing:
                raise PausedError(
                    f"the organisation's list of territories cannot be read now ({body.message}). "
                    "Run the same command again later."
                )
            if isinstance(body, Refusal):
                self._checkpoint.append(
                    type="note", event="territories.unreadable", code=body.code, why=body.message
                )
                return frozenset()
            ids, more = territory_ids(body)
            # A server that says "more" and gives nothing new would be asked for ever.
            more = more and not ids <= found
            found |= ids
            page += 1
        return frozenset(found)


def _judge(exchange: Exchange) -> tuple[Verdict, Refusal]:
    """Return what an answer to a read means, and the words for when it is a refusal."""
    if isinstance(exchange, NoReply):
        return Verdict.RETRY, Refusal("no_reply", exchange.reason, 0)
    answer = Answer.parse(exchange.body, http_status=exchange.status, flat=True)
    if answer is not None and not answer.ok:
        return judge_flat(answer), Refusal(answer.code, answer.message, exchange.status)
    words = f"HTTP {exchange.status} without an answer that can be read"
    refusal = Refusal("unreadable", words, exchange.status)
    readable = isinstance(exchange.body, dict) and exchange.status < 400
    if readable or exchange.status == 204:
        return Verdict.DONE, refusal
    return judge_unreadable(exchange.status), refusal
