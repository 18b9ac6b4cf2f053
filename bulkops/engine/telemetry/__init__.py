"""
Tell OpenTelemetry what a run does, where `[run] telemetry` asks for it; else there is nothing.

Not for the log of a run, which is the truth, and nothing that a run depends on: what cannot be
told is lost, with one warning. Off, a run holds `None` in place of a `Telemetry`, and not a line
of OpenTelemetry is imported.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from bulkops.errors import ExitCode, UsageError
from bulkops.files.config import Config
from bulkops.files.prepare import Prepared
from bulkops.model import Batch, Exchange, Request
from bulkops.rules.settlement import Settlement
from bulkops.rules.watches import Watch

__all__ = ["Errand", "Telemetry", "is_wanted", "telling"]

#: Returns where a run stands (`Steering.status`).
Look = Callable[[], Mapping[str, Any]]


class Telemetry(Protocol):
    """
    Hears what a run does. Nothing here waits for anybody, and nothing raises.
    """

    def watch(self, look: Look) -> None:
        """Measure what `look` returns from now on; it is called from another thread."""

    def sent(
        self,
        request: Request,
        exchange: Exchange,
        *,
        batch: Batch,
        attempt: int,
        settlement: Settlement,
    ) -> None:
        """Hear of a call that carried lines, right after what came of them is in the log."""

    def read(self, request: Request, exchange: Exchange, *, attempt: int) -> None:
        """Hear of a call that only asked, right after its answer; one kept back is none."""

    def polling(self, module: str, watches: Sequence[Watch]) -> AbstractContextManager[object]:
        """Hear of a look at remote jobs for as long as it takes; its calls belong to it."""

    def ended(self, code: ExitCode, reason: str) -> None:
        """Hear how the run ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """
    What a process is about: `name` is its verb, `run` the name of the run's directory.

    `prepared` is the plan of that run, where it has one.
    """

    name: str
    run: str
    prepared: Prepared | None = None


@asynccontextmanager
async def telling(config: Config, errand: Errand) -> AsyncIterator[Telemetry | None]:
    """
    Yield what hears of this errand, or `None` if nobody wants to.

    Takes a few seconds at the end, at most, to hand over what is left. Raises `UsageError` where
    it is asked for and cannot be had.
    """
    if not is_wanted(config):
        yield None
        return
    from bulkops.engine.telemetry.spans import told

    async with told(errand, api_url=config.api.api_url) as telemetry:
        yield telemetry


def is_wanted(config: Config) -> bool:
    """
    Return whether there is anything to tell; OTEL_SDK_DISABLED says no to a configuration too.

    Raises `UsageError` where it is asked for and its packages are not there.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not config.run.telemetry or disabled:
        return False
    try:
        import_module("bulkops.engine.telemetry.spans")
    except ImportError as error:
        raise UsageError(
            f"[run] telemetry = true needs packages that are not installed ({error}): "
            "pip install 'bulkops[otel]', or set it to false"
        ) from None
    return True
