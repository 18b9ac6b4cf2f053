"""
What signals mean to a run: SIGINT and SIGTERM end it, SIGHUP has it read its limits again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bulkops.errors import ExitCode, SignalledError
from bulkops.wire.stop import Stop


@contextmanager
def draining(stop: Stop, *, signals: bool) -> Iterator[None]:
    """Drain at the first SIGINT or SIGTERM and stop at once at the second, if `signals` matter."""
    if not signals:
        yield
        return
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    # A run that ends for another reason drains already: then too the second signal is for at once.
    heard = cut = False

    def take(number: int) -> None:
        nonlocal heard, cut
        if heard or isinstance(stop.reason, SignalledError):
            cut = task.cancel()
        heard = True
        stop.ask(_interrupted(number))

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, take, number)
    # Before there are limits to read again, and after, it must not kill either.
    loop.add_signal_handler(signal.SIGHUP, _hung_up(stop))
    try:
        yield
    except asyncio.CancelledError:
        if not cut:
            raise
        # The second signal: what was under way is in the log as sent, and so in doubt.
        task.uncancel()
    finally:
        for number in (*numbers, signal.SIGHUP):
            loop.remove_signal_handler(number)


@contextmanager
def hanging_up(stop: Stop, reread: Callable[[], None]) -> Iterator[None]:
    """
    Call `reread` at SIGHUP, within `draining`.
    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, _hung_up(stop, reread))
    try:
        yield
    finally:
        loop.add_signal_handler(signal.SIGHUP, _hung_up(stop))


def _hung_up(stop: Stop, reread: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """Return what SIGHUP does: `reread`, or drain if the terminal has gone, which sends it too."""
    at_terminal = _at_terminal()

    def take() -> None:
        if at_terminal and not _at_terminal():
            stop.ask(_interrupted(signal.SIGTERM))
        else:
            reread()

    return take


def _interrupted(number: int) -> SignalledError:
    code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED
    return SignalledError("interrupted; run the same command again to go on", code)


def _at_terminal() -> bool:
    return sys.__stderr__ is not None and os.isatty(sys.__stderr__.fileno())
