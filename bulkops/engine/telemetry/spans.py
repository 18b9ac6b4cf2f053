"""
What a run does as spans of OpenTelemetry: one of the run, and in it its plan, calls and polls.

Spans of calls are made when the call is over and its outcomes are in the log: nothing of ours
stands between a call and its answer. No header of a trace ever goes to Zoho.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, use_span

from bulkops.engine.telemetry import Errand, Look
from bulkops.engine.telemetry.export import Export, parent_of_environment
from bulkops.engine.telemetry.facts import (
    Facts,
    came_of,
    facts_of,
    plain,
    refused_in,
    template_of,
    trouble_of,
)
from bulkops.engine.telemetry.measures import Measures
from bulkops.errors import BulkopsError, ExitCode
from bulkops.files.prepare import Prepared
from bulkops.model import Batch, Exchange, NoReply, Request
from bulkops.rules.settlement import Settlement
from bulkops.rules.watches import Watch

#: Ends of a run that are no fault of anybody.
_WELL: Final = frozenset({ExitCode.OK, ExitCode.PAUSED, ExitCode.INTERRUPTED, ExitCode.TERMINATED})


@asynccontextmanager
async def told(errand: Errand, *, api_url: str) -> AsyncIterator[Spans]:
    """
    Yield what makes the spans of an errand, below one of its own.

    That one begins with the planning, if this process planned.
    """
    planning = errand.prepared.planning if errand.prepared else None
    export, haste = Export(), True
    root = export.tracer.start_span(
        f"bulkops {errand.name}",
        parent_of_environment(),
        attributes={"bulkops.run": errand.run},
        start_time=_nanoseconds(planning[0]) if planning else None,
    )
    spans = Spans(errand.run, export, root, api_url=api_url)
    try:
        with use_span(root, record_exception=False, set_status_on_exception=False):
            if errand.prepared is not None:
                spans.planned(errand.prepared)
            yield spans
        haste = False
    except BulkopsError as error:
        spans.ended(ExitCode(error.exit_code), str(error))
        raise
    except BaseException as error:
        root.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        root.end()
        await asyncio.to_thread(export.close, haste=haste)


class Spans:
    """
    The spans and metrics of one run, below the span `root`. See `Telemetry` for its methods.
    """

    def __init__(self, run: str, export: Export, root: Span, *, api_url: str) -> None:
        self._tracer = export.tracer
        self._measures = Measures(run, export.meter)
        self._root = root
        address = urlsplit(api_url)
        self._server: dict[str, str | int] = {
            "server.address": address.hostname or "",
            "server.port": address.port or (443 if address.scheme == "https" else 80),
        }

    def planned(self, prepared: Prepared) -> None:
        """Tell of the plan: what it comes to, and how long it took if this process made it."""
        total = prepared.summary.total
        numbers = {
            "bulkops.rows": total.rows,
            "bulkops.planned_lines": total.sent,
            "bulkops.planned_calls": total.calls,
        }
        self._root.set_attributes(numbers)
        if prepared.planning is not None:
            begun, ended = map(_nanoseconds, prepared.planning)
            refused = {
                "bulkops.lines.duplicate": total.duplicates,
                "bulkops.lines.conflict": total.conflicts,
                "bulkops.lines.invalid": total.invalid,
            }
            self._tracer.start_span(
                "bulkops plan", attributes={**numbers, **refused}, start_time=begun
            ).end(ended)

    def watch(self, look: Look) -> None:
        self._measures.watch(look)

    def sent(
        self,
        request: Request,
        exchange: Exchange,
        *,
        batch: Batch,
        attempt: int,
        settlement: Settlement,
    ) -> None:
        ended = time.time_ns()
        span = self._begun(request, exchange, ended, attempt)
        if span.is_recording():
            span.set_attributes({"bulkops.batch": batch.number, "bulkops.operation": batch.spec})
            span.set_attributes(came_of(settlement))
            refused = refused_in(settlement)
            if refused and not trouble_of(exchange):
                ((code, _), *_others) = refused.most_common(1)
                span.set_attribute("error.type", code)
                words = f"{refused.total()} lines were not done: {code}"
                span.set_status(Status(StatusCode.ERROR, words))
        span.end(ended)

    def read(self, request: Request, exchange: Exchange, *, attempt: int) -> None:
        if isinstance(exchange, NoReply) and exchange.kept_back:
            return
        ended = time.time_ns()
        span = self._begun(request, exchange, ended, attempt)
        span.set_attribute("bulkops.operation", "read")
        span.end(ended)

    def _begun(self, request: Request, exchange: Exchange, ended: int, attempt: int) -> Span:
        """Measure an exchange; return its span, with all that HTTP knows of it."""
        template = template_of(request)
        facts = facts_of(request, exchange, template, self._server)
        self._measures.took(exchange.seconds, facts)
        span = self._tracer.start_span(
            f"{request.method} {template}",
            kind=SpanKind.CLIENT,
            attributes=facts,
            start_time=ended - int(exchange.seconds * 1e9),
        )
        span.set_attribute("bulkops.attempt", attempt)
        if attempt > 1:
            span.set_attribute("http.request.resend_count", attempt - 1)
        if trouble := trouble_of(exchange):
            span.set_status(Status(StatusCode.ERROR, trouble))
        return span

    @contextmanager
    def polling(self, module: str, watches: Sequence[Watch]) -> Iterator[None]:
        facts: Facts = {
            "bulkops.module": module,
            "bulkops.records": len(watches),
            "bulkops.pending_before": _pending(watches),
        }
        with self._tracer.start_as_current_span(
            "bulkops poll", attributes=facts, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BulkopsError as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            span.set_attribute("bulkops.pending_after", _pending(watches))

    def ended(self, code: ExitCode, reason: str) -> None:
        status = self._measures.status()
        lines = status.get("statuses", {})
        numbers = ("calls", "reads", "retries", "throttled")
        facts: Facts = {
            "bulkops.exit_code": int(code),
            **{f"bulkops.lines.{name}": number for name, number in lines.items()},
            **{f"bulkops.{name}": status[name] for name in numbers if name in status},
        }
        if reason:
            facts["bulkops.reason"] = plain(reason)
        self._root.set_attributes(facts)
        if code not in _WELL:
            self._root.set_status(Status(StatusCode.ERROR, plain(reason) or code.meaning))


def _pending(watches: Sequence[Watch]) -> int:
    return sum(len(watch.awaited) for watch in watches)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
