"""The log: what is durable is on the disk, and a log that cannot be written stops the run."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from bulkops.errors import CheckpointError, ExitCode
from bulkops.files.checkpoint import SCHEMA_VERSION, Checkpoint, header

#: Far longer than anything here takes; a test that reaches it hangs.
LONG_S = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoint.jsonl"


@pytest.fixture(autouse=True)
def folder(path: Path) -> None:
    path.parent.mkdir()


def written(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def records(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in written(path)]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class Disk:
    """`os.fsync` that counts, waits and fails as it is told."""

    def __init__(self) -> None:
        self.syncs = 0
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.error: OSError | None = None

    def fsync(self, _file: int) -> None:
        self.syncs += 1
        self.begun.set()
        self.free.wait(LONG_S)
        if self.error is not None:
            raise self.error

    async def busy(self) -> None:
        """Wait until a sync is under way."""
        assert await asyncio.to_thread(self.begun.wait, LONG_S)
        self.begun.clear()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    yield disk
    disk.free.set()


async def test_what_is_durable_is_in_the_file(path: Path) -> None:
    """When `durable` returns, everything appended before it can be read back, in order."""
    async with Checkpoint(path, clock=lambda: 12.3456) as log:
        for line in range(100):
            log.append(type="outcome", line=line)
        await log.durable()
        expected = [{"type": "outcome", "line": line, "t": 12.346} for line in range(100)]
        assert records(path) == expected


async def test_many_records_at_once_are_as_many_alone(path: Path) -> None:
    """Byte for byte, whatever the others hold that is in all of them."""
    others = {"status": "failed", "message": 'null "line":0 \n é', "code": "X", "batch": 7}
    async with Checkpoint(path, clock=lambda: 12.3456) as log:
        log.append_each("outcome", "line", [5, 1, 10**12], **others)
        log.append_each("outcome", "line", [3])
        for line in (5, 1, 10**12):
            log.append(type="outcome", line=line, **others)
        log.append(type="outcome", line=3)
    assert written(path)[4:] == written(path)[:4]


async def test_durable_waits_for_the_sync(path: Path, disk: Disk) -> None:
    """Written is not durable: a power cut may still take it."""
    disk.free.clear()
    async with Checkpoint(path) as log:
        log.append(type="sent", call=1)
        waiting = asyncio.create_task(log.durable())
        await disk.busy()
        await asyncio.sleep(0.01)
        assert not waiting.done()
        disk.free.set()
        await asyncio.wait_for(waiting, LONG_S)


async def test_one_sync_serves_all_who_wait(path: Path, disk: Disk) -> None:
    """While one sync is under way, everything else gathers for the next."""
    disk.free.clear()
    async with Checkpoint(path) as log:

        async def intend(call: int) -> None:
            log.append(type="sent", call=call)
            await log.durable()

        first = asyncio.create_task(intend(0))
        await disk.busy()
        crowd = [asyncio.create_task(intend(call)) for call in range(1, 101)]
        await asyncio.sleep(0)
        disk.free.set()
        await asyncio.wait_for(asyncio.gather(first, *crowd), LONG_S)
        assert disk.syncs == 2
        assert [each["call"] for each in records(path)] == list(range(101))


async def test_durable_does_not_wait_for_what_comes_later(path: Path, disk: Disk) -> None:
    """Who waits is served by the sync of his own record, whatever others append meanwhile."""
    disk.free.clear()
    async with Checkpoint(path) as log:
        log.append(type="sent", call=1)
        waiting = asyncio.create_task(log.durable())
        await disk.busy()
        disk.free.set()
        log.append(type="note", event="later")
        await asyncio.wait_for(waiting, LONG_S)


async def test_nothing_to_wait_for_is_no_wait(path: Path, disk: Disk) -> None:
    """A log that is durable already costs no sync."""
    async with Checkpoint(path) as log:
        await log.durable()
        log.append(type="note")
        await log.durable()
        synced = disk.syncs
        await log.durable()
        assert disk.syncs == synced


async def test_one_who_gives_up_waiting_harms_nobody(path: Path, disk: Disk) -> None:
    """A cancelled call leaves its record in the log and the others their turn."""
    disk.free.clear()
    async with Checkpoint(path) as log:
        log.append(type="sent", call=1)
        gone, stays = asyncio.create_task(log.durable()), asyncio.create_task(log.durable())
        await disk.busy()
        gone.cancel()
        await asyncio.sleep(0)
        disk.free.set()
        await asyncio.wait_for(stays, LONG_S)
    assert [each["call"] for each in records(path)] == [1]


async def test_closing_writes_and_syncs_what_is_left(path: Path, disk: Disk) -> None:
    """Outcomes that nobody waits for are not lost at the end."""
    async with Checkpoint(path) as log:
        for line in range(1000):
            log.append(type="outcome", line=line)
    assert len(records(path)) == 1000
    assert disk.syncs > 0


def writers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "checkpoint"]


async def cancelled_while_closing(path: Path, disk: Disk, meanwhile: Callable[[], None]) -> None:
    """Cancel the end of a block while its last sync is under way; `meanwhile` ends that sync."""
    leaving = asyncio.Event()

    async def run() -> None:
        async with Checkpoint(path) as log:
            log.append(type="outcome", line=1)
            await disk.busy()
            log.append(type="outcome", line=2)
            leaving.set()

    disk.free.clear()
    running = asyncio.create_task(run())
    await leaving.wait()
    running.cancel()
    timer = threading.Timer(0.02, meanwhile)
    timer.start()
    await running


async def test_a_signal_cannot_cancel_the_end(path: Path, disk: Disk) -> None:
    """Cancelled while it closes, the log still writes and syncs all it was given, and closes."""
    with pytest.raises(asyncio.CancelledError):
        await cancelled_while_closing(path, disk, disk.free.set)
    assert [1, 2] == [each["line"] for each in records(path)]
    assert disk.syncs == 2
    assert writers() == []


async def test_a_cancelled_end_still_tells_of_a_failing_disk(path: Path, disk: Disk) -> None:
    """That the run was interrupted is no reason to hide that its log is not whole."""

    def fail() -> None:
        disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
        disk.free.set()

    with pytest.raises(CheckpointError, match="Input/output error"):
        await cancelled_while_closing(path, disk, fail)
    assert writers() == []


async def test_a_closed_log_takes_nothing_more(path: Path) -> None:
    """What is appended too late is an error that says so, not a record that is nowhere."""
    async with Checkpoint(path) as log:
        log.append(type="outcome", line=1)
    with pytest.raises(CheckpointError, match="is closed"):
        log.append(type="outcome", line=2)
    assert [1] == [each["line"] for each in records(path)]


async def test_what_was_there_is_kept(path: Path) -> None:
    """Going on with a run appends to its log."""
    for call in (1, 2):
        async with Checkpoint(path) as log:
            log.append(type="sent", call=call)
    assert [each["call"] for each in records(path)] == [1, 2]


async def append_and_raise(path: Path) -> None:
    async with Checkpoint(path) as log:
        log.append(type="outcome", line=1)
        raise ZeroDivisionError


async def test_an_error_inside_still_writes_what_was_appended(path: Path) -> None:
    """A run that ends badly leaves its log whole, for its owner alone."""
    with pytest.raises(ZeroDivisionError):
        await append_and_raise(path)
    assert [each["line"] for each in records(path)] == [1]
    assert mode_of(path) == 0o600


async def test_a_log_that_cannot_be_opened_is_one_clear_error(path: Path) -> None:
    """A folder that is missing names the file."""
    missing = path.parent / "missing" / path.name
    with pytest.raises(CheckpointError, match=r"missing/checkpoint\.jsonl") as caught:
        await append_and_raise(missing)
    assert caught.value.exit_code is ExitCode.INTERNAL


async def test_a_failing_disk_wakes_all_who_wait(path: Path, disk: Disk) -> None:
    """Nobody sends on a promise that was not kept, and nobody hangs."""
    disk.free.clear()

    async def run() -> None:
        async with Checkpoint(path) as log:
            log.append(type="sent", call=1)
            waiting = [asyncio.create_task(log.durable()) for _ in range(10)]
            await disk.busy()
            disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
            disk.free.set()
            ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), LONG_S)
            assert [type(each) for each in ended] == [CheckpointError] * 10

    with pytest.raises(CheckpointError, match="Input/output error"):
        await run()


async def test_nothing_more_is_taken_once_a_write_has_failed(path: Path, disk: Disk) -> None:
    """Every later call raises at once, and so does the end of a block that saw nothing."""

    async def run() -> None:
        async with Checkpoint(path) as log:
            disk.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            log.append(type="outcome", line=1)
            with pytest.raises(CheckpointError, match="No space left"):
                await asyncio.wait_for(log.durable(), LONG_S)
            with pytest.raises(CheckpointError, match="No space left"):
                log.append(type="outcome", line=2)
            with pytest.raises(CheckpointError, match="No space left"):
                await log.durable()
            assert disk.syncs == 1

    with pytest.raises(CheckpointError, match="No space left"):
        await run()


async def test_the_error_that_ended_a_run_is_not_hidden(path: Path, disk: Disk) -> None:
    """A failing log beside another failure leaves that one to be told."""
    disk.error = OSError(errno.EIO, "gone")
    with pytest.raises(ZeroDivisionError):
        await append_and_raise(path)


async def test_a_log_deleted_under_the_run_is_a_log_that_cannot_be_written(path: Path) -> None:
    """Writing to a file that has no name any more succeeds, and saves nothing."""

    async def run() -> None:
        async with Checkpoint(path) as log:
            log.append(type="sent", call=1)
            await log.durable()
            shutil.rmtree(path.parent)
            log.append(type="sent", call=2)
            await asyncio.wait_for(log.durable(), LONG_S)

    with pytest.raises(CheckpointError, match="was deleted"):
        await run()


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from bulkops.files.checkpoint import Checkpoint
from bulkops.errors import CheckpointError

async def main(path):
    async with Checkpoint(path) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        for call in range(1000):
            log.append(type="sent", call=call)
            await asyncio.wait_for(log.durable(), 10)
            print(call, flush=True)

try:
    asyncio.run(main(Path(sys.argv[1])))
except CheckpointError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_ends_the_process_with_the_reason(path: Path) -> None:
    """Every call that was promised is in the file, and the one that was not ends the run."""
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == 1
    assert "cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    promised = [int(line) for line in ended.stdout.split()]
    whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    assert promised
    assert promised == [orjson.loads(line)["call"] for line in whole][: len(promised)]
    assert path.stat().st_size <= 4096


async def test_a_short_write_is_written_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less at a time than it is given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data)[:7]))
    async with Checkpoint(path, clock=lambda: 1.0) as log:
        log.append(type="note", event="a long line, of more than seven bytes")
        await log.durable()
    assert records(path) == [
        {"type": "note", "event": "a long line, of more than seven bytes", "t": 1.0}
    ]


def test_a_header_says_which_run_and_which_schema() -> None:
    """What the log is of stands in its first line."""
    expected = {"type": "run", "v": SCHEMA_VERSION, "run": "leads-1", "plan": "abc", "rows": 7}
    assert header("leads-1", "abc", 7) == expected
