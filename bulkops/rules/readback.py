"""
Judge a remote job by what the record holds after it: gone from the queue is not done.

Pure. The vendor publishes no end state of a job and no reason for one that failed, so the
record's territories are the only evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bulkops.model import Learnt, Outcome, Status
from bulkops.rules.operations.territories import BY_RULE
from bulkops.rules.spec import Wish


def missed(wish: Wish, members: Sequence[str], held: Mapping[str, str]) -> tuple[str, ...]:
    """Return the territories of `members` that are not as `wish` wants them."""
    if wish is Wish.ABSENT:
        return tuple(each for each in members if each in held)
    return tuple(each for each in members if each not in held)


def judge_record(
    *,
    line: int,
    wish: Wish,
    members: Sequence[str],
    held: Mapping[str, str],
    ours: bool,
    last_chance: bool,
    job_id: str | None,
) -> Outcome | None:
    """
    Return what became of a line, or `None` if it should be sent once more.

    `held` maps the record's territories to how they are assigned. `ours` tells whether a job of
    ours did it; otherwise we only waited for somebody else's. With `last_chance` a miss is
    final.
    """
    wrong = missed(wish, members, held)
    job = job_id or None
    if not wrong:
        status = Status.SUCCEEDED if ours else Status.UNCHANGED
        words = "read back after the job ended" if ours else "another job had done it"
        return Outcome(line, status, "read_back", words, job_id=job, learnt=Learnt.PROBED)
    if wish is Wish.ABSENT and all(held[each] == BY_RULE for each in wrong):
        words = f"assigned by a rule, so that only a rule can remove it: {', '.join(wrong)}"
        return Outcome(
            line, Status.FAILED, "system_assigned", words, job_id=job, learnt=Learnt.PROBED
        )
    if last_chance:
        state = "still assigned" if wish is Wish.ABSENT else "still not assigned"
        # A call that met silence until it was given up may never have made a job.
        what = "the job ended without effect, twice" if job else "no job is under way"
        words = f"{what}; {state}: {', '.join(wrong)}"
        return Outcome(
            line, Status.FAILED, "job_without_effect", words, job_id=job, learnt=Learnt.PROBED
        )
    return None
