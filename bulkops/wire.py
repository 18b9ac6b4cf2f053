"""
Make one call within the limits: a slot, a token, the transport, and what the answer tells.

Both kinds of calls pass here, writes that are logged before they leave and reads that are not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bulkops.auth import TokenSource
from bulkops.errors import PausedError
from bulkops.limiter import Limiter
from bulkops.model import Exchange, Reply, Request
from bulkops.stop import Stop
from bulkops.tally import Tally
from bulkops.token_cache import Token
from bulkops.transport import Transport


@dataclass(frozen=True, slots=True)
class Credits:
    """
    How much of the day's API credits a run may take.

    `leave` are never used; `own` is the most this process may spend, by what the edition gives.
    """

    leave: int
    own: int


class Wire:
    """
    The organisation's API, as the run may use it.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        tokens: TokenSource,
        limiter: Limiter,
        credits: Credits,  # noqa: A002  (the API's word)
        stop: Stop,
        tally: Tally,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._limiter = limiter
        self._credits = credits
        self._stop = stop
        self._tally = tally
        self.last_served = float("-inf")

    async def token(self) -> Token:
        """Return a token to call with. Raises what getting one raises."""
        return await self._tokens.token()

    async def call(self, request: Request, token: Token) -> Exchange:
        """
        Send once.

        Nothing is awaited after the answer, so that a caller can log it before anything else.
        """
        async with self._limiter.slot():
            self._tally.calls += 1
            self._tally.fresh_calls += 1
            exchange = await self._transport.call(request, token)
            self._observe(exchange, token.value)
        return exchange

    async def refresh(self, rejected: str) -> None:
        """Get another token in place of one that was refused. Raises `AuthError` or pauses."""
        await self._tokens.refreshed(rejected)

    def refused(self, retry_after: float | None) -> None:
        """Slow everybody down after a call was refused for there being too many."""
        self._tally.throttled += 1
        self._limiter.refused(retry_after)

    def _observe(self, exchange: Exchange, token: str) -> None:
        if not isinstance(exchange, Reply):
            return
        if exchange.status < 400:
            self._tokens.served(token)
        if exchange.status != 429 and exchange.status < 500:
            self.last_served = asyncio.get_running_loop().time()
            self._limiter.served()
        remaining = exchange.headers.get("X-API-CREDITS-REMAINING", "")
        if remaining.isascii() and remaining.isdigit() and int(remaining) <= self._credits.leave:
            self._stop.ask(
                PausedError(
                    f"{remaining} API credits are left for the day, and {self._credits.leave} are "
                    "to be left for others (leave_credits). Run the same command again later."
                )
            )
        elif self._tally.fresh_calls >= self._credits.own:
            self._stop.ask(
                PausedError(
                    f"this run has spent its {self._credits.own} API credits of the day. Run the "
                    "same command again tomorrow."
                )
            )
