"""
Decide what follows when an exchange leaves operations unsettled: pure, values in, decision out.

Only a passing fault and a locked record count as attempts. Being refused for too many calls, a
token that ran out, and waiting for a remote job do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bulkops import pacing
from bulkops.errors import AuthError, BulkopsError, PausedError
from bulkops.model import Operation, Outcome, Status
from bulkops.parcel import Parcel, cut, halve, lines_of
from bulkops.settlement import Reason, Remainder


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
    down, refresh the token, or ask for a stop.
    """

    parcels: tuple[Parcel, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    awaiting: tuple[Operation, ...] = ()
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

    `silent`: the server served nobody since the parcel's first call, so that running out of
    attempts is an outage and not the parcel's fault. `chance` in [0, 1) is the jitter.
    """
    doubtful = parcel.doubtful | (lines_of(rest.operations) if rest.in_doubt else frozenset())
    # Only refusals in a row mean that a fresh token is no good either.
    refreshes = parcel.refreshes if rest.reason is Reason.REFRESH else 0
    again = replace(parcel, operations=rest.operations, doubtful=doubtful, refreshes=refreshes)
    waits = policy.waits
    if (after.retry_after or 0) > waits.longest_s:
        return Next(stop=_told_to_wait(after.retry_after or 0))
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
            again = replace(again, throttles=again.throttles + 1)
            stop = _exhausted(rest) if silent and again.throttles >= policy.attempts else None
            wait = _wait(waits.retry_s, again.throttles, waits, chance)
            then = Next((replace(again, wait_s=wait),), slow_down=True, stop=stop)
        case Reason.LOCKED:
            again = replace(again, locks=again.locks + 1)
            wait = _wait(waits.locked_s, again.locks, waits, chance)
            then = _unless_spent(again, rest, again.locks, policy, wait)
        case _:
            again = replace(again, tries=again.tries + 1)
            if silent and again.tries >= policy.attempts:
                then = Next(stop=_outage(rest))
            else:
                wait = max(_wait(waits.retry_s, again.tries, waits, chance), after.retry_after or 0)
                then = _unless_spent(again, rest, again.tries, policy, wait)
    return then


def _wait(first_s: float, tries: int, waits: pacing.Waits, chance: float) -> float:
    return pacing.backoff(first_s, tries, longest_s=waits.longest_s, chance=chance)


def _refreshed(again: Parcel, rest: Remainder) -> Next:
    if again.refreshes:
        refused = AuthError(
            f"Zoho refuses a fresh access token ({rest.code}: {rest.message}). Check the data "
            "center, the scopes and the client of the credentials."
        )
        return Next(stop=refused)
    return Next((replace(again, refreshes=1),), refresh=True)


def _unless_spent(
    again: Parcel, rest: Remainder, tries: int, policy: Policy, wait_s: float
) -> Next:
    """Return the parcel with its next wait, or the outcomes of its lines if attempts ran out."""
    if tries < policy.attempts:
        return Next((replace(again, wait_s=wait_s),))
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


def _outage(rest: Remainder) -> PausedError:
    return PausedError(
        f"the server does not answer ({rest.message}). Nothing is lost: run the same command again "
        "when it does."
    )


def _told_to_wait(seconds: float) -> PausedError:
    return PausedError(
        f"the server asks to be left alone for {seconds:,.0f} s. Run the same command again then."
    )


def _exhausted(rest: Remainder) -> PausedError:
    return PausedError(
        f"every call is refused with {rest.code or '429'} ({rest.message}): the day's API credits "
        "are used up, or others use all calls in flight. Run the same command again later."
    )
