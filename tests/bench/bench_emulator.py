"""
How fast the emulator removes links, side by side with the least that aiohttp can do.

    python tests/bench/bench_emulator.py --rounds 10 --calls 1000

One million links with ids of their own are loaded into `bulkops emulator`. Then calls that remove
100 links each are sent to it and to two servers that look at nothing and answer a constant body: a
bare aiohttp application with one route, and aiohttp's protocol alone, without application and
router, which is the floor. All three get the same bytes from the same client over as many kept
connections, parse them with aiohttp, and must answer with the same body size and header names,
which is checked before anything is measured.

They take turns, because the machine is noisy: compare within one run of this script, not between
two. Prints calls a second and CPU milliseconds a call (user and system, of the server's process),
both ratios, and the emulator's memory. Ends with 1 if a promise is not kept: at least half of the
bare application's rate, at most twice its CPU a call and less than 1 ms, one million links in less
than 1 GiB. The rate of a fast server is bounded by the client, which is one process too, and by
whatever else the machine does; CPU time is the steadier of the two.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web

_FIRST_PRODUCT = 4_150_868_000_001_000_000
_FIRST_DEAL = 4_150_868_000_100_000_000
_LINKS_A_CALL = 100
_SCHEDULED = 2  # the kernel's number for the clock of CPU time, user and system together


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """
        Seconds of CPU it has used so far, to the nanosecond; Linux only.

        This is clock_getcpuclockid(3), which Python has for threads alone; the ticks of
        `/proc/{pid}/stat` are too coarse for a round of 50 ms.
        """
        return time.clock_gettime((~self.pid << 3) | _SCHEDULED)

    def memory_mib(self, name: str) -> float:
        """`VmRSS` or `VmHWM`, its peak, in MiB."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.split(f"{name}:")[1].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """One round at one server."""

    calls_a_second: float
    cpu_ms_a_call: float


def deals_of(hub: int) -> list[str]:
    first = _FIRST_DEAL + hub * _LINKS_A_CALL
    return [str(first + n) for n in range(_LINKS_A_CALL)]


def write_world(path: Path, hubs: int) -> None:
    """A world with 100 links a hub; every id is used once."""
    relations = {f"Products/{_FIRST_PRODUCT + hub}/Deals": deals_of(hub) for hub in range(hubs)}
    path.write_bytes(orjson.dumps({"relations": relations}))


def request_of(hub: int) -> bytes:
    """The call that removes all links of a hub."""
    return (
        f"DELETE /crm/v8/Products/{_FIRST_PRODUCT + hub}/Deals?ids={','.join(deals_of(hub))} "
        "HTTP/1.1\r\nHost: bench\r\nAuthorization: Zoho-oauthtoken emulator-access\r\n\r\n"
    ).encode()


def expected_body() -> bytes:
    """What the emulator answers to such a call."""
    return orjson.dumps(
        {
            "data": [
                {
                    "code": "SUCCESS",
                    "details": {"id": each},
                    "message": "relation removed",
                    "status": "success",
                }
                for each in deals_of(0)
            ]
        }
    )


@contextmanager
def started(command: Sequence[str]) -> Iterator[Server]:
    """Run a program that prints its address."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            yield Server(pid=process.pid, port=int(address.rsplit(":", 1)[1]))
        finally:
            process.terminate()


async def serve_constant(kind: str) -> None:
    """The servers to compare with: one constant answer, whatever is asked."""
    body = expected_body()

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    runner: web.BaseRunner
    if kind == "application":
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application, access_log=None)
    else:
        runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


async def answer_of(port: int, request: bytes) -> tuple[list[bytes], int]:
    """Names of the headers, in order of the alphabet, and the size of the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    status, *headers = (await reader.readuntil(b"\r\n\r\n")).strip().lower().split(b"\r\n")
    if not status.startswith(b"http/1.1 200"):
        raise RuntimeError(f"found {status!r}, expected 200")
    fields = dict(each.split(b": ", 1) for each in headers)
    body = await reader.readexactly(int(fields[b"content-length"]))
    writer.close()
    return sorted(fields), len(body)


def check_alike(servers: Iterable[Server], request: bytes) -> None:
    """Raise RuntimeError unless all servers answer with as much."""
    answers = [asyncio.run(answer_of(server.port, request)) for server in servers]
    if any(each != answers[0] for each in answers):
        raise RuntimeError(f"found {answers}, expected headers and sizes to be the same")


async def send(port: int, requests: Sequence[bytes], *, connections: int) -> None:
    """Send all requests over so many kept-alive connections, one at a time on each."""
    left = iter(requests)

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for request in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"found {head[:40]!r}, expected 200")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())


def measure(server: Server, requests: Sequence[bytes], *, connections: int) -> Measured:
    """One round."""
    cpu, began = server.cpu_s(), time.perf_counter()
    asyncio.run(send(server.port, requests, connections=connections))
    took, used = time.perf_counter() - began, server.cpu_s() - cpu
    return Measured(len(requests) / took, used / len(requests) * 1000)


def median(rounds: Sequence[Measured]) -> Measured:
    return Measured(
        statistics.median(each.calls_a_second for each in rounds),
        statistics.median(each.cpu_ms_a_call for each in rounds),
    )


def ratios_of(some: Sequence[Measured], others: Sequence[Measured]) -> Measured:
    """Medians over the rounds: what disturbs the machine disturbs both sides of a round."""
    return median(
        [
            Measured(one.calls_a_second / two.calls_a_second, one.cpu_ms_a_call / two.cpu_ms_a_call)
            for one, two in zip(some, others, strict=True)
        ]
    )


def compare(*, rounds: int, calls: int, connections: int) -> bool:
    """Measure, print, and return whether every promise is kept."""
    with tempfile.TemporaryDirectory() as folder:
        seed = Path(folder) / "world.json"
        write_world(seed, rounds * calls + 1)
        words = [sys.executable, "-m", "bulkops", "emulator", "--port", "0", "--seed", str(seed)]
        began = time.perf_counter()
        with (
            started([*words, "--knob", "concurrency=0"]) as emulator,
            started([sys.executable, __file__, "--constant", "application"]) as bare,
            started([sys.executable, __file__, "--constant", "protocol"]) as floor,
        ):
            loaded_s = time.perf_counter() - began
            loaded_mib = emulator.memory_mib("VmRSS")
            peak_mib = emulator.memory_mib("VmHWM")
            servers = {"protocol alone": floor, "bare aiohttp": bare, "emulator": emulator}
            found: dict[str, list[Measured]] = {name: [] for name in servers}
            check_alike(servers.values(), request_of(rounds * calls))
            for number in range(rounds):
                hubs = range(number * calls, (number + 1) * calls)
                requests = [request_of(hub) for hub in hubs]
                for name, server in servers.items():
                    found[name].append(measure(server, requests, connections=connections))
            after_mib = emulator.memory_mib("VmRSS")
    links = rounds * calls * _LINKS_A_CALL
    print(f"{links:,} links loaded in {loaded_s:.1f} s: {loaded_mib:,.0f} MiB resident,")
    print(f"{peak_mib:,.0f} MiB at the peak of loading, {after_mib:,.0f} MiB after all calls")
    print(f"{rounds} rounds of {calls:,} calls by {connections} connections, medians:")
    middle = {name: median(each) for name, each in found.items()}
    for name, each in middle.items():
        print(f"{name:>14}  {each.calls_a_second:8,.0f} calls/s  {each.cpu_ms_a_call:6.3f} ms CPU")
    print("the emulator, to")
    ratios = {name: ratios_of(found["emulator"], found[name]) for name in list(servers)[:2]}
    for name, ratio in ratios.items():
        print(f"{name:>14}  {ratio.calls_a_second:8.2f} of the rate  ", end="")
        print(f"{ratio.cpu_ms_a_call:6.2f} times the CPU")
    bare_ratio = ratios["bare aiohttp"]
    print("promised to bare aiohttp: at least 0.50 of the rate, at most 2.00 times the CPU")
    return (
        bare_ratio.calls_a_second >= 0.5
        and bare_ratio.cpu_ms_a_call <= 2.0
        and middle["emulator"].cpu_ms_a_call < 1.0
        and peak_mib < 1024
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=1000, help="a round; 100 links each")
    parser.add_argument("--connections", type=int, default=25)
    parser.add_argument("--constant", default="", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.constant:
        asyncio.run(serve_constant(words.constant))
        return
    kept = compare(rounds=words.rounds, calls=words.calls, connections=words.connections)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
