"""
Where a run stands: asked of its process, or read from its log if there is none.

The one status behind `bulkops status`, its `--watch`, and the pages of `bulkops serve`. Nothing
here changes a run, whatever its state.
"""

from __future__ import annotations

from typing import Any, Final

from bulkops.engine import ctl
from bulkops.errors import ExitCode, UsageError
from bulkops.files.last_note import last_note
from bulkops.files.prepare import load
from bulkops.files.rundir import RunDirectory
from bulkops.files.so_far import final_code, progress_of, tally_of

#: Version of the shape that `look` returns.
SCHEMA_VERSION: Final = 1
#: What the log does not know of: it holds what was settled and sent, not what is under way.
_OF_A_PROCESS = ("pending", "followed", "parked", "reads", "retries", "throttled")


def look(run: RunDirectory) -> dict[str, Any]:
    """
    Return where a run stands, by its process or else by its log.

    `state` is `running`, `holding` or `ending` where a process is on it; else `planned`,
    `unfinished` or `finished`, and then what only a process knows is left out.
    """
    return by_process(run) or by_log(run)


def by_process(run: RunDirectory) -> dict[str, Any] | None:
    """Return what the process on a run says; `None` if there is none, or it does not answer."""
    try:
        told = ctl.ask(run.path, "status")
    except UsageError:
        return None
    return {
        "v": SCHEMA_VERSION,
        **told,
        "scheduled": told["pending"],
        "stopped_because": told["ending"],
        "exit": None,
    }


def by_log(run: RunDirectory) -> dict[str, Any]:
    """
    Return what the log of a run says. Reads all of it.

    `exit` is how the last process ended, `None` if it did not write that down: it was killed, or
    was one of an earlier version.

    Raises `CheckpointError` for a damaged one, `UsageError` where there is no run.
    """
    prepared = load(run)
    progress = progress_of(prepared, mend=False)
    tally = tally_of(prepared, progress)
    begun = run.checkpoint.exists()
    finished = begun and progress.finished
    note = last_note(run) if begun else {}
    code = ExitCode.known(note.get("exit"))
    if code is None and finished:
        # Logs of earlier versions do not say it, but the lines of a finished run do.
        code = final_code(tally)
    counts = {key: each for key, each in tally.to_json().items() if key not in _OF_A_PROCESS}
    return {
        "v": SCHEMA_VERSION,
        "run": str(run.path),
        "state": "finished" if finished else "unfinished" if begun else "planned",
        **counts,
        "settled": len(progress.settled),
        "scheduled": len(progress.jobs),
        "stopped_because": "" if note.get("event") == "run.started" else progress.stop,
        "exit": None if code is None else int(code),
    }
