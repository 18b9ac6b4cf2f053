"""The run directory: one process at a time, one name for one wish, and whole files."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import CheckpointError, ExitCode, LockedError, UsageError
from bulkops.files.rundir import RunDirectory, digest_of, find_run, run_name, write_atomically

HOLDER = """
import sys
from pathlib import Path
from bulkops.files.rundir import RunDirectory
with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""
TAKER = """
import sys
from pathlib import Path
from bulkops.errors import LockedError
from bulkops.files.rundir import RunDirectory
try:
    with RunDirectory(Path(sys.argv[1])).locked():
        print("taken")
except LockedError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def python(code: str, run: RunDirectory) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@contextmanager
def holder(run: RunDirectory) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    process = python(HOLDER, run)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.communicate(timeout=30)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "leads-1")
    run.create()
    return run


def test_a_second_process_is_refused_and_told_who_is_first(run: RunDirectory) -> None:
    """It does not wait, and it names the process that holds the run."""
    with holder(run) as first, pytest.raises(LockedError) as caught, run.locked():
        pass
    assert f"process {first.pid} on " in str(caught.value)
    assert caught.value.exit_code is ExitCode.LOCKED


def test_a_second_process_ends_with_the_code_of_a_lock(run: RunDirectory) -> None:
    """The words go to whoever started it."""
    with run.locked():
        second = python(TAKER, run)
        _, words = second.communicate(timeout=30)
    assert second.returncode == ExitCode.LOCKED
    assert f"process {os.getpid()} on " in words


def test_the_lock_of_a_killed_process_does_not_block(run: RunDirectory) -> None:
    """The system drops it, however the process ended; the new holder signs in its place."""
    with holder(run) as first:
        first.send_signal(signal.SIGKILL)
        first.wait(timeout=30)
        with run.locked():
            assert (run.path / "lock").read_text().startswith(f"process {os.getpid()} on ")


def test_the_lock_is_given_back_after_an_error(run: RunDirectory) -> None:
    """The next run in the same process finds it free."""
    with pytest.raises(ZeroDivisionError), run.locked():
        raise ZeroDivisionError
    with run.locked():
        pass


def test_one_process_cannot_hold_a_run_twice(run: RunDirectory) -> None:
    """Two runs in one process are two runs."""
    with run.locked(), pytest.raises(LockedError), run.locked():
        pass
    with run.locked():
        pass


def test_a_run_is_for_its_owner_alone(run: RunDirectory) -> None:
    """The folder is 0700 and the lock 0600, under any usual umask."""
    with run.locked():
        modes = [stat.S_IMODE(each.stat().st_mode) for each in (run.path, run.path / "lock")]
    assert modes == [0o700, 0o600]


def test_a_folder_that_is_there_is_used_as_it_is(run: RunDirectory) -> None:
    """Making it again changes nothing in it."""
    (run.path / "checkpoint.jsonl").write_text("x")
    run.create()
    assert run.checkpoint.read_text() == "x"


def test_a_run_directory_that_cannot_be_made_is_a_matter_of_usage(tmp_path: Path) -> None:
    """A file in its way names the folder."""
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="leads-1"):
        RunDirectory(tmp_path / "runs" / "leads-1").create()


def test_the_files_of_a_run_have_the_names_of_the_contract(run: RunDirectory) -> None:
    """Users and tools find them by name."""
    names = [each.name for each in (run.description, run.plan, run.checkpoint)]
    assert names == ["run.json", "plan.parquet", "checkpoint.jsonl"]
    assert run.name == "leads-1"


def test_a_description_is_read_as_it_was_written(run: RunDirectory) -> None:
    """With the schema and the version of bulkops added; before it is written there is none."""
    assert run.read_description() is None
    run.describe({"digest": "abc"})
    found = run.read_description()
    assert found is not None
    assert (found["v"], found["digest"]) == (2, "abc")
    assert found["bulkops"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"v": 1}', b'{"v": 3}', b"{}"])
def test_a_description_that_cannot_be_read_is_one_clear_error(
    run: RunDirectory, content: bytes
) -> None:
    """The file is named; another schema is not guessed at."""
    run.description.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.json"):
        run.read_description()


@pytest.mark.parametrize("content", [b"[]", b"7", b'"run"'])
def test_a_description_that_is_no_object_is_one_clear_error(
    run: RunDirectory, content: bytes
) -> None:
    """It is told like any other damage."""
    run.description.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.json"):
        run.read_description()


def test_a_write_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before the last step leaves the file as it was."""
    path = tmp_path / "run.json"
    write_atomically(path, b"old")

    def no_space(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_content_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot leave an empty file under the final name."""
    path, seen = tmp_path / "run.json", []
    monkeypatch.setattr(os, "fsync", lambda _file: seen.append(path.exists()))
    write_atomically(path, b"new")
    assert seen[0] is False


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("leads.csv", "leads-01234567"),
        ("exports/leads.2024.csv.gz", "leads-01234567"),
        ("My Leads (final).csv", "My-Leads-final--01234567"),
        (".csv", "run-01234567"),
        ("x" * 60 + ".csv", "x" * 40 + "-01234567"),
    ],
)
def test_a_run_is_named_after_its_manifest(manifest: str, expected: str) -> None:
    """The stem for people, a short digest for the rest."""
    assert run_name(Path(manifest), "0123456789abcdef") == expected


@given(st.text(min_size=1).filter(lambda name: "/" not in name and "\0" not in name))
def test_a_name_is_one_folder_and_safe_to_type(name: str) -> None:
    """Letters, digits, `-` and `_` alone, whatever the manifest is called."""
    if name in {".", ".."}:
        return
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,49}", run_name(Path(name), "0123456789abcdef"))


@pytest.mark.parametrize("manifest", ["прогон.csv", "-leads.csv", "Überfällig.csv"])
def test_a_name_never_looks_like_an_option(manifest: str) -> None:
    """It is typed after `bulkops status`."""
    assert not run_name(Path(manifest), "0123456789abcdef").startswith("-")


def test_a_digest_is_of_the_values_and_not_of_their_order() -> None:
    """The same options find the same run; another value or place finds another."""
    one, same = digest_of("sha", {"a": 1, "b": 2}), digest_of("sha", {"b": 2, "a": 1})
    assert one == same
    others = [digest_of("sha", {"a": 1, "b": 3}), digest_of({"a": 1, "b": 2}, "sha"), digest_of()]
    assert one not in others
    assert re.fullmatch("[0-9a-f]{64}", one)


def test_a_run_is_found_by_name_and_by_path(run: RunDirectory) -> None:
    """From anywhere by its path, and by its name in the configured folder."""
    run.describe({})
    assert find_run(run.path.parent, "leads-1") == run
    assert find_run(Path("elsewhere"), str(run.path)) == run


def test_a_run_that_is_not_there_lists_those_that_are(run: RunDirectory, tmp_path: Path) -> None:
    """A slip of the keyboard is easy to see."""
    run.describe({})
    with pytest.raises(UsageError, match=r"leads-2: no run of that name.*leads-1"):
        find_run(run.path.parent, "leads-2")
    with pytest.raises(UsageError, match="none yet"):
        find_run(tmp_path / "nowhere", "leads-2")


def test_a_run_that_is_being_planned_is_told_from_none(run: RunDirectory) -> None:
    """Its folder is there, and so it would be strange to hear that it is not."""
    with run.locked(), pytest.raises(UsageError, match=r"leads-1: this run has no plan yet"):
        find_run(run.path.parent, "leads-1")


def test_of_many_runs_the_last_active_are_named(tmp_path: Path) -> None:
    """A month of nightly runs fills no screen."""
    for number in range(14):
        one = RunDirectory(tmp_path / f"run-{number:02}")
        one.create()
        one.describe({})
        os.utime(one.description, (number, number))
    with pytest.raises(UsageError, match=r": run-13, run-12, .*, run-04, and 4 older ones$"):
        find_run(tmp_path, "nothing")
