"""
Remember what the server taught during a run: what a call may hold, what is refused, how it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bulkops.engine.recorder import Recorder
from bulkops.files.talk import Talk
from bulkops.model import Batch, Exchange, SealedReply
from bulkops.rules.likeness import Likeness, likeness_of, recognised
from bulkops.rules.operations import SPECS
from bulkops.rules.parcel import Parcel
from bulkops.rules.settle import settle
from bulkops.rules.settlement import Halt, Settlement, Settling
from bulkops.rules.spec import Spec

Group = tuple[str, str, str]


class Taught:
    """
    The lessons of one run, written down as they come. One serves all its workers.
    """

    def __init__(self, recorder: Recorder, capacities: Mapping[str, int]) -> None:
        """`capacities` were learnt before, by the name of the spec."""
        self._recorder = recorder
        self._capacities = dict(capacities)
        self._aborted: dict[Group, Halt] = {}
        self._learning = {
            spec.name: asyncio.Lock()
            for spec in SPECS.values()
            if spec.learns_capacity and spec.name not in self._capacities
        }
        self._likeness: dict[str, Likeness] = {}
        self._log = Talk("bulkops.carrier")

    def settle(self, spec: Spec, carried: Batch, exchange: Exchange, parcel: Parcel) -> Settlement:
        """Settle an exchange as the rules do, but at a glance if it is like one before."""
        context = Settling(parcel.doubtful, silent=parcel.silent)
        if not isinstance(exchange, SealedReply):
            return settle(spec, carried, exchange, context)
        alike = recognised(self._likeness.get(spec.name), carried, exchange, context)
        if alike is not None:
            return Settlement((alike,))
        settlement = settle(spec, carried, exchange, context)
        if len(settlement.ended) == 1 and not settlement.unprocessed:
            likeness = likeness_of(spec, carried, exchange, settlement.ended[0])
            if likeness is not None:
                self._likeness[spec.name] = likeness
        return settlement

    @property
    def halts(self) -> tuple[Halt, ...]:
        """Why groups were aborted, one for each group."""
        return tuple(self._aborted.values())

    def halt_of(self, batch: Batch) -> Halt | None:
        """Return why calls like this batch's are refused, if they all are."""
        return self._aborted.get(_group(batch))

    def abort(self, batch: Batch, halt: Halt) -> None:
        """Learn that all calls like this batch's are refused."""
        group = _group(batch)
        if group in self._aborted:
            return
        self._aborted[group] = halt
        self._recorder.note("group.aborted", group=group, code=halt.code)
        self._log.warning(
            "group.aborted",
            group=".".join(filter(None, group)),
            code=halt.code,
            message=halt.message,
        )

    def capacity_of(self, spec: Spec) -> int | None:
        """Return how many items a call may hold, if the server said so."""
        return self._capacities.get(spec.name)

    def limit(self, spec: Spec, limit: int) -> None:
        """Learn that a call may hold no more than `limit` items."""
        if not spec.learns_capacity or self._capacities.get(spec.name, limit + 1) <= limit:
            return
        self._capacities[spec.name] = limit
        self.end_lesson(spec)
        self._recorder.note("capacity.learnt", spec=spec.name, limit=limit)
        self._log.info("capacity.learnt", operation=spec.name, limit=limit)

    def lesson(self, spec: Spec) -> asyncio.Lock | None:
        """Return what the calls of a spec wait for while one finds out; `None`: it is known."""
        return self._learning.get(spec.name)

    def end_lesson(self, spec: Spec) -> None:
        """Take note that the size of a call is known, or is no trouble."""
        self._learning.pop(spec.name, None)


def _group(batch: Batch) -> Group:
    return batch.spec, batch.route.module, batch.route.related_list
