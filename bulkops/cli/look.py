"""
The verbs that look at a run: `status`, `outcomes`, and `repair` for a damaged one.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from bulkops.cli.common import AsJson, ConfigPath, begin, named_run, print_json, talk
from bulkops.cli.words import print_status
from bulkops.errors import UsageError
from bulkops.execute import final_code, progress_of, tally_of
from bulkops.model import Status
from bulkops.outcomes import copy_outcomes, read_outcomes, to_line
from bulkops.prepare import load
from bulkops.repair import repair

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run, by name or directory.")]
_FORMATS = ("jsonl", "csv", "parquet")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("status")(status)
    app.command("outcomes")(outcomes)
    app.command("repair")(repair_log)


def status(run: RunArgument, *, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """
    Say where a run stands, by its log; works while it runs.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    directory = named_run(loaded, run)
    prepared = load(directory)
    progress = progress_of(prepared, mend=False)
    tally = tally_of(prepared, progress)
    begun = directory.checkpoint.exists()
    finished = begun and progress.finished
    state = "finished" if finished else "unfinished" if begun else "planned"
    facts = {
        "v": 1,
        "run": str(directory.path),
        "state": state,
        "rows": prepared.rows,
        "settled": len(progress.settled),
        "scheduled": len(progress.jobs),
        "statuses": {status.value: count for status, count in tally.statuses.items()},
        "calls": tally.calls,
        "stopped_because": progress.stop,
        "exit": int(final_code(tally)) if finished else None,
    }
    if as_json:
        print_json(facts)
    else:
        print_status(facts)


def repair_log(run: RunArgument, *, config: ConfigPath = None) -> None:
    """
    Mend a damaged log: keep what stands before the damage, and say what is lost.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    directory = named_run(loaded, run)
    with directory.locked():
        done = repair(directory)
    if done.aside is None:
        typer.echo(f"{directory.checkpoint}: no damage found; nothing was changed")
        return
    typer.echo(
        f"{directory.checkpoint}: kept {done.kept_bytes:,} bytes; lost {done.lost_bytes:,} bytes, "
        f"{done.lost_lines:,} lines, {done.lost_outcomes:,} of them outcomes. The damaged log is "
        f"kept as {done.aside.name}. Run the same command again: what the lost lines said is found "
        "out anew."
    )


def outcomes(
    run: RunArgument,
    *,
    shape: Annotated[str, typer.Option("--format", help="jsonl, csv or parquet.")] = "jsonl",
    statuses: Annotated[
        str, typer.Option("--status", metavar="STATUS,...", help="Only these statuses.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead.")
    ] = None,
    config: ConfigPath = None,
) -> None:
    """
    Print what became of every row, in manifest order.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    directory = named_run(loaded, run)
    wanted = tuple(each for each in statuses.split(",") if each)
    for each in wanted:
        if each not in set(Status):
            raise UsageError(f"--status {each}: expected {', '.join(Status)}")
    if shape not in _FORMATS:
        raise UsageError(f"--format {shape}: expected {', '.join(_FORMATS)}")
    if not directory.checkpoint.exists():
        talk().print(f"run {directory.name} has not begun; there are no outcomes yet")
        return
    if shape == "jsonl":
        with output.open("wb") if output else nullcontext(sys.stdout.buffer) as sink:
            sink.writelines(map(to_line, read_outcomes(directory, wanted)))
            sink.flush()
        return
    if shape == "parquet" and output is None:
        raise UsageError("--format parquet needs --output FILE")
    target = output or Path("/dev/stdout")
    copy_outcomes(directory, target, wanted, parquet=shape == "parquet")
