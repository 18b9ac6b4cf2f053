"""
OAuth clients of an organisation and the tokens they hold.

Rules of the vendor: ten access tokens in ten minutes for a refresh token, at most fifteen of them
alive (the sixteenth ends the oldest without a word), one hour of life.
https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from bulkops.emulator.limits import InFlight

#: What a client may do if its seed does not say: everything the emulator has.
ALL_SCOPES = (
    "ZohoCRM.modules.ALL",
    "ZohoCRM.settings.ALL",
    "ZohoCRM.org.ALL",
    "ZohoCRM.users.ALL",
    "ZohoCRM.apis.READ",
    "ZohoBigin.modules.ALL",
    "ZohoBigin.settings.ALL",
    "ZohoBigin.org.ALL",
    "ZohoBigin.users.ALL",
    "ZohoBigin.apis.READ",
)


@dataclass(slots=True)
class Client:
    """An app registered with an organisation; calls in flight are counted for each."""

    client_id: str
    client_secret: str
    refresh_token: str
    #: never expires and does not count as issued; "" for none
    access_token: str = ""
    scopes: tuple[str, ...] = ALL_SCOPES
    #: grant codes of the self client that are good once each, for `refresh_token`
    grant_codes: tuple[str, ...] = ()
    in_flight: InFlight = field(default_factory=InFlight)
    in_flight_complex: InFlight = field(default_factory=InFlight)
    issued_at: deque[float] = field(default_factory=deque)
    #: token → the second it ends, oldest first
    live: dict[str, float] = field(default_factory=dict)
    #: `scopes` in lower case, as they are compared
    scope_set: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.scope_set = frozenset(each.lower() for each in self.scopes)

    def gauges(self, *, is_complex: bool) -> tuple[InFlight, ...]:
        """What counts a call of this client while it is served."""
        return (self.in_flight, self.in_flight_complex) if is_complex else (self.in_flight,)

    def visit(self, *, is_complex: bool) -> None:
        """Count a call that is served from beginning to end now."""
        self.in_flight.visit()
        if is_complex:
            self.in_flight_complex.visit()

    def may_issue(self, *, now: float, most: int, window_s: float) -> bool:
        """Whether the vendor would still hand out a token at `now`."""
        while self.issued_at and self.issued_at[0] <= now - window_s:
            self.issued_at.popleft()
        return len(self.issued_at) < most

    def issue(self, token: str, *, now: float, life_s: float, most_live: int) -> list[str]:
        """Record a new token; return the tokens this ends."""
        self.issued_at.append(now)
        self.live[token] = now + life_s
        ended = [old for old, until in self.live.items() if until <= now]
        surplus = len(self.live) - len(ended) - most_live
        if surplus > 0:
            alive = [old for old in self.live if old not in ended]
            ended += alive[:surplus]
        for old in ended:
            del self.live[old]
        return ended

    def redeem(self, code: str) -> bool:
        """Whether `code` is good, which it is not again."""
        if code not in self.grant_codes:
            return False
        self.grant_codes = tuple(each for each in self.grant_codes if each != code)
        return True

    def accepts(self, token: str, now: float) -> bool:
        """Whether a token of this client is still good."""
        return token == self.access_token or self.live.get(token, 0.0) > now

    def revoke_issued(self) -> list[str]:
        """End every issued token; the static one stays."""
        ended = list(self.live)
        self.live.clear()
        return ended
