"""
Do something every few seconds while something else goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def every(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Call `do` every so many seconds, in a thread of its own, until the block ends."""
    ended = threading.Event()

    def go() -> None:
        while not ended.wait(seconds):
            do()

    thread = threading.Thread(target=go, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
