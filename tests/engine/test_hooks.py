"""Telling others how a run ended, and that it changes nothing for the run."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from bulkops.engine.hook_calls import environment
from bulkops.engine.hooks import announcing
from bulkops.errors import AuthError, ExitCode, LockedError, UsageError
from bulkops.files.config import load_config
from bulkops.files.hooks_section import Hooks
from bulkops.files.jobfile import load_job
from bulkops.files.rundir import RunDirectory
from tests.listening import Listener, listening

#: Writes its environment and its input to the file that is its first word.
_TELL = """
import json, os, sys
open(sys.argv[1], 'w').write(json.dumps([dict(os.environ), sys.stdin.read()]))
"""
_SUMMARY = {
    "run": "night",
    "rows": 3,
    "not_in_wanted_state": 1,
    "outcomes": [
        {"op": "unlink", "status": "succeeded", "code": "", "message": "", "lines": 2},
        {"op": "unlink", "status": "failed", "code": "NO", "message": "of Mrs X", "lines": 1},
    ],
}


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run directory with a summary, and no log yet."""
    found = RunDirectory(tmp_path / "runs" / "night")
    found.create()
    (found.path / "summary.json").write_text(json.dumps(_SUMMARY))
    return found


def end(
    hooks: Hooks, run: RunDirectory, code: ExitCode = ExitCode.INCOMPLETE, reason: str = ""
) -> list[Any]:
    """Let `run` do something and end so; return the warnings."""
    with capture_logs() as logs, announcing(hooks, job="nightly") as ending:
        ending.about(run)
        with run.checkpoint.open("a") as log:
            log.write(json.dumps({"type": "note", "event": "run.stopped", "reason": reason}) + "\n")
        ending.code = code
    return [(each["hook"], each["reason"]) for each in logs]


def teller(file: Path) -> list[str]:
    return [sys.executable, "-c", _TELL, str(file)]


def told(file: Path) -> tuple[dict[str, str], dict[str, Any]]:
    environ, said = json.loads(file.read_text())
    return environ, json.loads(said)


def test_a_command_has_the_facts_and_no_secret(
    tmp_path: Path, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables for a shell, JSON for a program; credentials are in neither."""
    monkeypatch.setenv("BULKOPS_AUTH__REFRESH_TOKEN", "hush")
    monkeypatch.setenv("bulkops_auth__client_secret", "hush")
    monkeypatch.setenv("BULKOPS_AUTH", '{"access_token": "hush"}')
    monkeypatch.setenv("BULKOPS_HOOKS", '{"webhook_secret": "hush"}')
    monkeypatch.setenv("BULKOPS_HOOKS__WEBHOOK_SECRET", "hush")
    monkeypatch.setenv("BULKOPS_LIMITS__ATTEMPTS", "3")
    hooks = Hooks(on_finish=tuple(teller(tmp_path / "told")), on_stop=("false",))

    assert end(hooks, run) == []

    environ, facts = told(tmp_path / "told")
    assert "hush" not in str(environ)
    expected = {
        "BULKOPS_EVENT": "finish",
        "BULKOPS_JOB": "nightly",
        "BULKOPS_RUN": "night",
        "BULKOPS_RUN_DIR": str(run.path),
        "BULKOPS_EXIT": "3",
        "BULKOPS_REASON": "",
        "BULKOPS_ROWS": "3",
        "BULKOPS_NOT_IN_WANTED_STATE": "1",
        "BULKOPS_SUCCEEDED": "2",
        "BULKOPS_FAILED": "1",
        "BULKOPS_UNKNOWN": "0",
        "BULKOPS_LIMITS__ATTEMPTS": "3",
    }
    assert expected == {name: environ.get(name) for name in expected}
    assert (facts["run"], facts["exit"], facts["rows"]) == ("night", 3, 3)
    assert facts["statuses"]["succeeded"] == 2
    assert facts["text"] == "night ended with 3: 2 succeeded, 1 failed"
    # What a server said of a record is not for everybody.
    assert "Mrs X" not in str(facts)


def test_a_command_may_call_bulkops_again(run: RunDirectory) -> None:
    """The variables of a hook are no configuration, whatever their names look like."""
    with announcing(Hooks()) as ending:
        ending.about(run)
    assert load_config(None, environment(ending.facts(), {})).run.directory == Path("runs")


def test_every_other_end_is_a_stop(tmp_path: Path, run: RunDirectory) -> None:
    """A pause is told with its reason, which the log has."""
    hooks = Hooks(on_finish=("false",), on_stop=tuple(teller(tmp_path / "told")))
    assert end(hooks, run, ExitCode.PAUSED, "the credits are used up") == []
    environ, facts = told(tmp_path / "told")
    assert ("stop", "5", "the credits are used up") == (
        environ["BULKOPS_EVENT"],
        environ["BULKOPS_EXIT"],
        facts["reason"],
    )


def test_an_error_is_told_and_passes_through(tmp_path: Path, listener: Listener) -> None:
    """What keeps a run from starting is news too, even before there is a run."""
    hooks = Hooks(on_stop=tuple(teller(tmp_path / "told")), health_check=f"{listener.url}/check")
    with pytest.raises(AuthError), announcing(hooks):
        raise AuthError("the token is dead")
    environ, facts = told(tmp_path / "told")
    assert ("6", "the token is dead", "") == (
        environ["BULKOPS_EXIT"],
        environ["BULKOPS_REASON"],
        facts["run"],
    )
    with pytest.raises(ZeroDivisionError), announcing(hooks):
        _ = 1 // 0
    assert told(tmp_path / "told")[1]["exit"] == 1
    assert ["/check/start", "/check/fail"] * 2 == [each.path for each in listener.calls]


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        (("/no/such/program",), "/no/such/program: cannot be started: No such file or directory"),
        ((sys.executable, "-c", "raise SystemExit(9)"), f"{sys.executable}: ended with 9"),
        (
            (sys.executable, "-c", "import time; time.sleep(60)"),
            f"{sys.executable}: took longer than 0.05 s and was ended",
        ),
    ],
)
def test_a_command_that_fails_is_a_warning(
    run: RunDirectory, words: tuple[str, ...], trouble: str
) -> None:
    """The run ends as it ended, and the log says what the hook did."""
    hooks = Hooks(on_finish=words, command_timeout_s=0.05 if "sleep" in words[-1] else 30.0)
    assert [("hooks.on_finish", trouble)] == end(hooks, run)


def test_what_a_command_prints_is_no_data(
    run: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    """Standard output belongs to `--json`; a hook speaks on standard error."""
    end(Hooks(on_finish=(sys.executable, "-c", "print('done')")), run)
    assert ("", "done\n") == tuple(capfd.readouterr())


def test_the_webhook_gets_the_summary_and_its_secret(run: RunDirectory, listener: Listener) -> None:
    """One POST of JSON with the header that the receiver knows us by."""
    hooks = Hooks(
        webhook=f"{listener.url}/hook?room=1", webhook_header="X-Key", webhook_secret="Bearer a"
    )
    assert end(hooks, run) == []
    (call,) = listener.calls
    assert ("POST", "/hook?room=1") == (call.method, call.path)
    assert ("application/json", "Bearer a") == (
        call.headers["content-type"],
        call.headers["x-key"],
    )
    assert json.loads(call.body)["run"] == "night"


def test_a_webhook_is_not_followed_elsewhere(run: RunDirectory, listener: Listener) -> None:
    """What we say, and its secret, go to the address that was given and to no other."""
    listener.answers, listener.location = [307], f"{listener.url}/elsewhere"
    assert [("hooks.webhook", "answered 307")] == end(
        Hooks(webhook=f"{listener.url}/hook", webhook_secret="hush"), run
    )
    assert ["/hook"] == [each.path for each in listener.calls]


def test_a_webhook_that_is_down_or_silent_is_a_warning(run: RunDirectory) -> None:
    """The address, which may be a secret, is not in it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hooks = Hooks(webhook=f"http://127.0.0.1:{port}/secret", timeout_s=0.05)
        assert [("hooks.webhook", "took longer than 0.05 s")] == end(hooks, run)
    assert [("hooks.webhook", "ClientConnectorError")] == end(hooks, run)


@pytest.mark.parametrize(
    ("code", "suffix"),
    [(0, ""), (3, "/fail"), (4, "/fail"), (5, "/log"), (143, "/log")],
)
def test_a_health_check_hears_of_begin_and_end(
    run: RunDirectory, listener: Listener, code: int, suffix: str
) -> None:
    """Success, failure, and neither, as healthchecks.io has them; a query stays where it is."""
    end(Hooks(health_check=f"{listener.url}/uuid?create=1"), run, ExitCode(code))
    paths = [each.path for each in listener.calls]
    assert ["/uuid/start?create=1", f"/uuid{suffix}?create=1"] == paths


def test_a_ping_is_tried_again(run: RunDirectory, listener: Listener) -> None:
    """A lost success would wake somebody up."""
    listener.answers = [200, 500, 502]
    assert end(Hooks(health_check=f"{listener.url}/u"), run, ExitCode.OK) == []
    assert ["/u/start", "/u", "/u", "/u"] == [each.path for each in listener.calls]


def test_a_start_with_nothing_to_do_is_healthy_and_no_news(
    tmp_path: Path, run: RunDirectory, listener: Listener
) -> None:
    """A finished run that is asked for again fires no hook a second time."""
    hooks = Hooks(
        on_finish=tuple(teller(tmp_path / "told")),
        webhook=f"{listener.url}/hook",
        health_check=f"{listener.url}/check",
    )
    with announcing(hooks) as ending:
        ending.about(run)
    assert ["/check/start", "/check"] == [each.path for each in listener.calls]
    assert not (tmp_path / "told").exists()


def test_a_run_of_another_process_is_not_our_news(listener: Listener) -> None:
    """The one that holds the lock will tell; a check hears of it without an alarm."""
    hooks = Hooks(on_stop=("false",), health_check=f"{listener.url}/check")
    with capture_logs() as logs, pytest.raises(LockedError), announcing(hooks):
        raise LockedError("another process is on this run")
    assert ["/check/start", "/check/log"] == [each.path for each in listener.calls]
    assert logs == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": "http://example.com/hook"},
        {"webhook": "ftp://127.0.0.1/"},
        {"health_check": "https://me@example.com/"},
        {"health_check": "hc-ping.com"},
        {"on_finish": "mail me"},
        {"on_finish": [""]},
        {"webhook_header": "X: y"},
        {"webhook_secret": "two\nlines"},
        {"timeout_s": 0},
    ],
)
def test_what_is_no_hook_is_refused(wrong: dict[str, Any]) -> None:
    """Plain http leaves this machine nowhere, a command is a list, a header one line."""
    with pytest.raises(ValidationError):
        Hooks.model_validate(wrong)


def test_its_secrets_are_in_no_words_and_no_job(tmp_path: Path) -> None:
    """Addresses and secrets are neither in `run.json` nor in a refusal nor in a job file."""
    config = load_config(
        None,
        {
            "BULKOPS_HOOKS__WEBHOOK": "https://example.com/hush",
            "BULKOPS_HOOKS__WEBHOOK_SECRET": "hush",
            "BULKOPS_HOOKS__ON_FINISH": '["mail", "me"]',
        },
    )
    assert config.hooks.on_finish == ("mail", "me")
    assert "hush" not in str(config.public())
    with pytest.raises(UsageError) as caught:
        load_config(None, {"BULKOPS_HOOKS__WEBHOOK": "http://example.com/hush"})
    assert "hush" not in str(caught.value)
    file = tmp_path / "config.toml"
    file.write_text('[hooks]\nwebhook_secret = "hush"\n')
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        load_config(file, {})
    job = tmp_path / "job.toml"
    job.write_text('manifest = "m.csv"\n[hooks]\nwebhook_secret = "hush"\n')
    with pytest.raises(UsageError, match="not allowed in a job"):
        load_job(job)
