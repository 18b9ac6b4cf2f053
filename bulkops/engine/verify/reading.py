"""
Read back what a run claims, and say line by line whether the organisation agrees.

A claim is the outcome of a line that was sent: `succeeded` and `unchanged` say that its wish
holds now, every other status that it does not. Nothing is written to the organisation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bulkops.engine.observe import Observer
from bulkops.engine.reader import Refusal
from bulkops.engine.reconcile.values import same
from bulkops.engine.verify.claims import Claims, asked
from bulkops.engine.verify.findings import Disagreement, Verification
from bulkops.errors import BulkopsError
from bulkops.files.rundir import RunDirectory
from bulkops.model import WANTED, Batch, Operation, merge_items
from bulkops.rules.operations import SPECS
from bulkops.rules.reads import Before
from bulkops.rules.spec import Spec, Wish

_Told = frozenset[tuple[str, str]] | Mapping[str, Before] | Refusal


async def verify(
    run: RunDirectory, claims: Claims, observer: Observer, *, at_once: int
) -> Verification:
    """
    Read back the lines of `claims`, with `at_once` questions under way.

    Raises what `Reader.read` raises; then nothing is known.
    """
    found = Verification()
    batches = asked(run, claims)

    async def work() -> None:
        # Whoever is free takes the next batch; the plan is read a few batches at a time.
        for batch in batches:
            await _check(batch, claims, observer, found)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    except* BulkopsError as errors:
        raise errors.exceptions[0] from None
    found.disagreements.sort(key=lambda each: each.line)
    return found


async def _check(batch: Batch, claims: Claims, observer: Observer, found: Verification) -> None:
    spec = SPECS[batch.spec]
    items = merge_items(batch.operations)
    told: _Told
    if spec.capture is not None and any(each.fields for each in batch.operations):
        told = await observer.before(spec, batch.route, items)
    else:
        told = await observer.present(spec, batch.route, items)
    for operation in batch.operations:
        status = claims.of(operation.line)
        assert status is not None
        found.checked[status] += 1
        if isinstance(told, Refusal):
            found.unreadable[status] += 1
            if status in WANTED:
                why = f"{told.code}: {told.message}"
                found.disagreements.append(Disagreement(operation.line, status, None, why))
            continue
        why_not = _differs(spec, operation, told)
        if (why_not is None) != (status in WANTED):
            found.disagreeing[status] += 1
            holds = why_not is None
            found.disagreements.append(Disagreement(operation.line, status, holds, why_not or ""))


def _differs(
    spec: Spec, operation: Operation, told: frozenset[tuple[str, str]] | Mapping[str, Before]
) -> str | None:
    """Return in words what is not as an operation wishes, or `None` if all of it is."""
    if isinstance(told, frozenset):
        there = [(operation.item, member) in told for member in operation.members or ("",)]
        holds = all(there) if spec.wish is Wish.PRESENT else not any(there)
        return None if holds else "not there" if spec.wish is Wish.PRESENT else "still there"
    values = told[operation.item].values
    if values is None:
        return "not there"
    for name, wished in operation.fields.items():
        if not same(wished, values.get(name)):
            return f"{name} is {values.get(name)!r}, wished {wished!r}"
    return None
