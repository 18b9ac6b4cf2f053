"""
Errors that end a command, each with the exit code it ends with.

Kept apart from everything else so that every floor may raise them. A row that goes wrong is
not an error: it is an outcome. See `ExitCode` for the contract with scripts and timers.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, Final


class ExitCode(IntEnum):
    """
    What a bulkops process tells its caller. Never `OK` when a line failed.
    """

    #: Every line is in the wanted state, or there was nothing to do.
    OK = 0
    #: A fault of bulkops or of this machine (a full disk, a log that cannot be written).
    INTERNAL = 1
    #: Wrong usage or configuration, or a manifest that cannot be read at all.
    USAGE = 2
    #: Finished, and some lines are not in the wanted state.
    INCOMPLETE = 3
    #: Stopped by a threshold of `[stop]`.
    STOPPED = 4
    #: Paused by quota, window or outage: run again later.
    PAUSED = 5
    #: Authentication or permission.
    AUTH = 6
    #: Another run holds the lock.
    LOCKED = 7
    #: Not confirmed, or the plan is stale.
    UNCONFIRMED = 8
    #: SIGINT after a clean drain.
    INTERRUPTED = 130
    #: SIGTERM after a clean drain.
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        """What it says, for people."""
        return _MEANINGS[self]

    @classmethod
    def known(cls, said: object) -> ExitCode | None:
        """Return the code that a log says; `None` for none, or one of a later version."""
        return cls(said) if isinstance(said, int) and said in set(cls) else None


_MEANINGS: Final[Mapping[ExitCode, str]] = {
    ExitCode.OK: "every line is in its wanted state",
    ExitCode.INTERNAL: "a fault of this machine or of bulkops",
    ExitCode.USAGE: "wrong usage",
    ExitCode.INCOMPLETE: "finished; some lines are not in their wanted state",
    ExitCode.STOPPED: "stopped by a threshold",
    ExitCode.PAUSED: "paused; run again later",
    ExitCode.AUTH: "authentication or permission",
    ExitCode.LOCKED: "another run holds the lock",
    ExitCode.UNCONFIRMED: "not confirmed",
    ExitCode.INTERRUPTED: "interrupted; run again to go on",
    ExitCode.TERMINATED: "terminated; run again to go on",
}


class BulkopsError(Exception):
    """
    End the command with `exit_code` and these words.

    The message says what was found and what was expected; it never holds a secret. `code` names the
    kind of error to programs, and is part of what `--json` promises; `details` are numbers that
    belong to it, as JSON values.
    """

    exit_code = ExitCode.INTERNAL
    code: ClassVar[str] = "internal"
    details: Mapping[str, Any] = {}


class UsageError(BulkopsError):
    """The command line, the configuration or a job file is wrong."""

    exit_code = ExitCode.USAGE
    code = "usage"


class ManifestError(BulkopsError):
    """The manifest cannot be read at all; a single bad row is an outcome instead."""

    exit_code = ExitCode.USAGE
    code = "manifest"


class PlanStaleError(BulkopsError):
    """The run directory holds a plan that was made from something else."""

    exit_code = ExitCode.UNCONFIRMED
    code = "plan_stale"


class NotConfirmedError(BulkopsError):
    """Nobody said yes."""

    exit_code = ExitCode.UNCONFIRMED
    code = "not_confirmed"


class LockedError(BulkopsError):
    """Another process runs in this run directory."""

    exit_code = ExitCode.LOCKED
    code = "locked"


class CheckpointError(BulkopsError):
    """The checkpoint log cannot be written, or is damaged elsewhere than at its end."""

    exit_code = ExitCode.INTERNAL
    code = "log"


class AuthError(BulkopsError):
    """Zoho refused the credentials, or the token lacks a permission that everything needs."""

    exit_code = ExitCode.AUTH
    code = "auth"


class PausedError(BulkopsError):
    """Nothing is wrong, but going on now is not possible: quota, window or outage."""

    exit_code = ExitCode.PAUSED
    code = "paused"


class ThresholdError(BulkopsError):
    """Too many lines failed: the limits of `[stop]` were reached."""

    exit_code = ExitCode.STOPPED
    code = "threshold"


class SignalledError(BulkopsError):
    """Somebody asked the process to end; what was under way has been written down."""

    code = "interrupted"

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code
