"""
Every exit code, from every verb that has it, by the real program.

`TABLE` has a row for each verb. A cell is either a command that is run here, or the name of a
test elsewhere that has the real program end so, where that takes a stage of its own. A code that
is missing from the table fails, and so does a name whose test does not speak of verb and code.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

import pytest

from bulkops.cli.schema import verbs
from bulkops.errors import ExitCode
from tests.e2e.harness import CREDENTIALS, Bench, closed_window, emulator
from tests.e2e.test_steering import finish

#: As a program ends whose reader has left: 128 + SIGPIPE.
CLOSED_PIPE = 141
_HERE = Path(__file__).parent
_HEADER = "op,module,record_id,related_list,related_id\n"
_WORLD = {
    "relations": {
        "Products/500/Deals": [str(each) for each in range(1, 20)],
        "Leads/7/Campaigns": [str(each) for each in range(90, 99)],
    }
}
_REVOKED = {"BULKOPS_AUTH__REFRESH_TOKEN": "revoked", "BULKOPS_AUTH__TOKEN_CACHE": "none"}
_NOBODY = {"BULKOPS_API__BASE_URL": "http://127.0.0.1:9", "BULKOPS_AUTH__ACCESS_TOKEN": "x"}
#: The next call that deletes is refused for good, once.
_REFUSED_ONCE = {
    "kind": "status",
    "status": 400,
    "method": "DELETE",
    "times": 1,
    "payload": {"code": "INVALID_DATA", "details": {}, "message": "no", "status": "error"},
}
STATES = frozenset({"done", "part", "several", "spoilt", "planned", "hurt", "held"})
#: A call a row, one at a time, and no failure.
_STRICT = {
    "BULKOPS_STOP__FAILED_IN_A_ROW": "1",
    "BULKOPS_LIMITS__IDS_PER_CALL": "1",
    "BULKOPS_LIMITS__CONCURRENCY": "1",
}


@dataclass(frozen=True)
class Ends:
    """
    A command that is run on the stage; `shut` outside of the window, `unread` to a closed pipe.

    With a `number` it is held, and that signal is sent once it is under way. One that is `busy` is
    started while another process does the same.
    """

    line: str
    more: dict[str, str] = field(default_factory=dict)
    shut: bool = False
    unread: bool = False
    number: signal.Signals | None = None
    busy: bool = False


TABLE: dict[str, dict[int, Ends | str]] = {
    "run": {
        0: Ends("run fine.csv --yes --run-dir done"),
        1: Ends("run fine.csv --yes --run-dir hurt"),
        2: "test_cli.test_a_file_that_cannot_be_read_is_one_clear_error",
        3: Ends("run part.csv --yes --run-dir part"),
        4: "test_trouble.test_too_many_failures_stop_the_run",
        5: "test_steering.test_outside_the_window_nothing_is_sent",
        6: "test_run.test_secrets_are_in_no_output",
        7: "test_run.test_a_second_run_on_one_directory_is_refused",
        8: "test_run.test_an_unconfirmed_plan_sends_nothing",
        130: "test_run.test_interrupted_and_run_again_ends_the_same",
        143: "test_run.test_a_second_run_on_one_directory_is_refused",
    },
    "retry": {
        0: Ends("retry spoilt --yes --run-dir mended"),
        1: Ends("retry hurt --yes"),
        2: "test_jobs.test_a_retry_of_two_runs_and_of_that",
        3: "test_run.test_retry_sends_the_rest_again",
        4: Ends("retry several --yes --run-dir r4", _STRICT),
        5: Ends("retry part --yes --run-dir r5", shut=True),
        6: Ends("retry part --yes --run-dir r6", _REVOKED),
        7: Ends("retry part --yes --run-dir held"),
        8: Ends("retry part --run-dir r8"),
        130: Ends("retry part --yes --run-dir r130", number=signal.SIGINT),
        143: Ends("retry part --yes --run-dir r143", number=signal.SIGTERM),
    },
    "undo": {
        0: "test_undo.test_a_run_and_its_undo_leave_the_world_as_it_was",
        1: Ends("undo hurt --yes"),
        2: Ends("undo no-such-run --yes"),
        3: "test_undo.test_what_a_later_run_changed_is_left_alone",
        5: Ends("undo done --yes", shut=True),
        6: Ends("undo part --yes", _REVOKED),
        7: Ends("undo held --yes"),
        8: Ends("undo several"),
    },
    "reconcile": {
        0: "test_reconcile.test_beyond_a_limit_nothing_is_sent",
        2: Ends("reconcile no-such-file.csv --yes"),
        3: "test_reconcile.test_what_could_not_be_read_is_no_0",
        4: Ends("reconcile wrong.csv --yes", {**_STRICT, "BULKOPS_RECONCILE__MAX_CHANGE": ""}),
        5: "test_reconcile.test_reading_that_was_stopped_goes_on_where_it_was",
        6: Ends("reconcile desired.csv --yes", _REVOKED),
        7: Ends("reconcile other.csv --yes", busy=True),
        8: "test_reconcile.test_beyond_a_limit_nothing_is_sent",
        130: "test_reconcile.test_reading_that_was_stopped_goes_on_where_it_was",
        143: Ends("reconcile other.csv --yes", number=signal.SIGTERM),
    },
    "verify": {
        0: "test_undo.test_verify_agrees_with_a_true_run_and_finds_a_false_one",
        1: Ends("verify hurt"),
        2: Ends("verify done --sample none"),
        3: "test_undo.test_verify_agrees_with_a_true_run_and_finds_a_false_one",
        5: Ends("verify done --all", {**_NOBODY, "BULKOPS_LIMITS__ATTEMPTS": "2"}),
        6: Ends("verify done --all", _REVOKED),
        7: Ends("verify done --all", busy=True),
        130: Ends("verify part --all", number=signal.SIGINT),
        143: Ends("verify several --all", number=signal.SIGTERM),
    },
    "check": {
        0: "test_habits.test_check_in_words_names_the_next_step",
        2: "test_habits.test_check_without_credentials",
        5: "test_habits.test_check_where_nobody_answers",
        6: "test_habits.test_check_with_a_token_that_is_refused",
    },
    "login": {
        0: "test_habits.test_login_keeps_a_refresh_token_for_its_owner_alone",
        2: Ends("login", dict.fromkeys(CREDENTIALS, "")),
        6: "test_habits.test_login_keeps_a_refresh_token_for_its_owner_alone",
    },
    "ctl": {0: Ends("ctl held status"), 2: Ends("ctl done pause")},
    "status": {
        0: Ends("status held"),
        1: Ends("status hurt"),
        2: Ends("status no-such-run"),
        130: Ends("status held --watch", number=signal.SIGINT),
        CLOSED_PIPE: Ends("status held --watch --json", unread=True),
    },
    "jobs": {0: Ends("jobs sound"), 2: "test_jobs.test_a_folder_with_a_broken_job_is_told"},
    "outcomes": {
        0: Ends("outcomes done"),
        1: Ends("outcomes done --output no-such-folder/x"),
        2: Ends("outcomes done --status gone"),
        CLOSED_PIPE: "test_habits.test_a_failing_run_fails_whoever_reads",
    },
    "repair": {
        0: Ends("repair done"),
        1: Ends("repair planned"),
        2: Ends("repair no-such-run"),
        7: Ends("repair held"),
    },
    "report": {0: Ends("report done"), 2: Ends("report no-such-run")},
    "plan": {
        0: Ends("plan fine.csv"),
        2: "test_cli.test_a_file_that_cannot_be_read_is_one_clear_error",
        8: Ends("plan part.csv --run-dir done"),
    },
    "config show": {
        0: Ends("config show"),
        2: Ends("config show --config no-such.toml"),
        CLOSED_PIPE: "test_habits.test_data_that_nobody_reads_end_as_a_closed_pipe_does",
    },
    "config path": {
        0: Ends("config path --config own.toml"),
        2: "test_habits.test_config_path_names_the_file",
    },
    "schema": {0: Ends("schema run"), 2: Ends("schema no-such-verb")},
    "emulator": {2: Ends("emulator --seed no-such-file.json")},
    "serve": {0: Ends("serve --port 0 --json", number=signal.SIGINT), 2: Ends("serve --host none")},
    "demo": {
        2: Ends("demo --dir /dev/null/x"),
        3: "test_run.test_the_demonstration_ends_with_its_true_code",
    },
}
RUN_HERE = [
    pytest.param(code, cell, id=f"{verb} {code}")
    for verb, row in TABLE.items()
    for code, cell in row.items()
    if isinstance(cell, Ends)
]
NAMED = [
    pytest.param(verb, code, cell, id=f"{verb} {code}")
    for verb, row in TABLE.items()
    for code, cell in row.items()
    if isinstance(cell, str)
]


def unlinks(*deals: int, product: int = 500) -> str:
    return _HEADER + "".join(f"unlink,Products,{product},Deals,{each}\n" for each in deals)


def links(*campaigns: int) -> str:
    """Rows that fail: no campaign of these ids exists."""
    return "".join(f"link,Leads,7,Campaigns,{each}\n" for each in campaigns)


FILES = {
    "fine.csv": unlinks(1, 2),
    "part.csv": unlinks(3) + links(555),
    "several.csv": unlinks(4) + links(556, 557, 558),
    "spoilt.csv": unlinks(5, product=500),
    "held.csv": unlinks(6),
    "desired.csv": _HEADER.removeprefix("op,") + "Leads,7,Campaigns,90\n",
    "other.csv": _HEADER.removeprefix("op,") + "Leads,7,Campaigns,91\n",
    "wrong.csv": _HEADER.removeprefix("op,")
    + "".join(f"Leads,7,Campaigns,{each}\n" for each in range(600, 605)),
    "own.toml": "[limits]\nattempts = 3\n",
    "sound/nightly.toml": 'manifest = "rows.csv"\n',
}


class Stage:
    """
    An emulator, and runs in each state, each made when a command first names it: `done`, `part`
    (some rows failed), `several` of them, `spoilt` by a refusal, `planned`, `hurt`, and `held`.
    """

    def __init__(self, bench: Bench, until_the_end: ExitStack) -> None:
        self.bench = bench
        self._made: set[str] = set()
        self._until_the_end = until_the_end

    def set_for(self, words: list[str]) -> None:
        """Make the runs that `words` name."""
        for name in words:
            if name in STATES and name not in self._made:
                self._made.add(name)
                self._make(name)

    def _make(self, name: str) -> None:
        match name:
            case "planned" | "hurt":
                assert self.bench.run("plan", "fine.csv", "--run-dir", name).returncode == 0
                if name == "hurt":
                    log = self.bench.folder / "hurt" / "checkpoint.jsonl"
                    log.write_text("damage\n" * 3)
            case "held":
                self.set_for(["part"])
                words = ["retry", "part", "--yes", "--run-dir", "held"]
                self._until_the_end.enter_context(Held(self.bench, words))
            case _:
                if name == "spoilt":
                    self.bench.ask("faults", _REFUSED_ONCE)
                file = "fine.csv" if name == "done" else f"{name}.csv"
                done = self.bench.run("run", file, "--yes", "--run-dir", name)
                assert done.returncode == (0 if name == "done" else 3), done.stderr


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An organisation, and no run yet."""
    folder = tmp_path_factory.mktemp("codes")
    (folder / "sound").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "world.json").write_text(json.dumps(_WORLD))
    with emulator(folder, folder / "world.json") as bench, ExitStack() as until_the_end:
        yield Stage(bench, until_the_end)


class Held:
    """Start the program, held by a pause file before it sends; kill it in the end."""

    def __init__(self, bench: Bench, words: list[str]) -> None:
        self._bench = bench
        self._words = words
        #: Its runs directory, in which everything is held.
        self.runs = Path(tempfile.mkdtemp(dir=bench.folder, prefix="runs-"))
        (self.runs / "pause").touch()

    def __enter__(self) -> Self:
        folder = self._bench.folder
        before = set(folder.rglob("ctl.sock"))
        words = [str(folder / each) if (folder / each).is_dir() else each for each in self._words]
        self.process = self._bench.begin(*words, BULKOPS_RUN__DIRECTORY=str(self.runs))
        if self._words[0] in {"status", "serve"}:
            # These are held by nothing; they are under way once they have printed something.
            assert self.process.stdout is not None
            self.process.stdout.readline()
        else:
            deadline = time.monotonic() + 60
            while set(folder.rglob("ctl.sock")) <= before:
                assert self.process.poll() is None, self.process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(("code", "ends"), RUN_HERE)
def test_it_ends_so(stage: Stage, code: int, ends: Ends) -> None:
    """The program that people start ends with the code of the table."""
    words, bench = ends.line.split(), stage.bench
    stage.set_for(words)
    more = {**ends.more, **({"BULKOPS_RUN__WINDOW": closed_window()} if ends.shut else {})}
    if ends.number is not None:
        with Held(bench, words) as held:
            held.process.send_signal(ends.number)
            finish(held.process, code)
        return
    if ends.busy:
        with Held(bench, words) as held:
            done = bench.run(*words, BULKOPS_RUN__DIRECTORY=str(held.runs))
            assert code == done.returncode, done.stderr
        return
    reading, writing = os.pipe()
    if ends.unread:
        os.close(reading)
    done = subprocess.run(
        bench.command(*words),
        cwd=bench.folder,
        env=bench.environment(**{"BULKOPS_RUN__DIRECTORY": ".", **more}),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writing)
    if not ends.unread:
        os.close(reading)
    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((_HERE / f"{module}.py").read_text(encoding="utf-8"))


def speaks_of(function: ast.AST, module: ast.Module) -> tuple[set[str], set[int]]:
    """The words and the exit codes in a test, and in the constants of its module that it names."""
    names = {each.id for each in ast.walk(function) if isinstance(each, ast.Name)}
    parts = [function]
    for each in module.body:
        match each:
            case ast.Assign(targets=[ast.Name(id)]) | ast.AnnAssign(target=ast.Name(id)):
                parts += [each] if id in names else []
    for decorator in getattr(function, "decorator_list", ()):
        parts.append(decorator)
    nodes = [each for part in parts for each in ast.walk(part)]
    found = [each.value for each in nodes if isinstance(each, ast.Constant)]
    words = {each for each in found if isinstance(each, str)}
    return words, {each for each in found if type(each) is int}


@pytest.mark.parametrize(("verb", "code", "name"), NAMED)
def test_another_test_has_it_end_so(verb: str, code: int, name: str) -> None:
    """The test that is named is there, is run, and speaks of the verb and of the code."""
    module, _, test = name.partition(".")
    (function,) = (each for each in ast.walk(tree(module)) if getattr(each, "name", "") == test)
    assert "large" not in ast.unparse(ast.Module(getattr(function, "decorator_list", []), []))
    words, numbers = speaks_of(function, tree(module))
    assert verb.split(maxsplit=1)[0] in words or f"{verb} " in " ".join(words)
    assert code in numbers


def test_every_code_and_every_verb_is_in_the_table() -> None:
    """Whoever adds a code or a verb shows that the program ends so; nothing else is in it."""
    codes = {int(each) for each in ExitCode} | {CLOSED_PIPE}
    assert codes == {code for row in TABLE.values() for code in row}
    assert codes - {CLOSED_PIPE} == TABLE["run"].keys()
    assert verbs() == sorted(TABLE)
    # A verb that works can say so; an emulator goes on until it is ended.
    assert {verb for verb, row in TABLE.items() if 0 not in row} == {"demo", "emulator"}
    assert all(2 in row for row in TABLE.values())
