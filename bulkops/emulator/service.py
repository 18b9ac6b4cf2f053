"""
One API call from its bytes to its answer: limits, token, faults, handler, ledger.

The order of refusals is the vendor's as far as known: 429, 401, then the URL, then what handlers
check. Between taking a call and answering it the only awaits are the latency and the socket, so a
call's effect is never half done.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from bulkops.emulator.admission import admitted, charge, credit_headers, price
from bulkops.emulator.arrival import Arrival, parse_query
from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.call import Answer, Call, Refused
from bulkops.emulator.clock import Clock
from bulkops.emulator.faults import Fault, FaultPlan
from bulkops.emulator.faults.shaping import named_ids, order_items, reshape
from bulkops.emulator.faults.striking import after_work, instead_of_work, locked_ids, revokes
from bulkops.emulator.handlers import oauth
from bulkops.emulator.handlers.external_ids import HEADER as EXTERNAL_HEADER
from bulkops.emulator.intake import address_of, form_in, read_body
from bulkops.emulator.ledger import Counters, Ledger, LedgerRow
from bulkops.emulator.limits import InFlight
from bulkops.emulator.routing import Resolved, resolve
from bulkops.emulator.state.saving import save_world
from bulkops.emulator.state.world import Caller, World
from bulkops.emulator.wire import deliver

_NONE: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class Service:
    """The emulator without its socket: state, knobs and books, and what to do with a request."""

    world: World
    behaviour: Behaviour
    faults: FaultPlan
    clock: Clock
    ledger: Ledger = field(default_factory=Ledger)
    counters: Counters = field(default_factory=Counters)
    in_flight: InFlight = field(default_factory=InFlight)
    #: where `save` writes the world; None: nowhere
    save_path: Path | None = None
    _seq: int = 0
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.behaviour.seed)  # noqa: S311

    async def serve_api(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse:
        """Answer one call to the API."""
        body = await read_body(request)
        arrival = self._arrive(request, path, query, body)
        resolved: Resolved | Refused
        try:
            resolved = resolve(arrival.method, path, external=arrival.external is not None)
            route = resolved[2]
            kind, is_complex = route.kind, route.complex and _is_ordered(query)
        except Refused as refused:
            resolved, kind, is_complex = refused, "refused", False
        faults: Sequence[Fault] = ()
        cost = price(query, is_complex=is_complex)
        try:
            caller = admitted(
                self.world,
                self.behaviour,
                request.headers.get(AUTHORIZATION, ""),
                is_complex=is_complex,
                now=arrival.time,
            )
            faults = self._strike(arrival) if self.faults else ()
            revoked = bool(faults) and revokes(faults)
            charge(caller, revoked=revoked, cost=cost, now=arrival.time)
        except Refused as refused:
            self.counters.refused_429 += refused.answer.status == 429
            self._record(arrival, kind, refused.answer, faults)
            return await deliver(request, refused.answer)
        self.counters.credits += cost
        latency = self._latency(faults) if faults or self.behaviour.latency_median_s else 0.0
        if latency:
            gauges = (self.in_flight, *caller.client.gauges(is_complex=is_complex))
            answer = await self._work_slowly(
                arrival, resolved, caller, faults, latency=latency, gauges=gauges
            )
        else:
            self.in_flight.visit()
            caller.client.visit(is_complex=is_complex)
            answer = self._work(arrival, resolved, caller, faults, now=arrival.time)
        self._settle_credits(caller, answer, cost=cost)
        self._record(arrival, kind, answer, faults)
        return await deliver(request, answer)

    async def serve_token(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse:
        """Answer one call to the accounts server."""
        body = await read_body(request)
        arrival = self._arrive(request, path, query, body)
        faults = self.faults.strike(method=arrival.method, path=path) if self.faults else []
        delay = self.clock.wall_seconds(sum(each.delay_s for each in faults))
        if delay:
            await asyncio.sleep(delay)
        answer = instead_of_work(faults)
        if answer is None:
            answer = oauth.token(
                world=self.world,
                behaviour=self.behaviour,
                form={**parse_query(query), **form_in(request, body)},
                api_domain=address_of(request),
                now=self.clock.now(),
                chance=self._chance,
            )
            self.counters.tokens_issued += oauth.is_token(answer)
            answer = after_work(answer, faults)
        self._record(arrival, "token", answer, faults)
        return await deliver(request, answer)

    def save(self) -> None:
        """Write the world to its file; raises ValueError if it has none, OSError if it cannot."""
        if self.save_path is None:
            raise ValueError("no file to save to: the emulator was started without one")
        now = self.clock.now()
        self.counters.job_effects += self.world.run_due_jobs(now)
        save_world(self.world, self.save_path, now=now)

    def _arrive(self, request: web.BaseRequest, path: str, query: str, body: bytes) -> Arrival:
        self._seq += 1
        external = request.headers.get(EXTERNAL_HEADER)
        now = self.clock.now()
        return Arrival(self._seq, now, request.method, path, query, body, external)

    def _strike(self, arrival: Arrival) -> Sequence[Fault]:
        named = None
        if self.faults.needs_ids():
            named = named_ids(arrival.path, arrival.query, arrival.body)
        return self.faults.strike(method=arrival.method, path=arrival.path, named=named)

    def _settle_credits(self, caller: Caller, answer: Answer, *, cost: int) -> None:
        if answer.status >= 400 and not self.behaviour.failures_cost_credits:
            caller.organisation.credits.spend(-cost, self.clock.now())
            self.counters.credits -= cost
        headers = credit_headers(self.behaviour, caller.organisation)
        if headers:
            answer.headers = {**(answer.headers or {}), **headers}

    def _latency(self, faults: Sequence[Fault]) -> float:
        """Real seconds this call is served."""
        median = self.behaviour.latency_median_s
        seconds = sum(each.delay_s for each in faults)
        if median:
            seconds += self._chance.lognormvariate(math.log(median), self.behaviour.latency_sigma)
        return self.clock.wall_seconds(seconds)

    async def _work_slowly(
        self,
        arrival: Arrival,
        resolved: Resolved | Refused,
        caller: Caller,
        faults: Sequence[Fault],
        *,
        latency: float,
        gauges: Sequence[InFlight],
    ) -> Answer:
        """The work, in the middle of so many real seconds in which the call is in flight."""
        for gauge in gauges:
            gauge.enter()
        try:
            await asyncio.sleep(latency / 2)
            now = self.clock.now()
            answer = self._work(arrival, resolved, caller, faults, now=now)
            await asyncio.sleep(latency / 2)
        finally:
            for gauge in gauges:
                gauge.leave()
        return answer

    def _work(
        self,
        arrival: Arrival,
        resolved: Resolved | Refused,
        caller: Caller,
        faults: Sequence[Fault],
        *,
        now: float,
    ) -> Answer:
        """The answer to an admitted call, with its effect."""
        self.counters.job_effects += self.world.run_due_jobs(now)
        broken = instead_of_work(faults) if faults else None
        if broken is not None:
            return broken
        if isinstance(resolved, Refused):
            return resolved.answer
        version, path, route = resolved
        # By position, in the order of the fields: by name it takes three times as long.
        call = Call(
            self.world,
            caller.organisation,
            caller.client,
            self.behaviour,
            version,
            arrival.method,
            path,
            parse_query(arrival.query),
            arrival.external,
            arrival.body,
            now,
            locked_ids(faults) if faults else _NONE,
        )
        try:
            answer = route.handler(call)
        except Refused as refused:
            answer = refused.answer
        order = self.behaviour.item_order
        if order != "request":
            order_items(answer, order, self._chance)
        if not faults:
            return answer
        reshape(answer, faults, self._chance)
        return after_work(answer, faults)

    def _record(self, arrival: Arrival, kind: str, answer: Answer, faults: Sequence[Fault]) -> None:
        """Write the books, before the answer goes out."""
        row = LedgerRow.of(arrival, kind, answer, faults)
        self.ledger.rows.append(row)
        self.counters.count(row)
        self.counters.peak_in_flight = self.in_flight.peak


def _is_ordered(query: str) -> bool:
    return "sort_by=" in query or "cvid=" in query
