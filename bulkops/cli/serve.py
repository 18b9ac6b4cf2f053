"""
The verb that shows all runs as web pages: `serve`.
"""

from __future__ import annotations

import asyncio
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

import bulkops
from bulkops.cli.common import AsJson, ConfigPath, begin, print_json
from bulkops.cli.console import say


def register(app: typer.Typer) -> None:
    """Add the verb of this file to `app`."""
    app.command("serve")(serve)


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 8086,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of runs; else run.directory of the config."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser too.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """
    Show the runs as web pages, live, until Ctrl-C; prints their address. Changes nothing.

    With --json the address is printed as a line of JSON. Also serves JSON under /api and metrics
    for Prometheus under /metrics.
    """
    # Pages and charts take a moment to import, which other verbs should not pay.
    from bulkops.library.serving import Address

    loaded, _ = begin(config, verbose=0, quiet=False)

    def announce(address: Address) -> None:
        if as_json:
            print_json(address.to_json(), more_to_come=True)
        else:
            say(address.url)
        if open_it:
            webbrowser.open(address.url)

    folder = runs or loaded.run.directory
    asyncio.run(bulkops.serve(folder, host=host, port=port, announce=announce, signals=True))
