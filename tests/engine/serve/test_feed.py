"""One reader for all who follow."""

from __future__ import annotations

import asyncio

import pytest

from bulkops.engine.serve.feed import Feed


class Reader:
    """Counts its readings, each of which takes as long as a gate is closed."""

    def __init__(self) -> None:
        self.readings = 0
        self.at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self) -> int:
        self.at_once += 1
        assert self.at_once == 1
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        self.readings += 1
        return self.readings


async def test_many_followers_are_one_reading() -> None:
    """Whoever waits for the next value gets the same one."""
    reader = Reader()
    feed = Feed(reader.read, every_s=0.0)
    number, value = await feed.after(0)
    found = await asyncio.gather(*(feed.after(number) for _ in range(50)))
    assert (1, 2) == (value, reader.readings)
    assert {(2, 2)} == set(found)


async def test_a_value_that_is_not_old_is_read_once() -> None:
    """Page after page shows it until its time is over."""
    now = [0.0]
    reader = Reader()
    feed = Feed(reader.read, every_s=5.0, clock=lambda: now[0])
    assert [1, 1, 1] == [await feed.latest() for _ in range(3)]
    now[0] = 5.0
    assert 2 == await feed.latest()


async def test_the_next_takes_over_from_one_who_leaves() -> None:
    """A reading that was given up by one is made for the others."""
    reader = Reader()
    feed = Feed(reader.read, every_s=0.0)
    reader.gate.clear()
    leaving, staying = (asyncio.create_task(feed.after(0)) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    reader.gate.set()
    assert (1, 1) == await staying


async def test_nobody_waiting_reads_nothing() -> None:
    """There is no task behind it."""
    reader = Reader()
    feed = Feed(reader.read, every_s=0.0)
    await feed.latest()
    await asyncio.sleep(0.02)
    assert 1 == reader.readings


async def test_a_slow_reading_makes_the_next_one_wait() -> None:
    """What takes a second is read again after a second, however soon it was wanted."""
    now = [0.0]

    async def read() -> float:
        now[0] += 1.0
        return now[0]

    feed = Feed(read, every_s=0.5, clock=lambda: now[0])
    found = []
    for seconds in (0.0, 0.6, 0.5):
        now[0] += seconds
        found.append(await feed.latest())
    assert [1.0, 1.0, 3.1] == found
