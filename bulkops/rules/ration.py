"""
Ration what is sent while the server is in trouble: pure, values in, decision out.

Without a ration every call of an outage is followed by its retries, just when the server can bear
them least. Here each fault takes a token and each answer gives a fifth of one back, so that in
the long run one call in six may fail and be sent again at once. With half of the tokens gone
retries go one at a time, and new work refills the ration or empties it. Once it is empty,
everything goes one call at a time and at growing intervals; when as many of these calls as one
parcel has attempts have met trouble in a row, and nobody was served between them, it is an outage.

After https://github.com/grpc/proposal/blob/master/A6-client-retries.md, whose throttle also counts
faults down and successes up, and stops retries at half. Being refused for too many calls (429) is
no fault of this kind: the limiter slows down for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum, auto

from bulkops.rules.pacing import Waits, backoff

#: Tokens at first and at most: all calls in flight may be cut at once (25 in the largest
#: edition) without a change.
FULL = 50.0
#: Tokens that an answer gives back.
GIVEN_BACK = 0.2


class Leave(Enum):
    """
    What may be sent just now.
    """

    #: Whatever is ready.
    ALL = auto()
    #: New work, and one retry at a time.
    ONE_RETRY = auto()
    #: One call at a time.
    ONE_CALL = auto()
    #: Nothing, until `Ration.rests_until`.
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Ration:
    """
    Tokens that are left; once there are none, the faults in a row since then that were waited for.

    `rests_until` is a time of the loop, in seconds.
    """

    tokens: float = FULL
    probes: int = 0
    rests_until: float = -math.inf

    def leave(self, now: float) -> Leave:
        """Return what may be sent at `now`."""
        if self.tokens > FULL / 2:
            return Leave.ALL
        if self.tokens > 0:
            return Leave.ONE_RETRY
        return Leave.ONE_CALL if now >= self.rests_until else Leave.NOTHING


def served(ration: Ration) -> Ration:
    """Return the ration after an answer, whatever it says of its rows."""
    if ration.tokens == FULL:
        return ration
    return Ration(min(FULL, ration.tokens + GIVEN_BACK))


def faulted(ration: Ration, waits: Waits, *, now: float, chance: float) -> Ration:
    """
    Return the ration after a call that met silence or a fault of the server.

    `chance` in [0, 1) is the jitter of the rest that follows once the ration is empty.
    """
    tokens = max(0.0, ration.tokens - 1)
    # Calls that left together also fail together: while it rests, they tell nothing new.
    if tokens > 0 or now < ration.rests_until:
        return replace(ration, tokens=tokens)
    probes = ration.probes + 1
    rest = backoff(waits.retry_s, probes, longest_s=waits.longest_s, chance=chance)
    return Ration(tokens, probes, now + rest)
