"""`bulkops serve`, the real program: its address, its end, and a port that is taken."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.harness import Bench


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the program on any port; yield it, and what it prints of its address."""
    bench = Bench(folder, "http://127.0.0.1:9")
    with subprocess.Popen(
        bench.command("serve", "--port", "0", *words),
        cwd=folder,
        env=bench.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            # Not killed: what it keeps aside would be left behind.
            process.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_streams_open(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, soon, and no word of trouble."""
    with serving(tmp_path) as (process, line):
        where = urlsplit(line.strip())
        assert ("http", "127.0.0.1", "/") == (where.scheme, where.hostname, where.path)
        connection = http.client.HTTPConnection("127.0.0.1", where.port or 0, timeout=20)
        connection.request("GET", "/events")
        stream = connection.getresponse()
        assert stream.readline().startswith(b"retry:")
        process.send_signal(number)
        stream.read()
        connection.close()
        out, err = process.communicate(timeout=20)
        assert (0, "", "") == (process.returncode, out, err)


def test_the_address_is_json_for_programs(tmp_path: Path) -> None:
    """One line; with the token where one is needed."""
    with serving(tmp_path, "--json", "--host", "0.0.0.0") as (process, line):
        told = json.loads(line)
        assert {"v", "url", "host", "port", "token"} == set(told)
        connection = http.client.HTTPConnection("127.0.0.1", told["port"], timeout=20)
        bearer = {"Authorization": f"Bearer {told['token']}"}
        connection.request("GET", "/api/runs", headers=bearer)
        assert 200 == connection.getresponse().status
        connection.close()
        process.terminate()
        assert 0 == process.wait(timeout=20)


def test_another_folder_can_be_named(tmp_path: Path) -> None:
    """Beside that of the configuration; one that is not there is empty, and may come."""
    (tmp_path / "elsewhere" / "a-run").mkdir(parents=True)
    (tmp_path / "elsewhere" / "a-run" / "run.json").write_text("{}")
    with serving(tmp_path, "--runs", "elsewhere") as (_, line):
        connection = http.client.HTTPConnection(urlsplit(line.strip()).netloc, timeout=20)
        connection.request("GET", "/api/runs")
        told = json.loads(connection.getresponse().read())
        connection.close()
    assert ["a-run"] == [each["name"] for each in told["runs"]]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """Exit code 2, and a way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = Bench(tmp_path, "http://127.0.0.1:9").run("serve", "--port", port)
    words = " ".join(ended.stderr.split())
    assert (2, "") == (ended.returncode, ended.stdout)
    assert f"port {port} of 127.0.0.1 cannot be listened on: another program" in words
    assert "--port 0" in words


def test_a_host_that_is_not_this_machine_is_refused(tmp_path: Path) -> None:
    """With the system's words, and no traceback."""
    ended = Bench(tmp_path, "http://127.0.0.1:9").run("serve", "--port", "0", "--host", "192.0.2.1")
    assert 2 == ended.returncode
    assert "192.0.2.1 cannot be listened on" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
