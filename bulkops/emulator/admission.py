"""
Who calls, whether the vendor's limits let the call in, and what it costs.

First 429 (calls in flight of the app, credits of the organisation's rolling day), then 401. The
vendor answers both kinds of 429 with the same words.
https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
"""

from __future__ import annotations

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.call import Refused
from bulkops.emulator.envelope import refuse
from bulkops.emulator.limits import ALLOWANCES, VIEW_PRICE
from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.world import Caller, World

_SCHEME = "Zoho-oauthtoken "
_CREDITS_HEADER = "X-API-CREDITS-REMAINING"
TOO_MANY = (
    "Number of API requests for the 24 hour period is exceeded or the concurrency limit of the "
    "user for the app is exceeded"
)


def admitted(
    world: World, behaviour: Behaviour, authorization: str, *, is_complex: bool, now: float
) -> Caller:
    """
    Whose call this is, if the limits let it in.

    Refuses no token at all and one never issued; one that was good once is left to `charge`.
    """
    token = authorization.removeprefix(_SCHEME) if authorization.startswith(_SCHEME) else ""
    if not token:
        raise refuse(401, "AUTHENTICATION_FAILURE", "Authentication failed")
    caller = world.caller(token)
    if caller is None:
        raise _bad_token()
    organisation, client = caller.organisation, caller.client
    most = behaviour.concurrency
    if most is None:
        most = ALLOWANCES[organisation.edition].concurrency
    if (
        0 < most <= client.in_flight.now
        or (is_complex and 0 < behaviour.sub_concurrency <= client.in_flight_complex.now)
        or organisation.credits.used_at(now) >= credits_allowed(behaviour, organisation)
    ):
        refused = refuse(429, "TOO_MANY_REQUESTS", TOO_MANY)
        headers = credit_headers(behaviour, organisation)
        if behaviour.retry_after_s is not None:
            headers["Retry-After"] = f"{behaviour.retry_after_s:g}"
        refused.answer.headers = headers
        raise refused
    return caller


def _bad_token() -> Refused:
    """The refusal of an expired, revoked or unknown token."""
    return refuse(401, "INVALID_TOKEN", "invalid oauth token")


def price(query: str, *, is_complex: bool) -> int:
    """Credits of a call."""
    return VIEW_PRICE if is_complex and "cvid=" in query else 1


def charge(caller: Caller, *, revoked: bool, cost: int, now: float) -> None:
    """Take the credits for the call; refuses a token that has expired or is `revoked` just now."""
    if revoked:
        caller.client.revoke_issued()
    if revoked or not caller.client.accepts(caller.token, now):
        raise _bad_token()
    caller.organisation.credits.spend(cost, now)


def credits_allowed(behaviour: Behaviour, organisation: Organisation) -> int:
    """Credits of the organisation's rolling day."""
    if behaviour.credits_per_day is not None:
        return behaviour.credits_per_day
    return ALLOWANCES[organisation.edition].credits(organisation.users)


def credit_headers(behaviour: Behaviour, organisation: Organisation) -> dict[str, str]:
    """The remaining credits, which the vendor tells only past the half."""
    allowed, used = credits_allowed(behaviour, organisation), organisation.credits.used
    return {_CREDITS_HEADER: str(max(0, allowed - used))} if used * 2 >= allowed else {}
