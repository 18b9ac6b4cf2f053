"""Finding or making the run that a command asks for."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from bulkops.errors import (
    ExitCode,
    LockedError,
    ManifestError,
    PlanStaleError,
    UsageError,
)
from bulkops.files import prepare as preparing
from bulkops.files.config import Config
from bulkops.files.jobfile import load_job
from bulkops.files.plan_file import read_batches
from bulkops.files.planner import make_plan
from bulkops.files.prepare import Asked, Prepared, ask, prepare
from bulkops.files.rundir import RunDirectory
from tests.files.planner.remembered import remembering

_HEADER = "op,module,record_id,related_list,related_id\n"
_ROWS = "unlink,Leads,1,Campaigns,2\nunlink,Leads,1,Campaigns,3\n"


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plan each manifest of this file once, whatever the number of its runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "make_plan", remembering(tmp_path_factory.mktemp("plans")))
        yield


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The directories of the runs that were planned, in order; not those that were found."""
    found: list[Path] = []
    make = preparing.make_plan

    def noting(*args: Any, plan: Path, **kwargs: Any) -> Any:
        found.append(plan.parent)
        return make(*args, plan=plan, **kwargs)

    monkeypatch.setattr(preparing, "make_plan", noting)
    return found


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "my leads.2026.csv"
    file.write_text(_HEADER + _ROWS, encoding="utf-8")
    return file


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Config]:
    """Return a function that makes a configuration whose runs live in the test's folder."""

    def made(**tables: Mapping[str, Any]) -> Config:
        run = {"directory": str(tmp_path / "runs"), **tables.pop("run", {})}
        return Config.model_validate({"run": run, **tables})

    return made


@pytest.fixture
def config(configured: Callable[..., Config]) -> Config:
    return configured()


def begin(prepared: Prepared, *settled: int) -> None:
    """Write the log of a run that has settled these lines, as a runner would."""
    head = {"type": "run", "v": 1, "plan": prepared.digest, "rows": prepared.rows}
    outcomes = [{"type": "outcome", "line": line, "status": "succeeded"} for line in settled]
    prepared.run.checkpoint.write_bytes(
        b"".join(orjson.dumps(each) + b"\n" for each in [head, *outcomes])
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_command_finds_the_same_run(
    manifest: Path, config: Config, planned: list[Path]
) -> None:
    """The plan is made once; asked again, it is read, and nothing on the disk is touched."""
    first = prepare(Asked(manifest), config)
    before = contents(first.run.path)
    second = prepare(Asked(manifest), config)

    assert [first.run.path] == planned
    assert first.run == second.run
    assert (first.summary, first.rows, first.digest) == (
        second.summary,
        second.rows,
        second.digest,
    )
    assert before == contents(second.run.path)


def test_a_run_has_a_folder_of_its_owner_alone(manifest: Path, config: Config) -> None:
    """The name is the manifest's stem and a digest; the folder is `0700`."""
    run = prepare(Asked(manifest), config).run

    assert config.run.directory == run.path.parent
    assert "my-leads" == run.name.rpartition("-")[0]
    assert 8 == len(run.name.rpartition("-")[2])
    assert 0o700 == stat.S_IMODE(run.path.stat().st_mode)


def test_a_run_says_what_was_asked_and_no_secret(
    manifest: Path, configured: Callable[..., Config]
) -> None:
    """`run.json` has manifest, options, configuration and plan, and nothing of `[auth]`."""
    secrets = ("client_id", "client_secret", "refresh_token", "access_token")
    config = configured(auth={name: f"secret-{name}" for name in secrets})
    asked = Asked(manifest, columns={"record_id": "record_id"}, fixed={"op": "unlink"})
    prepared = prepare(asked, config)
    text = prepared.run.description.read_text(encoding="utf-8")
    found = orjson.loads(text)

    assert "secret-" not in text
    assert str(manifest.absolute()) == found["manifest"]["path"]
    assert manifest.stat().st_size == found["manifest"]["size"]
    assert 64 == len(found["manifest"]["sha256"])
    assert {
        "columns": {"record_id": "record_id"},
        "fixed": {"op": "unlink"},
        "fields": [],
    } == found["asked"]
    assert 2 == found["plan"]["rows"]
    assert _HEADER.strip().split(",") == found["plan"]["own_columns"]
    assert "crm" == found["config"]["api"]["product"]


def test_the_order_of_options_makes_no_difference(manifest: Path, config: Config) -> None:
    """The same options in another order find the same run."""
    one = {"op": "unlink", "module": "Leads"}
    other = dict(reversed(one.items()))

    assert (
        prepare(Asked(manifest, fixed=one), config).run
        == prepare(Asked(manifest, fixed=other), config).run
    )


#: Options that do not change a plan, and options that do: what is asked, and the configuration.
SAME: Mapping[str, Mapping[str, Any]] = {
    "concurrency": {"limits": {"concurrency": 3}},
    "timeout": {"limits": {"timeout_s": 5.0}},
    "stop": {"stop": {"failed_ratio": 0.5}},
    "auth": {"auth": {"access_token": "another"}},
    "memory": {"plan": {"memory": "1GB"}},
}
OTHER: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "set": ({"fixed": {"related_list": "Products"}}, {}),
    "map": ({"columns": {"record_id": "related_id"}}, {}),
    "field": ({"fields": ("note",)}, {}),
    "ids": ({}, {"limits": {"ids_per_call": 1}}),
    "records": ({}, {"limits": {"territory_records_per_call": 10}}),
    "bulk": ({}, {"limits": {"contact_roles_bulk": True}}),
    "last": ({}, {"run": {"on_conflict": "last"}}),
    "relations": ({}, {"relations": {"Accounts.Notes": ""}}),
    "version": ({}, {"api": {"version": "v7"}}),
    "product": ({}, {"api": {"product": "bigin"}}),
}


def test_what_does_not_change_the_plan_finds_the_same_run(
    manifest: Path, configured: Callable[..., Config], planned: list[Path]
) -> None:
    """A run goes on with another speed, another token, or another threshold."""
    first = prepare(Asked(manifest), configured())
    found = {name: prepare(Asked(manifest), configured(**tables)) for name, tables in SAME.items()}

    assert dict.fromkeys(SAME, first.run) == {name: each.run for name, each in found.items()}
    assert [first.run.path] == planned


def test_a_run_is_not_gone_on_with_by_other_options(
    manifest: Path, configured: Callable[..., Config], planned: list[Path]
) -> None:
    """What changes the plan is refused in the directory of a run planned without it."""
    directory = prepare(Asked(manifest), configured()).run.path
    words = (
        f"{directory}: options have changed since this run was planned; its log speaks of the old "
        "plan. Put things back as they were to go on, or start over with --new or another "
        "--run-dir."
    )
    for asked, tables in OTHER.values():
        with pytest.raises(PlanStaleError) as caught:
            prepare(Asked(manifest, **asked), configured(**tables), run_dir=directory)

        assert words == str(caught.value)
        assert ExitCode.UNCONFIRMED == caught.value.exit_code


@pytest.mark.parametrize("name", ["set", "ids"])
def test_other_options_have_a_run_of_their_own(
    manifest: Path, configured: Callable[..., Config], name: str, planned: list[Path]
) -> None:
    """Without `--run-dir`, what changes the plan leads to another directory."""
    asked, tables = OTHER[name]
    first = prepare(Asked(manifest), configured())
    second = prepare(Asked(manifest, **asked), configured(**tables))

    assert [first.run.path, second.run.path] == planned
    assert first.run != second.run


def test_a_manifest_that_changed_is_refused_while_its_run_is_unfinished(
    manifest: Path, config: Config, planned: list[Path]
) -> None:
    """The words say how far the run is, and both ways to go on."""
    first = prepare(Asked(manifest), config)
    begin(first, 1)
    before = contents(first.run.path)
    manifest.write_text(_HEADER + _ROWS * 2, encoding="utf-8")
    with pytest.raises(PlanStaleError) as caught:
        prepare(Asked(manifest), config)

    assert (
        f"{manifest}: the file has changed since run {first.run.name} was planned, and that run "
        "has settled 1 of 2 lines. To finish it, put the file back as it was; to leave it and "
        "plan the file as it is now, add --new."
    ) == str(caught.value)
    assert ExitCode.UNCONFIRMED == caught.value.exit_code
    assert [first.run.path] == list(config.run.directory.iterdir())
    assert before == contents(first.run.path)


def test_new_plans_the_changed_manifest(
    manifest: Path, config: Config, planned: list[Path]
) -> None:
    """`--new` leaves the unfinished run as it is and starts another."""
    first = prepare(Asked(manifest), config)
    begin(first, 1)
    manifest.write_text(_HEADER + _ROWS * 2, encoding="utf-8")
    second = prepare(Asked(manifest), config, new=True)

    assert 4 == second.rows
    assert [first.run.path, second.run.path] == planned
    assert first.run != second.run


def test_a_manifest_that_is_put_back_goes_on(
    manifest: Path, config: Config, planned: list[Path]
) -> None:
    """The content counts, not the time it was written."""
    first = prepare(Asked(manifest), config)
    begin(first, 1)
    manifest.write_text("something else", encoding="utf-8")
    manifest.write_text(_HEADER + _ROWS, encoding="utf-8")
    second = prepare(Asked(manifest), config)

    assert first.run == second.run
    assert [first.run.path] == planned


@pytest.mark.parametrize("settled", [None, (1, 2)], ids=["never begun", "finished"])
def test_a_manifest_may_change_when_nothing_is_under_way(
    manifest: Path, config: Config, settled: tuple[int, ...] | None, planned: list[Path]
) -> None:
    """A run that was only planned, or is done, does not hold the manifest."""
    first = prepare(Asked(manifest), config)
    if settled:
        begin(first, *settled)
    manifest.write_text(_HEADER + _ROWS * 2, encoding="utf-8")
    second = prepare(Asked(manifest), config)

    assert 4 == second.rows
    assert [first.run.path, second.run.path] == planned
    assert first.run != second.run


def test_another_manifest_is_not_held_up(
    manifest: Path, config: Config, tmp_path: Path, planned: list[Path]
) -> None:
    """An unfinished run, or a damaged one, of one file says nothing about another file."""
    begin(prepare(Asked(manifest), config), 1)
    damaged = config.run.directory / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_bytes(b"{")
    other = tmp_path / "other.csv"
    other.write_text(_HEADER + _ROWS * 2, encoding="utf-8")

    assert prepare(Asked(other), config).run.path == planned[-1]


def test_new_counts_up(manifest: Path, config: Config, planned: list[Path]) -> None:
    """Each `--new` has a name of its own, from `-2`; without it the first is found."""
    runs = [prepare(Asked(manifest), config, new=True) for _ in range(3)]
    name = runs[0].run.name

    assert [name, f"{name}-2", f"{name}-3"] == [each.run.name for each in runs]
    assert [each.run.path for each in runs] == planned
    assert runs[0].run == prepare(Asked(manifest), config).run


def test_a_run_may_live_anywhere(
    manifest: Path, config: Config, tmp_path: Path, planned: list[Path]
) -> None:
    """`--run-dir` is taken as it is, made with its parents, and found again."""
    directory = tmp_path / "deep" / "down" / "here"
    first = prepare(Asked(manifest), config, run_dir=directory)
    second = prepare(Asked(manifest), config, run_dir=directory)

    assert directory == first.run.path == second.run.path
    assert [directory] == planned


def test_a_directory_of_another_manifest_is_refused(
    manifest: Path, config: Config, tmp_path: Path, planned: list[Path]
) -> None:
    """`--run-dir` of something else is not gone on with, finished or not."""
    directory = tmp_path / "run"
    first = prepare(Asked(manifest), config, run_dir=directory)
    before = contents(first.run.path)
    other = tmp_path / "other.csv"
    other.write_text(_HEADER + _ROWS * 2, encoding="utf-8")
    with pytest.raises(PlanStaleError) as caught:
        prepare(Asked(other), config, run_dir=directory)

    assert (
        f"{directory}: the manifest has changed since this run was planned; its log speaks of the "
        "old plan. Put things back as they were to go on, or start over with --new or another "
        "--run-dir."
    ) == str(caught.value)
    assert before == contents(directory)


def test_new_in_a_directory_that_holds_a_run(
    manifest: Path, config: Config, tmp_path: Path
) -> None:
    """`--new` never writes over a run."""
    directory = tmp_path / "run"
    prepare(Asked(manifest), config, run_dir=directory, new=True)
    with pytest.raises(UsageError) as caught:
        prepare(Asked(manifest), config, run_dir=directory, new=True)

    assert f"{directory}: holds a run already; --new needs another directory" == str(caught.value)


def test_a_failed_planning_leaves_nothing_behind(manifest: Path, config: Config) -> None:
    """A manifest that cannot be planned has no run, not half a one."""
    manifest.write_text("module\nLeads\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="expected also op"):
        prepare(Asked(manifest), config)

    assert [] == list(config.run.directory.iterdir())


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, OSError])
def test_an_interrupted_planning_leaves_nothing_behind(
    manifest: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    interruption: type[BaseException],
) -> None:
    """Whatever ends the planning, the half plan goes with it."""

    def half(*_: Any, plan: Path, rows: Path, **__: Any) -> None:
        plan.write_bytes(b"half")
        rows.write_bytes(b"half")
        raise interruption

    monkeypatch.setattr(preparing, "make_plan", half)
    with pytest.raises(interruption):
        prepare(Asked(manifest), config)

    assert [] == list(config.run.directory.iterdir())


def test_a_failed_planning_leaves_what_others_put_there(
    manifest: Path, config: Config, tmp_path: Path
) -> None:
    """A directory that the user named, with files of theirs, is left with those files."""
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "notes.txt").write_text("mine", encoding="utf-8")
    manifest.write_text("module\nLeads\n", encoding="utf-8")
    with pytest.raises(ManifestError):
        prepare(Asked(manifest), config, run_dir=directory)

    assert {"notes.txt": b"mine"} == contents(directory)


def test_half_a_run_of_a_crash_is_planned_anew(
    manifest: Path, config: Config, tmp_path: Path, planned: list[Path]
) -> None:
    """Without `run.json` there is no run yet: what a killed planning left is written over."""
    directory = tmp_path / "run"
    directory.mkdir()
    for name in ("plan.parquet", "rows.parquet", "lock"):
        (directory / name).write_bytes(b"half")
    prepared = prepare(Asked(manifest), config, run_dir=directory)

    assert [prepared.run.path] == planned
    assert [2] == [len(batch.operations) for _, batch in read_batches(prepared.run.plan)]


def test_planning_holds_the_lock(
    manifest: Path, config: Config, tmp_path: Path, planned: list[Path]
) -> None:
    """Two commands do not plan one run at the same time."""
    run = RunDirectory(tmp_path / "run")
    run.create()
    with run.locked(), pytest.raises(LockedError, match="another process is on this run"):
        prepare(Asked(manifest), config, run_dir=run.path)

    assert prepare(Asked(manifest), config, run_dir=run.path).run.path == planned[-1]


def test_a_manifest_that_is_not_there(config: Config, tmp_path: Path) -> None:
    """No run is made for nothing."""
    with pytest.raises(ManifestError, match="there is no such file"):
        prepare(Asked(tmp_path / "nothing.csv"), config)

    assert not config.run.directory.exists()


@pytest.mark.parametrize("name", ["it's [my] limits=20 läufe*", "really?"])
def test_a_directory_may_have_any_name(
    manifest: Path, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Plans, and the scratch database of the planner, are stored wherever the user says."""
    monkeypatch.setattr(preparing, "make_plan", make_plan)
    prepared = prepare(Asked(manifest), config, run_dir=tmp_path / name)

    assert [1] == [batch.number for _, batch in read_batches(prepared.run.plan)]


def test_the_command_line_asks_for_a_manifest(config: Config, tmp_path: Path) -> None:
    """`--op` is a fixed column, and wins over `--set op=...`."""
    asked, same = ask(
        tmp_path / "rows.csv",
        config,
        op="unlink",
        fixed={"op": "link", "module": "Leads"},
        columns={"record_id": "Lead"},
        fields=("note",),
    )

    assert (
        Asked(
            tmp_path / "rows.csv",
            {"record_id": "Lead"},
            {"op": "unlink", "module": "Leads"},
            ("note",),
        )
        == asked
    )
    assert config is same


def test_the_command_line_comes_before_the_job(config: Config, tmp_path: Path) -> None:
    """A job fills what the command leaves open, and lays its tables over the configuration."""
    job = tmp_path / "job.toml"
    job.write_text(
        """
        operation = "unlink"
        manifest = "rows.csv"
        fields = ["list_price"]
        confirm = false
        [columns]
        record_id = "Lead"
        related_id = "Campaign"
        [fixed]
        module = "Leads"
        related_list = "Campaigns"
        [limits]
        ids_per_call = 7
        """,
        encoding="utf-8",
    )
    asked, lowered = ask(
        job,
        config,
        op=None,
        fixed={"module": "Contacts"},
        columns={"record_id": "Person"},
        fields=("note",),
    )

    assert (
        Asked(
            tmp_path / "rows.csv",
            {"record_id": "Person", "related_id": "Campaign"},
            {"op": "unlink", "module": "Contacts", "related_list": "Campaigns"},
            ("list_price", "note"),
            confirm=False,
            job=load_job(job),
        )
        == asked
    )
    assert (100, 7) == (config.limits.ids_per_call, lowered.limits.ids_per_call)


def test_a_column_set_by_the_command_is_not_mapped_by_the_job(
    config: Config, tmp_path: Path
) -> None:
    """What `--set` fills is filled, though the job reads the same column from the file."""
    job = tmp_path / "job.toml"
    job.write_text(
        'operation = "unlink"\nmanifest = "rows.csv"\n[columns]\nmodule = "Kind"\n',
        encoding="utf-8",
    )
    (tmp_path / "rows.csv").write_text(
        "Kind,record_id,related_list,related_id\nlead,1,Campaigns,2\n", encoding="utf-8"
    )
    asked, config = ask(job, config, op=None, fixed={"module": "Leads"}, columns={}, fields=())
    prepared = prepare(asked, config)

    assert ["Leads"] == [batch.route.module for _, batch in read_batches(prepared.run.plan)]
