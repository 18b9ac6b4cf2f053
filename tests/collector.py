"""A collector of OpenTelemetry on this machine: real HTTP, what it got kept as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.listening import answering


@dataclass(frozen=True)
class Told:
    """A span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    facts: dict[str, Any]
    #: 0: none, 2: an error
    status: int
    words: str
    seconds: float
    resource: dict[str, Any]


@dataclass
class Collector:
    """What has arrived, and where it is to be sent."""

    url: str
    spans: list[Told] = field(default_factory=list)
    #: by name, the last points of each metric: attributes and value
    metrics: dict[str, list[tuple[dict[str, Any], float]]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    #: what it answers with
    status: int = 200

    def named(self, name: str) -> list[Told]:
        return [each for each in self.spans if each.name == name]

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/traces":
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = _plain(part.resource.attributes)
                self.spans += [
                    _told(span, resource) for scope in part.scope_spans for span in scope.spans
                ]
        else:
            for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in each.scope_metrics:
                    self.metrics |= {metric.name: _points(metric) for metric in scope.metrics}


def _told(span: Any, resource: dict[str, Any]) -> Told:
    return Told(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _plain(span.attributes),
        span.status.code,
        span.status.message,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        resource,
    )


def _points(metric: Any) -> list[tuple[dict[str, Any], float]]:
    if metric.WhichOneof("data") == "histogram":
        return [(_plain(each.attributes), each.count) for each in metric.histogram.data_points]
    points = metric.sum.data_points or metric.gauge.data_points
    return [(_plain(each.attributes), each.as_int or each.as_double) for each in points]


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen, for as long as the block takes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.status == 200:
                collector.take(self.path, body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None: ...

    with answering(Handler) as url:
        collector = Collector(url)
        yield collector
