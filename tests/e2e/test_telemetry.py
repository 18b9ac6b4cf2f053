"""The real program, told of by OpenTelemetry to a real collector, or to none that answers."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.conftest import Sample
from tests.e2e.harness import CREDENTIALS, Bench, emulator

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs bulkops[otel]")

from tests.collector import collecting

_ON = {"BULKOPS_RUN__TELEMETRY": "true"}
_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_HEADER = "op,module,record_id,related_list,related_id\n"


def test_a_run_is_one_trace_that_says_what_the_log_says(tmp_path: Path, sample: Sample) -> None:
    """A span for the run, its plan, each call and each look; numbers agree, and no id is told."""
    with (
        collecting() as collector,
        emulator(tmp_path, sample.world, job_seconds=0.3, latency_median_s=0.001) as bench,
    ):
        environ = {**_ON, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "TRACEPARENT": _PARENT}
        ended = bench.run("run", str(sample.manifest), "--yes", **environ)
        assert ended.returncode == 3, ended.stderr
        assert "telemetry" not in ended.stderr
        calls = [each for each in bench.ledger() if each["path"].startswith("/crm/")]
    (run,), (plan,) = collector.named("bulkops run"), collector.named("bulkops plan")
    told = [each for each in collector.spans if "http.request.method" in each.facts]
    assert {_PARENT.split("-")[1]} == {each.trace for each in collector.spans}
    assert (_PARENT.split("-")[2], run.id) == (run.parent, plan.parent)
    # Calls belong to the run, or to the look at remote jobs that they are made for.
    looks = {each.id for each in collector.named("bulkops poll")}
    assert looks
    assert {run.id, *looks} >= {each.parent for each in told}
    assert Counter((each["method"], each["status"]) for each in calls) == Counter(
        (each.facts["http.request.method"], each.facts["http.response.status_code"])
        for each in told
    )
    outcomes = Counter(each["status"] for each in bench.records() if each["type"] == "outcome")
    lines = {name: int(run.facts[f"bulkops.lines.{name}"]) for name in outcomes}
    assert (dict(outcomes), 3, 2) == (lines, run.facts["bulkops.exit_code"], run.status)
    measured = {facts["bulkops.status"]: each for facts, each in collector.metrics["bulkops.lines"]}
    assert dict(outcomes) == measured
    assert len(calls) == collector.metrics["bulkops.calls.sent"][0][1]
    everything = b"".join(collector.bodies)
    assert not re.search(rb"[0-9]{15}", everything)
    assert not [each for each in CREDENTIALS.values() if each.encode() in everything]


def test_a_dead_collector_changes_nothing_and_is_told_once(tmp_path: Path, sample: Sample) -> None:
    """The same exit code and outcomes; one warning."""
    with socket.socket() as free, emulator(tmp_path, sample.world) as bench:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        environ = {**_ON, "OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        ended = bench.run("run", str(sample.manifest), "--yes", **environ)
    assert ended.returncode == 3, ended.stderr
    assert 1 == ended.stderr.count("telemetry.lost")
    assert "Traceback" not in ended.stderr


@contextmanager
def zoho() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that unlinks whatever it is asked to, and keeps the headers it was sent."""
    heard: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            heard.append({name.lower(): each for name, each in self.headers.items()})
            ids = parse_qs(urlsplit(self.path).query)["ids"][0].split(",")
            done = [
                {"code": "SUCCESS", "status": "success", "message": "", "details": {"id": each}}
                for each in ids
            ]
            body = json.dumps({"data": done}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", heard
        finally:
            server.shutdown()
            thread.join()


def test_nothing_of_a_trace_is_sent_to_zoho(tmp_path: Path) -> None:
    """Which trace a call belongs to is nobody's business there."""
    (tmp_path / "m.csv").write_text(_HEADER + "unlink,Products,1,Deals,2\n")
    with collecting() as collector, zoho() as (url, heard):
        token = {"BULKOPS_AUTH__ACCESS_TOKEN": "1000.any", "TRACESTATE": "vendor=1"}
        token |= dict.fromkeys(CREDENTIALS, "")
        environ = {**_ON, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "TRACEPARENT": _PARENT}
        ended = Bench(tmp_path, url).run("run", "m.csv", "--yes", **environ, **token)
    assert ended.returncode == 0, ended.stderr
    assert 1 == len(collector.named("DELETE /crm/v8/Products/{id}/Deals"))
    assert [set()] == [{"traceparent", "tracestate", "baggage"} & each.keys() for each in heard]


def test_asked_for_and_not_installed_is_told_before_anything_is_sent(
    tmp_path: Path, sample: Sample
) -> None:
    """Exit 2, with the command that installs it."""
    package = tmp_path / "shadow" / "opentelemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError('No module opentelemetry')")
    with emulator(tmp_path, sample.world) as bench:
        shadow = {"PYTHONPATH": f"{package.parent}:{Path(__file__).parents[2]}"}
        ended = bench.run("run", str(sample.manifest), "--yes", **_ON, **shadow)
        assert [] == bench.ledger()
    assert 2 == ended.returncode, ended.stderr
    assert "pip install 'bulkops[otel]'" in ended.stderr


def test_what_only_reads_is_told_too(tmp_path: Path) -> None:
    """A verification and the reading of a reconciliation are traces of their own."""
    world = {"relations": {"Products/5/Deals": ["91", "92"]}}
    (tmp_path / "world.json").write_text(json.dumps(world))
    (tmp_path / "m.csv").write_text(_HEADER + "unlink,Products,5,Deals,91\n")
    (tmp_path / "desired.csv").write_text(
        "module,record_id,related_list,related_id\nProducts,5,Deals,92\n"
    )
    with collecting() as collector, emulator(tmp_path, tmp_path / "world.json") as bench:
        environ = {**_ON, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        assert 0 == bench.run("run", "m.csv", "--yes").returncode
        run = bench.run_directory
        verified = bench.run("verify", str(run), "--all", **environ)
        assert 0 == verified.returncode, verified.stderr
        reconciled = bench.run("reconcile", "desired.csv", "--yes", **environ)
        assert 0 == reconciled.returncode, reconciled.stderr
    for name in ("bulkops verify", "bulkops reconcile"):
        (root,) = collector.named(name)
        reads = [each for each in collector.spans if each.parent == root.id]
        assert {"read"} == {each.facts["bulkops.operation"] for each in reads}
