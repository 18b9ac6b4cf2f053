"""
Recognise an answer that says of other ids, byte for byte, what an earlier answer said. Pure.

The server words its answers alike, and a long run hears the same one ten thousand times. The text
around the ids of one that was settled is kept, and the next is compared with that text around its
own ids. Only what is equal is settled by it; any difference at all is for `settle.py` to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bulkops.model import Alike, Batch, Outcome, SealedReply
from bulkops.rows import PlainOperations
from bulkops.rules.settle_alike import settle_alike
from bulkops.rules.settlement import Settling
from bulkops.rules.spec import Spec

_NO_DOUBT = Settling()
#: Ids to try a text with. What stands in it anyway cannot be of both kinds.
_TRIED = (("11", "222", "33"), ("4", "55", "66666"))


@dataclass(frozen=True, slots=True)
class Likeness:
    """
    The text of an answer around the ids that it names in the order sent, and what it means.

    `between` is empty if the answer spoke of one id alone: then others that do are like it.
    """

    spec: str
    http_status: int
    before: bytes
    between: bytes
    after: bytes
    outcome: Outcome

    def around(self, ids: bytes) -> bytes | None:
        """
        Return the text with `ids`, which commas part, in it.

        `None` if there are more than it knows to part.
        """
        if not self.between and b"," in ids:
            return None
        return self.before + ids.replace(b",", self.between) + self.after


def recognised(
    likeness: Likeness | None, batch: Batch, reply: SealedReply, context: Settling
) -> Alike | None:
    """
    Return how all lines of `batch` ended, if `reply` says of their ids what is known.

    Ids that are not digits could change what the text means, and are not recognised.
    """
    operations = batch.operations
    if (
        likeness is None
        or likeness.spec != batch.spec
        or likeness.http_status != reply.status
        or context.doubtful
        or not isinstance(operations, PlainOperations)
        or not operations.are_distinct
    ):
        return None
    ids = ",".join(operations.items).encode()
    digits_alone = not ids.translate(None, b"0123456789,")
    one_each = ids.count(b",") == len(operations) - 1
    if not (digits_alone and one_each and likeness.around(ids) == reply.raw):
        return None
    return Alike(likeness.outcome._replace(line=operations.lines[0]), operations.lines)


def likeness_of(spec: Spec, batch: Batch, reply: SealedReply, alike: Alike) -> Likeness | None:
    """
    Return what to recognise answers like `reply` by, which settled all of `batch` as `alike`.

    `None` if it names the ids in another order or way. That other ids in the same text mean the
    same is not believed but tried, with ids that it cannot hold by chance.
    """
    operations = batch.operations
    if not isinstance(operations, PlainOperations) or not operations.are_distinct:
        return None
    parts = _parts(reply.raw, [each.encode() for each in operations.items])
    if parts is None:
        return None
    likeness = Likeness(batch.spec, reply.status, *parts, alike.outcome)
    if all(_means(likeness, spec, batch, reply, tried) for tried in _TRIED):
        return likeness
    return None


def _parts(raw: bytes, ids: Sequence[bytes]) -> tuple[bytes, bytes, bytes] | None:
    """Return the text before, between and after `ids` in `raw`, each in quotes; or `None`."""
    first = raw.find(b'"%b"' % ids[0]) + 1
    begin = first + len(ids[0])
    second = raw.find(b'"%b"' % ids[1], begin) + 1 if len(ids) > 1 else begin
    between = raw[begin:second]
    if not first or second < begin:
        return None
    length = first + len(between) * (len(ids) - 1) + sum(map(len, ids))
    before, after = raw[:first], raw[length:]
    return (before, between, after) if before + between.join(ids) + after == raw else None


def _means(
    likeness: Likeness, spec: Spec, batch: Batch, reply: SealedReply, ids: Sequence[str]
) -> bool:
    """Tell whether the text means the same of `ids` as it did of those it was heard of."""
    ids = ids if likeness.between else ids[:1]
    raw = likeness.around(",".join(ids).encode())
    body = reply.parse(raw or b"")
    wrapped = body.get(spec.envelope) if isinstance(body, dict) else None
    if not isinstance(wrapped, list):
        return False
    lines = [likeness.outcome.line] * len(ids)
    tried = replace(batch, operations=PlainOperations(lines, ids))
    found = settle_alike(spec, tried, reply.status, wrapped, _NO_DOUBT)
    return found is not None and found.outcome == likeness.outcome
