"""
The tables of the configuration as they are written: in a file, in the environment, and merged.

What their keys mean, and whether they are any, is not for here (`config.py`).
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

from platformdirs import user_config_path
from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from bulkops.errors import UsageError
from bulkops.files.hooks_section import SECRET
from bulkops.files.sections import SECRET_KEYS

#: How the names of variables begin.
PREFIX: Final = "BULKOPS_"


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of both; where both have a key, `over` wins."""
    both = {**under, **over}
    for name in under.keys() & over.keys():
        if isinstance(under[name], Mapping) and isinstance(over[name], Mapping):
            both[name] = {**under[name], **over[name]}
    return both


def read_toml(file: Path) -> tuple[dict[str, Any], int]:
    """Return the tables of a TOML file and its permission bits, or raise a `UsageError`."""
    try:
        with file.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            return tomllib.load(stream), mode
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: is not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: is not TOML: {error}") from None


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return `path`, or the file where it is usually found; `None` if there is none."""
    named = path or (Path(environ["BULKOPS_CONFIG"]) if environ.get("BULKOPS_CONFIG") else None)
    if named:
        return named.expanduser()
    usual = (Path("config.toml"), user_config_path("bulkops", appauthor=False) / "config.toml")
    return next((each for each in usual if each.exists()), None)


def read_file(file: Path) -> dict[str, Any]:
    """Return the tables of a file, which may hold secrets only if it is its owner's alone."""
    tables, mode = read_toml(file)
    for name, keys in (("auth", SECRET_KEYS), ("hooks", (SECRET,))):
        table = tables.get(name)
        if isinstance(table, Mapping) and any(table.get(key) for key in keys) and mode & 0o077:
            raise UsageError(
                f"{file}: holds secrets in [{name}] and others can read it (mode {mode:04o}); "
                f"expected a file for its owner alone: chmod 600 {file}"
            )
    return tables


def read_environment(environ: Mapping[str, str], model: type[BaseModel]) -> dict[str, Any]:
    """Return the tables that variables give, by the fields of `model`."""
    for name in environ:
        section, nested, _ = name.upper().removeprefix(PREFIX).lower().partition("__")
        if name.upper().startswith(PREFIX) and nested and section not in model.model_fields:
            near = get_close_matches(section, model.model_fields, n=1)
            mend = f"; did you mean {PREFIX}{near[0].upper()}__...?" if near else ""
            raise UsageError(f"environment variable {name}: unknown section {section!r}{mend}")
    # The source reads only names, fields and delimiters, which any model has; it takes the
    # values from `env_vars`, so that what is passed in is what is read.
    source = EnvSettingsSource(
        cast("type[BaseSettings]", model), env_prefix=PREFIX, env_nested_delimiter="__"
    )
    # A hook finds the name of its run in BULKOPS_RUN, and may call bulkops again.
    told = f"{PREFIX}RUN"
    source.env_vars = {
        name.lower(): value for name, value in environ.items() if name.upper() != told
    }
    try:
        return source()
    except SettingsError as error:
        raise UsageError(f"environment: {error}; expected JSON, such as {{...}}") from None
