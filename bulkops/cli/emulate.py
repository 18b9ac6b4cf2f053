"""
The verb `emulator`: an organisation that is not there, over real sockets.
"""

from __future__ import annotations

import asyncio
import errno
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer

from bulkops.cli.common import AsJson, Verbose, begin, pairs, print_json
from bulkops.cli.console import say
from bulkops.emulator import Behaviour, Clock, load_faults, open_world, parse_size, serve
from bulkops.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb of this file to `app`."""
    app.command("emulator")(emulator)


def emulator(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8085,
    seed: Annotated[
        Path | None,
        typer.Option(
            metavar="WORLD", help="What the organisation holds: .json, .jsonl or .csv; a manifest."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--generate", metavar="NAME=N,...", help="Make it up: products=1000,links=200000,..."
        ),
    ] = None,
    random_seed: Annotated[int, typer.Option(help="Of --generate.")] = 7,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep the world there; an existing file goes before the seed."
        ),
    ] = None,
    speed: Annotated[str, typer.Option(metavar="xN", help="How fast time goes by.")] = "x1",
    faults: Annotated[
        Path | None, typer.Option(metavar="FAULTS.toml", help="Trouble to make.")
    ] = None,
    knobs: Annotated[
        list[str] | None,
        typer.Option("--knob", metavar="NAME=VALUE", help="Change a behaviour; VALUE is JSON."),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """
    Serve an emulated Zoho CRM and Bigin; prints its address once it answers.
    """
    begin(None, verbose=verbose, quiet=False)
    try:
        world, saved_at = open_world(
            save_path=save,
            seed_path=seed,
            size=None if size is None else parse_size(size),
            random_seed=random_seed,
        )
        behaviour = Behaviour().changed(
            {name: _value(text) for name, text in pairs(knobs, "--knob").items()}
        )
        asyncio.run(
            serve(
                host=host,
                port=port,
                world=world,
                behaviour=behaviour,
                faults=() if faults is None else load_faults(faults),
                clock=Clock(start=max(time.time(), saved_at), speed=_speed(speed)),
                save_path=save,
                announce=_announce_json if as_json else say,
            )
        )
    except OSError as error:
        raise UsageError(_words(error, host, port)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def _words(error: OSError, host: str, port: int) -> str:
    """Return what the system refused, and what to do where that is known."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} cannot be listened on: another program listens there; --port "
            "names another, and --port 0 takes any free one"
        )
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _announce_json(url: str) -> None:
    # The program goes on: whoever waits for the address reads a line.
    print_json({"v": 1, "url": url}, more_to_come=True)


def _speed(text: str) -> float:
    try:
        speed = float(text.removeprefix("x"))
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise UsageError(f"--speed {text!r}: expected a number above 0, for example x60")
    return speed


def _value(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
