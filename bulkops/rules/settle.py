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

from bulkops.model import (
    Batch,
    Exchange,
    Item,
    Json,
    NoReply,
    Outcome,
    Reply,
    Status,
    gathered,
    merge_items,
)
from bulkops.rules.asides import limit_in, retry_after
from bulkops.rules.match import match_items
from bulkops.rules.settle_alike import settle_alike
from bulkops.rules.settle_item import REASONS, remainder, settle_item
from bulkops.rules.settlement import Halt, Reason, Remainder, Settlement, Settling
from bulkops.rules.spec import Spec, Wish
from bulkops.rules.verdicts import Answer, Verdict, judge_flat, judge_item, judge_unreadable

_NOTHING_KNOWN = Settling()
#: What a flat refusal may say of one item: "so already", or why it cannot be done.
_ABOUT_ITS_STATE = frozenset({Verdict.ALREADY, Verdict.ECHO, Verdict.LOOKUP})
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
        alike = settle_alike(spec, batch, exchange.status, wrapped, context)
        if alike is not None:
            return Settlement((alike,), retry_after=retry_after(exchange))
        return _settle_items(spec, batch, exchange, wrapped, context)
    answer = Answer.parse(exchange.body, http_status=exchange.status, flat=True)
    if answer is None or answer.ok:
        return _settle_unreadable(batch, exchange)
    return _settle_flat(spec, batch, exchange, answer, context)


def _settle_unreadable(batch: Batch, reply: Reply) -> Settlement:
    verdict = judge_unreadable(reply.status)
    words = f"HTTP {reply.status} without an answer that can be read"
    rest = Remainder(
        REASONS[verdict],
        batch.operations,
        in_doubt=verdict is Verdict.RETRY,
        message=words,
        http_status=reply.status,
    )
    count = len(merge_items(batch.operations))
    if verdict is Verdict.SPLIT and count == 1:
        return Settlement(
            gathered(
                Outcome(each.line, Status.FAILED, "too_large", words, reply.status)
                for each in batch.operations
            )
        )
    limit = -(-count // 2) if verdict is Verdict.SPLIT else None
    return Settlement(unprocessed=(rest,), retry_after=retry_after(reply), limit=limit)


def _settle_flat(
    spec: Spec, batch: Batch, reply: Reply, answer: Answer, context: Settling
) -> Settlement:
    items = merge_items(batch.operations)
    named = _named_item(spec, answer, items)
    verdict = spec.judge(answer) or judge_flat(answer)
    if named is not None and verdict in _OF_ONE_ITEM:
        return _settle_named(spec, batch, answer, named, context)
    if verdict in _ABOUT_ITS_STATE and len(batch.operations) > 1:
        # True of one member that is not named, and of the others nobody knows.
        verdict = Verdict.BISECT
    if verdict is Verdict.SPLIT and len(items) > 1:
        limit = limit_in(answer, below=len(items))
        rest = remainder(Reason.RESEND, batch.operations, answer)
        return Settlement(unprocessed=(rest,), limit=limit)
    smallest = verdict is Verdict.SPLIT or len(batch.operations) == 1
    if verdict in REASONS and not (smallest and verdict in {Verdict.SPLIT, Verdict.BISECT}):
        rest = remainder(
            REASONS[verdict], batch.operations, answer, in_doubt=verdict is Verdict.RETRY
        )
        return Settlement(unprocessed=(rest,), retry_after=retry_after(reply))
    outcomes, unprocessed = [], []
    for item in items:
        done, left = settle_item(spec, item, answer, _final(verdict), context)
        outcomes.extend(done)
        unprocessed.extend(left)
    if verdict is not Verdict.ABORT:
        return Settlement(gathered(outcomes), tuple(unprocessed))
    halt = Halt(answer.code, answer.message, answer.http_status)
    told = [_kept_in_doubt(each, context) for each in outcomes]
    return Settlement(gathered(told), tuple(unprocessed), halt=halt)


def _kept_in_doubt(outcome: Outcome, context: Settling) -> Outcome:
    """Return `unknown` for a line in doubt: a right that is missing now says nothing of before."""
    doubtful = outcome.line in context.doubtful
    return outcome._replace(status=Status.UNKNOWN) if doubtful else outcome


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
    outcomes, unprocessed = settle_item(spec, named, answer, verdict, context)
    rest = tuple(each for each in batch.operations if each.item != named.id)
    if rest:
        unprocessed = [*unprocessed, remainder(Reason.RESEND, rest, answer)]
    return Settlement(gathered(outcomes), tuple(unprocessed))


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
        done, left = settle_item(spec, item, answer, verdict, context)
        outcomes.extend(done)
        unprocessed.extend(left)
    return Settlement(
        gathered(outcomes), tuple(_joined(unprocessed)), retry_after=retry_after(reply)
    )


def _without_disproved_doubts(
    spec: Spec, items: Sequence[Item], answers: Sequence[Answer | None], context: Settling
) -> Settling:
    """
    Drop the doubts about those earlier silent calls that this answer shows to have done nothing.

    A server that now takes something away for us had not done so before. It carries a call out
    whole or not at all (assumed), so what else that call asked for was not done by it either;
    but another silent call may have done it.
    Territories are no evidence: what a call asks of them is done later, one job a record.
    """
    if spec.wish is not Wish.ABSENT or spec.member is not None or not context.doubtful:
        return context
    done_now = {
        operation.line
        for item, answer in zip(items, answers, strict=True)
        for operation in item.operations
        if answer is not None and answer.ok and operation.line in context.doubtful
    }
    if not done_now:
        return context
    unproven = (lines for lines in context.silent if done_now.isdisjoint(lines))
    return replace(context, doubtful=frozenset().union(*unproven).intersection(context.doubtful))


def _joined(remainders: Iterable[Remainder]) -> list[Remainder]:
    """Join remainders that say the same, so that what is sent again travels together."""
    groups: dict[tuple[Reason, bool, str, str], list[Remainder]] = {}
    for each in remainders:
        groups.setdefault((each.reason, each.in_doubt, each.code, each.message), []).append(each)
    return [
        replace(group[0], operations=tuple(op for each in group for op in each.operations))
        for group in groups.values()
    ]
