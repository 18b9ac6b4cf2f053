"""
Where spans and metrics go: to a collector, by OTLP over HTTP, as the environment says.

A collector that is slow, dead or refuses costs a run nothing: threads of their own hand over what
is in a queue of a fixed length, what does not fit is lost, and that is said once. The standard
variables are https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bulkops.errors import UsageError
from bulkops.files.talk import Talk
from bulkops.version import __version__

#: Seconds that a run waits at its end until everything is handed over.
PATIENCE_S: Final = 5.0
#: The same where the collector is known to be in trouble, or somebody wants to leave at once.
HASTE_S: Final = 0.5
_GLANCE_S: Final = 0.05
_NAME: Final = "bulkops"
_PROTOCOL: Final = "http/protobuf"
_LONGEST_WORDS: Final = 300


class Export:
    """
    What makes spans and metrics, until it is closed.

    Raises `UsageError` where the environment asks for what is not to be had.
    """

    def __init__(self) -> None:
        self._lost = _Lost()
        try:
            tracers, meters = _providers()
        except ValueError as error:
            self._lost.leave()
            raise UsageError(f"the OTEL_ variables hold what cannot be used: {error}") from None
        except UsageError:
            self._lost.leave()
            raise
        self.tracer: Tracer = tracers.get_tracer(_NAME, __version__)
        self.meter: Meter = meters.get_meter(_NAME, __version__)
        self._shutdowns: Sequence[Callable[[], None]] = (tracers.shutdown, meters.shutdown)

    def close(self, *, haste: bool) -> None:
        """
        Hand over what is left, within bounds; without waiting for it much in `haste`.

        In threads that end with the process: a collector that does not answer keeps nobody. One
        that is in trouble is not waited for much longer either.
        """
        patience_s = HASTE_S if haste else PATIENCE_S
        threads = [threading.Thread(target=each, daemon=True) for each in self._shutdowns]
        for each in threads:
            each.start()
        until = time.monotonic() + patience_s
        for each in threads:
            while each.is_alive() and time.monotonic() < until:
                each.join(_GLANCE_S)
                if self._lost.known.is_set():
                    until = min(until, time.monotonic() + HASTE_S)
        if any(each.is_alive() for each in threads):
            self._lost.say(f"the collector did not take what was left within {patience_s:g} s")
        else:
            self._lost.leave()


def parent_of_environment() -> Context:
    """
    Return what the variables TRACEPARENT and TRACESTATE say this process is a part of.

    https://opentelemetry.io/docs/specs/otel/context/env-carriers/
    """
    carrier = {
        name.lower(): value
        for name, value in os.environ.items()
        if name.lower() in {"traceparent", "tracestate"}
    }
    return TraceContextTextMapPropagator().extract(carrier, context=Context())


def _providers() -> tuple[TracerProvider, MeterProvider]:
    """Return both, sending what the environment does not say `none` to."""
    spans = OTLPSpanExporter() if _wanted("TRACES") else None
    numbers = OTLPMetricExporter() if _wanted("METRICS") else None
    resource = _resource()
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    processors: Sequence[SpanProcessor] = [BatchSpanProcessor(spans)] if spans else []
    for each in processors:
        tracers.add_span_processor(each)
    readers: Sequence[MetricReader] = [PeriodicExportingMetricReader(numbers)] if numbers else []
    return tracers, MeterProvider(readers, resource=resource, shutdown_on_exit=False)


def _wanted(signal: str) -> bool:
    """Whether a signal is to be sent. Raises `UsageError` for a way that we do not have."""
    name = f"OTEL_{signal}_EXPORTER"
    exporter = os.environ.get(name, "").strip().lower() or "otlp"
    if exporter not in {"otlp", "none"}:
        raise UsageError(f"{name}: found {exporter!r}; expected otlp or none")
    for variable in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(variable, "").strip().lower()
        if protocol == _PROTOCOL:
            break
        if protocol and exporter == "otlp":
            raise UsageError(f"{variable}: found {protocol!r}; bulkops speaks {_PROTOCOL} alone")
    return exporter == "otlp"


def _resource() -> Resource:
    """Return who we are; what the environment says of it goes before what we say."""
    ours = {
        "service.name": _NAME,
        "service.version": __version__,
        # Counters of two processes must not be taken for one that goes back and forth.
        "service.instance.id": str(uuid.uuid4()),
    }
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


class _Lost(logging.Handler):
    """
    Hears what OpenTelemetry complains of: says the first of it in our words, and no more.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.known = threading.Event()
        self._log = Talk("bulkops.telemetry")
        self._heard = logging.getLogger("opentelemetry")
        self._before = self._heard.level, self._heard.propagate
        self._heard.addHandler(self)
        # One that was left unfinished before may have silenced it.
        self._heard.setLevel(logging.WARNING)
        self._heard.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())

    def say(self, why: str) -> None:
        """Warn, unless that was done already."""
        if self.known.is_set():
            return
        self.known.set()
        # Not even asked again: the queue complains of every span that it has no room for.
        self._heard.setLevel(logging.CRITICAL + 1)
        self._log.warning("telemetry.lost", why=why[:_LONGEST_WORDS])

    def leave(self) -> None:
        """Hear no more of it."""
        self._heard.removeHandler(self)
        level, self._heard.propagate = self._before
        self._heard.setLevel(level)
