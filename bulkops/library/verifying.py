"""
Read back from the organisation what a run claims.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from bulkops.engine.rig import Manner
from bulkops.engine.verify import CLAIMS, Claims, Verification, Which, parse_lines, verified
from bulkops.files.config import Config
from bulkops.files.resume import read_progress
from bulkops.files.rundir import RunDirectory
from bulkops.library.planning import Named, as_config
from bulkops.library.runs import Run, find_run
from bulkops.model import WANTED

__all__ = ["CLAIMS", "Verification", "parse_lines", "verify"]

_SHARE = 0.01


async def verify(
    run: Run,
    *,
    share: float | None = None,
    lines: Collection[int] | None = None,
    everything: bool = False,
    config: Config | Named | None = None,
    manner: Manner = Manner(),  # noqa: B008  (frozen)
    told: Callable[[int], None] = lambda _count: None,
) -> Verification:
    """
    Read back a share of the lines that are said to be done (a hundredth), or these `lines`.

    `everything` means every line that was sent, failed ones as well. A share is the same lines each
    time. `told` is given their number before anything is read; what is found is kept beside the run
    too. Raises `CheckpointError` for a damaged log, or what keeps the organisation from being
    read.
    """
    known = as_config(config)
    directory = RunDirectory(find_run(run, known))
    if lines is not None:
        which = Which(CLAIMS, lines=frozenset(lines))
    elif everything:
        which = Which(CLAIMS, 1.0 if share is None else share)
    else:
        which = Which(tuple(WANTED), _SHARE if share is None else share)
    # Raises for a damaged log: what it lost would be taken for lines that nothing is said of.
    read_progress(directory.checkpoint, mend=False)
    claims = Claims(directory, which)
    told(claims.count)
    return await verified(directory, claims, known, manner)
