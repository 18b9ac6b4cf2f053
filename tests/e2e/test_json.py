"""
What the real program prints for programs, in each state that it can be met in, held to its schema.

Each scene is one organisation; `shown` runs a verb and names the shape that is expected of it.
That no shape of any schema is left out, `tests/cli/test_schema.py` sees to.
"""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import bulkops
from bulkops.cli import main
from tests.e2e.harness import CREDENTIALS, Bench, emulator, wait_for, wait_for_socket
from tests.e2e.shapes import held, shown, titles
from tests.e2e.test_steering import couples

_HEADER = "op,module,record_id,related_list,related_id,note\n"
_ROWS = "unlink,Products,500,Deals,1,a\nunlink,Products,500,Deals,2,b\n"
_BAD = (
    "unlink,Products,500,Deals,1,\nunlink,Products,500,Deals,9 9,\nunlink,Leads,7,Campaigns,99,\n"
)
#: No campaign of this id exists.
_HOPELESS = "link,Leads,7,Campaigns,555,\n"
_WORLD = {
    "records": {"Campaigns": ["99"]},
    "relations": {
        "Products/500/Deals": ["1", "2", "3"],
        "Leads/7/Campaigns": [str(each) for each in range(90, 99)],
    },
    "record_territories": {"Leads": {"7": ["101"]}},
    "territories": [{"id": "100", "name": "All"}, {"id": "101", "parent_id": "100"}],
}
_SINGLY = {"BULKOPS_LIMITS__IDS_PER_CALL": "1", "BULKOPS_LIMITS__CONCURRENCY": "4"}
_NO_CREDENTIALS = dict.fromkeys(CREDENTIALS, "")
_DAILY = 'manifest = "rows.csv"\nconfirm = false\neach = "day"\n'
_DESIRED = "module,record_id,related_list,related_id\n"

#: A command line of each verb that fails, and its exit code.
FAILURES = {
    "check": (("check", "no-such-file.csv"), 2),
    "config path": (("config", "path"), 2),
    "config show": (("config", "show", "--config", "no-such.toml"), 2),
    "ctl": (("ctl", "no-such-run", "pause"), 2),
    "demo": (("demo", "--dir", "/dev/null/here"), 2),
    "emulator": (("emulator", "--seed", "no-such-world.json"), 2),
    "jobs": (("jobs", "no-such-folder"), 2),
    "login": (("login",), 2),
    "outcomes": (("outcomes", "no-such-run"), 2),
    "plan": (("plan", "no-such-file.csv"), 2),
    "reconcile": (("reconcile", "no-such-file.csv"), 2),
    "repair": (("repair", "no-such-run"), 2),
    "report": (("report", "no-such-run"), 2),
    "retry": (("retry", "no-such-run", "--yes"), 2),
    "run": (("run", "here.csv"), 8),
    "serve": (("serve", "--host", "no such host"), 2),
    "schema": (("schema", "no-such-verb"), 2),
    "status": (("status", "no-such-run"), 2),
    "undo": (("undo", "no-such-run"), 2),
    "verify": (("verify", "no-such-run", "--sample", "none"), 2),
}


def write(bench: Bench, name: str, content: str) -> str:
    """Write a file and return its name, relative to where the program runs."""
    path = bench.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return name


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An emulator with a handful of relations."""
    (tmp_path / "world.json").write_text(json.dumps(_WORLD))
    with emulator(tmp_path, tmp_path / "world.json", job_seconds=0.1) as ready:
        yield ready


@pytest.fixture
def alone(tmp_path: Path) -> Bench:
    """No server."""
    return Bench(tmp_path, "http://127.0.0.1:9")


@contextmanager
def running(bench: Bench, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Have the program run beside; its standard error is nobody's."""
    with subprocess.Popen(
        bench.command(*words),
        cwd=bench.folder,
        env=bench.environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], code: int) -> str:
    """Return what a program printed that ends with `code`."""
    text = process.communicate(timeout=60)[0]
    assert code == process.returncode
    return text


Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(alone: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """
    Return what runs the program's own `main` in this process: exit code, output, and errors.

    For errors of every verb, of which a process each would tell no more.
    """
    environment = {**alone.environment(XDG_CONFIG_HOME="nowhere"), **_NO_CREDENTIALS}
    for name in [each for each in os.environ if each.startswith("BULKOPS_")]:
        monkeypatch.delenv(name)
    for name in environment.keys() - os.environ.keys():
        monkeypatch.setenv(name, environment[name])
    monkeypatch.chdir(alone.folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bulkops", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        return int(leaving.value.code or 0), printed.out, printed.err

    return run


@pytest.mark.parametrize("verb", sorted(FAILURES))
def test_an_error_is_told_alike_by_every_verb(alone: Bench, here: Here, verb: str) -> None:
    """One object with kind, exit code and words, which are on standard error as ever."""
    write(alone, "here.csv", _HEADER + _ROWS)
    words, expected = FAILURES[verb]
    code, out, err = here(*words, "--json")
    error = held("failure", words, out, code=code)["error"]
    assert expected == code
    assert {2: {"usage", "manifest"}, 8: {"not_confirmed"}}[code] >= {error["code"]}
    assert error["message"] in err
    assert (expected, "", err) == here(*words)


@pytest.mark.parametrize("words", ["--colour", "--every fast", "one two"])
def test_what_no_parser_takes_is_an_error_too(here: Here, words: str) -> None:
    """An unknown option, a value that is none, a word too many: `usage`, and 2."""
    code, out, _ = here("status", *words.split(), "--json")
    assert ("usage", 2) == (held("failure", ("status",), out, code=code)["error"]["code"], code)


def test_an_interruption_is_an_error_too(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before there is a run: `interrupted`, and 130."""

    def plan(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bulkops, "plan", plan)
    code, out, _ = here("plan", "x.csv", "--json")
    assert 130 == code
    assert "interrupted" == held("failure", ("plan",), out, code=code)["error"]["code"]


def test_a_fault_of_this_machine_is_an_error_too(alone: Bench) -> None:
    """A damaged log is 1 and `log`; what nobody thought of is 1 and `internal`, and is traced."""
    shown(alone, "plan", "plan", write(alone, "m.csv", _HEADER + _ROWS))
    (alone.run_directory / "checkpoint.jsonl").write_text("no log\n" * 3)
    assert (
        "log"
        == shown(alone, "failure", "status", alone.run_directory.name, code=1)["error"]["code"]
    )
    (alone.run_directory / "checkpoint.jsonl").unlink()
    (alone.run_directory / "checkpoint.jsonl").mkdir()
    value = shown(alone, "failure", "status", alone.run_directory.name, code=1)
    assert "internal" == value["error"]["code"]


def test_what_the_machine_refuses_is_no_traceback(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a folder that may not be written, met anywhere: words, and what to do."""

    def plan(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/m.part")

    monkeypatch.setattr(bulkops, "plan", plan)
    code, out, errors = here("plan", "x.csv", "--json")
    words = "/full/m.part: No space left on device. Mend that, then run the same command again."
    assert (1, f"bulkops: {words}\n") == (code, errors)
    assert words == held("failure", ("plan",), out, code=code)["error"]["message"]


def test_a_path_that_is_no_text_is_told(alone: Bench) -> None:
    """Bytes that are no UTF-8 stand in JSON as what they are read as."""
    name = b"non\xe9".decode(errors="surrogateescape")
    error = shown(alone, "failure", "status", name, code=2)["error"]
    assert error["message"].startswith(name)


def test_a_plan_with_what_looks_odd(alone: Bench) -> None:
    """Before anything is sent: the plan, its requests, where lines went, and what is there then."""
    leads = [f"41508680200000{number:04}" for number in range(30)]
    rows = [f"unlink,Leads,{lead},Campaigns,415086806000000001,\n" for lead in leads]
    odd = "unlink,Leads,4150868,Campaigns,415086806000000001,\n"
    bad = f"unlink,Leads,{leads[0]},Campaigns,4E+9,\n"
    first = write(alone, "first.csv", _HEADER + "".join(rows) + odd + bad + rows[3])
    second = write(alone, "second.csv", _HEADER + _ROWS)
    value = shown(alone, "plan", "plan", first, second)
    assert {"short_id"} <= {each["code"] for each in value["warnings"]}
    assert [1, 34] == [each["first_line"] for each in value["files"]]
    assert value["relations"]
    both = (first, second)
    shown(alone, "--sample", "plan", *both, "--sample", "3")
    shown(alone, "--explain, of a line that is sent", "plan", *both, "--explain", "2")
    not_sent = [
        shown(alone, "--explain, of a line that is not sent", "plan", *both, "--explain", each)
        for each in ("32", "33")
    ]
    assert ["invalid", "duplicate"] == [each["status"] for each in not_sent]
    name = alone.run_directory.name
    assert "planned" == shown(alone, "by its log", "status", name)["state"]
    assert "timeline" not in shown(alone, "report", "report", name)
    there = shown(alone, "--json --output FILE", "outcomes", name, "--output", "x")
    assert there["file"] is None


def test_what_is_configured_and_known(alone: Bench) -> None:
    """The verbs that speak of this machine alone."""
    own = write(alone, "own.toml", "[limits]\nattempts = 3\n")
    shown(alone, "configuration", "config", "show", "--config", own)
    shown(alone, "path", "config", "path", "--config", own)
    shown(alone, "list", "schema")
    lacking = shown(alone, "check", "check", code=2, **_NO_CREDENTIALS)
    assert "wrong" in {each["state"] for each in lacking["checks"]}


def test_a_run_that_is_finished(bench: Bench) -> None:
    """Its end, again when nothing is left to do, its rows, what is read back, and its report."""
    rows = write(bench, "rows.csv", _HEADER + _ROWS + _BAD + _HOPELESS)
    value = shown(bench, "run", "run", rows, "--yes", code=3)
    assert {"succeeded", "failed", "unchanged", "duplicate", "invalid"} == value["statuses"].keys()
    assert value == shown(bench, "run", "run", rows, "--yes", code=3)
    name = bench.run_directory.name
    printed = bench.run("outcomes", name, "--json").stdout.splitlines()
    lines = [held("line", ("outcomes",), each) for each in printed]
    assert [1, 2, 3, 4, 5, 6] == [each["line"] for each in lines]
    assert printed == bench.run("outcomes", name).stdout.splitlines()
    shown(bench, "--json --output FILE", "outcomes", name, "--output", "x.csv", "--format", "csv")
    assert "finished" == shown(bench, "by its log", "status", name)["state"]
    assert [] == shown(bench, "verification", "verify", name, "--all")["lines"]
    assert shown(bench, "report", "report", name)["verification"]["checked"]


def test_a_run_that_is_tried_again_and_taken_back(bench: Bench) -> None:
    """Its rest once more; then its undo, after which its claims are false; then nothing is left."""
    rows = write(bench, "rows.csv", _HEADER + _ROWS + _HOPELESS)
    shown(bench, "run", "run", rows, "--yes", code=3)
    name = bench.run_directory.name
    assert 1 == shown(bench, "run", "retry", name, "--yes", code=3)["rows"]
    undone = shown(bench, "run", "undo", name, "--yes")
    assert (2, 0) == (undone["rows"], undone["left_out"])
    assert undone["undone"].endswith(name)
    denied = shown(bench, "verification", "verify", name, "--all", code=3)
    assert {False} == {each["wish_holds"] for each in denied["lines"]}
    nothing = shown(bench, "nothing to take back", "undo", name, "--lines", "3")
    assert (0, 0) == (nothing["lines"], nothing["left_out"])


def test_lines_that_an_undo_leaves_are_in_its_exit_code(bench: Bench) -> None:
    """What is printed and what the program ends with are the same, 3, in both of its shapes."""
    for op in ("unlink", "link"):
        text = _HEADER + f"{op},Products,500,Deals,1,\n"
        more = "unlink,Products,500,Deals,2,\n" if op == "unlink" else ""
        shown(bench, "run", "run", write(bench, f"{op}.csv", text + more), "--yes")
    (first,) = (each.name for each in bench.folder.glob("runs/unlink-*/"))
    undone = shown(bench, "run", "undo", first, "--yes", code=3)
    assert (1, 1) == (undone["rows"], undone["left_out"])
    again = shown(bench, "nothing to take back", "undo", first, "--lines", "1", code=3)
    assert 1 == again["left_out"]


def test_a_run_that_stops_early(tmp_path: Path) -> None:
    """Nothing to do, paused, and stopped by a threshold: the same shape, with the reason."""
    manifest, world = couples(tmp_path, 6, bad=20)
    with emulator(tmp_path, world) as bench:
        empty = shown(bench, "run", "run", write(bench, "empty.csv", _HEADER), "--yes")
        assert (0, {}) == (empty["rows"], empty["statuses"])
        words = ("run", manifest.name, "--yes", "--run-dir", "there")
        paused = shown(bench, "run", "run", *words[1:], "--max-credits", "3", code=5, **_SINGLY)
        assert "credits" in paused["reason"]
        assert "unfinished" == shown(bench, "by its log", "status", "there")["state"]
        few = {"BULKOPS_STOP__FAILED_IN_A_ROW": "4", **_SINGLY}
        stopped = shown(bench, "run", "run", *words[1:], code=4, **few)
        assert "failed_in_a_row" in stopped["reason"]
        assert shown(bench, "by its log", "status", "there")["refusals"]
        refused = {"BULKOPS_AUTH__REFRESH_TOKEN": "revoked", "BULKOPS_AUTH__TOKEN_CACHE": "other"}
        checks = shown(bench, "check", "check", code=6, **refused)["checks"]
        assert "wrong" in {each["state"] for each in checks}


def test_a_run_that_is_under_way(tmp_path: Path) -> None:
    """Looked at, held, slowed, let go and drained; a second one is kept out."""
    manifest, world = couples(tmp_path, 1500)
    with (
        emulator(tmp_path, world, latency_median_s=0.1, latency_sigma=0.0) as bench,
        running(bench, "run", manifest.name, "--yes", "--json", **_SINGLY) as process,
    ):
        wait_for(bench, outcomes=8, process=process)
        name = bench.run_directory.name
        assert "running" == shown(bench, "of its process", "status", name)["state"]
        assert "holding" == shown(bench, "status", "ctl", name, "pause")["state"]
        watched = bench.run("status", name, "--watch", "--every", "0.05", "--times", "3", "--json")
        lines = watched.stdout.splitlines()
        assert 3 == len([held("of its process", ("status",), each) for each in lines])
        assert 2 == shown(bench, "status", "ctl", name, "set", "concurrency=2")["concurrency"]
        shown(bench, "failure", "ctl", name, "set", "concurrency=900", code=2)
        locked = shown(bench, "failure", "run", manifest.name, "--yes", code=7, **_SINGLY)
        assert "locked" == locked["error"]["code"]
        shown(bench, "status", "ctl", name, "resume")
        assert "ending" == shown(bench, "status", "ctl", name, "drain")["state"]
        paused = held("run", ("run",), ended(process, 5), code=5)
        assert "drained" in paused["reason"]


def test_jobs_and_their_starts(bench: Bench) -> None:
    """Never started, broken, running, ended; a start left out, and one with nothing to do."""
    write(bench, "jobs/rows.csv", _HEADER + _ROWS)
    nightly = write(bench, "jobs/nightly.toml", _DAILY)
    again = write(bench, "jobs/again.toml", 'retry = ["nightly"]\nconfirm = false\n')
    never = shown(bench, "jobs", "jobs")
    assert [None, None] == [each["started"] for each in never["jobs"]]
    nothing = shown(bench, "start left out", "run", again)
    assert "nothing to try again" in nothing["reason"]
    (bench.folder / "runs" / "pause").touch()
    with running(bench, "run", nightly, "--json") as process:
        wait_for_socket(bench, process)
        skipped = shown(bench, "start left out", "run", nightly, "--if-locked", "skip")
        assert "runs already" in skipped["reason"]
        (job,) = (each for each in shown(bench, "jobs", "jobs")["jobs"] if each["job"] == "nightly")
        assert (True, None, 1) == (job["running"], job["exit"], job["skipped"])
        (bench.folder / "runs" / "pause").unlink()
        held("run", ("run",), ended(process, 0), code=0)
    write(bench, "jobs/broken.toml", "manifset = 1\n")
    told = {each["job"]: each for each in shown(bench, "jobs", "jobs", code=2)["jobs"]}
    assert (0, {"succeeded": 2}) == (told["nightly"]["exit"], told["nightly"]["statuses"])
    assert "manifset" in told["broken"]["problem"]


def test_a_start_that_carries_out_two_runs_tells_of_the_worse_end(bench: Bench) -> None:
    """A night that was killed left 3, today's is 0: the start ends with 3, and says so."""
    nightly = write(bench, "jobs/nightly.toml", _DAILY)
    write(bench, "jobs/rows.csv", _HEADER + _ROWS + _HOPELESS)
    pause = bench.folder / "runs" / "pause"
    pause.parent.mkdir()
    pause.touch()
    with running(bench, "run", nightly, TZ="Etc/GMT+12") as process:
        wait_for_socket(bench, process)
    pause.unlink()
    write(bench, "jobs/rows.csv", _HEADER + _ROWS)
    last = shown(bench, "run", "run", nightly, code=3, TZ="Etc/GMT-14")
    assert {"unchanged": 2} == last["statuses"]


def test_a_reconciliation(bench: Bench) -> None:
    """Beyond a guard, unconfirmed, with differences, and without."""
    rows = [f"Leads,7,Campaigns,{each}\n" for each in range(91, 100)]
    desired = write(bench, "desired.csv", _DESIRED + "".join(rows))
    guarded = shown(bench, "stopped by a guard", "reconcile", desired, "--prune", "--yes", code=8)[
        "error"
    ]["details"]
    assert (1, 1, 1) == (guarded["missing"], guarded["surplus"], guarded["reads"])
    assert (bench.folder / guarded["proposed"]).exists()
    words = ("reconcile", desired, "--prune", "--max-change", "")
    unconfirmed = shown(bench, "failure", "reconcile", *words[1:], code=8)
    assert "not_confirmed" == unconfirmed["error"]["code"]
    changed = shown(bench, "reconciliation", "reconcile", *words[1:], "--yes")
    assert ("", 2) == (changed["reason"], sum(each["lines"] for each in changed["outcomes"]))
    idle = shown(bench, "reconciliation", "reconcile", *words[1:], "--yes")
    assert (0, 0, []) == (idle["missing"], idle["surplus"], idle["outcomes"])


def test_a_job_that_reconciles(bench: Bench) -> None:
    """Not all of DESIRED says something; and beyond a guard."""
    there = "Leads,7,Campaigns,90\n"
    write(bench, "jobs/desired.csv", _DESIRED + there + "Leads,7,Campaigns,x\n")
    text = 'desired = "desired.csv"\nconfirm = false\n'
    nightly = write(bench, "jobs/nightly.toml", text)
    lacking = shown(bench, "reconciliation", "run", nightly, code=3)
    assert 1 == lacking["refused"]
    write(bench, "jobs/nightly.toml", text + "[reconcile]\nprune = true\n")
    write(bench, "jobs/desired.csv", _DESIRED + there)
    shown(bench, "stopped by a guard", "run", nightly, code=8)


def test_a_log_that_is_mended(bench: Bench) -> None:
    """Nothing to mend, and what is lost."""
    shown(bench, "run", "run", write(bench, "rows.csv", _HEADER + _ROWS), "--yes")
    name = bench.run_directory.name
    assert not shown(bench, "repair", "repair", name)["damaged"]
    log = bench.run_directory / "checkpoint.jsonl"
    first, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(first + b"\0damage\n" + b"".join(rest))
    mended = shown(bench, "repair", "repair", name)
    lost = (mended["lost_lines"], mended["lost_outcomes"])
    assert (True, len(rest) + 1, 2) == (mended["damaged"], *lost)
    assert Path(mended["aside"]).is_absolute() or (bench.folder / mended["aside"]).exists()


def test_an_organisation_is_got_to_know(bench: Bench) -> None:
    """A login, and a check of what is there."""
    secrets = "emulator-client\nemulator-secret\nemulator-grant\n"
    more = {"XDG_CONFIG_HOME": str(bench.folder / "config")}
    done = shown(bench, "login", "login", given=secrets, **_NO_CREDENTIALS, **more)
    assert done["goes_before"] is None
    assert Path(done["file"]).is_relative_to(bench.folder / "config")
    rows = write(bench, "rows.csv", _HEADER + _ROWS)
    found = shown(bench, "check", "check", rows, **_NO_CREDENTIALS, **more)
    assert {"ok"} <= {each["state"] for each in found["checks"]}


def test_what_goes_on_until_it_is_ended_says_where_it_is(alone: Bench) -> None:
    """A line with the address as soon as it answers; a demonstration says how it ended."""
    with running(alone, "emulator", "--port", "0", "--json") as process:
        assert process.stdout is not None
        value = held("address", ("emulator",), process.stdout.readline())
        assert Bench(alone.folder, value["url"]).ledger() == []
    with running(alone, "serve", "--port", "0", "--json") as process:
        assert process.stdout is not None
        value = held("address", ("serve",), process.stdout.readline())
        assert value["url"].startswith("http://127.0.0.1:")
    shown(alone, "run", "demo", "--rows", "300", "--dir", "demo", code=3)


def test_verbs_know_their_shapes() -> None:
    """The titles of a verb's shapes tell them apart."""
    assert all(len(titles(each)) == len(set(titles(each))) for each in FAILURES)
