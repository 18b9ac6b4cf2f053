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

from aiohttp import web

from bulkops.emulator.admission import (
    Caller,
    bad_token,
    caller_of,
    check_limits,
    credit_headers,
)
from bulkops.emulator.arrival import Arrival, parse_query
from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.call import Answer, Call, Refused
from bulkops.emulator.clock import Clock
from bulkops.emulator.faults import Fault, FaultKind, FaultPlan
from bulkops.emulator.faults.shaping import named_ids, order_items, reshape, status_answer
from bulkops.emulator.faults.striking import after_work, instead_of_work, locked_ids
from bulkops.emulator.handlers import oauth
from bulkops.emulator.handlers.external_ids import HEADER as EXTERNAL_HEADER
from bulkops.emulator.ledger import Counters, Ledger, LedgerRow, pack
from bulkops.emulator.limits import InFlight
from bulkops.emulator.routing import Resolved, resolve
from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.saving import save_world
from bulkops.emulator.state.world import World
from bulkops.emulator.wire import Delivery, deliver


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
        arrival = await self._arrive(request, path, query)
        try:
            resolved: Resolved | Refused = resolve(
                arrival.method, path, external=EXTERNAL_HEADER in request.headers
            )
        except Refused as refused:
            resolved = refused
        faults: Sequence[Fault] = ()
        is_complex = _is_complex(resolved, query)
        try:
            caller = self._admit(arrival, is_complex=is_complex)
            faults = self._strike(arrival)
            self._check_token(arrival, caller, faults)
        except Refused as refused:
            self.counters.refused_429 += refused.answer.status == 429
            return await self._finish(arrival, resolved, Delivery(refused.answer), faults)
        gauges = [self.in_flight, *caller.gauges(is_complex=is_complex)]
        for gauge in gauges:
            gauge.enter()
        try:
            pause = self.clock.wall_seconds(self._latency(faults)) / 2
            if pause:
                await asyncio.sleep(pause)
            delivery = self._work(arrival, resolved, caller, faults)
            if pause:
                await asyncio.sleep(pause)
        finally:
            for gauge in gauges:
                gauge.leave()
        self._settle_credits(caller.organisation, delivery.answer)
        return await self._finish(arrival, resolved, delivery, faults)

    async def serve_token(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse:
        """Answer one call to the accounts server."""
        arrival = await self._arrive(request, path, query)
        faults = self.faults.strike(method=arrival.method, path=path) if self.faults else []
        delay = self.clock.wall_seconds(sum(each.delay_s for each in faults))
        if delay:
            await asyncio.sleep(delay)
        for fault in faults:
            if fault.kind is FaultKind.STATUS:
                delivery = Delivery(*status_answer(fault))
                return await self._finish(arrival, "token", delivery, faults)
        answer = oauth.token(
            world=self.world,
            behaviour=self.behaviour,
            form={**parse_query(query), **parse_query(arrival.body.decode(errors="replace"))},
            api_domain=f"{request.scheme}://{request.host}",
            now=self.clock.now(),
            chance=self._chance,
        )
        self.counters.tokens_issued += len(answer.changed)
        return await self._finish(arrival, "token", Delivery(answer), faults)

    def save(self) -> None:
        """Write the world to its file; raises ValueError if it has none, OSError if it cannot."""
        if self.save_path is None:
            raise ValueError("no file to save to: the emulator was started without one")
        now = self.clock.now()
        self.counters.job_effects += self.world.run_due_jobs(now)
        save_world(self.world, self.save_path, now=now)

    async def _arrive(self, request: web.BaseRequest, path: str, query: str) -> Arrival:
        body = await request.read() if request.can_read_body else b""
        self._seq += 1
        return Arrival(
            seq=self._seq,
            time=self.clock.now(),
            method=request.method,
            path=path,
            query=query,
            body=body,
            request=request,
        )

    def _admit(self, arrival: Arrival, *, is_complex: bool) -> Caller:
        """Whose call this is, if the limits let it in."""
        headers = arrival.request.headers
        caller = caller_of(self.world, headers.get("Authorization", ""))
        check_limits(caller, self.behaviour, is_complex=is_complex, now=arrival.time)
        return caller

    def _check_token(self, arrival: Arrival, caller: Caller, faults: Sequence[Fault]) -> None:
        """Refuse a token that has expired or is revoked just now; else the call costs a credit."""
        revoked = any(fault.kind is FaultKind.REVOKE_TOKENS for fault in faults)
        if revoked:
            caller.client.revoke_issued()
        if revoked or not caller.client.accepts(caller.token, arrival.time):
            raise bad_token()
        caller.organisation.credits.spend(1, arrival.time)
        self.counters.credits += 1

    def _strike(self, arrival: Arrival) -> Sequence[Fault]:
        if not self.faults:
            return ()
        named = None
        if self.faults.needs_ids():
            named = named_ids(arrival.path, arrival.query, arrival.body)
        return self.faults.strike(method=arrival.method, path=arrival.path, named=named)

    def _settle_credits(self, organisation: Organisation, answer: Answer) -> None:
        if answer.status >= 400 and not self.behaviour.failures_cost_credits:
            organisation.credits.spend(-1, self.clock.now())
            self.counters.credits -= 1
        headers = credit_headers(self.behaviour, organisation)
        if headers:
            answer.headers = {**(answer.headers or {}), **headers}

    def _latency(self, faults: Sequence[Fault]) -> float:
        """Seconds of emulator time this call is served."""
        added = sum([each.delay_s for each in faults]) if faults else 0.0
        median = self.behaviour.latency_median_s
        if not median:
            return added
        drawn = self._chance.lognormvariate(math.log(median), self.behaviour.latency_sigma)
        return drawn + added

    def _work(
        self,
        arrival: Arrival,
        resolved: Resolved | Refused,
        caller: Caller,
        faults: Sequence[Fault],
    ) -> Delivery:
        """The answer to an admitted call, with its effect."""
        now = self.clock.now()
        self.counters.job_effects += self.world.run_due_jobs(now)
        broken = instead_of_work(faults)
        if broken is not None:
            return broken
        if isinstance(resolved, Refused):
            return Delivery(resolved.answer)
        call = Call(
            world=self.world,
            organisation=caller.organisation,
            client=caller.client,
            behaviour=self.behaviour,
            version=resolved.version,
            method=arrival.method,
            path=resolved.path,
            query=parse_query(arrival.query),
            headers=arrival.request.headers,
            body=arrival.body,
            now=now,
            locked=locked_ids(faults),
        )
        try:
            answer = resolved.route.handler(call)
        except Refused as refused:
            answer = refused.answer
        order_items(answer, self.behaviour.item_order, self._chance)
        if faults:
            reshape(answer, faults, self._chance)
        return after_work(answer, faults)

    async def _finish(
        self,
        arrival: Arrival,
        route: Resolved | Refused | str,
        delivery: Delivery,
        faults: Sequence[Fault],
    ) -> web.StreamResponse:
        """Write the ledger, then answer."""
        answer = delivery.answer
        asked, changed = pack(arrival.query, answer.asked, answer.changed)
        row = LedgerRow(
            seq=arrival.seq,
            time=arrival.time,
            method=arrival.method,
            path=arrival.path,
            query=arrival.query,
            kind=route
            if isinstance(route, str)
            else (route.route.kind if isinstance(route, Resolved) else "refused"),
            status=0 if delivery.is_silent else answer.status,
            items=len(answer.asked),
            effects=len(answer.changed),
            unchanged=answer.unchanged,
            packed_asked=asked,
            packed_changed=changed,
            fault=",".join([each.label for each in faults]) if faults else "",
        )
        self.ledger.rows.append(row)
        self.counters.count(row)
        self.counters.peak_in_flight = self.in_flight.peak
        return await deliver(arrival.request, delivery)


def _is_complex(resolved: Resolved | Refused, query: str) -> bool:
    return (
        isinstance(resolved, Resolved)
        and resolved.route.complex
        and ("sort_by=" in query or "cvid=" in query)
    )
