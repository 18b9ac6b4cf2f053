"""
Keep the metrics file of a run up to date while it goes on, and say in it how it ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from bulkops.errors import BulkopsError, ExitCode, LockedError, UsageError
from bulkops.files.config import Config
from bulkops.files.metrics import MetricsFile
from bulkops.files.talk import Talk
from bulkops.library.every import every
from bulkops.library.planning import Plan
from bulkops.library.seat import Look

_EVERY_S = 5.0


def with_metrics(config: Config, path: Path | None) -> Config:
    """Return the configuration with `path` in the place of its `metrics_file`, if there is one."""
    if path is None:
        return config
    run = config.run.model_copy(update={"metrics_file": str(path)})
    return config.model_copy(update={"run": run})


class Measured:
    """
    What the metrics of a run are made of, and its exit `code` once it is known.
    """

    def __init__(self, file: MetricsFile | None, status: Mapping[str, Any]) -> None:
        self.code: ExitCode | None = None
        self._file = file
        self._look: Look = lambda: status

    def take(self, look: Look) -> None:
        """Measure what `look` returns from now on."""
        self._look = look

    def write(self) -> None:
        """Write the file. Raises `UsageError` where that is not possible."""
        if self._file is not None:
            self._file.write(self._look(), now=time.time(), ended=self.code)

    def rewrite(self) -> None:
        """Write the file again; the run is worth more than its metrics, so only say what fails."""
        try:
            self.write()
        except UsageError as error:
            Talk("bulkops.metrics").warning("metrics.lost", why=str(error))


@contextmanager
def measuring(plan: Plan, status: Mapping[str, Any]) -> Iterator[Measured]:
    """
    Yield what is to be given the status of a run, which begins with `status`, and its exit code.

    Writes the file of `[run] metrics_file` at once, every few seconds, and at the end. A process
    that finds the run locked leaves the file to the one that holds it.
    """
    path = plan.config.run.metrics_file
    labels = {"run": plan.name, "job": plan.asked.job.name if plan.asked.job else ""}
    measured = Measured(MetricsFile(Path(path), labels) if path else None, status)
    measured.write()
    try:
        with every(_EVERY_S, measured.rewrite) if path else nullcontext():
            yield measured
    except LockedError:
        raise
    except BulkopsError as error:
        measured.code = ExitCode(error.exit_code)
        measured.rewrite()
        raise
    except BaseException:
        measured.code = ExitCode.INTERNAL
        measured.rewrite()
        raise
    measured.rewrite()
