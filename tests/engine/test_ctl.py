"""The socket of a run: who may speak, in which words, and what becomes of nonsense."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from bulkops.engine import ctl
from bulkops.errors import UsageError


def echo(asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["do"] == "refuse":
        raise UsageError("no")
    return {"asked": dict(asked)}


async def ask(run: Path, do: str, **values: Any) -> dict[str, Any]:
    return await asyncio.to_thread(ctl.ask, run, do, **values)


async def sent(run: Path, content: bytes) -> list[dict[str, Any]]:
    """Send bytes as they are; return the answers."""
    reader, writer = await asyncio.open_unix_connection(run / ctl.SOCKET)
    writer.write(content)
    writer.write_eof()
    answers = await reader.read()
    writer.close()
    return [orjson.loads(line) for line in answers.splitlines()]


async def test_a_request_is_answered_with_the_status(tmp_path: Path) -> None:
    """The values arrive as they were given, with the version of the protocol."""
    async with ctl.listening(tmp_path, echo):
        status = await ask(tmp_path, "set", concurrency=8)
    assert status == {"asked": {"v": 1, "do": "set", "concurrency": 8}}


async def test_a_refusal_has_its_words(tmp_path: Path) -> None:
    """What the run says is what the user reads."""
    async with ctl.listening(tmp_path, echo):
        with pytest.raises(UsageError, match=r"^no$"):
            await ask(tmp_path, "refuse")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"pause\n", "expected a line of JSON"),
        (b"[]\n", 'expected a JSON object with "v": 1'),
        (b'{"do": "status"}\n', 'expected a JSON object with "v": 1'),
        (b'{"v": 2, "do": "status"}\n', 'expected a JSON object with "v": 1'),
        (b"\n", "expected a line of JSON"),
        (b"\xff\n", "expected a line of JSON"),
    ],
)
async def test_nonsense_is_refused_and_the_connection_goes_on(
    tmp_path: Path, content: bytes, error: str
) -> None:
    """A wrong line has its error; the next one on the same connection its answer."""
    async with ctl.listening(tmp_path, echo):
        first, second = await sent(tmp_path, content + b'{"v": 1, "do": "status"}\n')
    assert first["ok"] is False
    assert error in first["error"]
    assert second["ok"] is True


async def test_a_line_without_end_is_not_kept(tmp_path: Path) -> None:
    """Whoever never ends a line is left; the others are served."""
    async with ctl.listening(tmp_path, echo):
        assert await sent(tmp_path, b"x" * 200_000) == []
        assert await ask(tmp_path, "status")


async def test_an_idle_connection_holds_nobody_up(tmp_path: Path) -> None:
    """Neither other connections nor the end of the run."""
    async with ctl.listening(tmp_path, echo):
        _, writer = await asyncio.open_unix_connection(tmp_path / ctl.SOCKET)
        assert await ask(tmp_path, "status")
    writer.close()


async def test_the_socket_is_for_its_owner_and_goes_with_the_run(tmp_path: Path) -> None:
    """No other user can speak to a run, and nothing is left behind."""
    async with ctl.listening(tmp_path, echo):
        assert stat.S_IMODE((tmp_path / ctl.SOCKET).stat().st_mode) == 0o600
    assert not (tmp_path / ctl.SOCKET).exists()


async def test_the_path_may_be_longer_than_a_socket_address(tmp_path: Path) -> None:
    """A run directory lies where it lies."""
    deep = tmp_path.joinpath(*("d" * 60 for _ in range(4)))
    deep.mkdir(parents=True)
    async with ctl.listening(deep, echo):
        assert await ask(deep, "status")


async def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    """Until then nobody answers, which is said."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / ctl.SOCKET))
    with pytest.raises(UsageError, match="no process is on this run"):
        await ask(tmp_path, "status")
    async with ctl.listening(tmp_path, echo):
        assert await ask(tmp_path, "status")


async def test_nobody_there_is_said(tmp_path: Path) -> None:
    """A run that is not running has no socket."""
    with pytest.raises(UsageError, match="no process is on this run"):
        await ask(tmp_path, "status")


async def test_a_run_goes_on_where_no_socket_can_be_made(tmp_path: Path) -> None:
    """Some file systems have none; then there is no `ctl`, and that is all."""
    async with ctl.listening(tmp_path / "absent", echo):
        pass
