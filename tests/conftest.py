"""
What holds for all tests: none is timed, none hears the log of another, programs hear Ctrl-C.

Laws are tried on the same examples each time, so that a change fails by its own fault; with
`--hypothesis-profile search` they are tried on new ones.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("search", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def _no_log_is_left_behind() -> Iterator[None]:
    """Leave structlog as an import does: whatever catches events (`capture_logs`) sets it up."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="session")
def _programs_hear_ctrl_c() -> Iterator[None]:
    """
    Let programs that tests start be ended by SIGINT, also where the tests are not.

    A shell script has what it starts with `&` ignore SIGINT, and children inherit that; but what
    is handled here, if only by doing nothing, is as usual in a program that is started.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
    yield
    signal.signal(signal.SIGINT, before)
