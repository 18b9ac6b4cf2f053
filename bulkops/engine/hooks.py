"""
Tell others how a run ended: commands, a webhook, and the ping of a health check.

Nothing here changes how the run ended: what fails is a warning in the log. No secret of ours
reaches a command, and none but its own the webhook.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import orjson
import structlog

from bulkops import __version__
from bulkops.errors import BulkopsError, ExitCode, LockedError, NotConfirmedError
from bulkops.files.hooks_section import SECRET, Hooks
from bulkops.files.last_note import last_note
from bulkops.files.rundir import RunDirectory
from bulkops.model import Status
from bulkops.wire.transport import proxy_for

#: Ends of a run whose every line is settled.
FINISHED: Final = frozenset({ExitCode.OK, ExitCode.INCOMPLETE})
#: Ends that say neither well nor ill: the same command goes on later.
_TO_BE_CONTINUED: Final = frozenset({ExitCode.PAUSED, ExitCode.INTERRUPTED, ExitCode.TERMINATED})
#: A lost success would raise an alarm, so a ping is tried again.
_PINGS: Final = 3
#: Begins of names; a section may also be given whole, as JSON.
_SECRETS: Final = ("BULKOPS_AUTH", f"BULKOPS_HOOKS__{SECRET.upper()}")
_WHOLE: Final = "BULKOPS_HOOKS"


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
        _warn_of(f"hooks.{name}", _run(command, facts, timeout_s=hooks.command_timeout_s))
    if hooks.webhook:
        _warn_of("hooks.webhook", asyncio.run(_post(hooks, facts)))
    _ping(hooks, _suffix(ending.code))


def _warn_of(hook: str, trouble: str) -> None:
    if trouble:
        structlog.get_logger("bulkops.hooks").warning("hook.failed", hook=hook, reason=trouble)


def environment(facts: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: ours without secrets, and the facts of the run."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_SECRETS) and name.upper() != _WHOLE
    }
    plain = {f"BULKOPS_{name.upper()}": facts[name] for name in _PLAIN}
    counts = {f"BULKOPS_{name.upper()}": each for name, each in facts["statuses"].items()}
    # No value of an environment may hold a NUL.
    told = {name: str(each).replace("\0", "") for name, each in {**plain, **counts}.items()}
    return {**kept, **told}


_PLAIN: Final = ("event", "job", "run", "run_dir", "exit", "reason", "rows", "not_in_wanted_state")


def _run(command: tuple[str, ...], facts: Mapping[str, Any], *, timeout_s: float) -> str:
    """
    Run a command with the facts; return what went wrong, or nothing.

    What it prints goes to our standard error: standard output is for data. When its time is up
    it ends with all that it started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  (a list of words, out of the configuration)
            command,
            stdin=subprocess.PIPE,
            stdout=2,
            env=environment(facts, os.environ),
            start_new_session=True,
        )
    except OSError as error:
        return f"{command[0]}: cannot be started: {error.strerror}"
    with process:
        try:
            process.communicate(orjson.dumps(facts), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return f"{command[0]}: took longer than {timeout_s:g} s and was ended"
    return f"{command[0]}: ended with {process.returncode}" if process.returncode else ""


async def _post(hooks: Hooks, facts: Mapping[str, Any]) -> str:
    headers = {"Content-Type": "application/json"}
    if secret := hooks.webhook_secret.get_secret_value():
        headers[hooks.webhook_header] = secret
    return await _call("POST", hooks.webhook, hooks, headers=headers, body=orjson.dumps(facts))


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
        trouble = asyncio.run(_call("GET", url, hooks, headers={}, body=None))
        if not trouble:
            return
    _warn_of("hooks.health_check", trouble)


async def _call(
    method: str, url: str, hooks: Hooks, *, headers: Mapping[str, str], body: bytes | None
) -> str:
    """
    Make one call; return what went wrong, without the address (which may be a secret), or nothing.

    A redirect is not followed: what we say is for this address alone.
    """
    agent = {"User-Agent": f"bulkops/{__version__}"}
    timeout = aiohttp.ClientTimeout(total=hooks.timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, proxy=proxy_for(url)) as session,
            session.request(
                method, url, headers={**agent, **headers}, data=body, allow_redirects=False
            ) as response,
        ):
            return "" if response.ok and response.status < 300 else f"answered {response.status}"
    except TimeoutError:
        return f"took longer than {hooks.timeout_s:g} s"
    except (aiohttp.ClientError, OSError, ValueError, BulkopsError) as error:
        return type(error).__name__


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
