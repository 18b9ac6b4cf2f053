"""
Job files: which manifest, which operation, and which limits, written down to be run again.

A job file has the tables of the configuration but `[auth]`, and may lower `[limits]`. This module
reads one and lays it over a configuration; it neither looks for the manifest nor runs anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from bulkops.errors import UsageError
from bulkops.files.config import Config, usage_error
from bulkops.files.config_tables import merged, read_toml
from bulkops.files.hooks_section import SECRET
from bulkops.files.job_words import Column, FieldName, Id, JobName, Text, job_name
from bulkops.files.manifest import Format
from bulkops.files.sections import Section

#: The tables of the configuration that a job may speak of.
TABLES: Final = tuple(name for name in Config.model_fields if name != "auth")
#: A manifest that is standard input.
STDIN: Final = Path("-")


class Job(Section):
    """
    A job file, read but not yet laid over a configuration.

    `manifest`, a file or several, stands relative to the working directory if the path of the job
    file does; `STDIN` is kept as it is, and a pattern is not spelled out. `format` says what the
    files are, if not their names. `operation` is empty if the manifest has an `op` column.
    `columns` says which of the manifest's own columns each of ours is, `fixed` fills ours with
    one value in every row, and `fields` are the columns that `link` sends as relation fields.
    `tables` are the tables of the configuration, as written.

    A job file with `desired` in place of `manifest` is one of a reconciliation (`reconciles`), and
    `manifest` is that file here; `parents`, `actual` and `territories` are for it alone. One with
    `retry` names other jobs, and has no manifest: it is what their last runs left.

    `each` says what makes a run of its own: another manifest, another day, or every start. `keep`
    is how long its finished runs are kept, `if_locked` what a start does while another runs, and
    `include_failed` adds what the last run left.
    """

    source: Path
    tables: Mapping[str, Any]
    manifest: Path | tuple[Path, ...]
    format: Format | None = None
    operation: str = ""
    columns: Mapping[Column, Column] = Field(default_factory=dict)
    fixed: Mapping[Column, Text] = Field(default_factory=dict)
    fields: tuple[FieldName, ...] = ()
    confirm: StrictBool = True
    reconciles: bool = False
    parents: Path | None = None
    actual: Path | None = None
    territories: tuple[Id, ...] = ()
    each: Literal["manifest", "day", "run"] = "manifest"
    keep: str = ""
    if_locked: Literal["fail", "wait", "skip"] = "fail"
    include_failed: StrictBool = False
    retry: tuple[JobName, ...] = ()

    @field_validator("retry")
    @classmethod
    def _some(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("expected names of jobs")
        return names

    @property
    def name(self) -> str:
        """The job's name: the stem of its file, as the names of its runs begin."""
        return job_name(self.source)

    @property
    def days_kept(self) -> int | None:
        """For how many days finished runs are kept; `None` for ever."""
        return int(self.keep[:-1]) if self.keep else None

    @field_validator("keep")
    @classmethod
    def _days(cls, keep: str) -> str:
        if keep and not re.fullmatch(r"[1-9]\d{0,4}d", keep, re.ASCII):
            raise ValueError('expected a number of days such as "90d", or "" for ever')
        return keep

    @field_validator("operation")
    @classmethod
    def _one_word(cls, operation: str) -> str:
        if not re.fullmatch(r"([a-z][a-z_]*)?", operation):
            raise ValueError('expected the name of an operation, such as "unlink"')
        return operation

    @model_validator(mode="after")
    def _one_origin_each(self) -> Self:
        twice = sorted(self.columns.keys() & self.fixed.keys())
        if twice:
            raise ValueError(
                f"{', '.join(twice)} in [columns] and in [fixed]; expected one of them"
            )
        return self

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.reconciles and self.operation:
            raise ValueError("operation with desired; what is done follows from the difference")
        scope = [name for name in _OF_RECONCILIATIONS if getattr(self, name)]
        if scope and not self.reconciles:
            raise ValueError(
                f"{', '.join(scope)} without desired; expected it in place of manifest"
            )
        if self.reconciles and (self.each != "manifest" or self.include_failed):
            raise ValueError("each or include_failed with desired; every reading is a run anyway")
        if self.include_failed and self.each == "manifest":
            raise ValueError('include_failed needs runs of their own: each = "day" or "run"')
        if self.include_failed and self.format not in {None, Format.CSV}:
            raise ValueError("include_failed with format; what a run leaves is CSV")
        surplus = [name for name in _OF_MANIFESTS if getattr(self, name)]
        if self.retry and (surplus or self.each == "manifest"):
            said = ", ".join(surplus) or 'each = "manifest"'
            raise ValueError(f"{said} with retry; rows and options are those of the runs it takes")
        return self


_OF_RECONCILIATIONS: Final = ("parents", "actual", "territories")
_OF_MANIFESTS: Final = (
    *("manifest", "format", "operation", "columns", "fixed", "fields", "include_failed"),
    "reconciles",
)
_KEYS: Final = (
    *(name for name in Job.model_fields if name not in {"source", "tables", "reconciles"}),
    "desired",
)


def load_job(path: Path) -> Job:
    """
    Read a job file.

    Raises `UsageError` for a file that cannot be read, an unknown key, or a value that no
    configuration could make right; the rest is judged by `apply`.
    """
    content, _ = read_toml(path)
    _refuse_unknown(path, content)
    tables = {name: content[name] for name in TABLES if name in content}
    own = {name: content[name] for name in _KEYS if name in content}
    own["reconciles"] = own.pop("desired", None) is not None
    if own["reconciles"] and "manifest" in content:
        raise UsageError(f"{path}: desired: with manifest; expected one of them")
    kind = "desired" if own["reconciles"] else "manifest"
    if "retry" in content:
        own = {"each": "run", "manifest": (), **own}
    if "retry" not in content or kind in content:
        own["manifest"] = _manifest(path, content.get(kind), kind=kind)
    for name in ("parents", "actual"):
        if name in content:
            found = _manifest(path, content[name], kind=name)
            own[name] = found if isinstance(found, Path) else content[name]
    try:
        job = Job.model_validate({**own, "source": path, "tables": tables})
    except ValidationError as error:
        raise usage_error(error, origin=lambda _: str(path)) from None
    try:
        Config.model_validate(tables)
    except ValidationError as error:
        if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
            raise usage_error(error, origin=lambda _: str(path)) from None
    return job


def _manifest(path: Path, said: object, *, kind: str) -> Path | tuple[Path, ...]:
    """Return the manifest of the job file at `path`: a file, or several from a list."""
    several: list[Any] = said if isinstance(said, list) else [said]
    if not several or not all(isinstance(each, str) and each for each in several):
        raise UsageError(f'{path}: {kind}: expected the path of a file, "-", or a list of such')
    words = [Path(each).expanduser() for each in several]
    found = tuple(word if word == STDIN else path.parent / word for word in words)
    return found if isinstance(said, list) else found[0]


def apply(job: Job, config: Config) -> Config:
    """
    Return `config` with the tables of `job` laid over it.

    Raises `UsageError` where the result is no configuration, or where the job would raise one
    of `[limits]`; compared is what the limits come to, not how they are written.
    """
    try:
        result = Config.model_validate(merged(config.model_dump(exclude_unset=True), job.tables))
    except ValidationError as error:
        raise usage_error(error, origin=lambda _: str(job.source)) from None
    for key in ("ledger", "organisation"):
        if getattr(result.limits, key) != getattr(config.limits, key):
            raise UsageError(
                f"{job.source}: limits.{key}: not allowed in a job, which could spend the "
                "organisation's credits twice with it; it stands in the configuration"
            )
    allowed = config.limits.reach(config.limits.credits)
    wanted = result.limits.reach(config.limits.credits)
    for key, (shown, number) in wanted.items():
        if number > allowed[key][1]:
            raise UsageError(
                f"{job.source}: limits.{key}: found {shown}, but the configuration has "
                f"{allowed[key][0]}; a job may lower [limits], never raise them"
            )
    return result.read_from(config.source)


def _refuse_unknown(path: Path, content: Mapping[str, Any]) -> None:
    if "auth" in content:
        raise UsageError(
            f"{path}: auth: not allowed in a job; secrets stand in the environment or in a "
            "configuration file for its owner alone"
        )
    hooks = content.get("hooks")
    if isinstance(hooks, Mapping) and SECRET in hooks:
        raise UsageError(
            f"{path}: hooks.{SECRET}: not allowed in a job; secrets stand in the environment or in "
            "a configuration file for its owner alone"
        )
    known = (*_KEYS, *TABLES)
    for key in content:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            mend = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise UsageError(f"{path}: {key}: unknown key; {mend}")
