"""
Settle at once what is answered in one way for all: by far most answers of a long run. Pure.

Only a shortcut of `settle.py`: it takes no answer that the long way would read differently, and
leaves everything that is not plain to it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import itemgetter

from bulkops.model import Alike, Batch, Json
from bulkops.rows import items_in, lines_in
from bulkops.rules.settle_item import outcome_of
from bulkops.rules.settlement import Settling
from bulkops.rules.spec import Spec
from bulkops.rules.verdicts import Answer, Verdict, judge_item

_SAID = itemgetter("code", "message", "status")
#: A plain status object has what is said and `details`; plain details are an id.
_PLAIN, _ID_ALONE = 4, 1
_SETTLING = frozenset({Verdict.DONE, Verdict.ALREADY, Verdict.ECHO, Verdict.FAIL})


def settle_alike(
    spec: Spec, batch: Batch, http_status: int, wrapped: Sequence[Json], context: Settling
) -> Alike | None:
    """
    Return how all lines ended, if the answer says the same of each item sent, and says no more.

    In which order it names them does not matter then.
    """
    operations = batch.operations
    if context.doubtful or not _is_plain(wrapped, set(items_in(operations))):
        return None
    answer = Answer.parse(wrapped[0], http_status=http_status, flat=False)
    if answer is None or answer.pending:
        return None
    verdict = spec.judge(answer) or judge_item(answer)
    if verdict not in _SETTLING:
        return None
    outcome = outcome_of(operations[0], answer, verdict, context)
    return Alike(outcome, lines_in(operations))


def _is_plain(wrapped: Sequence[Json], ids: Collection[str]) -> bool:
    """Tell whether plain status objects say one thing of each of `ids`, and of nothing else."""
    if len(wrapped) != len(ids):
        return False
    try:
        details = [each["details"] for each in wrapped]
        (said,) = set(map(_SAID, wrapped))
        return (
            all(isinstance(each, str) for each in said)
            and {_PLAIN} == set(map(len, wrapped))
            and {_ID_ALONE} == set(map(len, details))
            and {each["id"] for each in details} == ids
        )
    except (KeyError, TypeError, ValueError):
        return False
