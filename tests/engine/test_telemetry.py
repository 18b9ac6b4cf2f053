"""What is told to OpenTelemetry, and that nobody waits for it."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bulkops.engine.check import State, look_here
from bulkops.engine.telemetry import Errand, telling
from bulkops.errors import ExitCode, PausedError, ThresholdError, UsageError
from bulkops.files.config import Config
from bulkops.model import (
    Alike,
    Batch,
    Exchange,
    NoReply,
    Operation,
    Outcome,
    Reply,
    Request,
    Route,
    Status,
)
from bulkops.rules.settlement import Reason, Remainder, Settlement
from bulkops.rules.watches import Awaited, Watch
from tests.engine.report.runs import unlinks

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs bulkops[otel]")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from bulkops.engine.telemetry import export as exporting
from bulkops.engine.telemetry.spans import Spans
from tests.collector import Collector, collecting

_RECORD = "4150868000001234567"
_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_SHARED = {
    "http.request.method": "DELETE",
    "url.template": "/crm/v8/Products/{id}/Deals",
    "server.address": "www.zohoapis.eu",
    "server.port": 443,
}


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own telemetry is meant."""
    for name in os.environ:
        if name.startswith("OTEL_") or name.lower() in {"traceparent", "tracestate"}:
            monkeypatch.delenv(name)


class Desk:
    """Spans and metrics in memory."""

    def __init__(self) -> None:
        self._kept, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._kept))
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        export: Any = SimpleNamespace(tracer=tracers.get_tracer("t"), meter=meters.get_meter("t"))
        self.root = export.tracer.start_span("root")
        self.spans = Spans("night", export, self.root, api_url="https://www.zohoapis.eu")

    @property
    def told(self) -> list[ReadableSpan]:
        return list(self._kept.get_finished_spans())

    def numbers(self) -> dict[str, dict[str, float]]:
        """By metric, its values by the status they have, if any."""
        data = self._reader.get_metrics_data()
        found: dict[str, dict[str, float]] = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            for point in metric.data.data_points:
                key = str((point.attributes or {}).get("bulkops.status", ""))
                value = getattr(point, "value", None)
                found.setdefault(metric.name, {})[key] = point.count if value is None else value
        return found

    def send(
        self, exchange: Exchange, settlement: Settlement, *, attempt: int = 1
    ) -> tuple[ReadableSpan, dict[str, Any]]:
        """Tell of one call; return its span and attributes."""
        self.spans.sent(
            Request("DELETE", f"/crm/v8/Products/{_RECORD}/Deals", {"ids": "1,2,3"}),
            exchange,
            batch=Batch(7, "unlink", Route("Products", _RECORD, "Deals"), ()),
            attempt=attempt,
            settlement=settlement,
        )
        span = self.told[-1]
        return span, dict(span.attributes or {})


@pytest.fixture
def desk() -> Desk:
    """Spans and metrics in memory."""
    return Desk()


def ended(status: Status, *lines: int, code: str = "") -> Alike:
    return Alike(Outcome(lines[0], status, code), lines)


def words_of(span: ReadableSpan) -> tuple[StatusCode, str | None]:
    return span.status.status_code, span.status.description


class TestCalls:
    """A span for each call."""

    def test_a_call_is_told_with_what_came_of_its_lines(self, desk: Desk) -> None:
        """Batch, attempt, operation, rows and verdicts; no id anywhere; it took what it took."""
        again = Remainder(Reason.LOCKED, (Operation(4, _RECORD), Operation(5, _RECORD)))
        came = (ended(Status.SUCCEEDED, 1, 2), ended(Status.UNCHANGED, 3))
        span, facts = desk.send(Reply(207, seconds=0.25), Settlement(came, (again,)))
        expected = {
            **_SHARED,
            "http.response.status_code": 207,
            "bulkops.batch": 7,
            "bulkops.operation": "unlink",
            "bulkops.attempt": 1,
            "bulkops.rows": 5,
            "bulkops.lines.succeeded": 2,
            "bulkops.lines.unchanged": 1,
            "bulkops.again.locked": 2,
        }
        assert expected == facts
        assert "DELETE /crm/v8/Products/{id}/Deals" == span.name
        assert (StatusCode.UNSET, None) == words_of(span)
        assert span.start_time is not None
        assert span.end_time is not None
        assert 0.25 == pytest.approx((span.end_time - span.start_time) / 1e9)
        assert _RECORD not in span.to_json()

    def test_an_answer_that_is_an_error_is_the_spans_status(self, desk: Desk) -> None:
        """With its number as the type of the error; and a repetition says which it is."""
        again = Remainder(Reason.THROTTLED, (Operation(1, "2"),))
        span, facts = desk.send(Reply(429), Settlement(unprocessed=(again,)), attempt=3)
        assert (StatusCode.ERROR, "HTTP 429") == words_of(span)
        assert ("429", 2, 3) == (
            facts["error.type"],
            facts["http.request.resend_count"],
            facts["bulkops.attempt"],
        )

    def test_silence_is_an_error_of_its_own_kind(self, desk: Desk) -> None:
        """Named as the transport names it; digits that may be an id are left out of the words."""
        silence = NoReply(True, f"ClientOSError: reset while at {_RECORD}", seconds=1.0)
        span, facts = desk.send(silence, Settlement())
        assert "ClientOSError" == facts["error.type"]
        assert (StatusCode.ERROR, "ClientOSError: reset while at …") == words_of(span)
        assert "http.response.status_code" not in facts

    def test_lines_that_were_not_done_make_an_error_of_a_call_that_worked(self, desk: Desk) -> None:
        """The most frequent code is its type; what the server said of them is not told."""
        refused = Alike(Outcome(1, Status.FAILED, "INVALID_DATA", f"no {_RECORD}"), (1, 2))
        other = ended(Status.FAILED, 3, code="NO_PERMISSION")
        span, facts = desk.send(Reply(207), Settlement((refused, other)))
        assert "INVALID_DATA" == facts["error.type"]
        assert (StatusCode.ERROR, "3 lines were not done: INVALID_DATA") == words_of(span)
        assert _RECORD not in span.to_json()

    def test_reads_belong_to_the_poll_that_they_are_made_for(self, desk: Desk) -> None:
        """A poll says how many lines waited before and after it."""
        awaited = Awaited(Batch(1, "remove_territories", Route(), ()), Operation(1, "5"), "j", 1)
        watch = Watch("Leads", _RECORD, 0.0, 0.0, 1.0, [awaited])
        asked = Request("GET", "/crm/v8/Leads/actions/get_feature_specific_info")
        with desk.spans.polling("Leads", [watch]):
            desk.spans.read(asked, Reply(200), attempt=1)
            desk.spans.read(asked, NoReply(sent=False, kept_back=True), attempt=1)
            watch.awaited.clear()
        read, poll = desk.told
        assert read.parent is not None
        assert poll.context is not None
        assert poll.context.span_id == read.parent.span_id
        assert ("bulkops poll", "read") == (poll.name, (read.attributes or {})["bulkops.operation"])
        assert {
            "bulkops.module": "Leads",
            "bulkops.records": 1,
            "bulkops.pending_before": 1,
            "bulkops.pending_after": 0,
        } == dict(poll.attributes or {})

    def test_a_poll_that_ends_the_run_is_an_error(self, desk: Desk) -> None:
        """Told by its type: its words may be the server's."""
        with pytest.raises(PausedError), desk.spans.polling("Leads", []):
            raise PausedError("the server does not answer")
        assert (StatusCode.ERROR, "PausedError") == words_of(desk.told[-1])


class TestRun:
    """The span of the run, and its metrics."""

    @pytest.mark.parametrize("code", list(ExitCode))
    def test_the_status_is_an_error_where_a_health_check_would_fail(
        self, desk: Desk, code: ExitCode
    ) -> None:
        """To be continued is no error; a failed line is."""
        desk.spans.ended(code, "")
        well = code in {0, 5, 130, 143}
        assert (StatusCode.UNSET if well else StatusCode.ERROR) == desk.root.status.status_code
        assert int(code) == desk.root.attributes["bulkops.exit_code"]

    def test_the_end_has_the_counts_of_the_run_and_the_reason(self, desk: Desk) -> None:
        """As the status has them, without what may be an id."""
        status = {"statuses": {"succeeded": 5}, "calls": 9, "reads": 4, "retries": 1}
        desk.spans.watch(lambda: status)
        desk.spans.ended(ExitCode.STOPPED, f"6 lines failed at {_RECORD}")
        assert {
            "bulkops.exit_code": 4,
            "bulkops.lines.succeeded": 5,
            "bulkops.calls": 9,
            "bulkops.reads": 4,
            "bulkops.retries": 1,
            "bulkops.reason": "6 lines failed at …",
        } == dict(desk.root.attributes)

    def test_metrics_are_what_the_status_says_when_they_are_wanted(self, desk: Desk) -> None:
        """Counters count what this process did, not what an earlier one did of the same run."""
        status: dict[str, Any] = {
            "calls": 100,
            "retries": 0,
            "throttled": 0,
            "statuses": {"succeeded": 50},
            "credits": {"spent": 0, "left": 900},
        }
        desk.spans.watch(lambda: status)
        status |= {"calls": 103, "retries": 2, "throttled": 1, "in_flight": 4, "slots": 8}
        status |= {"credits": {"spent": 3, "left": 897}, "pending": 6}
        status["statuses"] |= {"failed": 7}
        desk.send(Reply(200, seconds=0.1), Settlement())
        assert {
            "bulkops.calls.sent": {"": 3},
            "bulkops.calls.repeated": {"": 2},
            "bulkops.calls.throttled": {"": 1},
            "bulkops.credits.spent": {"": 3},
            "bulkops.credits.left": {"": 897},
            "bulkops.lines": {"succeeded": 50, "failed": 7},
            "bulkops.lines.pending": {"": 6},
            "bulkops.calls.in_flight": {"": 4},
            "bulkops.calls.allowed": {"": 8},
            "http.client.request.duration": {"": 1},
        } == desk.numbers()

    def test_nothing_is_measured_before_there_is_something(self, desk: Desk) -> None:
        """A process that waits to begin has no numbers."""
        assert {} == desk.numbers()


def config_of(folder: Path, *, telemetry: bool = True) -> Config:
    return Config(run={"telemetry": telemetry, "directory": folder})


async def tell(config: Config, error: Exception | None = None) -> float:
    """Tell of one call of a run; return the seconds that this took."""
    begun = time.monotonic()
    async with telling(config, Errand(name="run", run="night")) as telemetry:
        assert telemetry is not None
        telemetry.read(Request("GET", "/crm/v8/org"), Reply(200), attempt=1)
        if error is not None:
            raise error
        telemetry.ended(ExitCode.OK, "")
    return time.monotonic() - begun


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, and the environment that names it."""
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


class TestCollector:
    """What arrives at a collector, by the standard variables of the environment."""

    async def test_spans_of_one_run_are_one_trace_below_that_of_the_environment(
        self, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """TRACEPARENT names the parent; what is said of the service goes before what we say."""
        monkeypatch.setenv("TRACEPARENT", _PARENT)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=night")
        await tell(config_of(tmp_path))
        (run,), (call,) = collector.named("bulkops run"), collector.named("GET /crm/v8/org")
        assert _PARENT.split("-")[1:3] == [run.trace, run.parent]
        assert (run.trace, run.id) == (call.trace, call.parent)
        assert ("bulkops", "night") == (
            run.resource["service.name"],
            run.resource["deployment.environment.name"],
        )
        assert "http.client.request.duration" in collector.metrics

    async def test_the_plan_that_this_process_made_is_a_span_of_its_run(
        self, tmp_path: Path, collector: Collector
    ) -> None:
        """The run begins with its planning; a plan that was found is no span."""
        made = unlinks(tmp_path, 3)
        for prepared in (made, type(made)(made.run, made.description, made.summary)):
            errand = Errand(name="run", run=made.run.name, prepared=prepared)
            async with telling(config_of(tmp_path), errand):
                pass
        (plan,) = collector.named("bulkops plan")
        first, second = collector.named("bulkops run")
        assert (first.id, first.trace) == (plan.parent, plan.trace)
        assert first.trace != second.trace
        expected = {"bulkops.rows": 3, "bulkops.planned_lines": 3, "bulkops.planned_calls": 1}
        assert expected == {name: plan.facts[name] for name in expected}
        assert expected == {name: second.facts[name] for name in expected}

    async def test_a_service_may_have_another_name(
        self, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """OTEL_SERVICE_NAME is the name."""
        monkeypatch.setenv("OTEL_SERVICE_NAME", "migration")
        await tell(config_of(tmp_path))
        assert {"migration"} == {each.resource["service.name"] for each in collector.spans}

    async def test_an_error_that_ends_the_run_is_its_status(
        self, tmp_path: Path, collector: Collector
    ) -> None:
        """Whatever it is; nothing of its words but where they are ours."""
        with pytest.raises(ThresholdError):
            await tell(config_of(tmp_path), ThresholdError("too many failed"))
        with pytest.raises(KeyError):
            await tell(config_of(tmp_path), KeyError("secret"))
        ours, other = collector.named("bulkops run")
        assert (2, "too many failed", 4) == (
            ours.status,
            ours.words,
            ours.facts["bulkops.exit_code"],
        )
        assert (2, "KeyError") == (other.status, other.words)

    async def test_what_is_sampled_out_is_not_sent(
        self, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By a sampler, or because the parent is not sampled; metrics are sent all the same."""
        monkeypatch.setenv("TRACEPARENT", _PARENT[:-1] + "0")
        await tell(config_of(tmp_path))
        monkeypatch.delenv("TRACEPARENT")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        await tell(config_of(tmp_path))
        assert [] == collector.spans
        assert "http.client.request.duration" in collector.metrics

    @pytest.mark.parametrize("signal", ["TRACES", "METRICS"])
    async def test_either_may_be_left_out(
        self, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch, signal: str
    ) -> None:
        """`none` is for one of them; the other is sent."""
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
        await tell(config_of(tmp_path))
        assert (signal != "TRACES", signal != "METRICS") == (
            bool(collector.spans),
            bool(collector.metrics),
        )

    @pytest.mark.parametrize(
        ("variable", "value", "words"),
        [
            ("OTEL_TRACES_EXPORTER", "console", "OTEL_TRACES_EXPORTER: found 'console'"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL: found 'grpc'"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", "speaks http/protobuf alone"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999", "OTEL_ variables"),
        ],
    )
    async def test_a_way_that_we_do_not_have_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
    ) -> None:
        """Exit 2 with the variable, rather than telemetry that goes nowhere."""
        monkeypatch.setenv(variable, value)
        with pytest.raises(UsageError, match=words):
            await tell(config_of(tmp_path))
        assert [] == logging.getLogger("opentelemetry").handlers


class TestTrouble:
    """Nobody waits for a collector, and it is complained of once."""

    async def test_a_dead_collector_is_one_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The end of the run waits half a second for it, no more."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
            with capture_logs() as said:
                took = await tell(config_of(tmp_path))
        assert took < exporting.PATIENCE_S
        assert [("telemetry.lost", "warning")] == [
            (each["event"], each["log_level"]) for each in said
        ]

    async def test_a_collector_that_does_not_answer_is_left_alone_in_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was left is lost, and that is said."""
        monkeypatch.setattr(exporting, "PATIENCE_S", 0.1)
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
            with capture_logs() as said:
                took = await tell(config_of(tmp_path))
        assert took < 5
        assert ["the collector did not take what was left within 0.1 s"] == [
            each["why"] for each in said
        ]

    async def test_a_collector_that_refuses_is_one_warning(
        self, tmp_path: Path, collector: Collector
    ) -> None:
        """Two signals, two refusals, one line; and OpenTelemetry's own log is as it was."""
        collector.status = 401
        logger = logging.getLogger("opentelemetry")
        before = logger.level, logger.propagate, list(logger.handlers)
        with capture_logs() as said:
            await tell(config_of(tmp_path))
        assert ["telemetry.lost"] == [each["event"] for each in said]
        assert "401" in said[0]["why"]
        assert before == (logger.level, logger.propagate, logger.handlers)

    def test_a_queue_that_is_full_complains_once(self) -> None:
        """Whoever has too much to tell is not slowed by being told so each time."""
        lost = exporting._Lost()
        try:
            with capture_logs() as said:
                for _ in range(100):
                    logging.getLogger("opentelemetry.sdk").warning("Queue full, dropping Span.")
        finally:
            lost.leave()
        assert ["Queue full, dropping Span."] == [each["why"] for each in said]


def checked(config: Config) -> list[tuple[State, str]]:
    """What `bulkops check` says of telemetry."""
    found = [each for each in look_here(config) if each.subject == "telemetry"]
    return [(each.state, each.found) for each in found]


def test_a_check_says_whether_it_is_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing where nobody asked; what is lacking, where it is."""
    assert [] == checked(config_of(tmp_path, telemetry=False))
    assert [(State.OK, "on, as OTEL_... says")] == checked(config_of(tmp_path))
    monkeypatch.setitem(sys.modules, "bulkops.engine.telemetry.spans", None)
    ((state, words),) = checked(config_of(tmp_path))
    assert (State.WRONG, "asked for in [run], and its packages are not installed") == (state, words)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    expected = [(State.OK, "off, because of OTEL_SDK_DISABLED")]
    assert expected == checked(config_of(tmp_path))


class TestOff:
    """Not asked for, it is not there."""

    async def test_off_by_default_whatever_the_environment_says(
        self, tmp_path: Path, collector: Collector
    ) -> None:
        """An endpoint that is there for others switches nothing on."""
        async with telling(Config(), Errand(name="run", run="night")) as telemetry:
            assert telemetry is None
        assert [] == collector.bodies

    async def test_the_environment_may_switch_it_off(
        self, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """OTEL_SDK_DISABLED goes before the configuration."""
        monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
        async with telling(config_of(tmp_path), Errand(name="run", run="night")) as telemetry:
            assert telemetry is None
        assert [] == collector.bodies

    def test_nothing_of_it_is_imported(self) -> None:
        """Neither by the program nor by a run."""
        code = (
            "import sys, bulkops.cli, bulkops.engine.execute, bulkops.engine.follow\n"
            "assert not [each for each in sys.modules if each.startswith('opentelemetry')]"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_the_extra_it_is_refused_with_the_command_that_installs_it(tmp_path: Path) -> None:
    """Exit 2 before anything is planned, of a manifest or of a job."""
    package = tmp_path / "opentelemetry"
    package.mkdir()
    (package / "__init__.py").write_text("raise ModuleNotFoundError('No module opentelemetry')")
    (tmp_path / "rows.csv").write_text("op\n")
    (tmp_path / "job.toml").write_text('manifest = "rows.csv"\neach = "day"\n')
    code = (
        "import bulkops\n"
        "from bulkops.errors import UsageError\n"
        "config = bulkops.Config(run={'telemetry': True})\n"
        "for start in (bulkops.plan, bulkops.start):\n"
        "    for name in ('rows.csv', 'job.toml'):\n"
        "        try:\n"
        "            raise AssertionError(start(name, config=config))\n"
        "        except UsageError as error:\n"
        "            print(int(error.exit_code), error)\n"
    )
    path = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2])))
    environ: Mapping[str, str] = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = done.stdout.splitlines()
    assert 4 == len(said)
    for each in said:
        assert each.startswith("2 [run] telemetry = true needs packages")
        assert "pip install 'bulkops[otel]'" in each
    assert [] == list(tmp_path.glob("runs/*/plan.parquet"))
