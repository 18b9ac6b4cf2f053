"""
Turn the grant code of a self client into a refresh token, once, for `bulkops login`.

https://www.zoho.com/crm/developer/docs/api/v8/auth-request.html
"""

from __future__ import annotations

from typing import Final

import aiohttp

from bulkops.errors import AuthError, PausedError
from bulkops.files.logins import Login
from bulkops.wire.accounts import ask

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
        said = await ask(session, accounts, form)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        words = str(error) or type(error).__name__
        raise PausedError(f"{accounts} cannot be asked: {words}; log in again later") from None
    if token := said.token("refresh_token"):
        return Login(client_id, client_secret, token)
    if said.status >= 500:
        raise PausedError(f"{accounts} answered HTTP {said.status}; log in again with a new code")
    error_code = said.error(lacking="a refresh token")
    mend = _MENDS.get(error_code, "make a new code of a self client, and check api.data_center")
    raise AuthError(f"{accounts} refuses the code: {error_code}: {mend}")
