"""The emulator as a process of its own, and a bare client against it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from bulkops.emulator import Emulator, load_saved, serve


@dataclass
class Program:
    """`bulkops emulator` as a process of its own."""

    process: asyncio.subprocess.Process
    url: str

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        """End it and return what it said on standard error."""
        self.process.send_signal(number)
        _, errors = await self.process.communicate()
        return errors.decode()


@asynccontextmanager
async def emulate(*words: str) -> AsyncIterator[Program]:
    """Start the program and wait for its address, the first line of its output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bulkops", "emulator", "--port", "0", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line.startswith(b"http://127.0.0.1:"), line
    try:
        yield Program(process, line.decode().strip())
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def call(method: str, url: str, token: str = "emulator-access", **form: str) -> Any:
    """Status and body of one call."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, url, data=form or None, headers={"Authorization": f"Zoho-oauthtoken {token}"}
        ) as response,
    ):
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serves_until_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """It announces its address, answers, and ends with 0 on SIGINT and SIGTERM."""
    world = tmp_path / "world.json"
    world.write_text('{"relations": {"Leads/1/Campaigns": ["2"]}}')
    faults = tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nkind = "status"\nstatus = 503\n')

    async with emulate("--seed", str(world), "--faults", str(faults)) as program:
        status, _ = await call("GET", f"{program.url}/crm/v8/Leads/1")
        errors = await program.stop(number)

    assert status == 503
    assert program.process.returncode == 0, errors
    # Nothing but the log: a library that is unloaded too late would report what it thinks is lost.
    assert ["{"] == sorted({line[:1] for line in errors.splitlines()})


CREDENTIALS = {
    "grant_type": "refresh_token",
    "client_id": "emulator-client",
    "client_secret": "emulator-secret",
    "refresh_token": "emulator-refresh",
}


async def test_a_saved_world_survives_a_restart(tmp_path: Path) -> None:
    """Links, tokens, credits and pending jobs are there again; the seed is not read twice."""
    seed = tmp_path / "world.jsonl"
    rows = [
        {"module": "Leads", "record_id": "1", "related_list": "Campaigns", "related_id": each}
        for each in ("2", "3")
    ] + [{"module": "Leads", "record_id": "1", "territory_id": "77"}]
    seed.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    words = ("--seed", str(seed), "--save", str(tmp_path / "kept.json"))
    body = {"data": [{"id": "1", "Territories": [{"id": "77"}]}]}

    async with emulate(*words, "--knob", "job_seconds=3600") as program:
        _, token = await call("POST", f"{program.url}/oauth/v2/token", **CREDENTIALS)
        unlink = f"{program.url}/crm/v8/Leads/1/Campaigns/2"
        first = await call("DELETE", unlink, token["access_token"])
        async with aiohttp.ClientSession() as session:
            await session.post(
                f"{program.url}/crm/v8/Leads/actions/remove_territories",
                json=body,
                headers={"Authorization": f"Zoho-oauthtoken {token['access_token']}"},
            )
        await program.stop()
    async with emulate(*words) as program:
        again = await call(
            "DELETE", f"{program.url}/crm/v8/Leads/1/Campaigns/2", token["access_token"]
        )
        _, world = await call("GET", f"{program.url}/_emulator/world")
        _, counters = await call("GET", f"{program.url}/_emulator/counters")
        _, later = await call("POST", f"{program.url}/oauth/v2/token", **CREDENTIALS)

    assert later["access_token"] != token["access_token"]
    assert (first[0], again[0]) == (200, 400)
    assert world["relations"] in ({"Leads/1/Campaigns": ["3"]}, {"Campaigns/3/Leads": ["1"]})
    assert [job["record_id"] for job in world["jobs"]] == ["1"]
    assert counters["organisations"]["default"]["credits_used"] == 3


async def test_saving_on_demand_survives_a_kill(tmp_path: Path) -> None:
    """`POST /_emulator/save` writes the file at once; without `--save` it is refused."""
    kept = tmp_path / "kept.json"
    size = ("--generate", "products=2,deals=9,links=10,skew=1.2", "--random-seed", "3")

    async with emulate(*size, "--save", str(kept)) as program:
        _, before = await call("GET", f"{program.url}/_emulator/world")
        saved = await call("POST", f"{program.url}/_emulator/save")
        await program.stop(signal.SIGKILL)
    async with emulate("--save", str(kept)) as program:
        _, after = await call("GET", f"{program.url}/_emulator/world")
    async with emulate() as program:
        refused = await call("POST", f"{program.url}/_emulator/save")

    assert saved == (200, {"saved": str(kept)})
    assert sum(map(len, before["relations"].values())) == 10
    assert after == before
    assert (refused[0], "started without one" in refused[1]["error"]) == (400, True)


async def test_time_can_go_by_faster(tmp_path: Path) -> None:
    """`--speed x3600`: a job of an hour is over in a second, a latency of a minute in 17 ms."""
    seed = tmp_path / "world.csv"
    seed.write_text("module,record_id,territory_id\nLeads,1,77\n")

    async with emulate(
        "--seed", str(seed), "--speed", "x3600", "--knob", "latency_median_s=60",
        "--knob", "latency_sigma=0",
    ) as program:  # fmt: skip
        loop = asyncio.get_running_loop()
        before = loop.time()
        status, _ = await call("GET", f"{program.url}/crm/v8/Leads/1")
        took = loop.time() - before

    assert status == 200
    assert 60 / 3600 <= took < 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--speed", "fast"), "expected a number above 0"),
        (("--generate", "links=many"), "expected name=number"),
        (("--generate", "links=1.5"), "expected a whole number"),
        (("--generate", "links=5"), "expected at most 0"),
        (("--knob", "mixed=1"), "unknown"),
        (("--seed", "nowhere.json"), "nowhere.json"),
    ],
)
def test_wrong_words_are_told(words: tuple[str, ...], message: str) -> None:
    """A usage error, exit code 2, that says what was expected."""
    done = subprocess.run(
        [sys.executable, "-m", "bulkops", "emulator", "--port", "0", *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


async def test_the_world_is_saved_now_and_then(tmp_path: Path) -> None:
    """While it serves, a world that calls may have changed is written every so often."""
    kept = tmp_path / "kept.json"
    announced: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.create_task(
        serve(
            host="127.0.0.1", port=0, announce=announced.put_nowait, save_path=kept,
            save_every_s=0.01,
        )
    )  # fmt: skip
    url = await announced.get()
    assert not kept.exists()
    await call("GET", f"{url}/crm/v8/Leads")
    async with asyncio.timeout(5):
        while not kept.exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.005)
    signal.raise_signal(signal.SIGTERM)
    await serving

    assert load_saved(kept)[1] > 1_700_000_000


async def test_a_taken_port_is_told_in_words() -> None:
    """And what to do about it."""
    async with Emulator() as emulator:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bulkops", "emulator", "--port", str(emulator.port),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode() == (
        f"bulkops: port {emulator.port} of 127.0.0.1 cannot be listened on: another program "
        "listens there; --port names another, and --port 0 takes any free one\n"
    )


async def test_a_taken_port_is_an_error() -> None:
    """Listening where somebody listens raises OSError and leaves nothing behind."""
    async with Emulator() as emulator:
        with pytest.raises(OSError, match="address already in use"):
            await Emulator(port=emulator.port).start()
        with pytest.raises(OSError, match="address already in use"):
            await serve(
                host="127.0.0.1",
                port=emulator.port,
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
