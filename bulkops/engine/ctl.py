"""
How people speak to a running run: JSON lines over a Unix socket in its directory.

A request is one line such as `{"v": 1, "do": "set", "concurrency": 8}`; so is the answer:
`{"v": 1, "ok": true, "status": {...}}`, or `{"v": 1, "ok": false, "error": "..."}`. A connection
may ask more than once. What the words mean is `steering.py`'s business.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson

from bulkops.errors import BulkopsError, UsageError
from bulkops.files.talk import Talk

PROTOCOL: Final = 1
SOCKET: Final = "ctl.sock"
_LONGEST_LINE: Final = 65_536
_TIMEOUT_S: Final = 10.0

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@asynccontextmanager
async def listening(run: Path, answer: Answer) -> AsyncIterator[None]:
    """
    Answer requests to the run at `run`, whose lock the caller holds, until the block ends.

    A socket that is there already is that of a dead process. Where none can be made (some
    network file systems), the run goes on without, and says so.
    """
    log = Talk("bulkops.ctl")
    try:
        listener = _listener(run)
    except OSError as error:
        log.warning("ctl.unavailable", why=f"{run / SOCKET}: {error}")
        yield
        return
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            # Whoever breaks off, or never ends a line, has no answer to wait for.
            with suppress(ConnectionError, ValueError):
                while line := await reader.readline():
                    reply = _reply(line, answer)
                    # Whoever watches asks every second, and changes nothing.
                    tell = log.debug if _looks(line) else log.info
                    tell("ctl.answered", asked=line.decode(errors="replace").strip()[:200])
                    writer.write(orjson.dumps(reply) + b"\n")
                    await writer.drain()
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_unix_server(serve, sock=listener, limit=_LONGEST_LINE)
    try:
        yield
    finally:
        server.close()
        for writer in writers.copy():
            writer.close()
        (run / SOCKET).unlink(missing_ok=True)


def _reply(line: bytes, answer: Answer) -> dict[str, Any]:
    try:
        request = orjson.loads(line)
        if not isinstance(request, dict) or request.get("v") != PROTOCOL:
            raise UsageError(f'expected a JSON object with "v": {PROTOCOL}')
        return {"v": PROTOCOL, "ok": True, "status": answer(request)}
    except orjson.JSONDecodeError as error:
        return {"v": PROTOCOL, "ok": False, "error": f"expected a line of JSON ({error})"}
    except BulkopsError as error:
        return {"v": PROTOCOL, "ok": False, "error": str(error)}


def _looks(line: bytes) -> bool:
    """Whether a request asks for the status, and for nothing to be done."""
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(request, dict) and request.get("do") == "status"


def ask(run: Path, do: str, **values: Any) -> dict[str, Any]:
    """
    Send one request to whoever runs the run at `run`; return its status.

    Raises `UsageError` if nobody does, or with the words of a refusal.
    """
    nobody = UsageError(
        f"{run}: no process is on this run. `bulkops status` reads its log; a file named `pause` "
        "in its directory holds the next one."
    )
    try:
        with _short(run) as folder, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(folder / SOCKET))
            connection.sendall(orjson.dumps({"v": PROTOCOL, "do": do, **values}) + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionError):
        raise nobody from None
    except OSError as error:
        raise UsageError(f"{run / SOCKET}: the run does not answer ({error})") from error
    if not line:
        raise nobody
    reply = orjson.loads(line)
    if reply.get("v") != PROTOCOL:
        raise UsageError(
            f"{run}: the run speaks version {reply.get('v')!r} of the protocol, this bulkops "
            f"{PROTOCOL}"
        )
    if not reply["ok"]:
        raise UsageError(reply["error"])
    status: dict[str, Any] = reply["status"]
    return status


def _listener(run: Path) -> socket.socket:
    """Return a socket at its place in `run`, for its owner alone, that listens."""
    new = f"{SOCKET}.part"
    (run / new).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short(run) as folder:
            listener.bind(str(folder / new))
        # Before it listens nobody can connect, so that it is never open to others.
        (run / new).chmod(0o600)
        listener.listen()
        (run / new).replace(run / SOCKET)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


@contextmanager
def _short(run: Path) -> Iterator[Path]:
    """Yield a path to `run` of few characters: a socket's path holds about a hundred."""
    with tempfile.TemporaryDirectory(prefix="bulkops-") as folder:
        link = Path(folder) / "run"
        link.symlink_to(run.absolute(), target_is_directory=True)
        yield link
