"""The emulator as a process of its own, and a bare client against it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from bulkops.emulator import Behaviour, Emulator, serve

PROGRAM = """
import asyncio, sys
from pathlib import Path
from bulkops.emulator import Behaviour, serve
world, faults = (Path(each) if each else None for each in sys.argv[1:])
asyncio.run(serve(host="127.0.0.1", port=0, world_path=world, behaviour=Behaviour(),
                  faults_path=faults, announce=lambda url: print(url, flush=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serves_until_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """It announces its address, answers, and ends with 0 on SIGINT and SIGTERM."""
    world = tmp_path / "world.json"
    world.write_text('{"relations": {"Leads/1/Campaigns": ["2"]}}')
    faults = tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nkind = "status"\nstatus = 503\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(world), str(faults),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    while not (line := await process.stdout.readline()).startswith(b"http"):
        assert line
    port = int(line.decode().rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /crm/v8/Leads/1 HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Zoho-oauthtoken emulator-access\r\n\r\n"
    )
    status = await reader.readline()
    process.send_signal(number)
    _, errors = await process.communicate()
    writer.close()

    assert status.split()[1] == b"503"
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors


async def test_a_taken_port_is_an_error() -> None:
    """Listening where somebody listens raises OSError and leaves nothing behind."""
    async with Emulator() as emulator:
        with pytest.raises(OSError, match="address already in use"):
            await Emulator(port=emulator.port).start()
        with pytest.raises(OSError, match="address already in use"):
            await serve(
                host="127.0.0.1",
                port=emulator.port,
                world_path=None,
                behaviour=Behaviour(),
                faults_path=None,
                announce=lambda _: None,
            )


async def test_state_stays_readable_after_the_end() -> None:
    """Tests look at world and ledger when the block has ended."""
    async with Emulator() as emulator:
        assert emulator.url == f"http://127.0.0.1:{emulator.port}"

    assert (len(emulator.ledger), emulator.access_token) == (0, "emulator-access")
    assert (emulator.client_id, emulator.client_secret, emulator.refresh_token) == (
        "emulator-client",
        "emulator-secret",
        "emulator-refresh",
    )
