"""What struck faults do to a call: before its work, during it, and to its answer on the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bulkops.emulator.call import Answer, Cut
from bulkops.emulator.faults.fault import Fault, FaultKind
from bulkops.emulator.faults.shaping import poisoned, status_answer

_CUTS: Mapping[FaultKind, Cut] = {
    FaultKind.CUT_AFTER: Cut.SILENT,
    FaultKind.CUT_BODY: Cut.IN_BODY,
    FaultKind.TRUNCATED: Cut.TRUNCATED,
    FaultKind.CLOSE_AFTER: Cut.AFTER,
}


def instead_of_work(faults: Sequence[Fault]) -> Answer | None:
    """What is sent without doing anything; None if the work shall be done."""
    for fault in faults:
        if fault.kind is FaultKind.CUT_BEFORE:
            return Answer(0, cut=Cut.SILENT)
        if fault.kind is FaultKind.STATUS:
            return status_answer(fault)
        if fault.kind is FaultKind.POISON:
            return poisoned()
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


def after_work(answer: Answer, faults: Sequence[Fault]) -> Answer:
    """How the answer of a done call goes out."""
    for fault in faults:
        if fault.kind is FaultKind.STATUS_AFTER:
            broken = status_answer(fault)
            broken.asked, broken.changed = answer.asked, answer.changed
            broken.unchanged = answer.unchanged
            return broken
        if fault.kind in _CUTS:
            answer.cut = _CUTS[fault.kind]
            return answer
    return answer
