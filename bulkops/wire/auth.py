"""
Access tokens: got with a refresh token, kept across restarts, renewed once for all workers.

Zoho grants 10 access tokens in 10 minutes and keeps 15 alive, so a token is shared by all who
can use it and minted only when it must be. Nothing here sends an API call.

https://zoho.com/accounts/protocol/oauth/multi-dc.html
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, Final

import aiohttp

from bulkops.errors import AuthError, BulkopsError, PausedError, UsageError
from bulkops.files.config import Config
from bulkops.files.products import host_of, may_receive_token
from bulkops.files.sections import SECRET_KEYS
from bulkops.files.token_cache import Token, TokenCache, default_token_cache
from bulkops.wire.accounts import Said, ask

#: Life of an access token, where the answer does not say: `expires_in` may be missing.
_LIFE_S: Final = 3600.0
#: A token refused so soon after its issue will not get better by another one.
_SOON_S: Final = 60.0
#: How long the accounts server wants to be left alone after too many requests.
_THROTTLED_S: Final = 600.0
_ATTEMPTS: Final = 5
_LONGEST_WAIT_S: Final = 30.0
_MENDS: Final = {
    "invalid_code": "the refresh token is revoked, mistyped, or of another client or data centre; "
    "make a new one and check api.data_center",
    "invalid_client": "no such client at this data centre; check auth.client_id and "
    "api.data_center",
    "invalid_client_secret": "check auth.client_secret",
}


def authorization(token: Token) -> str:
    """Return the value of the `Authorization` header: not `Bearer`, whatever `token_type` says."""
    return f"Zoho-oauthtoken {token.value}"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What the accounts server said last, so that those who wait do not all ask again."""

    kind: type[BulkopsError]
    message: str
    until: float


class TokenSource:
    """
    The access token of one client, for all workers.

    `session` sends the requests; `remember_secret` is told every secret value, so that no log
    shows it. `clock` gives seconds since the epoch, `jitter` a number from 0 to 1. Raises
    `UsageError` when made of incomplete credentials.
    """

    def __init__(
        self,
        *,
        config: Config,
        session: aiohttp.ClientSession,
        remember_secret: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._session = session
        self._remember_secret = remember_secret
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._base_url = config.api.base_url
        self._accounts = config.api.accounts_host
        self._lock = asyncio.Lock()
        self._refusal: _Refusal | None = None
        secrets = {key: getattr(config.auth, key).get_secret_value() for key in SECRET_KEYS}
        for secret in filter(None, secrets.values()):
            remember_secret(secret)
        ready = secrets.pop("access_token")
        missing = [key for key, value in secrets.items() if not value]
        if missing and not (ready and len(missing) == len(secrets)):
            names = ", ".join(f"BULKOPS_AUTH__{key.upper()}" for key in missing)
            raise UsageError(
                f"no credentials to call with: bulkops login asks for them once; or set {names} "
                "(or BULKOPS_AUTH__ACCESS_TOKEN alone)"
            )
        #: Its value is the whole truth where only an access token is given: nothing to renew with.
        self._ready = Token(ready, None, issued_at=0.0, expires_at=inf) if missing else None
        self._credentials = secrets
        self._token: Token | None = None
        self._rejected: str | None = None
        self._minted: str | None = None
        self._served: str | None = None
        self._cache = TokenCache(
            path=Path(config.auth.token_cache or default_token_cache()).expanduser(),
            key=_key(self._accounts, secrets["client_id"], secrets["refresh_token"]),
        )

    async def token(self) -> Token:
        """
        Return a token to call with, renewed five minutes before its end.

        Raises `AuthError` if Zoho refuses the credentials, `PausedError` if it cannot be asked
        now. While a token still lives, an outage of the accounts server is nobody's concern.
        """
        held = self._ready or self._token
        if held is not None and held.value != self._rejected:
            now = self._clock()
            another_renews = self._lock.locked() and now < held.expires_at
            if another_renews or held.is_fresh(now):
                return held
        return await self._current()

    def served(self, value: str) -> None:
        """Take note that a call was answered with this token: if refused later, it was revoked."""
        self._served = value

    async def refreshed(self, rejected: str) -> Token:
        """
        Return another token than `rejected`, which a call was just refused with (401).

        However many workers call this with one value, one token is minted. A token of this
        process that was refused within a minute of its issue, and never served, ends in
        `AuthError`: a newer one would be refused as well.
        """
        if self._ready is not None:
            raise AuthError(
                "the access token was refused (401): it lives for an hour at most, and there is "
                "no refresh token to get another; set BULKOPS_AUTH__CLIENT_ID, "
                "BULKOPS_AUTH__CLIENT_SECRET and BULKOPS_AUTH__REFRESH_TOKEN"
            )
        if self._token is None or self._token.value == rejected:
            self._rejected = rejected
        return await self._current()

    async def _current(self) -> Token:
        async with self._lock:
            held, now = self._token, self._clock()
            refused = held is not None and held.value == self._rejected
            if held and not refused and held.is_fresh(now):
                return held
            if cached := self._cached():
                self._token = cached
                return cached
            stillborn = held is not None and held.value == self._minted != self._served
            if held and refused and stillborn and 0 <= now - held.issued_at < _SOON_S:
                raise AuthError(
                    f"a new access token was refused (401) {now - held.issued_at:.0f} s after its "
                    "issue: it is of another data centre or organisation than the one called, or "
                    "its user was deactivated; check api.data_center and api.base_url"
                )
            try:
                self._token = await self._mint()
            except PausedError:
                # Other processes, which used up what may be asked for, keep what they got.
                if cached := self._cached():
                    self._token = cached
                    return cached
                if held is None or refused or self._clock() >= held.expires_at:
                    raise
                return held
            return self._token

    def _cached(self) -> Token | None:
        """Return the token that was kept, if it is worth calling with."""
        token = self._cache.load()
        if token is None or not self._may_call(token.api_domain):
            return None
        if token.value == self._rejected or not token.is_fresh(self._clock()):
            return None
        self._remember_secret(token.value)
        # Kept by a run that had no base_url, it would lead a rehearsal to the real API.
        return replace(token, api_domain=None) if self._base_url else token

    async def _mint(self) -> Token:
        if self._refusal is not None and self._clock() < self._refusal.until:
            raise self._refusal.kind(self._refusal.message)
        form, last = {"grant_type": "refresh_token", **self._credentials}, ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._sleep(self._jitter() * min(_LONGEST_WAIT_S, 2.0**attempt))
            try:
                said = await ask(self._session, self._accounts, form)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                last = str(error) or type(error).__name__
                continue
            if said.status < 500 and (said.body is not None or said.status >= 300):
                return self._settled(said)
            last = f"HTTP {said.status}" if said.status >= 500 else "an answer that is not JSON"
        raise self._refuse(
            PausedError,
            f"{self._accounts} gave no token in {_ATTEMPTS} attempts, at last: {last}; "
            "run again later",
            for_s=_SOON_S,
        )

    def _settled(self, said: Said) -> Token:
        """Return the token of an answer, or raise what it says instead."""
        body = said.body or {}
        if value := said.token("access_token"):
            return self._accepted(value, body)
        error, description = str(body.get("error", "")), str(body.get("error_description", ""))
        throttled = "access denied" in error.lower() or "too many requests" in description.lower()
        if throttled or said.status == 429:
            raise self._refuse(
                PausedError,
                f"{self._accounts} refuses to give more tokens (10 in 10 minutes are allowed); "
                "run again in 10 minutes",
                for_s=_THROTTLED_S,
            )
        error = said.error(lacking="a token")
        mend = _MENDS.get(error, "check [auth], api.data_center and api.accounts_url")
        raise self._refuse(
            AuthError, f"{self._accounts} refuses the credentials: {error}: {mend}", for_s=inf
        )

    def _accepted(self, value: str, body: Mapping[str, Any]) -> Token:
        self._remember_secret(value)
        domain = body.get("api_domain")
        if not self._may_call(domain):
            host = re.sub(r"[^\w.:-]", "?", str(host_of(str(domain))), flags=re.ASCII)[:100]
            raise self._refuse(
                AuthError,
                f"{self._accounts} sends calls to {host}; expected https and an API host of Zoho, "
                "or the host of api.base_url; the token is not used",
                for_s=inf,
            )
        now = self._clock()
        token = Token(
            value=value,
            api_domain=None if self._base_url or not domain else str(domain).rstrip("/"),
            issued_at=now,
            expires_at=now + _life(body.get("expires_in")),
        )
        self._cache.save(token)
        self._minted = token.value
        self._refusal = None
        return token

    def _may_call(self, domain: object) -> bool:
        """Say whether a token may be sent to this address (or to the configured one: `None`)."""
        return not domain or may_receive_token(str(domain), self._base_url)

    def _refuse(self, kind: type[BulkopsError], message: str, *, for_s: float) -> BulkopsError:
        self._refusal = _Refusal(kind, message, until=self._clock() + for_s)
        return kind(message)


def _life(expires_in: object) -> float:
    """Return seconds; never more than an hour, since old servers count in milliseconds."""
    text = str(expires_in)
    return min(float(text), _LIFE_S) if re.fullmatch(r"[1-9]\d{0,9}", text, re.ASCII) else _LIFE_S


def _key(accounts: str, client_id: str, refresh_token: str) -> str:
    secret = hashlib.sha256(refresh_token.encode()).hexdigest()
    return hashlib.sha256(f"{accounts}\n{client_id}\n{secret}".encode()).hexdigest()
