"""
Make one call within the limits: a slot, a token, the transport, and what the answer tells.

Both kinds of calls pass here, writes that are logged before they leave and reads that are not.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

from bulkops.errors import BulkopsError, PausedError
from bulkops.files.token_cache import Token
from bulkops.model import Exchange, NoReply, Request
from bulkops.rules.asides import retry_after
from bulkops.rules.pacing import Cause, Evidence, Pause, evidence_of
from bulkops.rules.tally import Tally
from bulkops.wire.auth import TokenSource
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import EndingError, Stop
from bulkops.wire.transport import Transport

_ENDING = NoReply(sent=False, reason="the run is ending", kept_back=True)
#: Nobody comes back so late: a hundred years.
_LONGEST_WAIT_S = 100 * 365 * 86_400.0
#: No organisation has a number of credits as long as this.
_DIGITS = 20
_NO_CREDIT = NoReply(sent=False, reason="no API credit is left for the call", kept_back=True)


class Wire:
    """
    The organisation's API, as the run may use it.

    Every call has its `token` first, and with it a credit out of `purse`. A stop closes the
    limiter: whoever waits there learns it at once.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        tokens: TokenSource,
        limiter: Limiter,
        purse: Purse,
        stop: Stop,
        tally: Tally,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._limiter = limiter
        self._purse = purse
        self._stop = stop
        self._tally = tally
        self.last_served = float("-inf")
        stop.tell(limiter.close)

    async def token(self) -> Token:
        """
        Return a token to make one call with, when nothing holds and there is a credit for it.

        Raises `PausedError` when the credits are used up, what getting a token raises, and
        `EndingError` if the run ends before.
        """
        if not await self._limiter.approach():
            raise EndingError("the run is ending")
        try:
            await self._purse.take()
            return await self._tokens.token()
        except BaseException:
            self._limiter.turn_back()
            raise

    async def call(self, request: Request, token: Token) -> Exchange:
        """
        Send once, unless the run ends while the call waits for its turn, or its credit is gone.

        Then it is a `NoReply` that was not sent. Nothing is awaited after the answer, so that a
        caller can log it before anything else.
        """
        async with self._limiter.slot() as mark:
            if mark is None:
                return _ENDING
            try:
                ticket = await self._purse.leave()
            except BulkopsError as error:
                # The log says that the call leaves: it must also hear that it did not.
                self._stop.ask(error)
                return _ENDING
            if ticket is None:
                return _NO_CREDIT
            self._tally.calls += 1
            self._tally.fresh_calls += 1
            exchange = await self._transport.call(request, token)
            self._tally.under_way_s += exchange.seconds
            used_up = self._observe(exchange, token.value, mark)
            self._purse.answered(ticket, 0 if used_up else _remaining(exchange))
        return exchange

    async def refresh(self, rejected: str) -> None:
        """Get another token in place of one that was refused. Raises `AuthError` or pauses."""
        await self._tokens.refreshed(rejected)

    def refused(self, wait_s: float | None) -> None:
        """
        Slow everybody down after a call whose answer says only in words that there are too many.

        A 429 has done so already.
        """
        self._slow_down(Evidence(wait_s=wait_s))

    def _observe(self, exchange: Exchange, token: str, mark: int) -> bool:
        """Pass on what an exchange says of pace and token; return whether credits are used up."""
        if isinstance(exchange, NoReply):
            if exchange.timed_out:
                self._limiter.timed_out(mark)
            return False
        status = exchange.status
        if status == 429:
            evidence = evidence_of(
                exchange,
                now=time.time(),
                retry_after=retry_after(exchange),
                credits_left=self._purse.left,
                credits_back_s=self._purse.back_s,
            )
            return self._slow_down(evidence, mark)
        if status == 504:
            self._limiter.timed_out(mark)
        elif status < 500:
            self.last_served = asyncio.get_running_loop().time()
            self._limiter.answered(mark)
            if status < 400:
                self._tokens.served(token)
        return False

    def _slow_down(self, evidence: Evidence, mark: int | None = None) -> bool:
        self._tally.throttled += 1
        pause = self._limiter.refused(evidence, mark)
        if pause is None or not pause.final:
            return False
        if pause.cause is Cause.CREDITS:
            # The purse ends the run when the next call asks for one, or waits for them.
            return True
        self._stop.ask(_come_back(pause))
        return False


def _remaining(exchange: Exchange) -> int | None:
    """Return what the server says is left of the day's credits, if it does."""
    if isinstance(exchange, NoReply):
        return None
    text = exchange.headers.get("X-API-CREDITS-REMAINING", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


def _come_back(pause: Pause) -> PausedError:
    """Return why the run ends, and when it is worth running again."""
    if pause.cause is Cause.RATE:
        why = "every call is refused, even one at a time"
        later = "; the day's credits may be used up, or others may use all calls in flight"
    else:
        why, later = "the server asks to be left alone", ""
    # What a server asks for may lie beyond every calendar.
    if pause.wait_s is not None and pause.wait_s < _LONGEST_WAIT_S:
        moment = datetime.fromtimestamp(time.time() + pause.wait_s).astimezone()
        return PausedError(
            f"{why} (429). Run the same command again from {moment:%Y-%m-%d %H:%M:%S %z} on."
        )
    return PausedError(f"{why} (429){later}. Run the same command again later.")
