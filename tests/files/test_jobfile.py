"""Job files: what they may say, and what they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.errors import ExitCode, UsageError
from bulkops.files.config import Config, load_config
from bulkops.files.jobfile import STDIN, Job, apply, load_job
from bulkops.files.limits_section import Limits

JOBS = Path(__file__).parents[2] / "jobs"


def job(folder: Path, text: str) -> Job:
    file = folder / "job.toml"
    file.write_text(text, encoding="utf-8")
    return load_job(file)


def refusal(folder: Path, text: str, config: Config | None = None) -> str:
    """Return the words with which a job is refused, without the path of the file."""
    with pytest.raises(UsageError) as caught:
        apply(job(folder, text), config or Config())
    assert caught.value.exit_code == ExitCode.USAGE
    return str(caught.value).replace(f"{folder / 'job.toml'}: ", "")


@pytest.mark.parametrize("file", sorted(JOBS.glob("*.toml")), ids=lambda file: file.name)
def test_every_job_of_the_repository_loads(file: Path) -> None:
    """The examples fit the default configuration, and the README has a row for each."""
    apply(load_job(file), Config())
    assert f"| `{file.name}` |" in (JOBS / "README.md").read_text()


def test_says_manifest_operation_columns_and_limits(tmp_path: Path) -> None:
    """The whole of a job file is read, and paths stand from its folder."""
    loaded = job(
        tmp_path,
        """
        operation = "link"
        manifest = "work/rows.csv"
        fields = ["list_price"]
        confirm = false
        [columns]
        record_id = "Deal Id"
        [fixed]
        module = "Deals"
        role_id = 4150870000000231001
        delete_previous_forecasts = true
        [limits]
        concurrency = 5
        """,
    )
    assert tmp_path / "work/rows.csv" == loaded.manifest
    assert tmp_path / "job.toml" == loaded.source
    assert (loaded.operation, loaded.fields, loaded.confirm) == ("link", ("list_price",), False)
    assert loaded.columns == {"record_id": "Deal Id"}
    assert loaded.fixed == {
        "module": "Deals",
        "role_id": "4150870000000231001",
        "delete_previous_forecasts": "true",
    }
    assert apply(loaded, Config()).limits.ceiling == 5


def test_a_manifest_is_all_it_needs(tmp_path: Path) -> None:
    """An absolute path and standard input are kept as they are; the rest has defaults."""
    loaded = job(tmp_path, 'manifest = "/data/rows.csv"')
    assert Path("/data/rows.csv") == loaded.manifest
    assert (
        loaded.operation,
        loaded.columns,
        loaded.fixed,
        loaded.fields,
        loaded.confirm,
    ) == ("", {}, {}, (), True)
    assert job(tmp_path, 'manifest = "-"').manifest == STDIN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'manifest: expected the path of a file, "-", or a list of such'),
        ("manifest = 3", 'manifest: expected the path of a file, "-", or a list of such'),
        ("manifest = []", 'manifest: expected the path of a file, "-", or a list of such'),
        ('manifest = ["a", 3]', 'manifest: expected the path of a file, "-", or a list of such'),
        ('manifest = "a"\nformat = "xlsx"', "format: expected 'csv', 'jsonl' or 'parquet'"),
        ('manifest = "a"\nmanifset = "b"', "manifset: unknown key; did you mean manifest?"),
        ('manifest = "a"\nsource = "b"', "source: unknown key; expected one of manifest, "),
        ('manifest = "a"\n[limit]\nattempts = 1', "limit: unknown key; did you mean limits?"),
        (
            'manifest = "a"\n[limits]\nconcurency = 1',
            "limits.concurency: unknown key; did you mean limits.concurrency?",
        ),
        ('manifest = "a"\noperation = "Delete all"', "operation: expected the name of an opera"),
        ('manifest = "a"\nconfirm = "no"', "confirm: expected true or false; found 'no'"),
        ('manifest = "a"\nfields = ["list price"]', "fields.0: expected API names of fields"),
        ('manifest = "a"\n[columns]\nrecord_id = 3', "columns.record_id: expected text"),
        ('manifest = "a"\n[columns]\nrecord_id = ""', "columns.record_id: expected the name of"),
        ('manifest = "a"\n[fixed]\nrecord_id = 4.15087E+18', "fixed.record_id: expected text"),
        (
            'manifest = "a"\n[columns]\nmodule = "M"\n[fixed]\nmodule = "Deals"',
            "module in [columns] and in [fixed]; expected one of them",
        ),
        ('manifest = "a"\n[stop]\nfailed_ratio = 2', "stop.failed_ratio: expected at most"),
        ('manifest = "a"\n[api]\nversion = "v9"', "api.version: expected a version of crm"),
        ("manifest = ", "is not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    """Each wrong or unknown key is refused at its name, and unknown ones with a suggestion."""
    assert refusal(tmp_path, text).startswith(words)


def test_holds_no_credentials(tmp_path: Path) -> None:
    """A job file is shared and versioned: secrets have no place in it, and are not repeated."""
    told = refusal(tmp_path, 'manifest = "a"\n[auth]\nrefresh_token = "hush"')
    assert told.startswith("auth: not allowed in a job")
    assert "hush" not in told


@pytest.mark.parametrize(
    ("allowed", "limits", "found", "configured"),
    [
        (Limits(), "concurrency = 21", "concurrency: found 21", "20"),
        (Limits(concurrency=5), 'edition = "ultimate"\nconcurrency = 6', "concurrency", "5"),
        (Limits(), 'edition = "ultimate"', "concurrency: found 25", "20"),
        (Limits(calls_per_second=5.0), "calls_per_second = 0.0", "calls_per_second", "5.0"),
        (Limits(calls_per_second=5.0), "calls_per_second = 6", "calls_per_second", "5.0"),
        (Limits(), "credits_per_day = 60000", "credits_per_day: found 60000", "50000"),
        (Limits(), 'leave_credits = "10%"', "leave_credits: found 10%", "20%"),
        (Limits(), 'leave_credits = "9999"', "leave_credits: found 9999", "20%"),
        (Limits(), "attempts = 7", "attempts: found 7", "6"),
        (Limits(), "timeout_s = 61", "timeout_s: found 61.0", "60.0"),
        (Limits(ids_per_call=50), "ids_per_call = 51", "ids_per_call: found 51", "50"),
        (
            Limits(territory_records_per_call=10),
            'territory_records_per_call = "auto"',
            "territory_records_per_call: found auto",
            "10",
        ),
        (Limits(), "contact_roles_bulk = true", "contact_roles_bulk: found true", "false"),
    ],
)
def test_limits_are_never_raised(
    tmp_path: Path, allowed: Limits, limits: str, found: str, configured: str
) -> None:
    """The refusal names the key and both numbers."""
    told = refusal(tmp_path, f'manifest = "a"\n[limits]\n{limits}', Config(limits=allowed))
    assert told.startswith(f"limits.{found}")
    assert f"but the configuration has {configured}; a job may lower" in told


@pytest.mark.parametrize("key", ["ledger", "organisation"])
def test_a_job_keeps_to_the_ledger_of_the_configuration(tmp_path: Path, key: str) -> None:
    """With one of its own it could spend the organisation's credits a second time."""
    told = refusal(tmp_path, f'manifest = "a"\n[limits]\n{key} = "mine"', Config())
    assert told.startswith(f"limits.{key}: not allowed in a job")


def test_limits_may_be_lowered(tmp_path: Path) -> None:
    """Every limit at once, however it is written."""
    lower = """
    manifest = "a"
    [limits]
    edition = "free"
    concurrency = 4
    calls_per_second = 2.5
    credits_per_day = 4000
    leave_credits = "15000"
    attempts = 1
    timeout_s = 5
    ids_per_call = 10
    territory_records_per_call = 10
    """
    with pytest.raises(UsageError, match="leaves nothing to use of 4000 credits"):
        apply(job(tmp_path, lower), Config())
    result = apply(job(tmp_path, lower.replace("15000", "50%")), Config())
    assert (
        result.limits.ceiling,
        result.limits.credits,
        result.limits.leave(result.limits.credits),
    ) == (4, 4000, 2000)


def test_tables_win_key_by_key(tmp_path: Path) -> None:
    """What a job does not say stays as configured, secrets and the source included."""
    file = tmp_path / "config.toml"
    file.write_text('[run]\ndirectory = "/kept"\nwindow = "22:00-06:00"\n[relations]\n"A.B" = ""')
    environ = {"BULKOPS_AUTH__CLIENT_ID": "1000.ID", "BULKOPS_API__DATA_CENTER": "eu"}
    config = load_config(file, environ)
    loaded = job(tmp_path, 'manifest = "a"\n[run]\nwindow = ""\n[relations]\n"C.D" = ""')
    result = apply(loaded, config)
    assert (Path("/kept"), "") == (result.run.directory, result.run.window)
    assert result.relations == {"A.B": "", "C.D": ""}
    assert ("eu", config.auth, file) == (result.api.data_center, result.auth, result.source)


def test_a_job_may_be_for_the_other_product(tmp_path: Path) -> None:
    """Bigin's own version and edition come with it, since the configuration names none."""
    result = apply(job(tmp_path, 'manifest = "a"\n[api]\nproduct = "bigin"'), Config())
    assert (
        result.api.version,
        result.limits.edition,
        result.limits.ceiling,
    ) == ("v2", "express", 5)
