"""
Keep what `bulkops login` got: a client and its refresh token, in a file for its owner alone.

One for each product and accounts server, so that what was granted by one is never sent to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from platformdirs import user_config_path

from bulkops.errors import UsageError
from bulkops.files.private_file import read_with_mode, replace_privately

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Login:
    """
    The three parts of a refresh token grant.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


def default_logins() -> Path:
    """Return where logins are kept unless `auth.logins` says otherwise."""
    return user_config_path("bulkops", appauthor=False) / "logins.json"


@dataclass(frozen=True, slots=True)
class LoginFile:
    """
    A file of logins, the one for `product` at the accounts server `accounts` among them.
    """

    path: Path
    product: str
    accounts: str

    def load(self) -> Login | None:
        """Return the login kept. Raises `UsageError` if others can read it, or it is damaged."""
        return self._read().get(self._key)

    def save(self, login: Login) -> None:
        """Put `login` in place of the last one, whole or not at all; others stay."""
        kept = {key: asdict(each) for key, each in self._read().items()}
        content = {"v": SCHEMA_VERSION, "logins": {**kept, self._key: asdict(login)}}
        try:
            packed = orjson.dumps(content, option=orjson.OPT_INDENT_2)
            replace_privately(self.path, packed, durable=True)
        except OSError as error:
            raise UsageError(
                f"{self.path}: the login cannot be kept: {error.strerror}; "
                "set auth.logins to a file in a folder of your own"
            ) from None

    @property
    def _key(self) -> str:
        return f"{self.product} {self.accounts}"

    def _read(self) -> dict[str, Login]:
        try:
            content, mode = read_with_mode(self.path)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {error.strerror}") from None
        if mode & 0o077:
            raise UsageError(
                f"{self.path}: others can read these logins (mode {mode:04o}); expected a file "
                f"for its owner alone: chmod 600 {self.path}"
            )
        try:
            return _logins(orjson.loads(content))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UsageError(
                f"{self.path}: is not what bulkops login wrote; delete it and log in again"
            ) from None


def _logins(content: Any) -> dict[str, Login]:
    if content["v"] != SCHEMA_VERSION:
        raise ValueError(f"found schema {content['v']!r}, expected {SCHEMA_VERSION}")
    return {key: _login(each) for key, each in content["logins"].items()}


def _login(entry: Mapping[str, Any]) -> Login:
    parts = (entry["client_id"], entry["client_secret"], entry["refresh_token"])
    if not all(isinstance(each, str) and each for each in parts):
        raise ValueError("a part is missing")
    return Login(*parts)
