"""
Ask the server what is there, where no answer tells what a call of ours did.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkops.engine.observe import Observer
from bulkops.engine.reader import Reader, Refusal
from bulkops.model import Api, Batch, Learnt, Operation, Outcome, Status, merge_items
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import Spec, Wish


async def probe(
    reader: Reader, api: Api, batch: Batch, operations: Sequence[Operation], given_up: Outcome
) -> list[Outcome]:
    """
    Return what is true of `operations`, whose calls met silence until attempts ran out.

    `given_up` says why nobody tries again: it is the outcome of lines that are not as wished,
    and, as `unknown`, of all where the server refuses to say. Raises what `Reader.read` raises.
    """
    spec = SPECS[batch.spec]
    present = await Observer(reader, api).present(spec, batch.route, merge_items(operations))
    if isinstance(present, Refusal):
        words = f"the server does not say what is there ({present.message})"
        return [_unknown(each, given_up, words) for each in operations]
    return [_outcome(spec, each, present, given_up) for each in operations]


def _unknown(operation: Operation, given_up: Outcome, why: str) -> Outcome:
    words = f"{given_up.message}; and {why}"
    return Outcome(operation.line, Status.UNKNOWN, given_up.code, words, given_up.http_status)


def _outcome(
    spec: Spec, operation: Operation, present: frozenset[tuple[str, str]], given_up: Outcome
) -> Outcome:
    shown = [(operation.item, member) in present for member in operation.members or ("",)]
    reached = all(shown) if spec.wish is Wish.PRESENT else not any(shown)
    if reached and spec.wish is Wish.PRESENT and operation.fields:
        return _unknown(operation, given_up, "whether its fields were written cannot be told")
    if reached:
        words = "no answer came, and the server shows it done"
        return Outcome(operation.line, Status.SUCCEEDED, "probed", words, learnt=Learnt.PROBED)
    return Outcome(
        operation.line,
        Status.FAILED,
        given_up.code,
        f"{given_up.message}; the server shows it not done",
        given_up.http_status,
        learnt=Learnt.PROBED,
    )
