"""
The verbs for before the first run, and for when something is odd: `check`, `login`, `config`.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
import warnings
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import SecretStr

import bulkops
from bulkops import Finding, State
from bulkops.cli.asking import Maps, Op, Sets
from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    Verbose,
    begin,
    manner_of,
    pairs,
    print_json,
    talk,
)
from bulkops.cli.console import say
from bulkops.errors import UsageError

_SIGNS = {State.OK: "ok", State.LOOK: "look", State.UNKNOWN: "?", State.WRONG: "WRONG"}


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("check")(check)
    app.command("login")(login)
    shown = typer.Typer(help="Show what is configured, and where it comes from.")
    shown.command("show")(show_config)
    shown.command("path")(config_path)
    app.add_typer(shown, name="config", no_args_is_help=True)


def check(
    manifest: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MANIFEST...|JOB.toml|RUN",
            help="What is to be run: its modules, related lists and rights are looked for.",
        ),
    ] = None,
    *,
    op: Op = None,
    fixed: Sets = None,
    columns: Maps = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """
    Check what a run needs, with a few reads: configuration, token, rights, relations, credits.

    Each line says ok, or what is wrong and what to do. Exits as a run would end: 0, 2, 5 or 6.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=False)
    checked = asyncio.run(
        bulkops.check(
            *(manifest or ()),
            config=loaded,
            op=op,
            fixed=pairs(fixed, "--set"),
            columns=pairs(columns, "--map"),
            manner=manner_of(redactor, config),
        )
    )
    found, code = checked.findings, checked.code
    if as_json:
        print_json({"v": 1, "exit": int(code), "checks": [each.to_json() for each in found]})
    else:
        for each in found:
            _tell(each)
    sys.exit(int(code))


def _tell(finding: Finding) -> None:
    words = f"{_SIGNS[finding.state]:<6}{finding.subject}: {finding.found}"
    say(f"{words}\n      → {finding.mend}" if finding.mend else words)


def login(*, config: ConfigPath = None, as_json: AsJson = False, verbose: Verbose = 0) -> None:
    """
    Turn the grant code of a self client into a refresh token, kept for you alone.

    Asks for what is not configured: client id, client secret, code; none is shown. Where standard
    input is no terminal, it has them, a line each. Nothing of it is ever taken from the command
    line, where other users can see it.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=False)
    auth = loaded.auth
    client_id = _asked("Client id", auth.client_id)
    client_secret = _asked("Client secret", auth.client_secret)
    code = _asked("Grant code", SecretStr(""))
    for secret in (client_id, client_secret, code):
        redactor.register_secret(secret)

    done = asyncio.run(
        bulkops.login(loaded, client_id=client_id, client_secret=client_secret, code=code)
    )
    console = talk()
    console.print(
        f"Logged in at {done.accounts}; kept in {done.file}, for you alone.", soft_wrap=True
    )
    if done.overruled_by:
        words = f"But the refresh token of {done.overruled_by} goes before it; take that away."
        console.print(words)
    console.print("Next: bulkops check")
    if as_json:
        told = {"accounts": done.accounts, "file": str(done.file)}
        print_json({"v": 1, **told, "goes_before": done.overruled_by})


def _asked(name: str, configured: SecretStr) -> str:
    """Return what is configured, or what somebody types unseen, or a line of standard input."""
    value = configured.get_secret_value()
    if not value and sys.stdin.isatty():
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            try:
                value = getpass.getpass(f"{name} (not shown): ")
            except getpass.GetPassWarning:
                raise UsageError(
                    "this terminal cannot hide what is typed; give it through standard input"
                ) from None
    elif not value:
        value = sys.stdin.readline()
    value = value.strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(f"{name.lower()}: expected one word of plain characters (not shown)")
    return value


def show_config(
    *,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value comes from.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """
    Print every key with its value; secrets are masked.
    """
    loaded = bulkops.load_config(config)
    told = list(bulkops.settings_of(loaded))
    if as_json:
        values = [each.to_json() for each in told]
        print_json({"v": 1, "file": str(loaded.source or ""), "values": values})
        return
    for each in told:
        text = f"{each.key} = {orjson.dumps(each.value).decode()}"
        say(f"{text:<48} # {each.origin}" if origin else text)


def config_path(*, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """
    Print which configuration file is read; exit with 2 if there is none.
    """
    source = bulkops.load_config(config).source
    if source is None:
        raise UsageError(
            "no configuration file: expected --config, BULKOPS_CONFIG, ./config.toml or one in "
            "the user's config folder; defaults and the environment are used"
        )
    if as_json:
        print_json({"v": 1, "file": str(source.absolute())})
    else:
        say(str(source.absolute()))
