"""
Turn an exchange into what became of each operation: pure, no clock, no I/O.

The law: every operation of the batch ends in exactly one of `outcomes` or `unprocessed`,
whatever the server says. Items of an answer are matched to operations by `details.id`, then by
the index in `json_path`, then by position; one that fits nothing, or two that claim the same
operation and disagree, leave it unprocessed and in doubt, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bulkops.match import match_items
from bulkops.model import (
    Batch,
    Exchange,
    Item,
    Json,
    Learnt,
    NoReply,
    Operation,
    Outcome,
    Reply,
    Status,
    merge_items,
)
from bulkops.settlement import Halt, Reason, Remainder, Settlement, Settling
from bulkops.spec import Spec, Wish
from bulkops.verdicts import Answer, Verdict, judge_flat, judge_item, judge_unreadable

_NOTHING_KNOWN = Settling()
_REASONS = {
    Verdict.RETRY: Reason.RETRY,
    Verdict.THROTTLED: Reason.THROTTLED,
    Verdict.REFRESH: Reason.REFRESH,
    Verdict.LOCKED: Reason.LOCKED,
    Verdict.WAIT: Reason.WAIT,
    Verdict.SPLIT: Reason.RESEND,
    Verdict.BISECT: Reason.BISECT,
}


#: What a flat refusal may say of one item: "so already", or why it cannot be done.
_ABOUT_ITS_STATE = frozenset({Verdict.ALREADY, Verdict.ECHO, Verdict.LOOKUP})
#: What our own success, unheard, would make a server say to the same call once more.
_ECHOES = frozenset({Verdict.ALREADY, Verdict.ECHO})
_OF_ONE_ITEM = _ABOUT_ITS_STATE | {Verdict.FAIL, Verdict.BISECT, Verdict.LOCKED, Verdict.WAIT}


def settle(
    spec: Spec, batch: Batch, exchange: Exchange, context: Settling = _NOTHING_KNOWN
) -> Settlement:
    """
    Say what became of each operation of `batch`. Never raises, whatever the server said.
    """
    if isinstance(exchange, NoReply):
        silent = Remainder(
            Reason.RETRY, batch.operations, in_doubt=exchange.sent, message=exchange.reason
        )
        return Settlement(unprocessed=(silent,))
    wrapped = exchange.body.get(spec.envelope) if isinstance(exchange.body, dict) else None
    if isinstance(wrapped, list) and wrapped:
        return _settle_items(spec, batch, exchange, wrapped, context)
    answer = Answer.parse(exchange.body, http_status=exchange.status, flat=True)
    if answer is None or answer.ok:
        return _settle_unreadable(batch, exchange)
    return _settle_flat(spec, batch, exchange, answer, context)


def _settle_unreadable(batch: Batch, reply: Reply) -> Settlement:
    verdict = judge_unreadable(reply.status)
    words = f"HTTP {reply.status} without an answer that can be read"
    remainder = Remainder(
        _REASONS[verdict],
        batch.operations,
        in_doubt=verdict is Verdict.RETRY,
        message=words,
        http_status=reply.status,
    )
    count = len(merge_items(batch.operations))
    if verdict is Verdict.SPLIT and count == 1:
        return Settlement(
            tuple(
                Outcome(each.line, Status.FAILED, "too_large", words, reply.status)
                for each in batch.operations
            )
        )
    limit = -(-count // 2) if verdict is Verdict.SPLIT else None
    return Settlement(unprocessed=(remainder,), retry_after=_retry_after(reply), limit=limit)


def _settle_flat(
    spec: Spec, batch: Batch, reply: Reply, answer: Answer, context: Settling
) -> Settlement:
    items = merge_items(batch.operations)
    named = _named_item(spec, answer, items)
    verdict = spec.judge(answer) or judge_flat(answer)
    if named is not None and verdict in _OF_ONE_ITEM:
        return _settle_named(spec, batch, answer, named, context)
    alone = len(items) == 1
    if verdict in _ABOUT_ITS_STATE and not alone:
        # True of one member that is not named, and of the others nobody knows.
        verdict = Verdict.BISECT
    if verdict is Verdict.SPLIT and not alone:
        limit = _limit_in(answer, below=len(items))
        rest = _remainder(Reason.RESEND, batch.operations, answer)
        return Settlement(unprocessed=(rest,), limit=limit)
    if verdict in _REASONS and not (alone and verdict in {Verdict.SPLIT, Verdict.BISECT}):
        rest = _remainder(
            _REASONS[verdict], batch.operations, answer, in_doubt=verdict is Verdict.RETRY
        )
        return Settlement(unprocessed=(rest,), retry_after=_retry_after(reply))
    outcomes, unprocessed = [], []
    for item in items:
        done, left = _settle_item(spec, item, answer, _final(verdict), context)
        outcomes.extend(done)
        unprocessed.extend(left)
    halt = (
        Halt(answer.code, answer.message, answer.http_status) if verdict is Verdict.ABORT else None
    )
    return Settlement(tuple(outcomes), tuple(unprocessed), halt=halt)


def _final(verdict: Verdict) -> Verdict:
    """Return `FAIL` for what refuses a call that cannot be made smaller, or its group."""
    if verdict in {Verdict.SPLIT, Verdict.BISECT, Verdict.ABORT}:
        return Verdict.FAIL
    return verdict


def _named_item(spec: Spec, answer: Answer, items: Sequence[Item]) -> Item | None:
    """Return the one item that a flat refusal points at with `$.data[N]`, if it does."""
    if not answer.path.startswith(f"$.{spec.envelope}[") or not answer.indices:
        return None
    index = answer.indices[0]
    return items[index] if index < len(items) else None


def _settle_named(
    spec: Spec, batch: Batch, answer: Answer, named: Item, context: Settling
) -> Settlement:
    verdict = spec.judge(answer) or judge_item(answer)
    outcomes, unprocessed = _settle_item(spec, named, answer, verdict, context)
    rest = tuple(each for each in batch.operations if each.item != named.id)
    if rest:
        unprocessed = [*unprocessed, _remainder(Reason.RESEND, rest, answer)]
    return Settlement(tuple(outcomes), tuple(unprocessed))


def _settle_items(
    spec: Spec, batch: Batch, reply: Reply, wrapped: Sequence[Json], context: Settling
) -> Settlement:
    items = merge_items(batch.operations)
    answers = [Answer.parse(value, http_status=reply.status, flat=False) for value in wrapped]
    outcomes: list[Outcome] = []
    unprocessed: list[Remainder] = []
    matched = match_items(spec.envelope, items, answers)
    context = _without_disproved_doubts(spec, items, matched, context)
    for item, answer in zip(items, matched, strict=True):
        if answer is None:
            words = f"HTTP {reply.status}: the answer has no item for this id"
            unprocessed.append(
                Remainder(
                    Reason.RETRY,
                    item.operations,
                    in_doubt=True,
                    message=words,
                    http_status=reply.status,
                )
            )
            continue
        verdict = spec.judge(answer) or judge_item(answer)
        done, left = _settle_item(spec, item, answer, verdict, context)
        outcomes.extend(done)
        unprocessed.extend(left)
    return Settlement(tuple(outcomes), tuple(_joined(unprocessed)), retry_after=_retry_after(reply))


def _without_disproved_doubts(
    spec: Spec, items: Sequence[Item], answers: Sequence[Answer | None], context: Settling
) -> Settling:
    """
    Drop the doubts about an earlier silent call if this answer shows that it did nothing.

    A server that now takes something away for us had not done so before. It carries a call out
    whole or not at all (assumed), so what else that call asked for was not done by it either.
    Territories are no evidence: what a call asks of them is done later, one job a record.
    """
    if spec.wish is not Wish.ABSENT or spec.member is not None or not context.doubtful:
        return context
    done_now = any(
        answer is not None and answer.ok and operation.line in context.doubtful
        for item, answer in zip(items, answers, strict=True)
        for operation in item.operations
    )
    return replace(context, doubtful=frozenset()) if done_now else context


def _settle_item(
    spec: Spec, item: Item, answer: Answer, verdict: Verdict, context: Settling
) -> tuple[list[Outcome], list[Remainder]]:
    """Apply one verdict to the lines of one item, or to those that its refusal names."""
    named = _named_member(spec, item, answer) if not answer.ok else None
    if verdict is Verdict.LOOKUP:
        member = named or (item.members[0] if len(item.members) == 1 else None)
        if context.known is None or member is None:
            if context.known is None:
                return [], [_remainder(Reason.LOOKUP, item.operations, answer)]
            verdict = Verdict.FAIL
        else:
            verdict = Verdict.ALREADY if member in context.known else Verdict.FAIL
    if verdict is Verdict.WAIT and spec.member is None:
        verdict = Verdict.LOCKED
    if verdict in _REASONS:
        doubt = verdict is Verdict.RETRY
        rest = _remainder(_REASONS[verdict], item.operations, answer, in_doubt=doubt)
        return [], [rest]
    if named is None or len(item.members) == 1:
        return [_outcome(each, answer, verdict, context) for each in item.operations], []
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
            outcomes.append(_outcome(operation, answer, verdict, context, named))
        else:
            others = tuple(each for each in operation.members if each != named)
            again.append(replace(operation, members=others))
    rest = [_remainder(Reason.RESEND, tuple(again), answer)] if again else []
    return outcomes, rest


def _named_member(spec: Spec, item: Item, answer: Answer) -> str | None:
    """Return the member that `$.data[i].Territories[j]` names, if it names one."""
    if spec.member is None or len(answer.indices) < 2:
        return None
    index = answer.indices[1]
    return item.members[index] if index < len(item.members) else None


def _outcome(
    operation: Operation, answer: Answer, verdict: Verdict, context: Settling, named: str = ""
) -> Outcome:
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


def _remainder(
    reason: Reason, operations: tuple[Operation, ...], answer: Answer, *, in_doubt: bool = False
) -> Remainder:
    return Remainder(reason, operations, in_doubt, answer.code, answer.message, answer.http_status)


def _joined(remainders: Iterable[Remainder]) -> list[Remainder]:
    """Join remainders that say the same, so that what is sent again travels together."""
    groups: dict[tuple[Reason, bool, str, str], list[Remainder]] = {}
    for each in remainders:
        groups.setdefault((each.reason, each.in_doubt, each.code, each.message), []).append(each)
    return [
        replace(group[0], operations=tuple(op for each in group for op in each.operations))
        for group in groups.values()
    ]


def _limit_in(answer: Answer, *, below: int) -> int:
    """Return the limit that a refusal names (as text or number), else half of what was sent."""
    try:
        limit = int(str(answer.details.get("limit", "")))
    except ValueError:
        limit = 0
    return limit if 0 < limit < below else -(-below // 2)


def _retry_after(reply: Reply) -> float | None:
    """Return `Retry-After` in seconds, from the header or `details.retry_after`."""
    value = reply.headers.get("Retry-After")
    if value is None and isinstance(reply.body, dict):
        details = reply.body.get("details")
        value = details.get("retry_after") if isinstance(details, dict) else None
    try:
        seconds = float(value) if value is not None else -1.0
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None
