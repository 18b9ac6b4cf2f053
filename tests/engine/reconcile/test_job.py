"""Job files of a reconciliation: `desired` in place of `manifest`, and its scope."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.errors import UsageError
from bulkops.files.config import Config
from bulkops.files.jobfile import Job, apply, load_job


def _job(folder: Path, text: str) -> Job:
    file = folder / "job.toml"
    file.write_text(text, encoding="utf-8")
    return load_job(file)


def test_says_what_should_be_and_for_what(tmp_path: Path) -> None:
    """Paths stand from the folder of the job; the guards are tables of the configuration."""
    job = _job(
        tmp_path,
        'desired = ["a.csv", "b.csv"]\nparents = "p.csv"\nactual = "x.csv"\n'
        'territories = ["101"]\n[reconcile]\nprune = true\nmax_change = "0.5%"\n',
    )
    assert job.reconciles
    assert (tmp_path / "a.csv", tmp_path / "b.csv") == job.manifest
    assert (tmp_path / "p.csv", tmp_path / "x.csv") == (job.parents, job.actual)
    assert ("101",) == job.territories
    rules = apply(job, Config()).reconcile
    assert (True, "0.5%", 500) == (rules.prune, rules.max_change, rules.max_unlink)


def test_other_jobs_do_not_reconcile(tmp_path: Path) -> None:
    """A manifest stays a manifest."""
    assert not _job(tmp_path, 'manifest = "a.csv"').reconciles


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('desired = "a.csv"\nmanifest = "b.csv"', "desired: with manifest; expected one of them"),
        ('desired = "a.csv"\noperation = "link"', "operation with desired"),
        ('manifest = "a.csv"\nparents = "p.csv"', "parents without desired"),
        ("desired = 5", "desired: expected the path of a file"),
        ('desired = "a.csv"\nterritories = ["x"]', "expected an id as text"),
        ('desired = "a.csv"\n[reconcile]\nprun = true', "did you mean reconcile.prune"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    """What contradicts itself is no job."""
    with pytest.raises(UsageError, match=words):
        apply(_job(tmp_path, text), Config())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_change", "2"),
        ("max_change", True),
        ("max_deviation", "-1%"),
        ("max_unlink", -2),
        ("max_age_h", 0),
    ],
)
def test_a_limit_that_says_nothing_is_refused(key: str, value: object) -> None:
    """A share needs its sign, and no limit is said by "" or -1 alone."""
    with pytest.raises(ValueError, match=key):
        Config.model_validate({"reconcile": {key: value}})
