"""
Carry out a plan: is it finished already, may it be sent, who measures it, and who hears of its end.

The whole of it blocks, as the program does; `running.py` has the same for programs that go on with
other things meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkops.engine.derive import derive_again
from bulkops.engine.execute import Watch, execute
from bulkops.engine.hooks import announcing
from bulkops.engine.rig import Manner
from bulkops.errors import ExitCode
from bulkops.files.so_far import final_code, progress_of, tally_of
from bulkops.library.events import Finished
from bulkops.library.measuring import measuring
from bulkops.library.planning import Plan
from bulkops.library.seat import Look, Seat
from bulkops.rules.tally import Tally
from bulkops.wire.stop import Stop


def carry_out(
    plan: Plan,
    *,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
    seat: Seat = Seat(),  # noqa: B008  (holds nothing)
) -> Finished:
    """
    Show a plan, ask, send it, say how it ended, and tell whom `[hooks]` names; return the end.

    A run that is finished is told about and left alone, unless `manner` opens lines of it again.
    Blocks, and cannot be called where a loop runs. Raises what keeps the run from starting.
    """
    with announcing(plan.config.hooks) as ending:
        ending.about(plan.prepared.run)
        finished = carried_out(plan, manner=manner, seat=seat)
        ending.code = finished.code
        seat.ended(plan, finished, last=True)
    return finished


def carried_out(plan: Plan, *, manner: Manner, seat: Seat) -> Finished:
    """Do what `carry_out` does, but tell nobody of the end: the caller does."""
    if not plan.rows:
        return nothing_to_do(plan)
    stands = _standing(plan, reopen=manner.resume_stopped)
    if stands.finished:
        derive_again(plan.prepared, final_code(stands.tally))
        with measuring(plan, stands.tally.to_json()) as measured:
            measured.code = final_code(stands.tally)
        seat.finished_before(plan, stands.stopped)
        return _finished(plan, final_code(stands.tally), "", stands.tally)
    seat.shown(plan, stands.settled)
    if plan.calls and plan.asked.confirm:
        seat.confirm(plan)
    with seat.watching() as watch:
        return asyncio.run(sent(plan, manner=manner, watch=watch))


def nothing_to_do(plan: Plan) -> Finished:
    """Return how a plan without rows ends."""
    return Finished(code=ExitCode.OK, run=plan.run, rows=0, statuses={})


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a run stands before anything is done. `stopped` lines went with aborted groups."""

    finished: bool
    settled: int
    stopped: int
    tally: Tally


def _standing(plan: Plan, *, reopen: bool) -> _Standing:
    progress = progress_of(plan.prepared, mend=False)
    stopped = sum(map(len, progress.stopped.values()))
    if reopen:
        progress.reopen()
    begun = plan.prepared.run.checkpoint.exists()
    finished = begun and progress.finished and not progress.unknown
    tally = tally_of(plan.prepared, progress) if finished else Tally()
    return _Standing(finished, len(progress.settled), stopped, tally)


async def sent(plan: Plan, *, manner: Manner, watch: Watch, stop: Stop | None = None) -> Finished:
    """Send what is left of a plan, measured; whoever holds `stop` may end it."""
    begin = {"rows": plan.rows, "planned_calls": plan.calls}
    with measuring(plan, begin) as measured:
        seen = False

        def look(told: Look) -> None:
            nonlocal seen
            seen = True
            measured.take(told)
            watch(told)

        ended = await execute(
            plan.prepared,
            plan.config,
            watch=look,
            manner=manner,
            stop=stop,
        )
        measured.code = ended.code
        if not seen:
            measured.take(ended.tally.to_json)
    return _finished(plan, ended.code, ended.reason, ended.tally)


def _finished(plan: Plan, code: ExitCode, reason: str, tally: Tally) -> Finished:
    statuses: Mapping[Any, int] = Counter(tally.statuses)
    return Finished(
        code=code,
        reason=reason,
        run=plan.run,
        rows=plan.rows,
        statuses=statuses,
        calls=tally.calls,
        reads=tally.reads,
        retries=tally.retries,
        throttled=tally.throttled,
    )
