"""
One reconciliation from DESIRED to the manifest of the difference, resumed by the same command.

The stages are told by files of the run directory: `actual.jsonl` is what was read so far, and
once `changes.jsonl` stands, reading and comparing are over and only sending is left.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson

from bulkops.engine.reconcile.asking import Asking
from bulkops.engine.reconcile.finding import Found, Preview, find, found_before
from bulkops.engine.reconcile.guards import GuardError, beyond
from bulkops.engine.reconcile.home import Home
from bulkops.engine.reconcile.means import Means
from bulkops.errors import ExitCode, UsageError
from bulkops.files.config import Config
from bulkops.files.jobfile import STDIN
from bulkops.files.manifest import gather
from bulkops.files.rundir import RunDirectory, digest_of, sync_folder, write_atomically


async def reconcile(
    asking: Asking,
    config: Config,
    home: Home,
    means: Means,
    *,
    run_dir: Path | None = None,
    new: bool = False,
    preview: Callable[[Preview], None] = lambda _preview: None,
) -> Found:
    """
    Find the difference, or go on with finding it, or return the one that is being carried out.

    The home must be locked. Raises `GuardError` if the numbers are not believed, and what keeps
    the organisation from being read: then the same command goes on.
    """
    if STDIN in asking.desired:
        raise UsageError("-: DESIRED is read again when the same command goes on; expected a file")
    if asking.parents and not config.reconcile.prune:
        raise UsageError(
            "parents: records that should hold nothing matter only if what is too many is taken "
            "away; expected --prune too"
        )
    run = _run_of(asking, config, home, run_dir=run_dir, new=new)
    found = found_before(run)
    if found is not None:
        return found
    with run.locked():
        found = await find(asking, config, means, run, preview)
        proposed = run.path / "proposed.jsonl"
        limits = beyond(found.numbers, config.reconcile, rows=found.rows, before=home.rows_before())
        if limits:
            raise GuardError(
                f"nothing is sent: {'; '.join(limits)}. Look at {proposed}; to go on, raise the "
                "limit for this run (--max-change, --max-unlink, --max-deviation)",
                {"run": str(run.path), "proposed": str(proposed), **found.facts()},
            )
        write_atomically(run.path / "reconcile.json", orjson.dumps(found.to_json()))
        proposed.replace(found.changes)
        sync_folder(run.path)
    return found


def conclude(home: Home, found: Found, code: ExitCode, *, finished: bool) -> ExitCode:
    """
    Return what the reconciliation ends with, given how sending ended, and write down the end.

    One whose run is not `finished` has not ended: the same command goes on with it.
    """
    if code is ExitCode.OK:
        code = found.at_best
    if finished:
        home.write(
            type="ended",
            run=str(found.run.path.absolute()),
            exit=int(code),
            rows=found.rows,
            **asdict(found.numbers),
        )
    return code


def _run_of(
    asking: Asking, config: Config, home: Home, *, run_dir: Path | None, new: bool
) -> RunDirectory:
    """Return the run that is unfinished, if it is about the same files, or a new one."""
    sums = [gather(asking.desired, file_format=asking.file_format).sha256]
    sums += [_sum(file) for file in (asking.parents, asking.actual) if file is not None]
    inputs = digest_of(sums, config.digest_options())
    last = home.unfinished()
    if last is not None:
        run = RunDirectory(Path(last["run"]))
        same = last["inputs"] == inputs and run.path.is_dir() and not _is_old(run, config)
        elsewhere = run_dir is not None and run_dir.absolute() != run.path
        if same and not new and not elsewhere:
            return run
        home.write(type="left", run=last["run"])
    return home.begin(inputs, run_dir=run_dir)


def _is_old(run: RunDirectory, config: Config) -> bool:
    """Return whether a difference was found too long ago for beginning to send it now."""
    changes = run.path / "changes.jsonl"
    if run.checkpoint.exists() or not changes.exists():
        return False
    return time.time() - changes.stat().st_mtime > 3600 * config.reconcile.max_age_h


def _sum(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
