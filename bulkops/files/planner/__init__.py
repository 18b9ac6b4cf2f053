"""
Make the plan of a manifest: every row judged, compared, and packed into calls.

Works in DuckDB, which spills to disk beyond its memory limit; never touches the network. The
plan is made once and stored in the run directory; a row that is not to be sent is in it too,
with the reason.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb

from bulkops.errors import BulkopsError, ManifestError, UsageError
from bulkops.files.database import said
from bulkops.files.manifest import Manifest, Source, load, suggest
from bulkops.files.planner.batches import digest, write_plan
from bulkops.files.planner.judge import mirrors
from bulkops.files.planner.kinds import describe_kinds
from bulkops.files.planner.pack import pack
from bulkops.files.planner.refuse import find_circles, mark
from bulkops.files.planner.rows import (
    id_columns,
    known_columns,
    refused_beside,
    relation_fields,
    write_refused,
)
from bulkops.files.planner.sides import add_other_sides, choose_sides, either_side
from bulkops.files.planner.sound import sort_out
from bulkops.files.planner.summary import Summary, summarise
from bulkops.files.planner.wishes import compare
from bulkops.rules.operations import OPS, SPECS
from bulkops.rules.phases import Phase, Told, nobody
from bulkops.rules.spec import CallLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    How the manifest is to be read and what limits its calls; all of it changes the plan.

    `columns` maps a column of ours to the manifest's; `fixed` sets one for every row; `fields`
    names further columns that are relation fields of a link.
    """

    product: str = "crm"
    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    fields: Sequence[str] = ()
    limits: CallLimits = field(default_factory=CallLimits)
    relations: Mapping[str, str] = field(default_factory=dict)
    last_wins: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """
    A stored plan: how many rows it speaks of, its digest, and its numbers.

    `counts` are the rows of each file of the manifest.
    """

    rows: int
    digest: str
    own_columns: tuple[str, ...]
    summary: Summary
    counts: tuple[int, ...] = ()


def make_plan(
    source: Manifest,
    wanted: Wanted,
    *,
    plan: Path,
    rows: Path,
    memory: str = "512MB",
    temp_directory: Path | None = None,
    told: Told = nobody,
) -> Planned:
    """
    Plan `source` and store the batches at `plan` and its rows at `rows`.

    Beside the rows stands which of them are not sent (see `rows.py`). `told` hears of every phase.
    Raises `ManifestError` where the manifest cannot be read or lacks a column that its one
    operation needs, and `UsageError` for an unknown name in `wanted`; no file is left then.
    """
    known = known_columns()
    _check_names(wanted, known)
    try:
        return _plan(
            source,
            wanted,
            known,
            plan=plan,
            rows=rows,
            memory=memory,
            temp_directory=temp_directory,
            told=told,
        )
    except duckdb.OutOfMemoryException as error:
        raise UsageError(
            f"{source.path}: planning it needs more than {memory} of memory; raise `memory` in "
            "[plan], or give `temp_directory` a folder with more room"
        ) from error
    except duckdb.Error as error:
        raise _failed(source, said(error), temp_directory or plan.parent) from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        words = error.strerror or str(error)
        raise _failed(source, words, temp_directory or plan.parent) from error


def _failed(source: Manifest, words: str, folder: Path) -> BulkopsError:
    return BulkopsError(
        f"{source.path}: planning failed ({words}). Is there room in {folder}? `temp_directory` in "
        "[plan] names another folder"
    )


def _plan(
    source: Manifest,
    wanted: Wanted,
    known: Sequence[str],
    *,
    plan: Path,
    rows: Path,
    memory: str,
    temp_directory: Path | None,
    told: Told,
) -> Planned:
    # DuckDB takes what follows a question mark in a path for options.
    room = None if "?" in str(temp_directory) else temp_directory
    with (
        _whole_or_none(plan, rows, refused_beside(rows)),
        tempfile.TemporaryDirectory(prefix="bulkops-", dir=room) as scratch,
        duckdb.connect(str(Path(scratch) / "plan.duckdb")) as connection,
    ):
        connection.execute("SET memory_limit = ?", [memory])
        connection.execute("SET temp_directory = ?", [scratch])
        told(Phase.READING, 0)
        loaded = load(
            connection,
            source,
            table="manifest",
            known=known,
            fields=relation_fields(wanted.columns, wanted.fixed, wanted.fields),
            columns=wanted.columns,
            fixed=wanted.fixed,
            ids=id_columns(),
            file=rows,
            heard=partial(told, Phase.READING),
        )
        for each in source.sources:
            _check_columns(each, wanted, known)
        folder = Path(scratch)
        count = loaded.rows + loaded.refused
        told(Phase.JUDGING, count)
        edges = sort_out(
            connection, product=wanted.product, relations=wanted.relations, folder=folder
        )
        sides = either_side(mirrors(wanted.relations), wanted.relations)
        add_other_sides(connection, sides)
        describe_kinds(connection, mirrors=mirrors(wanted.relations), limits=wanted.limits)
        told(Phase.COMPARING, count)
        compare(connection, edges, last_wins=wanted.last_wins)
        steps = find_circles(connection, edges)
        mark(connection)
        connection.execute(
            "CREATE TEMP VIEW sendable AS FROM edges ANTI JOIN refusals USING (line)"
        )
        told(Phase.CHOOSING, count)
        relations = choose_sides(connection, sides)
        told(Phase.PACKING, count)
        placed = pack(connection, edges, rows="turned", steps=steps, folder=folder)
        told(Phase.WRITING, count)
        write_plan(connection, edges, rows=placed, plan=plan, folder=folder)
        write_refused(connection, rows)
        learns = (
            [spec.op for spec in SPECS.values() if spec.learns_capacity]
            if wanted.limits.territory_records_per_call is None
            else []
        )
        return Planned(
            count,
            digest(connection, edges, plan),
            loaded.own_columns,
            summarise(connection, learns=learns, relations=relations),
            loaded.counts,
        )


@contextmanager
def _whole_or_none(*files: Path) -> Iterator[None]:
    """Leave none of `files` behind if the block fails."""
    try:
        yield
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise


def _check_names(wanted: Wanted, known: Sequence[str]) -> None:
    allowed = {*known, *relation_fields({}, (), wanted.fields)}
    for name in [*wanted.columns, *wanted.fixed]:
        if name not in allowed:
            raise UsageError(
                f"{name!r} is not a column that bulkops reads; expected one of {', '.join(known)}"
            )
    op = wanted.fixed.get("op")
    if op is not None and op not in OPS:
        raise UsageError(f"{op!r} is not an operation; expected one of {', '.join(OPS)}")


def _check_columns(source: Source, wanted: Wanted, known: Sequence[str]) -> None:
    """Refuse a manifest that can hold no row of what is asked, before a million rows say so."""
    if source.header == ():
        return
    present = {*source.header, *wanted.columns, *wanted.fixed}
    op = wanted.fixed.get("op")
    needed = (
        [["op"]]
        if op is None
        else [
            [column.name for column in spec.columns if column.required]
            for spec in SPECS.values()
            if spec.op == op
        ]
    )
    missing = [name for name in needed[0] if name not in present]
    if not missing:
        return
    hints = [
        f"{theirs!r} looks like {ours}: --map {ours}={theirs!r}"
        for theirs, ours in suggest(source.header, known).items()
        if ours not in present
    ]
    how = "; ".join(hints) or (
        "give it with --op" if missing == ["op"] else "give them with --map or --set"
    )
    if not any(column in known for column in source.header) and not hints:
        how += "; or is the first line no header?"
    raise ManifestError(
        f"{source.path}: found columns {', '.join(source.header)}; "
        f"expected also {', '.join(missing)} ({how})"
    )
