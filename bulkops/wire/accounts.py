"""
The accounts server: one question for a token, and what the answer says.

Not for when to ask and how often: that is `auth.py` for access tokens, `grant.py` for a login.

https://zoho.com/accounts/protocol/oauth/multi-dc.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True)
class Said:
    """
    An answer. `body` is `None` where it is no JSON object.
    """

    status: int
    body: Mapping[str, Any] | None

    def token(self, name: str) -> str | None:
        """Return the token of this name, if it is granted: an answer of 200 may be a refusal."""
        value = (self.body or {}).get(name)
        if not (200 <= self.status < 300 and isinstance(value, str)):
            return None
        return value if re.fullmatch("[!-~]+", value) else None

    def error(self, *, lacking: str) -> str:
        """Return the code of a refusal, or words for an answer without one: `lacking` what."""
        code = str((self.body or {}).get("error", ""))
        known = re.fullmatch(r"[\w .-]{1,60}", code, re.ASCII)
        return code if known else f"HTTP {self.status} without {lacking}"


async def ask(session: aiohttp.ClientSession, accounts: str, form: Mapping[str, str]) -> Said:
    """
    Send `form` to `accounts`, once, and return what it says.

    Raises `aiohttp.ClientError`, `TimeoutError` or `OSError` where there is no answer.
    """
    async with session.post(
        f"{accounts}/oauth/v2/token",
        data=form,
        timeout=_TIMEOUT,
        allow_redirects=False,  # credentials go to the configured host and no further
    ) as reply:
        content = await reply.read()
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    return Said(reply.status, body if isinstance(body, dict) else None)
