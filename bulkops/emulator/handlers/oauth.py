"""
The accounts server: grant codes become refresh tokens, and these access tokens.

https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html
Refusals are mostly answered with HTTP 200 and an `error` key. `api_domain` is always the emulator
itself, so no client is ever led to the real service.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.call import Answer
from bulkops.emulator.state.world import World

#: https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
_GRANTS = frozenset({"refresh_token", "authorization_code"})
_THROTTLED = {
    "error_description": (
        "You have made too many requests continuously. Please try again after some time."
    ),
    "error": "Access Denied",
    "status": "failure",
}


def is_token(answer: Answer) -> bool:
    """Whether an answer of `token` hands one out."""
    return isinstance(answer.payload, dict) and "access_token" in answer.payload


def token(
    *,
    world: World,
    behaviour: Behaviour,
    form: Mapping[str, str],
    api_domain: str,
    now: float,
    chance: random.Random,
) -> Answer:
    """POST /oauth/v2/token; `form` holds the credentials of body and query together."""
    if form.get("grant_type") not in _GRANTS:
        return Answer(200, {"error": "unsupported_grant_type"})
    found = world.find_client(form.get("client_id", ""))
    if found is None:
        return Answer(200, {"error": "invalid_client"})
    organisation, client = found
    if client.client_secret != form.get("client_secret"):
        return Answer(200, {"error": "invalid_client_secret"})
    if form["grant_type"] == "authorization_code":
        given = client.redeem(form.get("code", ""))
        more = {"refresh_token": client.refresh_token, "scope": " ".join(client.scopes)}
    else:
        given = client.refresh_token == form.get("refresh_token")
        more = {}
    if not client.refresh_token or not given:
        return Answer(200, {"error": "invalid_code"})
    if not client.may_issue(
        now=now, most=behaviour.tokens_per_window, window_s=behaviour.token_window_s
    ):
        return Answer(behaviour.token_throttle_status, dict(_THROTTLED))
    # The time is in it, so that a world that is loaded again gives no token a second time.
    when = f"{int(now * 1000):012x}"
    made = f"1000.{when}{chance.getrandbits(80):020x}.{chance.getrandbits(128):032x}"
    ended = client.issue(
        made, now=now, life_s=behaviour.token_life_s, most_live=behaviour.live_tokens
    )
    world.issued(made, organisation, client, ended)
    answer: dict[str, object] = {
        "access_token": made,
        **more,
        "api_domain": api_domain,
        "token_type": "Bearer",
    }
    if behaviour.token_tells_expiry:
        answer["expires_in"] = int(behaviour.token_life_s)
    return Answer(200, answer)
