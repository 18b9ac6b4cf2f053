"""
What the answer to one parcel tells about others that an earlier silent call carried too. Pure.

A call that met silence may be sent again in parts: because it was refused for one of its lines, or
is too large. What the first part shows about that call holds for all of them. Within one call it
is `settle.py` that goes by the same evidence.
"""

from __future__ import annotations

from dataclasses import replace

from bulkops.model import Learnt, Outcome, Status, gathered
from bulkops.rules.parcel import Parcel
from bulkops.rules.settlement import Settlement
from bulkops.rules.spec import Spec, Wish

_NONE = frozenset[int]()


def done_only_now(spec: Spec, parcel: Parcel, settlement: Settlement) -> frozenset[int]:
    """
    Return the doubtful lines of `parcel` that no earlier call did, for the server did them now.

    Only what is taken away can tell; and not territories, which are taken away later, by jobs.
    """
    if not parcel.doubtful or spec.wish is not Wish.ABSENT or spec.member is not None:
        return _NONE
    return frozenset(
        line
        for alike in settlement.ended
        if alike.outcome.status is Status.SUCCEEDED and alike.outcome.learnt is Learnt.ANSWERED
        for line in alike.lines
        if line in parcel.doubtful
    )


def refused_after_silence(
    spec: Spec, parcel: Parcel, settlement: Settlement
) -> tuple[Settlement, tuple[Outcome, ...]]:
    """
    Return a settlement without the refusals of lines that an earlier call may have done; and these.

    What is refused for good now says nothing of what was done before: the server must be asked. A
    line of territories is followed and read back anyway.
    """
    if not parcel.doubtful or spec.probe is None:
        return settlement, ()
    outcomes = settlement.outcomes
    refused = tuple(
        each
        for each in outcomes
        if each.line in parcel.doubtful and each.status in {Status.FAILED, Status.UNKNOWN}
    )
    if not refused:
        return settlement, ()
    left = gathered(each for each in outcomes if each not in refused)
    return replace(settlement, ended=left), refused


def relieved(parcel: Parcel, done_now: frozenset[int]) -> Parcel:
    """
    Return `parcel` without its doubts about silent calls that carried one of `done_now`.

    A call is carried out whole or not at all (assumed), so these did nothing to its lines either.
    """
    silent = frozenset(lines for lines in parcel.silent if lines.isdisjoint(done_now))
    if len(silent) == len(parcel.silent):
        return parcel
    return parcel._replace(silent=silent, doubtful=parcel.doubtful & _NONE.union(*silent))
