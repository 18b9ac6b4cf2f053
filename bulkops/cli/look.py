"""
The verbs that look at what a run has written: `outcomes`, and `repair` for a damaged log.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from errno import EPIPE
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from bulkops.cli.common import ConfigPath, begin, named_run, talk
from bulkops.cli.console import say
from bulkops.cli.log import json_printable
from bulkops.errors import BulkopsError, UsageError
from bulkops.files.outcomes import copy_outcomes, read_outcomes, to_line
from bulkops.files.repair import repair
from bulkops.files.rundir import RunDirectory
from bulkops.model import Status

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run, by name or directory.")]
_FORMATS = ("jsonl", "csv", "parquet")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file to `app`."""
    app.command("outcomes")(outcomes)
    app.command("repair")(repair_log)


def repair_log(run: RunArgument, *, config: ConfigPath = None) -> None:
    """
    Mend a damaged log: keep what stands before the damage, and say what is lost.
    """
    loaded, _ = begin(config, verbose=0, quiet=False)
    directory = named_run(loaded, run)
    with directory.locked():
        done = repair(directory)
    if done.aside is None:
        say(f"{directory.checkpoint}: no damage found; nothing was changed")
        return
    say(
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
    if shape == "parquet" and output is None:
        raise UsageError("--format parquet needs --output FILE")
    with _writing(output):
        if output is None and sys.stdout.isatty():
            _onto_terminal(directory, wanted, shape)
        elif shape == "jsonl":
            with output.open("wb") if output else nullcontext(sys.stdout.buffer) as sink:
                sink.writelines(map(to_line, read_outcomes(directory, wanted)))
                sink.flush()
        else:
            target = output or Path("/dev/stdout")
            copy_outcomes(directory, target, wanted, parquet=shape == "parquet")


def _onto_terminal(run: RunDirectory, statuses: tuple[str, ...], shape: str) -> None:
    """Print outcomes where somebody looks at them: nothing that a terminal acts upon."""
    if shape == "jsonl":
        for each in read_outcomes(run, statuses):
            typer.echo(json_printable(to_line(each).decode().removesuffix("\n")))
        return
    with tempfile.TemporaryDirectory(prefix="bulkops-") as folder:
        file = Path(folder) / "outcomes.csv"
        copy_outcomes(run, file, statuses)
        with file.open(encoding="utf-8", newline="") as lines:
            for line in lines:
                say(line.rstrip("\n"))


@contextmanager
def _writing(output: Path | None) -> Iterator[None]:
    """Tell in words that what the block writes cannot be written; a reader who left is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, duckdb.IOException) as error:
        if "Broken pipe" in str(error):
            raise BrokenPipeError(EPIPE, "nobody reads") from None
        where = output or "standard output"
        raise BulkopsError(f"{where}: the outcomes cannot be written: {error}") from None
