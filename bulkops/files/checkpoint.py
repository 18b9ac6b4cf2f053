"""
The append-only log of a run: the truth about every line, and the queue it resumes from.

One JSON object a line, each with its `type`:

- `run`: the header, first line alone; `v` is the schema version.
- `sent`: a call of `batch` leaves, numbered `call`. `lines` only if it carries fewer than the
  batch's.
- `answer`: that `call` ended, and some of its lines are not settled; `doubtful` are those that
  it may have changed all the same.
- `before`: how the `items` of a `batch` stood before its first call; `null` for what was not there.
- `outcome`: a line is settled, once and for all; but `unknown`, and what went with an aborted
  group (`skipped`, and `failed` with `aborted`) may be tried by a later run.
- `job`: the server scheduled the work of a line under `job_id`.
- `note`: anything worth knowing later (`event` says what). After `run.reopened` the lines that
  went with aborted groups until then have no outcome any more.

Appending never waits; `durable` does. A writer thread takes all that a turn of the loop has
gathered, writes it, and makes it durable with one `fsync` for everyone who waits.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from bulkops.errors import CheckpointError

SCHEMA_VERSION = 1


class Checkpoint:
    """
    The log, open for appending by one process.

    With `fsync` (the default) "durable" means that a power cut cannot take it back; without it,
    that the death of this process cannot. Use as an async context manager; leaving it writes and
    syncs what is left, even if that is cancelled. Once a write has failed every further call raises
    `CheckpointError`: a run whose log cannot be written stops.
    """

    def __init__(
        self, path: Path, *, fsync: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._fsync = fsync
        self._clock = clock
        self._fresh: list[bytes] = []
        self._buffer: list[bytes] = []
        self._appended = 0
        self._synced = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._wake = threading.Condition()
        self._closing = False
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._cannot(error) from error
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_on, name="checkpoint", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._hand_over()
        with self._wake:
            self._closing = True
            self._wake.notify()
        try:
            await asyncio.to_thread(self._thread.join)
        finally:
            # A signal may cancel the wait, but not the writing: then the whole loop waits for it.
            self._thread.join()
            os.close(self._file)
            if self._failure is not None and not isinstance(_value, Exception):
                raise self._cannot(self._failure)

    def append(self, **record: Any) -> None:
        """
        Add one record, stamped with `t` (seconds since 1970). Does not wait for the disk.

        Raises `CheckpointError` if a write has failed, or if the log is closed already.
        """
        self._append(orjson.dumps({**record, "t": round(self._clock(), 3)}) + b"\n", record["type"])

    def append_each(
        self, record_type: str, name: str, values: Iterable[int], /, **others: Any
    ) -> None:
        """
        Add a record for each of `values`, which it has under `name`; `others` are in all of them.

        Like as many calls of `append`, but for the price of one.
        """
        record = {"type": record_type, name: None, **others, "t": round(self._clock(), 3)}
        before, after = (orjson.dumps(record) + b"\n").split(b"null", 1)
        # In C: the numbers of a list as JSON, what parts them put in place of its commas.
        lines = orjson.dumps(list(values))[1:-1].replace(b",", after + before)
        self._append(b"".join((before, lines, after)), record_type)

    def _append(self, lines: bytes, record_type: str) -> None:
        if self._failure is not None:
            raise self._cannot(self._failure)
        if self._closing:
            raise CheckpointError(
                f"{self._path}: the checkpoint log is closed; a record came too late and is not in "
                f"it ({record_type}). Run the same command again: it is found out anew."
            )
        if not self._fresh:
            self._loop.call_soon(self._hand_over)
        self._fresh.append(lines)
        self._appended += 1

    def _hand_over(self) -> None:
        """Let the writer have what this turn of the loop has appended: it is woken once for all."""
        fresh, self._fresh = self._fresh, []
        with self._wake:
            self._buffer += fresh
            self._wake.notify()

    async def durable(self) -> None:
        """Return once everything appended so far is durable."""
        if self._failure is not None:
            raise self._cannot(self._failure)
        if self._synced >= self._appended:
            return
        future = self._loop.create_future()
        self._waiting.append((self._appended, future))
        await future

    def _write_on(self) -> None:
        """Write and sync until closed. Runs in the writer thread."""
        written = 0
        try:
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._buffer or self._closing)
                    lines, self._buffer = self._buffer, []
                    if not lines:
                        return
                _commit(self._file, b"".join(lines), fsync=self._fsync)
                written += len(lines)
                self._loop.call_soon_threadsafe(self._advance, written)
        except BaseException as error:  # noqa: BLE001  (crosses threads; raised in the loop)
            self._failure = error
            self._loop.call_soon_threadsafe(self._fail, error)

    def _advance(self, written: int) -> None:
        self._synced = written
        still = []
        for target, future in self._waiting:
            if target > written:
                still.append((target, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = still

    def _fail(self, error: BaseException) -> None:
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(self._cannot(error))
        self._waiting = []

    def _cannot(self, error: BaseException) -> CheckpointError:
        return CheckpointError(
            f"{self._path}: the checkpoint log cannot be written ({error}); nothing more is sent. "
            "Mend that, then run the same command again."
        )


def _commit(file: int, data: bytes, *, fsync: bool) -> None:
    """Write all of `data` (the system may take less at a time) and make it durable."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    if fsync:
        os.fsync(file)
    if os.fstat(file).st_nlink == 0:
        raise FileNotFoundError(None, "the log was deleted while the run was on it")


def header(run: str, plan: str, rows: int) -> Mapping[str, Any]:
    """Return the first record of a log."""
    return {"type": "run", "v": SCHEMA_VERSION, "run": run, "plan": plan, "rows": rows}
