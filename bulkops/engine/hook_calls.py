"""
Carry out one hook: run a command, or call an address. What goes wrong is told in words.

No secret of ours reaches a command, and none but its own the webhook.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp
import orjson

from bulkops.errors import BulkopsError
from bulkops.files.hooks_section import SECRET, Hooks
from bulkops.version import __version__
from bulkops.wire.transport import proxy_for

#: Begins of names; a section may also be given whole, as JSON.
_SECRETS: Final = ("BULKOPS_AUTH", f"BULKOPS_HOOKS__{SECRET.upper()}")
_WHOLE: Final = "BULKOPS_HOOKS"


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


def run_command(command: tuple[str, ...], facts: Mapping[str, Any], *, timeout_s: float) -> str:
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


async def post(hooks: Hooks, facts: Mapping[str, Any]) -> str:
    """Tell the webhook; return what went wrong, or nothing."""
    headers = {"Content-Type": "application/json"}
    if secret := hooks.webhook_secret.get_secret_value():
        headers[hooks.webhook_header] = secret
    return await call("POST", hooks.webhook, hooks, headers=headers, body=orjson.dumps(facts))


async def call(
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
