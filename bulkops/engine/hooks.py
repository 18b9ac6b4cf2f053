"""
Tell others how a run ended: commands, a webhook, and the ping of a health check.

Nothing here changes how the run ended: what fails is a warning in the log. `hook_calls.py` carries
the hooks out.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson

from bulkops.engine.hook_calls import call, post, run_command
from bulkops.errors import BulkopsError, ExitCode, LockedError, NotConfirmedError
from bulkops.files.hooks_section import Hooks
from bulkops.files.last_note import last_note
from bulkops.files.rundir import RunDirectory
from bulkops.files.talk import Talk
from bulkops.model import Status

#: Ends of a run whose every line is settled.
FINISHED: Final = frozenset({ExitCode.OK, ExitCode.INCOMPLETE})
#: Ends that say neither well nor ill: the same command goes on later.
_TO_BE_CONTINUED: Final = frozenset({ExitCode.PAUSED, ExitCode.INTERRUPTED, ExitCode.TERMINATED})
#: A lost success would raise an alarm, so a ping is tried again.
_PINGS: Final = 3


@dataclass(slots=True)
class Ending:
    """
    How a command ended, filled in while it goes on. `run` is `None` before there is one.
    """

    job: str = ""
    run: RunDirectory | None = None
    code: ExitCode = ExitCode.OK
    reason: str = ""
    _before: int = field(default=0, repr=False)

    def about(self, run: RunDirectory) -> None:
        """Say which run it is, before anything is sent."""
        self.run, self._before = run, _size(run.checkpoint)

    @property
    def idle(self) -> bool:
        """Whether nothing was done: no rows, or a run that was finished already."""
        if self.run is None:
            return self.code is ExitCode.OK
        return self.code in FINISHED and _size(self.run.checkpoint) == self._before

    def facts(self) -> dict[str, Any]:
        """Return the summary that everybody is told, as JSON values."""
        summary = _read(self.run.path / "summary.json") if self.run else {}
        statuses = Counter[str]()
        for row in summary.get("outcomes", ()):
            statuses[row["status"]] += row["lines"]
        reason = self.reason
        if not reason and self.run and self.code not in FINISHED:
            reason = str(last_note(self.run).get("reason", ""))
        counts = ", ".join(f"{number:,} {each}" for each, number in statuses.most_common())
        name = self.run.name if self.run else self.job or "bulkops"
        why = f" ({reason})" if reason else ""
        return {
            "v": 1,
            # What chats show of a webhook.
            "text": f"{name} ended with {int(self.code)}{why}: {counts or 'no rows'}",
            "event": "finish" if self.code in FINISHED else "stop",
            "job": self.job,
            "run": self.run.name if self.run else "",
            "run_dir": str(self.run.path.absolute()) if self.run else "",
            "exit": int(self.code),
            "reason": reason,
            "rows": summary.get("rows", 0),
            "not_in_wanted_state": summary.get("not_in_wanted_state", 0),
            "statuses": {status.value: statuses[status.value] for status in Status},
            "outcomes": [
                {name: each for name, each in row.items() if name != "message"}
                for row in summary.get("outcomes", ())
            ],
        }


@contextmanager
def announcing(hooks: Hooks, *, job: str = "") -> Iterator[Ending]:
    """
    Hold what is to be announced, and announce it when the command ends, whatever ends it.

    An error passes through once it is told. A run that another process is on, a plan that somebody
    at a terminal did not want, and a start that had nothing to do are news to the health check at
    most.
    """
    ending = Ending(job=job)
    _ping(hooks, "/start")
    try:
        yield ending
    except LockedError:
        _ping(hooks, "/log")
        raise
    except BulkopsError as error:
        ending.code, ending.reason = ExitCode(error.exit_code), str(error)
        if isinstance(error, NotConfirmedError) and sys.stdin.isatty():
            _ping(hooks, "/log")
        else:
            _announce(hooks, ending)
        raise
    except Exception as error:
        ending.code, ending.reason = ExitCode.INTERNAL, f"{type(error).__name__}: {error}"
        _announce(hooks, ending)
        raise
    if ending.idle:
        _ping(hooks, _suffix(ending.code))
    else:
        _announce(hooks, ending)


def _announce(hooks: Hooks, ending: Ending) -> None:
    facts = ending.facts()
    command = hooks.on_finish if ending.code in FINISHED else hooks.on_stop
    if command:
        name = "on_finish" if ending.code in FINISHED else "on_stop"
        _warn_of(f"hooks.{name}", run_command(command, facts, timeout_s=hooks.command_timeout_s))
    if hooks.webhook:
        _warn_of("hooks.webhook", asyncio.run(post(hooks, facts)))
    _ping(hooks, _suffix(ending.code))


def _warn_of(hook: str, trouble: str) -> None:
    if trouble:
        Talk("bulkops.hooks").warning("hook.failed", hook=hook, reason=trouble)


def _suffix(code: ExitCode) -> str:
    """
    Return what is added to the address of a health check for this end.

    See https://healthchecks.io/docs/signaling_failures/ and https://healthchecks.io/docs/http_api/:
    the address itself is success, `/fail` failure, and `/log` leaves the state as it is.
    """
    if code is ExitCode.OK:
        return ""
    return "/log" if code in _TO_BE_CONTINUED else "/fail"


def _ping(hooks: Hooks, suffix: str) -> None:
    if not hooks.health_check:
        return
    parts = urlsplit(hooks.health_check)
    url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + suffix))
    trouble = ""
    for _ in range(_PINGS):
        trouble = asyncio.run(call("GET", url, hooks, headers={}, body=None))
        if not trouble:
            return
    _warn_of("hooks.health_check", trouble)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
