"""
Keep access tokens across restarts, in a file for its owner alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
from platformdirs import user_cache_path

from bulkops.errors import AuthError
from bulkops.files.private_file import read_with_mode, replace_privately

#: A token is renewed this long before it ends, but never in the first three quarters of its life.
_MARGIN_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Token:
    """
    An access token. Times are seconds since the epoch.

    `api_domain` is the address to call, without a trailing slash; `None` leaves it to the
    configuration. It is checked: whoever holds a `Token` may call it.
    """

    value: str = field(repr=False)
    api_domain: str | None
    issued_at: float
    expires_at: float

    def is_fresh(self, now: float) -> bool:
        """Say whether it is worth using rather than renewing."""
        margin = min(_MARGIN_S, (self.expires_at - self.issued_at) / 4)
        return now < self.expires_at - margin


def default_token_cache() -> Path:
    """Return where tokens are kept unless `auth.token_cache` says otherwise."""
    return user_cache_path("bulkops", appauthor=False) / "tokens.json"


@dataclass(frozen=True, slots=True)
class TokenCache:
    """
    A file of tokens for its owner alone, one for each `key`.

    A file that is damaged is an empty one; a file that others can read is refused.
    """

    path: Path
    key: str

    def load(self) -> Token | None:
        """Return the token kept, however old; raise `AuthError` if others can read the file."""
        return self._read().get(self.key)

    def save(self, token: Token) -> None:
        """Put `token` in place of the last one, whole or not at all, and drop what has expired."""
        kept = {k: t for k, t in self._read().items() if t.expires_at > token.issued_at}
        content = orjson.dumps({**kept, self.key: token})
        try:
            replace_privately(self.path, content)
        except OSError as error:
            raise AuthError(
                f"{self.path}: the token cannot be kept: {error.strerror}; "
                "set auth.token_cache to a file in a folder of your own"
            ) from None

    def _read(self) -> dict[str, Token]:
        try:
            content, mode = read_with_mode(self.path)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AuthError(f"{self.path}: cannot be read: {error.strerror}") from None
        if mode & 0o077:
            raise AuthError(
                f"{self.path}: others can read this token cache (mode {mode:04o}); expected a "
                f"file for its owner alone: chmod 600 {self.path}, or delete it"
            )
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError:
            return {}
        entries = found.items() if isinstance(found, dict) else ()
        return {key: token for key, entry in entries if (token := _stored(entry))}


def _stored(entry: object) -> Token | None:
    match entry:
        case {
            "value": str(value),
            "api_domain": str() | None as api_domain,
            "issued_at": int() | float() as issued_at,
            "expires_at": int() | float() as expires_at,
        }:
            return Token(value, api_domain, issued_at, expires_at)
    return None
