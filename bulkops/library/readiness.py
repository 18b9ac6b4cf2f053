"""
What comes before the first run: is everything there that it needs, and a login.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkops.engine.check import (
    Finding,
    State,
    Wants,
    exit_code,
    look_here,
    look_there,
    wants_of,
)
from bulkops.engine.rig import Manner
from bulkops.errors import ExitCode
from bulkops.files.config import Config
from bulkops.files.rundir import RunDirectory
from bulkops.library.planning import Named, as_config, planned, wish
from bulkops.wire.grant import exchange_code
from bulkops.wire.transport import accounts_session

__all__ = ["Checked", "Finding", "LoggedIn", "State", "check", "login"]


@dataclass(frozen=True, slots=True)
class Checked:
    """
    What a check found, and the `code` that a run would end with.
    """

    findings: Sequence[Finding]
    code: ExitCode


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """
    Where a login is kept, and what it is for. `overruled_by` names what goes before it, if any.
    """

    accounts: str
    file: Path
    overruled_by: str | None


async def check(
    *target: Named,
    config: Config | Named | None = None,
    op: str | None = None,
    fixed: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
) -> Checked:
    """
    Check with a few reads what a run needs: configuration, token, rights, relations, credits.

    `target` is what is to be run, a manifest, a job file or a run: then its modules and related
    lists are looked for too. It is planned, if it is not yet.
    """
    known, wants = as_config(config), Wants()
    if target:
        wants, known = _wants(target, known, op=op, fixed=fixed, columns=columns)
    found = look_here(known)
    if exit_code(found) is ExitCode.OK:
        found += await look_there(known, wants, remember_secret=manner.remember_secret)
    return Checked(tuple(found), exit_code(found))


def _wants(
    target: Sequence[Named],
    config: Config,
    *,
    op: str | None,
    fixed: Mapping[str, str] | None,
    columns: Mapping[str, str] | None,
) -> tuple[Wants, Config]:
    """Return what a run asks for, planned if it is not; and the configuration it has."""
    targets = tuple(map(Path, target))
    for run in (targets[0], config.run.directory / targets[0]):
        if len(targets) == 1 and (run / "run.json").is_file():
            return wants_of(RunDirectory(run)), config
    asked, config = wish(
        targets, config, op=op, fixed=fixed, columns=columns, fields=(), file_format=None
    )
    return wants_of(planned(asked, config).prepared.run), config


async def login(config: Config, *, client_id: str, client_secret: str, code: str) -> LoggedIn:
    """
    Turn the grant code of a self client into a refresh token, kept for the owner alone.

    Raises `AuthError` if the code is refused, `UsageError` if what is kept cannot be used.
    """
    api, file = config.api, config.login_file
    file.load()  # a file that cannot be used is told before the code is used up
    async with accounts_session(api.accounts_host, ca_file=api.ca_file) as session:
        granted = await exchange_code(
            session,
            api.accounts_host,
            client_id=client_id,
            client_secret=client_secret,
            code=code,
        )
    file.save(granted)
    origin = config.origin("auth", "refresh_token")
    there = config.auth.refresh_token.get_secret_value() and origin != str(file.path)
    return LoggedIn(api.accounts_host, file.path, origin if there else None)
