"""
Who calls, and whether the vendor's limits let the call in.

First 429 (calls in flight of the app, credits of the organisation's rolling day), then 401. The
vendor answers both kinds of 429 with the same words.
https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
"""

from __future__ import annotations

from typing import NamedTuple

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.call import Refused
from bulkops.emulator.envelope import refuse
from bulkops.emulator.limits import ALLOWANCES, InFlight
from bulkops.emulator.state.clients import Client
from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.world import World

_SCHEME = "Zoho-oauthtoken "
_CREDITS_HEADER = "X-API-CREDITS-REMAINING"
TOO_MANY = (
    "Number of API requests for the 24 hour period is exceeded or the concurrency limit of the "
    "user for the app is exceeded"
)


class Caller(NamedTuple):
    """The app a call comes from, and the token it came with."""

    organisation: Organisation
    client: Client
    token: str

    def gauges(self, *, is_complex: bool) -> list[InFlight]:
        """What counts this call while it is served."""
        client = self.client
        return [client.in_flight, client.in_flight_complex] if is_complex else [client.in_flight]


def caller_of(world: World, authorization: str) -> Caller:
    """Whose token this is, good or expired; refuses none at all and one never issued."""
    token = authorization.removeprefix(_SCHEME) if authorization.startswith(_SCHEME) else ""
    if not token:
        raise refuse(401, "AUTHENTICATION_FAILURE", "Authentication failed")
    owner = world.owner(token)
    if owner is None:
        raise bad_token()
    return Caller(*owner, token)


def bad_token() -> Refused:
    """The refusal of an expired, revoked or unknown token."""
    return refuse(401, "INVALID_TOKEN", "invalid oauth token")


def check_limits(caller: Caller, behaviour: Behaviour, *, is_complex: bool, now: float) -> None:
    """Refuse with 429 a call over the app's concurrency or the organisation's credits."""
    organisation, client = caller.organisation, caller.client
    most = behaviour.concurrency
    if most is None:
        most = ALLOWANCES[organisation.edition].concurrency
    full = 0 < most <= client.in_flight.now or (
        is_complex and 0 < behaviour.sub_concurrency <= client.in_flight_complex.now
    )
    if full or organisation.credits.used_at(now) >= credits_allowed(behaviour, organisation):
        refused = refuse(429, "TOO_MANY_REQUESTS", TOO_MANY)
        headers = credit_headers(behaviour, organisation)
        if behaviour.retry_after_s is not None:
            headers["Retry-After"] = f"{behaviour.retry_after_s:g}"
        refused.answer.headers = headers
        raise refused


def credits_allowed(behaviour: Behaviour, organisation: Organisation) -> int:
    """Credits of the organisation's rolling day."""
    if behaviour.credits_per_day is not None:
        return behaviour.credits_per_day
    return ALLOWANCES[organisation.edition].credits(organisation.users)


def credit_headers(behaviour: Behaviour, organisation: Organisation) -> dict[str, str]:
    """The remaining credits, which the vendor tells only past the half."""
    allowed = credits_allowed(behaviour, organisation)
    used = organisation.credits.used
    return {_CREDITS_HEADER: str(max(0, allowed - used))} if used * 2 >= allowed else {}
