"""
The verbs for before the first run, and for when something is odd: `check`, `login`, `config`.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import SecretStr

from bulkops.cli.common import (
    AsJson,
    ConfigPath,
    Maps,
    Op,
    Sets,
    Verbose,
    begin,
    pairs,
    print_json,
    talk,
)
from bulkops.cli.console import say
from bulkops.engine.check import (
    Finding,
    State,
    Wants,
    exit_code,
    look_here,
    look_there,
    wants_of,
)
from bulkops.errors import ExitCode, UsageError
from bulkops.files.config import Config, load_config
from bulkops.files.logins import Login
from bulkops.files.prepare import ask, prepare
from bulkops.files.rundir import RunDirectory
from bulkops.files.sections import SECRET_KEYS
from bulkops.wire.grant import exchange_code
from bulkops.wire.transport import accounts_session

_SIGNS = {State.OK: "ok", State.LOOK: "look", State.UNKNOWN: "?", State.WRONG: "WRONG"}
_MASKED = "********"
_OPEN_HOOKS = frozenset({"webhook_header"})


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
    wants = Wants()
    if manifest:
        given = (pairs(fixed, "--set"), pairs(columns, "--map"))
        wants, loaded = _wants(manifest, loaded, op=op, given=given)
    found = look_here(loaded)
    if exit_code(found) is ExitCode.OK:
        secret = redactor.register_secret
        found += asyncio.run(look_there(loaded, wants, remember_secret=secret))
    code = exit_code(found)
    if as_json:
        print_json({"v": 1, "exit": int(code), "checks": [each.to_json() for each in found]})
    else:
        for each in found:
            _tell(each)
    sys.exit(int(code))


def _wants(
    manifest: list[Path], config: Config, *, op: str | None, given: tuple[dict[str, str], ...]
) -> tuple[Wants, Config]:
    """Return what a run asks for, planned if it is not; and the configuration it has."""
    for run in (manifest[0], config.run.directory / manifest[0]):
        if len(manifest) == 1 and (run / "run.json").is_file():
            return wants_of(RunDirectory(run)), config
    fixed, columns = given
    asked, config = ask(tuple(manifest), config, op=op, fixed=fixed, columns=columns, fields=())
    return wants_of(prepare(asked, config).run), config


def _tell(finding: Finding) -> None:
    words = f"{_SIGNS[finding.state]:<6}{finding.subject}: {finding.found}"
    say(f"{words}\n      → {finding.mend}" if finding.mend else words)


def login(*, config: ConfigPath = None, verbose: Verbose = 0) -> None:
    """
    Turn the grant code of a self client into a refresh token, kept for you alone.

    Asks for what is not configured: client id, client secret, code; none is shown. Where standard
    input is no terminal, it has them, a line each. Nothing of it is ever taken from the command
    line, where other users can see it.
    """
    loaded, redactor = begin(config, verbose=verbose, quiet=False)
    auth, api = loaded.auth, loaded.api
    client_id = _asked("Client id", auth.client_id)
    client_secret = _asked("Client secret", auth.client_secret)
    code = _asked("Grant code", SecretStr(""))
    for secret in (client_id, client_secret, code):
        redactor.register_secret(secret)

    async def granted() -> Login:
        async with accounts_session(api.accounts_host, ca_file=api.ca_file) as session:
            return await exchange_code(
                session,
                api.accounts_host,
                client_id=client_id,
                client_secret=client_secret,
                code=code,
            )

    file = loaded.login_file
    file.load()  # a file that cannot be used is told before the code is used up
    file.save(asyncio.run(granted()))
    console = talk()
    console.print(
        f"Logged in at {api.accounts_host}; kept in {file.path}, for you alone.", soft_wrap=True
    )
    if auth.refresh_token.get_secret_value() and loaded.origin("auth", "refresh_token") != str(
        file.path
    ):
        where = loaded.origin("auth", "refresh_token")
        console.print(f"But the refresh token of {where} goes before it; take that away.")
    console.print("Next: bulkops check")


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
    loaded = load_config(config)
    told = [
        {
            "key": f"{section}.{key}",
            "value": _shown(section, key, value),
            "origin": loaded.origin(section, key),
        }
        for section in type(loaded).model_fields
        for key, value in _values(getattr(loaded, section)).items()
    ]
    if as_json:
        print_json({"v": 1, "file": str(loaded.source or ""), "values": told})
        return
    for each in told:
        text = f"{each['key']} = {orjson.dumps(each['value']).decode()}"
        say(f"{text:<48} # {each['origin']}" if origin else text)


def _values(section: Any) -> dict[str, Any]:
    """Return the values of a table of the configuration, as JSON values but for secrets."""
    return dict(section) if isinstance(section, dict) else section.model_dump(mode="json")


def _shown(section: str, key: str, value: Any) -> Any:
    """Return a value as it may be shown: addresses and commands of hooks may hold secrets too."""
    hidden = key in SECRET_KEYS or (section == "hooks" and key not in _OPEN_HOOKS)
    return _MASKED if hidden and value and not isinstance(value, int | float) else value


def config_path(*, config: ConfigPath = None) -> None:
    """
    Print which configuration file is read; exit with 2 if there is none.
    """
    source = load_config(config).source
    if source is None:
        raise UsageError(
            "no configuration file: expected --config, BULKOPS_CONFIG, ./config.toml or one in "
            "the user's config folder; defaults and the environment are used"
        )
    say(str(source.absolute()))
