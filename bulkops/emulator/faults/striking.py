"""What struck faults do to a call: before its work, during it, and to its answer on the way out."""

from __future__ import annotations

from collections.abc import Sequence

from bulkops.emulator.call import Answer
from bulkops.emulator.faults.fault import Fault, FaultKind
from bulkops.emulator.faults.shaping import poisoned, status_answer
from bulkops.emulator.wire import Delivery

_ON_THE_WIRE = frozenset(
    {FaultKind.CUT_AFTER, FaultKind.CUT_BODY, FaultKind.TRUNCATED, FaultKind.CLOSE_AFTER}
)


def instead_of_work(faults: Sequence[Fault]) -> Delivery | None:
    """What is sent without doing anything; None if the work shall be done."""
    for fault in faults:
        if fault.kind is FaultKind.CUT_BEFORE:
            return Delivery(Answer(0), cut=fault.kind)
        if fault.kind is FaultKind.STATUS:
            return Delivery(*status_answer(fault))
        if fault.kind is FaultKind.POISON:
            return Delivery(poisoned())
    return None


def revokes(faults: Sequence[Fault]) -> bool:
    """Whether a fault ends the client's tokens now."""
    return any(fault.kind is FaultKind.REVOKE_TOKENS for fault in faults)


def locked_ids(faults: Sequence[Fault]) -> frozenset[str]:
    """Ids that a fault locks for this call; "*" for all."""
    locked: set[str] = set()
    for fault in faults:
        if fault.kind is FaultKind.RECORD_LOCKED:
            locked.update(fault.ids or ("*",))
    return frozenset(locked)


def after_work(answer: Answer, faults: Sequence[Fault]) -> Delivery:
    """How the answer of a done call goes out."""
    for fault in faults:
        if fault.kind is FaultKind.STATUS_AFTER:
            broken, raw = status_answer(fault)
            broken.asked, broken.changed = answer.asked, answer.changed
            broken.unchanged = answer.unchanged
            return Delivery(broken, raw)
        if fault.kind in _ON_THE_WIRE:
            return Delivery(answer, cut=fault.kind)
    return Delivery(answer)
