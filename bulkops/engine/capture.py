"""
Write down, before a call leaves, how its items stand: what an undo must put back.
"""

from __future__ import annotations

from bulkops.engine.observe import Observer
from bulkops.engine.reader import Refusal
from bulkops.engine.recorder import Recorder
from bulkops.errors import PausedError
from bulkops.model import Batch, merge_items
from bulkops.rules.operations import SPECS


class Capturer:
    """
    Captures batches that are about to be sent for the first time, if the run is to do so.
    """

    def __init__(self, observer: Observer, recorder: Recorder, *, wanted: bool) -> None:
        self._observer = observer
        self._recorder = recorder
        self._wanted = wanted

    async def capture(self, batch: Batch) -> None:
        """
        Log how the items of `batch` stand.

        Where the server refuses to show them the batch goes all the same, and the undo will say
        so; where it only cannot just now, raises `PausedError`: a later run captures it.
        """
        spec = SPECS[batch.spec]
        if not self._wanted or spec.capture is None:
            return
        found = await self._observer.before(spec, batch.route, merge_items(batch.operations))
        if isinstance(found, Refusal) and found.passing:
            raise PausedError(
                f"what is to be changed cannot be read just now ({found.message}), so that an "
                "undo could not put it back. Run the same command again later."
            )
        if isinstance(found, Refusal):
            self._recorder.note("capture.refused", batch=batch.number, why=found.message)
            return
        held = {item: before.values for item, before in found.items()}
        self._recorder.captured(batch, held)
