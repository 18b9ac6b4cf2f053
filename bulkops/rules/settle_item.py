"""
Apply one verdict of the server to the lines of one item: done, refused, or to be sent again. Pure.

An item of territories is taken or refused as a whole, but a refusal may name one of its members;
then only the lines that wish that member are settled by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkops.model import Item, Learnt, Operation, Outcome, Status
from bulkops.rules.settlement import Reason, Remainder, Settling
from bulkops.rules.spec import Spec
from bulkops.rules.verdicts import Answer, Verdict

#: Verdicts that settle nothing, and why their lines are sent again.
REASONS = {
    Verdict.RETRY: Reason.RETRY,
    Verdict.THROTTLED: Reason.THROTTLED,
    Verdict.REFRESH: Reason.REFRESH,
    Verdict.LOCKED: Reason.LOCKED,
    Verdict.WAIT: Reason.WAIT,
    Verdict.SPLIT: Reason.RESEND,
    Verdict.BISECT: Reason.BISECT,
}
#: What our own success, unheard, would make a server say to the same call once more.
_ECHOES = frozenset({Verdict.ALREADY, Verdict.ECHO})


def settle_item(
    spec: Spec, item: Item, answer: Answer, verdict: Verdict, context: Settling
) -> tuple[list[Outcome], list[Remainder]]:
    """Apply one verdict to the lines of one item, or to those that its refusal names."""
    named = _named_member(spec, item, answer) if not answer.ok else None
    if verdict is Verdict.LOOKUP:
        member = named or (item.members[0] if len(item.members) == 1 else None)
        if context.known is None or member is None:
            if context.known is None:
                return [], [remainder(Reason.LOOKUP, item.operations, answer)]
            verdict = Verdict.FAIL
        else:
            verdict = Verdict.ALREADY if member in context.known else Verdict.FAIL
    if verdict is Verdict.WAIT and spec.member is None:
        verdict = Verdict.LOCKED
    if verdict in REASONS:
        doubt = verdict is Verdict.RETRY
        rest = remainder(REASONS[verdict], item.operations, answer, in_doubt=doubt)
        return [], [rest]
    if named is None or len(item.members) == 1:
        return [outcome_of(each, answer, verdict, context) for each in item.operations], []
    return _settle_member(item, answer, verdict, context, named)


def _settle_member(
    item: Item, answer: Answer, verdict: Verdict, context: Settling, named: str
) -> tuple[list[Outcome], list[Remainder]]:
    """
    Settle the lines that wish the member named; the item had no effect, so send the rest again.

    A line that wishes several members and meets a refusal of one fails as a whole, as the
    server's item does; if the one was so already, the line goes on with its others.
    """
    outcomes: list[Outcome] = []
    again: list[Operation] = []
    for operation in item.operations:
        if named not in operation.members:
            again.append(operation)
        elif verdict is Verdict.FAIL or len(operation.members) == 1:
            outcomes.append(outcome_of(operation, answer, verdict, context, named))
        else:
            others = tuple(each for each in operation.members if each != named)
            again.append(operation._replace(members=others))
    rest = [remainder(Reason.RESEND, tuple(again), answer)] if again else []
    return outcomes, rest


def _named_member(spec: Spec, item: Item, answer: Answer) -> str | None:
    """Return the member that `$.data[i].Territories[j]` names, if it names one."""
    if spec.member is None or len(answer.indices) < 2:
        return None
    index = answer.indices[1]
    return item.members[index] if index < len(item.members) else None


def outcome_of(
    operation: Operation, answer: Answer, verdict: Verdict, context: Settling, named: str = ""
) -> Outcome:
    """Return what became of a line by a verdict that settles it; `named` is the member meant."""
    # Only jobs about the members of a record can be followed; anything else counts as done.
    later = answer.pending and bool(operation.members)
    doubtful = operation.line in context.doubtful
    learnt = Learnt.ECHO if doubtful and verdict in _ECHOES else Learnt.ANSWERED
    match verdict:
        case Verdict.DONE:
            status = Status.SCHEDULED if later else Status.SUCCEEDED
        case Verdict.ALREADY:
            status = Status.SUCCEEDED if doubtful else Status.UNCHANGED
        case Verdict.ECHO:
            status = Status.SUCCEEDED if doubtful else Status.FAILED
        case _:
            status = Status.FAILED
    message = answer.message
    if named and len(operation.members) > 1:
        others = ", ".join(each for each in operation.members if each != named)
        message = f"{message} ({named}; not done either, as the row is one wish: {others})"
    return Outcome(
        operation.line,
        status,
        answer.code,
        message,
        answer.http_status,
        job_id=(answer.job_id or None) if status is Status.SCHEDULED else None,
        learnt=learnt,
    )


def remainder(
    reason: Reason, operations: Sequence[Operation], answer: Answer, *, in_doubt: bool = False
) -> Remainder:
    return Remainder(reason, operations, in_doubt, answer.code, answer.message, answer.http_status)
