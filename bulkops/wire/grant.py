"""
Turn the grant code of a self client into a refresh token, once, for `bulkops login`.

https://www.zoho.com/crm/developer/docs/api/v8/auth-request.html
"""

from __future__ import annotations

import re
from typing import Final

import aiohttp
import orjson

from bulkops.errors import AuthError, PausedError
from bulkops.files.logins import Login

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_MENDS: Final = {
    "invalid_code": "the code is used up, older than the minutes it was made for, or of another "
    "client or data centre; make a new one",
    "invalid_client": "no such client at this data centre; check the client id and api.data_center",
    "invalid_client_secret": "check the client secret",
}


async def exchange_code(
    session: aiohttp.ClientSession,
    accounts: str,
    *,
    client_id: str,
    client_secret: str,
    code: str,
) -> Login:
    """
    Return the login that `accounts` gives for a grant code. Never asks twice: a code works once.

    Raises `AuthError` if it is refused, `PausedError` if the server cannot be asked now.
    """
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "client_secret": client_secret,
        "code": code,
    }
    try:
        async with session.post(
            f"{accounts}/oauth/v2/token",
            data=form,
            timeout=_TIMEOUT,
            allow_redirects=False,  # credentials go to the configured host and no further
        ) as reply:
            status, content = reply.status, await reply.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        words = str(error) or type(error).__name__
        raise PausedError(f"{accounts} cannot be asked: {words}; log in again later") from None
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    found = body if isinstance(body, dict) else {}
    token = found.get("refresh_token")
    if 200 <= status < 300 and isinstance(token, str) and re.fullmatch("[!-~]+", token):
        return Login(client_id, client_secret, token)
    if status >= 500:
        raise PausedError(f"{accounts} answered HTTP {status}; log in again with a new code")
    error_code = str(found.get("error", ""))
    if not re.fullmatch(r"[\w .-]{1,60}", error_code, re.ASCII):
        error_code = f"HTTP {status} without a refresh token"
    mend = _MENDS.get(error_code, "make a new code of a self client, and check api.data_center")
    raise AuthError(f"{accounts} refuses the code: {error_code}: {mend}")
