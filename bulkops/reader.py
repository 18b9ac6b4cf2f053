"""
Ask the server for what is true, with patience: reads are free to repeat.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

from bulkops import pacing
from bulkops.checkpoint import Checkpoint
from bulkops.errors import AuthError, BulkopsError, PausedError
from bulkops.model import Api, Json, NoReply, Reply, Request
from bulkops.operations.territory_settings import list_territories, territory_ids
from bulkops.stop import Stop
from bulkops.tally import Tally
from bulkops.verdicts import Answer, Verdict, judge_flat, judge_unreadable
from bulkops.wire import Wire


class StoppedError(BulkopsError):
    """A read was given up because the run is ending."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    The server will not answer this question; if `passing`, only for now.
    """

    code: str
    message: str
    http_status: int
    passing: bool = False


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
    ) -> None:
        self._wire = wire
        self._checkpoint = checkpoint
        self._waits = waits
        self._attempts = attempts
        self._stop = stop
        self._tally = tally
        self._territories: frozenset[str] | None = None
        self._asking = asyncio.Lock()

    async def read(self, request: Request) -> Json | Refusal:
        """
        Return the parsed body (`None` for an empty answer), or why the server refuses.

        Raises `PausedError` when the server cannot be reached, `AuthError` when no token is good
        any more, `StoppedError` when the run ends meanwhile.
        """
        tries = refreshed = 0
        started = asyncio.get_running_loop().time()
        while not self._stop.asked:
            token = await self._wire.token()
            self._checkpoint.append(type="note", event="call.read", path=request.path)
            self._tally.reads += 1
            exchange = await self._wire.call(request, token)
            verdict, refusal = _judge(exchange)
            match verdict:
                case Verdict.DONE:
                    assert isinstance(exchange, Reply)
                    return exchange.body
                case Verdict.REFRESH:
                    refreshed += 1
                    if refreshed > 1:
                        raise AuthError(f"Zoho refuses a fresh access token ({refusal.message})")
                    await self._wire.refresh(token.value)
                    continue
                case Verdict.THROTTLED:
                    self._wire.refused(None)
                case Verdict.RETRY:
                    pass
                case _:
                    return refusal
            tries += 1
            if tries >= self._attempts and self._wire.last_served < started:
                raise PausedError(
                    f"the server does not answer ({refusal.message}). Run the same command again "
                    "later."
                )
            if tries >= self._attempts and verdict is Verdict.RETRY:
                return replace(refusal, passing=True)
            wait = pacing.backoff(
                self._waits.retry_s,
                tries,
                longest_s=self._waits.longest_s,
                chance=random.random(),  # noqa: S311  (jitter, not a secret)
            )
            await self._stop.sleep(wait)
        raise StoppedError("the run is ending")

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


def _judge(exchange: Reply | NoReply) -> tuple[Verdict, Refusal]:
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
