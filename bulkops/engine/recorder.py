"""
Write what happened to the log, count it, and ask for a stop when too much goes wrong.

Nothing here waits, except `intend`, which returns when the log would survive a power cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bulkops.errors import ThresholdError
from bulkops.files.checkpoint import Checkpoint
from bulkops.model import Alike, Batch, Json, Learnt, Operation, Outcome, Status
from bulkops.rules.progress import Progress
from bulkops.rules.tally import Tally
from bulkops.wire.stop import Stop

_STOPPED = frozenset({Status.FAILED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """
    When a run stops for good: too large a share of the settled lines failed, or too many in a row.
    """

    failed_ratio: float
    failed_after: int
    #: 0: however many
    failed_in_a_row: int = 0


class Recorder:
    """
    The only writer of outcomes. A line is settled once; a second outcome for it is a bug.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        progress: Progress,
        *,
        thresholds: Thresholds,
        stop: Stop,
        tally: Tally,
    ) -> None:
        self._checkpoint = checkpoint
        self._progress = progress
        self._thresholds = thresholds
        self._stop = stop
        self._tally = tally
        self._calls = progress.calls.count

    async def intend(self, batch: Batch, operations: Collection[Operation], attempt: int) -> int:
        """
        Log that a call is about to leave; return its number once that is durable.

        Any doubt about the call after a crash rests on this line.
        """
        self._calls += 1
        call = self._calls
        whole = len(operations) == batch.planned
        lines = {} if whole else {"lines": [each.line for each in operations]}
        self._checkpoint.append(
            type="sent", batch=batch.number, attempt=attempt, call=call, **lines
        )
        await self._checkpoint.durable()
        return call

    def answered(self, batch: Batch, call: int, doubtful: Iterable[int]) -> None:
        """Log that a call ended with lines not settled, and which of them it may have changed."""
        self._checkpoint.append(
            type="answer", batch=batch.number, call=call, doubtful=sorted(doubtful)
        )

    def settle(
        self,
        outcome: Outcome,
        *,
        batch: Batch | None = None,
        attempts: int = 0,
        aborted: bool = False,
    ) -> None:
        """
        Log the terminal outcome of one line; one that was settled before is left alone.

        The rest is as in `settle_all`.
        """
        self.settle_all(
            Alike(outcome, (outcome.line,)), batch=batch, attempts=attempts, aborted=aborted
        )

    def settle_all(
        self,
        alike: Alike,
        *,
        batch: Batch | None = None,
        attempts: int = 0,
        aborted: bool = False,
    ) -> None:
        """
        Log one terminal outcome of some lines, but for those of them that were settled before.

        Lines of an `aborted` group, and those never sent (no `batch`), say nothing about how the
        rest of the run fares, and do not count towards the thresholds.
        """
        outcome, unknown = alike.outcome, len(self._progress.unknown)
        news = self._progress.settle(alike.lines, outcome.status, aborted=aborted)
        if not news:
            return
        record = {
            "status": outcome.status,
            "code": outcome.code or None,
            "message": outcome.message or None,
            "http_status": outcome.http_status,
            "of_line": outcome.of_line,
            "job_id": outcome.job_id,
            "batch": batch.number if batch else None,
            "attempts": attempts or None,
            "learnt": None if outcome.learnt is Learnt.ANSWERED else outcome.learnt,
            # What `run --resume-stopped` opens again, besides what was skipped.
            "aborted": (aborted and outcome.status in _STOPPED) or None,
        }
        told = {key: each for key, each in record.items() if each is not None}
        self._checkpoint.append_each("outcome", "line", news, **told)
        self._tally.add(
            outcome,
            lines=len(news),
            sent=batch is not None and not aborted,
            found_out=max(0, unknown - len(self._progress.unknown)),
        )
        self._check_thresholds()

    def captured(self, batch: Batch, items: Mapping[str, Mapping[str, Json] | None]) -> None:
        """Log how the items of a batch stand before it is sent; `None`: not there."""
        self._checkpoint.append(type="before", batch=batch.number, items=items)

    def schedule(self, batch: Batch, line: int, job_id: str) -> None:
        """Log that the server will do a line later."""
        self._checkpoint.append(type="job", batch=batch.number, line=line, job_id=job_id)

    def note(self, event: str, **facts: object) -> None:
        """Log anything else that a later run or a reader should know."""
        self._checkpoint.append(type="note", event=event, **facts)

    def _check_thresholds(self) -> None:
        settled, failed = self._tally.fresh_settled, self._tally.fresh_failed
        row, limits = self._tally.failed_in_a_row, self._thresholds
        if self._stop.asked:
            return
        if limits.failed_in_a_row and row >= limits.failed_in_a_row:
            words = f"{row} lines have failed one after the other (failed_in_a_row)"
        elif settled >= limits.failed_after and failed > limits.failed_ratio * settled:
            words = (
                f"{failed} of {settled} lines sent have failed, more than failed_ratio = "
                f"{limits.failed_ratio} allows"
            )
        else:
            return
        self._stop.ask(
            ThresholdError(
                f"{words}. See why with `bulkops outcomes --status failed`; the same command goes "
                "on with the rest, and `bulkops retry` sends what failed again."
            )
        )


def skipped(operation: Operation, code: str, message: str) -> Outcome:
    """Return the outcome of a line whose group was aborted before it was sent."""
    words = f"not sent: the server refuses all calls of this kind ({message})"
    return Outcome(operation.line, Status.SKIPPED, code, words)
