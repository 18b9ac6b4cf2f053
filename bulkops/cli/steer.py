"""
The verb that speaks to a running run: `ctl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

import bulkops
from bulkops.cli.common import AsJson, ConfigPath, RunArgument, begin, pairs, print_json
from bulkops.cli.console import say
from bulkops.errors import UsageError

_ACTIONS = ("status", "pause", "resume", "drain", "set")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("ctl")(control)


def control(
    run: RunArgument,
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="status, pause, resume, drain, or set.")
    ],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Of set: concurrency=8, calls_per_second=2."),
    ] = None,
    *,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """
    Look at a run while it goes on, hold it, let it go on, end it in peace, change its limits.
    """
    if action not in _ACTIONS:
        raise UsageError(f"ctl {action}: expected {', '.join(_ACTIONS)}")
    if (action == "set") != bool(values):
        raise UsageError("ctl: NAME=VALUE belongs to set, as in `set concurrency=8`")
    loaded, _ = begin(config, verbose=0, quiet=False)
    status = bulkops.control(run, action, loaded, **_numbers(values))
    if as_json:
        print_json({"v": 1, **status})
    else:
        _print(status)


def _numbers(values: list[str] | None) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for name, text in pairs(values, "set").items():
        try:
            found[name] = int(text) if name == "concurrency" else float(text)
        except ValueError:
            raise UsageError(f"set {name}={text}: expected a number") from None
    return found


def _print(status: Mapping[str, Any]) -> None:
    say(f"{status['run']}: {status['state']}, process {status['pid']}")
    for name, words in status["held"].items():
        say(f"  held by {name}: {words}")
    if status["ending"]:
        say(f"  ending: {status['ending']}")
    rate = status["calls_per_second"]
    say(f"  {status['settled']:,} of {status['rows']:,} lines settled")
    say(
        f"  {status['calls']:,} calls; {status['in_flight']} in flight of {status['slots']} allowed"
        f" now, at most {status['concurrency']}" + (f", {rate:g} a second" if rate else "")
    )
    credits_ = status["credits"]
    say(
        f"  {credits_['spent']:,} credits spent by this process, {credits_['left']:,} left for our "
        f"runs; a day has {credits_['day']:,}, of which {credits_['leave']:,} are for others"
    )
