"""
Decide what follows when an exchange leaves operations unsettled: pure, values in, decision out.

How often a parcel is sent again, by what went wrong; `attempts` is `limits.attempts` (6):

| what | given up after | first wait, doubled each time up to `longest_s` (120 s) |
|---|---|---|
| no answer (network) | `attempts` of them | `limits.retry_wait_s` (1 s) |
| a fault of the server (5xx, an answer that cannot be read) | `attempts` of them | the same |
| RECORD_LOCKED | `attempts` of them | `limits.locked_wait_s` (30 s) |
| too many calls (429) | never | the same as for a fault, and everybody slows down |
| a refused token | two fresh ones are refused too | none |
| refused for one of its lines, or too large | never: it gets smaller | none |

Waits have full jitter, and are never shorter than `Retry-After` asks; one that asks for more than
`longest_s` ends the run (exit 5). What is given up while the server serves nobody is not settled:
that is an outage, and the run ends (exit 5). How many retries there may be in all is the ration's
to say, see `ration.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bulkops.errors import AuthError, BulkopsError, PausedError
from bulkops.model import Operation, Outcome, Status
from bulkops.rules import pacing
from bulkops.rules.parcel import Parcel, cut, halve, lines_of
from bulkops.rules.settlement import Reason, Remainder

#: Fresh tokens for one call. One may be revoked like that before it while the call waits its turn.
REFRESHES = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How often and how patiently to try.
    """

    attempts: int
    waits: pacing.Waits


@dataclass(frozen=True, slots=True)
class Aftermath:
    """
    What else an exchange said: the token it went with, a time to wait, a limit of items.
    """

    token: str
    retry_after: float | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """
    What to do about what is left.

    Send `parcels`, settle `outcomes`, let `awaiting` wait for a remote job; and slow everybody
    down (then the parcels' wait is part of that), refresh the token, or ask for a stop.
    """

    parcels: tuple[Parcel, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    awaiting: Sequence[Operation] = ()
    slow_down: bool = False
    refresh: bool = False
    stop: BulkopsError | None = None


def what_next(
    parcel: Parcel,
    rest: Remainder,
    after: Aftermath,
    policy: Policy,
    *,
    silent: bool,
    chance: float,
) -> Next:
    """
    Return what follows for `rest`, what is left of `parcel` after a call.

    `silent`: the server served nobody since the parcel's first trouble, so that running out of
    attempts is an outage and not the parcel's fault. `chance` in [0, 1) is the jitter.
    """
    doubtful, silent_calls = parcel.doubtful, parcel.silent
    if rest.in_doubt:
        lines = lines_of(rest.operations)
        doubtful, silent_calls = doubtful | lines, silent_calls | {lines}
    # Only refusals in a row mean that a fresh token is no good either.
    refreshes = parcel.refreshes if rest.reason is Reason.REFRESH else 0
    again = parcel._replace(
        operations=rest.operations, doubtful=doubtful, silent=silent_calls, refreshes=refreshes
    )
    waits = policy.waits
    if (after.retry_after or 0) > waits.longest_s:
        return Next(stop=told_to_wait(after.retry_after or 0))
    match rest.reason:
        case Reason.RESEND:
            then = Next(tuple(cut(again, after.limit)))
        case Reason.BISECT:
            then = Next(tuple(halve(again)))
        case Reason.REFRESH:
            then = _refreshed(again, rest)
        case Reason.WAIT:
            then = Next(awaiting=rest.operations)
        case Reason.THROTTLED:
            again = again._replace(throttles=again.throttles + 1)
            wait = _wait(waits.retry_s, again.throttles, waits, chance)
            then = Next((again._replace(wait_s=wait),), slow_down=True)
        case Reason.LOCKED:
            again = again._replace(locks=again.locks + 1)
            wait = _wait(waits.locked_s, again.locks, waits, chance)
            then = _unless_spent(again, rest, again.locks, policy, wait)
        case _:
            again, tries = _once_more(again, rest)
            if silent and tries >= policy.attempts:
                then = Next(stop=outage(rest.message))
            else:
                wait = max(_wait(waits.retry_s, tries, waits, chance), after.retry_after or 0)
                then = _unless_spent(again, rest, tries, policy, wait)
    return then


def _once_more(again: Parcel, rest: Remainder) -> tuple[Parcel, int]:
    """Count a passing fault among its like; return the count too."""
    if rest.http_status is None:
        again = again._replace(unanswered=again.unanswered + 1)
        return again, again.unanswered
    again = again._replace(faults=again.faults + 1)
    return again, again.faults


def _wait(first_s: float, tries: int, waits: pacing.Waits, chance: float) -> float:
    return pacing.backoff(first_s, tries, longest_s=waits.longest_s, chance=chance)


def _refreshed(again: Parcel, rest: Remainder) -> Next:
    if again.refreshes >= REFRESHES:
        refused = AuthError(
            f"Zoho refuses a fresh access token ({rest.code}: {rest.message}). Check the data "
            "center, the scopes and the client of the credentials."
        )
        return Next(stop=refused)
    return Next((again._replace(refreshes=again.refreshes + 1),), refresh=True)


def _unless_spent(
    again: Parcel, rest: Remainder, tries: int, policy: Policy, wait_s: float
) -> Next:
    """Return the parcel with its next wait, or the outcomes of its lines if attempts ran out."""
    if tries < policy.attempts:
        return Next((again._replace(wait_s=wait_s),))
    words = f"given up after {tries} tries: {rest.message}"
    return Next(
        outcomes=tuple(
            Outcome(
                operation.line,
                Status.UNKNOWN if operation.line in again.doubtful else Status.FAILED,
                rest.code or "no_answer",
                words,
                rest.http_status,
            )
            for operation in again.operations
        )
    )


def outage(message: str) -> PausedError:
    """Return why a run ends whose calls meet nothing but trouble."""
    return PausedError(
        f"the server does not answer ({message}). Nothing is lost: run the same command again "
        "when it does."
    )


def told_to_wait(seconds: float) -> PausedError:
    """Return why a run ends that the server asks to wait too long."""
    return PausedError(
        f"the server asks to be left alone for {seconds:,.0f} s. Run the same command again then."
    )
