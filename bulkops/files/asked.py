"""
What is asked to be done: a manifest and how to read it, from the command line or a job file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bulkops.errors import UsageError
from bulkops.files import jobfile
from bulkops.files.config import Config
from bulkops.files.inputs import Input
from bulkops.files.manifest import Format
from bulkops.files.rundir import digest_of


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What the command line or a job file asks to be done.

    `manifest` is a file, or several: paths, patterns of them, and `-` for standard input.
    `file_format` says what they all are, whatever they are called. `job` is the job file that it
    comes from, and `retries` are the runs beside this one whose rows are tried again.
    """

    manifest: Path | tuple[Path, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    confirm: bool = True
    file_format: Format | None = None
    job: jobfile.Job | None = None
    retries: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The manifest as it was named: one word, or several."""
        return self.manifest if isinstance(self.manifest, tuple) else (self.manifest,)


def ask(
    target: Path | tuple[Path, ...],
    config: Config,
    *,
    op: str | None,
    fixed: Mapping[str, str],
    columns: Mapping[str, str],
    fields: tuple[str, ...],
    file_format: Format | None = None,
) -> tuple[Asked, Config]:
    """
    Return what is asked, and the configuration to do it with, from a manifest or a job file.

    The command line's words come before the job's. Raises `UsageError` for a job that does not
    fit the configuration, or that is not given alone.
    """
    given = {**fixed, **({"op": op} if op else {})}
    targets = target if isinstance(target, tuple) else (target,)
    jobs = [each for each in targets if each.suffix == ".toml"]
    if not jobs:
        manifest = targets[0] if len(targets) == 1 else targets
        return Asked(manifest, columns, given, fields, file_format=file_format), config
    if len(targets) > 1:
        raise UsageError(f"{jobs[0]}: a job file names its own manifest; expected it alone")
    job = jobfile.load_job(jobs[0])
    by_job = {**job.fixed, **({"op": job.operation} if job.operation else {})}
    asked = Asked(
        job.manifest,
        {**job.columns, **columns},
        {**by_job, **given},
        (*job.fields, *fields),
        job.confirm,
        file_format or job.format,
        job,
    )
    return asked, jobfile.apply(job, config)


def digest_asked(source: Input, asked: Asked, config: Config) -> str:
    """Return a digest of the manifest and of all that changes its plan."""
    return digest_of(
        source.manifest.sha256,
        dict(asked.columns),
        dict(asked.fixed),
        list(asked.fields),
        config.digest_options(),
        *([asked.file_format.value] if asked.file_format else []),
    )
