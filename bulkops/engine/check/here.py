"""
What can be checked on this machine: where the configuration is, its secrets, its folders.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bulkops.engine.check.findings import Finding, State
from bulkops.engine.telemetry import is_wanted
from bulkops.errors import ExitCode, UsageError
from bulkops.files.config import Config
from bulkops.files.credits import ledger_of
from bulkops.files.levels import level_file_of
from bulkops.files.token_cache import default_token_cache

_MOST_RUNS = 5


def look_here(config: Config) -> list[Finding]:
    """Return what stands on this machine; opens no connection and makes no file."""
    return [
        _configuration(config),
        _credentials(config),
        *_folders(config),
        *_runs(config),
        *_telemetry(config),
    ]


def _configuration(config: Config) -> Finding:
    source = config.source
    words = f"read from {source.absolute()}" if source else "no file: defaults and the environment"
    return Finding("configuration", State.OK, words)


def _credentials(config: Config) -> Finding:
    auth = config.auth
    given = {
        key: bool(getattr(auth, key).get_secret_value())
        for key in ("client_id", "client_secret", "refresh_token")
    }
    if all(given.values()):
        return Finding(
            "credentials", State.OK, f"refresh token from {config.origin('auth', 'refresh_token')}"
        )
    if auth.access_token.get_secret_value() and not any(given.values()):
        return Finding(
            "credentials",
            State.LOOK,
            "an access token alone: it ends within the hour, and a run with it",
            "bulkops login",
        )
    names = ", ".join(f"BULKOPS_AUTH__{key.upper()}" for key, there in given.items() if not there)
    return Finding(
        "credentials",
        State.WRONG,
        f"incomplete: {names} not set, and no login kept in {config.login_file.path}",
        "bulkops login, or set them",
        ExitCode.USAGE,
    )


def _folders(config: Config) -> Iterator[Finding]:
    cache = Path(config.auth.token_cache or default_token_cache()).expanduser()
    for subject, key, folder in (
        ("run directories", "run.directory", config.run.directory),
        ("token cache", "auth.token_cache", cache.parent),
        ("ledger of credits", "limits.ledger", ledger_of(config).path.parent),
        ("remembered levels", "XDG_STATE_HOME", level_file_of(config).path.parent),
    ):
        nearest = next(
            each for each in (folder.absolute(), *folder.absolute().parents) if _is(each)
        )
        if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
            yield Finding(subject, State.OK, f"{folder} can be written")
        else:
            what = "is no folder" if not nearest.is_dir() else "cannot be written"
            yield Finding(
                subject,
                State.WRONG,
                f"{folder}: {nearest} {what}",
                f"set {key} to a folder of your own",
                ExitCode.USAGE,
            )


def _is(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _runs(config: Config) -> Iterator[Finding]:
    """Yield a finding if others can read what runs have kept."""
    kept = sorted({each.parent for each in config.run.directory.glob("*/run.json")})
    open_ones = [each for each in kept if stat.S_IMODE(each.stat().st_mode) & 0o077]
    if open_ones:
        names = " ".join(str(each) for each in open_ones[:_MOST_RUNS])
        more = " ..." if len(open_ones) > _MOST_RUNS else ""
        yield Finding(
            "privacy of runs",
            State.LOOK,
            f"others can read {len(open_ones):,} of {len(kept):,} run directories",
            f"chmod 700 {names}{more}",
        )


def _telemetry(config: Config) -> Iterator[Finding]:
    """Yield whether what OpenTelemetry needs is there, for those who asked for it."""
    if not config.run.telemetry:
        return
    try:
        wanted = is_wanted(config)
    except UsageError:
        words = "asked for in [run], and its packages are not installed"
        mend = "pip install 'bulkops[otel]', or set run.telemetry to false"
        yield Finding("telemetry", State.WRONG, words, mend, ExitCode.USAGE)
    else:
        found = "on, as OTEL_... says" if wanted else "off, because of OTEL_SDK_DISABLED"
        yield Finding("telemetry", State.OK, found)
