"""
The verbs that look at what a run has written: `outcomes`, and `repair` for a damaged log.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

import bulkops
from bulkops import Repaired, Status
from bulkops.cli.common import AsJson, ConfigPath, RunArgument, begin, print_json, talk
from bulkops.cli.console import say
from bulkops.cli.log import json_printable
from bulkops.errors import UsageError
from bulkops.library.outcome_rows import Shape, outcome_lines, writing

_FORMATS = ("jsonl", "csv", "parquet")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("outcomes")(outcomes)
    app.command("repair")(repair_log)


def repair_log(run: RunArgument, *, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """
    Mend a damaged log: keep what stands before the damage, and say what is lost.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    directory = bulkops.find_run(run, loaded)
    done, log = bulkops.repair(directory), directory / "checkpoint.jsonl"
    if as_json:
        return print_json(_repair_json(directory, log, done))
    if done.aside is None:
        say(f"{log}: no damage found; nothing was changed")
        return None
    say(
        f"{log}: kept {done.kept_bytes:,} bytes; lost {done.lost_bytes:,} bytes, "
        f"{done.lost_lines:,} lines, {done.lost_outcomes:,} of them outcomes. The damaged log is "
        f"kept as {done.aside.name}. Run the same command again: what the lost lines said is found "
        "out anew."
    )
    return None


def _repair_json(run: Path, log: Path, done: Repaired) -> dict[str, object]:
    """Return what was repaired in its machine-readable form."""
    return {
        "v": 1,
        "run": str(run),
        "log": str(log),
        "damaged": done.aside is not None,
        **asdict(done),
        "aside": None if done.aside is None else str(done.aside),
    }


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
    as_json: AsJson = False,
) -> None:
    """
    Print what became of every row, in manifest order.

    With --json too a line is an object; with --output, one object says where they are.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    directory = bulkops.find_run(run, loaded)
    wanted = tuple(each for each in statuses.split(",") if each)
    for each in wanted:
        if each not in set(Status):
            raise UsageError(f"--status {each}: expected {', '.join(Status)}")
    if shape not in _FORMATS:
        raise UsageError(f"--format {shape}: expected {', '.join(_FORMATS)}")
    if as_json and output is None and shape != "jsonl":
        raise UsageError(f"--json with --format {shape}: expected --output FILE, or jsonl")
    if not (directory / "checkpoint.jsonl").exists():
        talk().print(f"run {directory.name} has not begun; there are no outcomes yet")
        if as_json and output is not None:
            print_json({"v": 1, "run": str(directory), "file": None, "format": shape})
        return
    if shape == "parquet" and output is None:
        raise UsageError("--format parquet needs --output FILE")
    if output is None and sys.stdout.isatty():
        _onto_terminal(directory, wanted, shape)
    elif output is None and shape == "jsonl":
        bulkops.write_outcomes(directory, sys.stdout.buffer, status=wanted)
    else:
        target = output or Path("/dev/stdout")
        bulkops.write_outcomes(directory, target, shape=cast("Shape", shape), status=wanted)
    if as_json and output is not None:
        print_json({"v": 1, "run": str(directory), "file": str(output), "format": shape})


def _onto_terminal(run: Path, statuses: tuple[str, ...], shape: str) -> None:
    """Print outcomes where somebody looks at them: nothing that a terminal acts upon."""
    if shape == "jsonl":
        with writing(None):
            for each in outcome_lines(run, status=statuses):
                typer.echo(json_printable(each.decode().removesuffix("\n")))
        return
    with tempfile.TemporaryDirectory(prefix="bulkops-") as folder:
        file = Path(folder) / "outcomes.csv"
        bulkops.write_outcomes(run, file, shape="csv", status=statuses)
        with writing(None), file.open(encoding="utf-8", newline="") as lines:
            for line in lines:
                say(line.rstrip("\n"))
