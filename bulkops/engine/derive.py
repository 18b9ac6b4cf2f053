"""
Make what follows from the log of a run: `outcomes.csv`, `failed.csv`, `summary.json`, the report.

None of it is the truth, and no fault in it changes how a run ended: the log is complete before.
A file that cannot be made is taken away, because one of an earlier end would say what is no longer
so.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb
import orjson

from bulkops.engine.report import Figures, count_lines, read_figures, write_report
from bulkops.errors import BulkopsError, ExitCode
from bulkops.files.database import said
from bulkops.files.failed_file import write_failed
from bulkops.files.outcomes import count_outcomes, write_outcomes
from bulkops.files.prepare import Prepared
from bulkops.files.rundir import RunDirectory
from bulkops.files.talk import Talk
from bulkops.files.told import telling

#: What programs read. Without one of them a finished run has not done all it should.
TABLES: Final = ("outcomes.csv", "failed.csv", "summary.json")
_REPORT: Final = "report.html"
_Made = TypeVar("_Made")


def derive(prepared: Prepared, code: ExitCode, *, finished: bool) -> None:
    """
    Write all of them, for a run that ended with `code`.

    A report that cannot be made, whatever the cause, is a warning that names the command for it.
    Raises `BulkopsError` where one of `TABLES` cannot be made of a `finished` run: somebody counts
    on it. Of another run that is a warning too: how it ended is worth more, and its next start
    makes them anew.
    """
    lost = _made(prepared)
    if not lost:
        return
    why = "; ".join(f"{name}: {words}" for name, words in lost.items())
    if finished:
        raise BulkopsError(
            f"{prepared.run.path}: every line is settled, and the log is complete (exit code "
            f"{int(code)}); but what follows from it cannot be written ({why}). Mend that, then "
            "run the same command again: it sends nothing."
        )
    Talk("bulkops.run").warning("tables.missing", why=why)


def _made(prepared: Prepared) -> Mapping[str, str]:
    """Write what can be written; return which of `TABLES` cannot, and why."""
    run, lost = prepared.run, dict[str, str]()
    failed, lines, counted = 0, list[dict[str, Any]](), None
    try:
        # Every line is looked at here, and let go of before the rest is made.
        with telling(run, prepared.rows) as told:
            with _whole(run.path / "outcomes.csv", lost) as part:
                told.answer(partial(write_outcomes, run, told, part))
            with _whole(run.path / "failed.csv", lost) as part:
                failed = told.answer(
                    partial(write_failed, run, prepared.description, target=part, told=told)
                )
            with _noted(run.path / "summary.json", lost):
                lines = told.answer(partial(count_outcomes, run, told))
            counted = _unless_faulty(run, lambda: told.answer(partial(count_lines, run, told)))
    except (OSError, duckdb.Error) as error:
        for name in TABLES:
            _lose(run.path / name, lost, error)
        _warn(run, error)
    figures = _unless_faulty(run, lambda: read_figures(run, counted)) if counted else None
    if "failed.csv" in lost:
        _take_away(run.path / "summary.json")
        lost["summary.json"] = "it tells of failed.csv"
    elif "summary.json" not in lost:
        with _whole(run.path / "summary.json", lost) as part:
            summary = _summary(prepared, figures, lines, failed=failed)
            part.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    if figures is not None:
        _report(run, figures)
    return lost


def derive_again(prepared: Prepared, code: ExitCode) -> None:
    """Make good, for a finished run that nobody holds, what an earlier end could not write."""
    if not is_derived(prepared.run):
        with prepared.run.locked():
            derive(prepared, code, finished=True)


def is_derived(run: RunDirectory) -> bool:
    """Whether all of `TABLES` are there, and none is older than the log."""
    try:
        logged = run.checkpoint.stat().st_mtime_ns
        return all((run.path / name).stat().st_mtime_ns >= logged for name in TABLES)
    except FileNotFoundError:
        return False


def _summary(
    prepared: Prepared,
    figures: Figures | None,
    lines: Sequence[Mapping[str, Any]],
    *,
    failed: int,
) -> dict[str, Any]:
    return {
        "run": prepared.run.name,
        "manifest": prepared.description["manifest"],
        "rows": prepared.rows,
        "not_in_wanted_state": failed,
        "outcomes": lines,
        **({"calls": figures.calls, "reads": figures.reads} if figures else {}),
        "plan": prepared.description["plan"]["summary"],
    }


@contextmanager
def _whole(target: Path, lost: dict[str, str]) -> Iterator[Path]:
    """Yield where to write `target`, and put it in its place if that succeeds."""
    part = target.with_name(f"{target.name}.new")
    with _noted(target, lost):
        try:
            yield part
            part.replace(target)
        except BaseException:
            _take_away(part)
            raise


@contextmanager
def _noted(target: Path, lost: dict[str, str]) -> Iterator[None]:
    """Let a fault of the block mean that `target` is lost."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        _lose(target, lost, error)


def _lose(target: Path, lost: dict[str, str], error: Exception) -> None:
    _take_away(target)
    words = said(error) if isinstance(error, duckdb.Error) else str(error)
    lost[target.name] = words.partition("\n")[0]


def _take_away(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _unless_faulty(run: RunDirectory, made: Callable[[], _Made]) -> _Made | None:
    """Return what `made` returns, for the report; `None`, with a warning, if it fails."""
    try:
        return made()
    except Exception as error:  # noqa: BLE001  (a report is worth no run)
        _warn(run, error)
        return None


def _report(run: RunDirectory, figures: Figures) -> None:
    try:
        write_report(run, figures=figures)
    except Exception as error:  # noqa: BLE001  (a report is worth no run)
        _warn(run, error)


def _warn(run: RunDirectory, error: Exception) -> None:
    """Say that there is no report, and what makes one."""
    for name in (f"{_REPORT}.part", _REPORT):
        _take_away(run.path / name)
    Talk("bulkops.run").warning(
        "report.missing",
        why=f"{type(error).__name__}: {error}".partition("\n")[0],
        next=f"bulkops report {shlex.quote(str(run.path))}",
    )
