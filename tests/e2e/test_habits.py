"""The real program before its first run: `check`, `login`, `config`; and readers who left."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import CREDENTIALS, Bench, emulator

_WORLD: dict[str, Any] = {
    "edition": "professional",
    "relations": {"Products/500/Deals": ["1", "2", "3"]},
}
_ROWS = "op,module,record_id,related_list,related_id\n" + "".join(
    f"unlink,Products,500,{name},{each}\n" for name, each in (("Deals", 1), ("Deals", 9))
)
_SECRETS = "emulator-client\nemulator-secret\nemulator-grant\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An emulator with a handful of relations."""
    folder = tmp_path_factory.mktemp("habits")
    (folder / "world.json").write_text(json.dumps(_WORLD))
    (folder / "rows.csv").write_text(_ROWS)
    with emulator(folder, folder / "world.json") as ready:
        yield ready


def run(
    bench: Bench, *words: str, given: str = "", out: Any = subprocess.PIPE, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end with this standard input; an empty variable is taken out."""
    environment = bench.environment(XDG_CONFIG_HOME=str(bench.folder / "cfg"), **more)
    return subprocess.run(
        bench.command(*words),
        cwd=bench.folder,
        env={key: each for key, each in environment.items() if each},
        input=given,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the state of each subject of `check --json`."""
    told = json.loads(done.stdout)
    assert (1, done.returncode) == (told["v"], told["exit"])
    return {each["check"]: each["state"] for each in told["checks"]}


def test_check_says_what_a_run_needs(bench: Bench) -> None:
    """A line each, what to do where something is odd, and every call in the ledger of credits."""
    before = len(bench.ledger())
    done = run(bench, "check", "rows.csv", "--json")
    found = states(done)
    assert found.pop("edition") == "look"
    assert set(found.values()) == {"ok"}
    assert {"token", "clock", "data centre", "our credits", "module Products"} <= set(found)
    assert "related list Products.Deals" in found
    calls = [each for each in bench.ledger()[before:] if each["path"].startswith("/crm/")]
    assert {"GET"} == {each["method"] for each in calls}
    ours = json.loads(done.stdout)["checks"][-1]["found"]
    assert f"({len(calls)} booked by them" in ours


def test_check_in_words_names_the_next_step(bench: Bench) -> None:
    """What is told of the edition is what to write."""
    done = run(bench, "check")
    assert done.returncode == 0
    assert '→ set limits.edition = "professional"' in done.stdout


def test_check_of_a_list_that_is_not_there(bench: Bench) -> None:
    """The name is wrong before a single row is sent: 2, and what may be meant."""
    done = run(bench, "check", "--json", BULKOPS_RELATIONS='{"Products.Dealz": ""}')
    assert done.returncode == 2
    assert states(done)["related list Products.Dealz"] == "wrong"
    assert "did you mean Deals?" in done.stdout


def test_check_without_credentials(bench: Bench) -> None:
    """2, without asking anybody anything."""
    before = len(bench.ledger())
    done = run(bench, "check", "--json", **dict.fromkeys(CREDENTIALS, ""))
    assert done.returncode == 2
    assert states(done)["credentials"] == "wrong"
    assert len(bench.ledger()) == before


def test_check_with_a_token_that_is_refused(bench: Bench) -> None:
    """6, as a run would end."""
    more = {"BULKOPS_AUTH__REFRESH_TOKEN": "revoked"}
    done = run(bench, "check", "--json", **more)
    assert done.returncode == 6
    assert states(done)["token"] == "wrong"


def test_a_token_that_nobody_granted_is_not_called_granted(bench: Bench) -> None:
    """One that is given as it is proves itself at the next call, or does not."""
    more = {"BULKOPS_AUTH__ACCESS_TOKEN": "wrong", **dict.fromkeys(CREDENTIALS, "")}
    done = run(bench, "check", "--json", **more)
    assert done.returncode == 6
    assert "granted" not in done.stdout


def test_check_where_nobody_answers(bench: Bench) -> None:
    """5: run again later."""
    more = {"BULKOPS_AUTH__ACCESS_TOKEN": "x", **dict.fromkeys(CREDENTIALS, "")}
    more["BULKOPS_API__BASE_URL"] = "http://127.0.0.1:9"
    done = run(bench, "check", "--json", **more)
    assert done.returncode == 5
    assert states(done)["reach"] == "wrong"


def test_login_keeps_a_refresh_token_for_its_owner_alone(bench: Bench) -> None:
    """From standard input to a file that runs read; nothing of it is shown, here or later."""
    nothing = dict.fromkeys(CREDENTIALS, "")
    done = run(bench, "login", given=_SECRETS, **nothing)
    assert (0, "") == (done.returncode, done.stdout), done.stderr
    file = bench.folder / "cfg" / "bulkops" / "logins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "emulator-refresh" in file.read_text()
    shown = run(bench, "config", "show", "--origin", **nothing)
    for secret in ("emulator-refresh", "emulator-secret", "emulator-grant", "emulator-client"):
        assert secret not in done.stderr + shown.stdout + shown.stderr
    (line,) = [each for each in shown.stdout.split("\n") if each.startswith("auth.refresh_token")]
    assert line.split() == ["auth.refresh_token", "=", '"********"', "#", str(file)]
    again = run(bench, "check", "--json", **nothing)
    assert again.returncode == 0, again.stdout
    used_up = run(bench, "login", given=_SECRETS, **nothing)
    assert used_up.returncode == 6
    assert "invalid_code" in used_up.stderr
    file.chmod(0o640)
    refused = run(bench, "check", **nothing)
    assert refused.returncode == 2
    assert f"chmod 600 {file}" in refused.stderr
    file.unlink()


def test_login_does_not_echo_what_is_typed(bench: Bench) -> None:
    """On a terminal what is typed stays unseen."""
    ours, theirs = pty.openpty()
    environment = bench.environment(XDG_CONFIG_HOME=str(bench.folder / "typed"))
    environment = {key: each for key, each in environment.items() if key not in CREDENTIALS}
    process = subprocess.Popen(
        bench.command("login"),
        cwd=bench.folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    for prompt, typed in (
        (b"Client id", "emulator-client"),
        (b"Client secret", "emulator-secret"),
        (b"Grant code", "no-such-code"),
    ):
        while prompt not in seen:
            seen += os.read(ours, 1000)
        os.write(ours, typed.encode() + b"\n")
    while True:
        try:
            more = os.read(ours, 1000)
        except OSError:
            break
        if not more:
            break
        seen += more
    assert process.wait(timeout=30) == 6
    os.close(ours)
    assert not [each for each in (b"emulator-", b"no-such-code") if each in seen]


def test_config_path_names_the_file(bench: Bench, tmp_path: Path) -> None:
    """Or says where one could be."""
    file = tmp_path / "own.toml"
    file.write_text("[limits]\nattempts = 3\n")
    assert run(bench, "config", "path", "--config", str(file)).stdout == f"{file}\n"
    assert run(bench, "config", "path").returncode == 2
    hooks = {
        "BULKOPS_HOOKS__WEBHOOK": "https://example.com/hush",
        "BULKOPS_HOOKS__WEBHOOK_SECRET": "hush",
        "BULKOPS_HOOKS__ON_STOP": '["page", "--key", "hush"]',
    }
    shown = run(bench, "config", "show", "--config", str(file), "--json", **hooks)
    assert "hush" not in shown.stdout
    told = {each["key"]: each for each in json.loads(shown.stdout)["values"]}
    assert told["limits.attempts"] == {"key": "limits.attempts", "value": 3, "origin": str(file)}
    assert told["api.base_url"]["origin"] == "environment variable BULKOPS_API__BASE_URL"
    assert told["limits.timeout_s"]["origin"] == "default"
    assert told["auth.client_secret"]["value"] == "********"


@pytest.fixture
def nobody() -> Iterator[int]:
    """A pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["man"], ["config", "show"], ["run", "--help"]],
    ids=" ".join,
)
def test_data_that_nobody_reads_end_as_a_closed_pipe_does(
    bench: Bench, nobody: int, words: list[str]
) -> None:
    """141, as `cat` has it, and no traceback."""
    done = run(bench, *words, out=nobody)
    assert (141, "") == (done.returncode, done.stderr)


def test_a_failing_run_fails_whoever_reads(bench: Bench, nobody: int) -> None:
    """The code of a run is that of its rows, not of its reader."""
    rows = bench.folder / "bad.csv"
    rows.write_text(_ROWS + "unlink,Products,500,Deals,none\n")
    words = ["run", str(rows), "--yes", "--json", "--quiet"]
    assert run(bench, *words, out=nobody).returncode == 3
    (directory,) = bench.folder.glob("runs/bad-*")
    for words in (["outcomes", str(directory)], ["outcomes", str(directory), "--format", "csv"]):
        assert run(bench, *words, out=nobody).returncode == 141
    assert run(bench, "status", "no-such-run", out=nobody).returncode == 2


def test_a_run_whose_talk_nobody_reads_is_carried_out(bench: Bench, nobody: int) -> None:
    """`2>&1 | head` must not leave rows unsent."""
    rows = bench.folder / "talk.csv"
    rows.write_text(_ROWS.replace(",9\n", ",3\n"))
    process = subprocess.run(
        bench.command("run", str(rows), "--yes", "-vv"),
        cwd=bench.folder,
        env=bench.environment(),
        stdout=nobody,
        stderr=nobody,
        check=False,
        timeout=60,
    )
    assert process.returncode == 0
    (directory,) = bench.folder.glob("runs/talk-*")
    assert len((directory / "outcomes.csv").read_text().splitlines()) == 3
