"""Jobs: their turn, their runs, what they left, what is removed, and the files of `jobs/`."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from bulkops.engine.jobs import JobHome, Start, remove_old, start_of
from bulkops.engine.jobs.runs import all_runs, head_of
from bulkops.engine.retry import free_beside, retry_of
from bulkops.errors import LockedError, PlanStaleError, UsageError
from bulkops.files import prepare as preparing
from bulkops.files.config import Config
from bulkops.files.jobfile import Job, load_job
from bulkops.files.prepare import Asked, Prepared, ask, prepare
from bulkops.files.rundir import RunDirectory
from tests.files.planner.remembered import remembering

_JOBS = Path(__file__).parents[2] / "jobs"
_HEADER = "op,module,record_id,related_list,related_id\n"
MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)
_DAY_S = 86_400


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plan each manifest of this file once, whatever the number of its runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "make_plan", remembering(tmp_path_factory.mktemp("plans")))
        yield


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate({"run": {"directory": str(tmp_path / "runs")}})


Starter = Callable[..., Start | None]


@pytest.fixture
def started(tmp_path: Path, config: Config) -> Starter:
    """Return a function that starts the job `nightly` with these keys on a day."""

    def start(day: date, keys: str = 'each = "day"', **words: Any) -> Start | None:
        file = tmp_path / "nightly.toml"
        manifest = "" if "retry" in keys else 'manifest = "rows.csv"'
        file.write_text(f"{manifest}\n{keys}\n")
        (tmp_path / "rows.csv").touch()
        given = words.pop("config", config)
        asked, laid_out = ask(file, given, op=None, fixed={}, columns={}, fields=())
        assert asked.job is not None
        return start_of(asked.job, asked, laid_out, today=day, **words)

    return start


def rows(folder: Path, *related: int) -> None:
    """Write the manifest of the job: these campaigns are unlinked from a lead."""
    lines = (f"unlink,Leads,1,Campaigns,{each}\n" for each in related)
    (folder / "rows.csv").write_text(_HEADER + "".join(lines))


def log(prepared: Prepared, *statuses: str, stopped: bool = False) -> None:
    """Write the log of a run, an outcome a line, as a runner would."""
    records: list[Mapping[str, Any]] = [
        {"type": "run", "v": 1, "plan": prepared.digest, "rows": prepared.rows},
        {"type": "note", "event": "run.started", "t": 1.0},
        *(
            {"type": "outcome", "line": line, "status": status, "t": 2.0}
            for line, status in enumerate(statuses, 1)
            if status != "invalid"
        ),
        *(
            {"type": "outcome", "line": line, "status": status, "code": "X", "t": 2.0}
            for line, status in enumerate(statuses, 1)
            if status == "invalid"
        ),
    ]
    if len(statuses) == prepared.rows:
        records.append({"type": "note", "event": "run.finished", "reason": "", "t": 3.0})
    elif stopped:
        records.append({"type": "note", "event": "run.stopped", "reason": "credits", "t": 3.0})
    prepared.run.checkpoint.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in records))


def name(start: Start | None) -> str:
    assert start is not None
    return start.prepared.run.name


def ran(start: Start | None, *statuses: str) -> RunDirectory:
    """Let a start end so; return its run."""
    assert start is not None
    log(start.prepared, *statuses)
    return start.prepared.run


class TestTheRunOfAStart:
    """Which run directory a start gets."""

    def test_is_a_new_one_each_day(self, tmp_path: Path, started: Starter) -> None:
        """The same manifest again is sent again the next day."""
        rows(tmp_path, 10, 11)
        monday = started(MONDAY)
        ran(monday, "succeeded", "failed")
        tuesday = started(TUESDAY)
        assert ["nightly-2026-11-23", "nightly-2026-11-24"] == [name(monday), name(tuesday)]

    def test_is_the_days_own_if_it_is_finished(self, tmp_path: Path, started: Starter) -> None:
        """Once a day is once a day, even if the manifest has changed since."""
        rows(tmp_path, 10)
        run = ran(started(MONDAY), "succeeded")
        rows(tmp_path, 10, 11)
        again = started(MONDAY)
        assert again is not None
        assert (run, False) == (again.prepared.run, again.more)
        assert name(started(MONDAY, new=True)) == "nightly-2026-11-23-2"

    def test_is_a_new_one_each_time_if_so_wished(self, tmp_path: Path, started: Starter) -> None:
        """The second of a day has a number."""
        rows(tmp_path, 10)
        keys = 'each = "run"'
        ran(started(MONDAY, keys), "succeeded")
        ran(started(MONDAY, keys), "succeeded")
        assert name(started(MONDAY, keys)) == "nightly-2026-11-23-3"

    @pytest.mark.parametrize("each", ["day", "run"])
    def test_is_the_unfinished_one_first(self, tmp_path: Path, started: Starter, each: str) -> None:
        """It goes on by its own plan, though last night's manifest is gone; today's follows."""
        keys = f'each = "{each}"'
        rows(tmp_path, 10, 11)
        monday = ran(started(MONDAY, keys), "succeeded")
        rows(tmp_path, 12)
        found = started(TUESDAY, keys)
        assert found is not None
        assert (monday, 2) == (found.prepared.run, found.prepared.rows)
        assert found.more == (each == "day")
        ran(found, "succeeded", "succeeded")
        assert name(started(TUESDAY, keys)) == "nightly-2026-11-24"

    def test_is_new_if_it_is_to_be(self, tmp_path: Path, started: Starter) -> None:
        """`--new` leaves an unfinished run where it is, and later nights do not go back to it."""
        rows(tmp_path, 10, 11)
        ran(started(MONDAY), "succeeded")
        tuesday = started(TUESDAY, new=True)
        assert name(tuesday) == "nightly-2026-11-24"
        ran(tuesday, "succeeded", "succeeded")
        assert name(started(WEDNESDAY)) == "nightly-2026-11-25"

    def test_is_not_a_plan_that_somebody_looked_at(self, tmp_path: Path, started: Starter) -> None:
        """Nothing was sent by it, and its manifest may be an old one."""
        rows(tmp_path, 10)
        started(MONDAY)
        assert name(started(TUESDAY)) == "nightly-2026-11-24"

    def test_goes_on_nowhere_else(self, tmp_path: Path, started: Starter, config: Config) -> None:
        """The log of an unfinished run speaks of one organisation."""
        rows(tmp_path, 10, 11)
        ran(started(MONDAY), "succeeded")
        tables = {"api": {"data_center": "eu"}, "run": {"directory": str(tmp_path / "runs")}}
        with pytest.raises(PlanStaleError, match="data_center"):
            started(TUESDAY, config=Config.model_validate(tables))

    def test_is_by_manifest_as_ever_without_a_word(self, tmp_path: Path, config: Config) -> None:
        """The default finds the run of the same manifest and options, job or none."""
        rows(tmp_path, 10)
        file = tmp_path / "once.toml"
        file.write_text('manifest = "rows.csv"')
        asked, _ = ask(file, config, op=None, fixed={}, columns={}, fields=())
        prepared = prepare(asked, config)
        assert prepared.run == prepare(Asked(tmp_path / "rows.csv"), config).run
        assert prepared.description["job"]["name"] == "once"
        assert prepared.description["job"]["path"] == str(file)


class TestWhatARunLeaves:
    """`include_failed` and `retry`."""

    def test_goes_into_the_next_run(self, tmp_path: Path, started: Starter) -> None:
        """Failed and unknown rows first, today's after them; what is no operation stays out."""
        keys = 'each = "day"\ninclude_failed = true'
        rows(tmp_path, 10, 11, 12, 13)
        said: list[str] = []
        ran(started(MONDAY, keys, tell=said.append), "succeeded", "failed", "invalid", "unknown")
        rows(tmp_path, 20)
        tuesday = started(TUESDAY, keys, tell=said.append)
        assert tuesday is not None
        assert tuesday.prepared.rows == 3
        assert tuesday.prepared.description["retries"] == ["nightly-2026-11-23"]
        assert said == ["Including 2 rows that nightly-2026-11-23 left."]

    def test_is_carried_for_many_nights(self, tmp_path: Path, started: Starter) -> None:
        """A row that fails night after night is there once each night, in the same columns."""
        keys = 'each = "day"\ninclude_failed = true'
        headers = []
        for number in range(5):
            rows(tmp_path, 10 + number)
            night = started(MONDAY.replace(day=23 + number), keys)
            assert night is not None
            assert night.prepared.rows == min(number, 1) + 1
            log(night.prepared, "failed", *["succeeded"] * min(number, 1))
            headers.append(night.prepared.description["plan"]["own_columns"])
        assert headers[2:] == [headers[1]] * 3

    def test_is_not_asked_for_otherwise(self, tmp_path: Path, started: Starter) -> None:
        """A job with other columns now goes on without it, and says how to try it."""
        keys = 'each = "day"\ninclude_failed = true'
        rows(tmp_path, 10)
        ran(started(MONDAY, keys), "failed")
        said: list[str] = []
        tuesday = started(TUESDAY, keys + '\n[fixed]\nrole_name = "a"', tell=said.append)
        assert tuesday is not None
        assert tuesday.prepared.rows == 1
        assert "bulkops retry" in said[0]

    def test_is_taken_from_whoever_tried_it_last(
        self, tmp_path: Path, started: Starter, config: Config
    ) -> None:
        """After a retry by hand, the next night takes what that left."""
        rows(tmp_path, 10, 11, 12)
        monday = ran(started(MONDAY), "failed", "failed", "succeeded")
        asked, run_dir = retry_of(monday)
        retried = prepare(asked, config, run_dir=run_dir)
        head = head_of("nightly", all_runs(config.run.directory))
        assert head is not None
        assert head.run == monday
        log(retried, "succeeded", "failed")
        head = head_of("nightly", all_runs(config.run.directory))
        assert head is not None
        assert head.run == retried.run
        tuesday = started(TUESDAY, 'each = "day"\ninclude_failed = true')
        assert tuesday is not None
        assert tuesday.prepared.rows == 4

    def test_is_a_job_of_its_own(self, tmp_path: Path, config: Config, started: Starter) -> None:
        """`retry` takes the last runs of several jobs as one, then what it left itself."""
        rows(tmp_path, 10, 11)
        for other, line in (("one", "failed"), ("two", "unknown")):
            file = tmp_path / f"{other}.toml"
            file.write_text('manifest = "rows.csv"\neach = "day"')
            asked, _ = ask(file, config, op=None, fixed={}, columns={}, fields=())
            assert asked.job is not None
            ran(start_of(asked.job, asked, config, today=MONDAY), "succeeded", line)
            rows(tmp_path, 12, 13)
        again = started(TUESDAY, 'retry = ["one", "two"]')
        assert again is not None
        assert again.prepared.rows == 2
        assert again.prepared.description["retries"] == ["one-2026-11-23", "two-2026-11-23"]
        ran(again, "succeeded", "failed")
        once_more = started(TUESDAY, 'retry = ["one", "two"]')
        assert once_more is not None
        assert (once_more.prepared.rows, name(once_more)) == (1, "nightly-2026-11-24-2")
        ran(once_more, "succeeded")
        said: list[str] = []
        assert started(WEDNESDAY, 'retry = ["one", "two"]', tell=said.append) is None
        assert said == ["nightly-2026-11-24-2: no rows to try again; nothing to do"]


class TestRetry:
    """Several runs, and a retry of a retry."""

    def test_of_several_is_one_manifest(
        self, tmp_path: Path, started: Starter, config: Config
    ) -> None:
        """The rows of each that are not in their wanted state, in the order of the runs."""
        rows(tmp_path, 10, 11)
        first = ran(started(MONDAY), "failed", "succeeded")
        rows(tmp_path, 12, 13)
        second = ran(started(TUESDAY), "succeeded", "failed")
        asked, run_dir = retry_of(first, second)
        assert run_dir.name == "nightly-2026-11-23-and-1-more-retry"
        retried = prepare(asked, config, run_dir=run_dir)
        assert retried.rows == 2
        log(retried, "failed", "failed")
        assert prepare(*_first(retry_of(retried.run)), config).rows == 2
        third = prepare(*_first(retry_of(retried.run, first)), config)
        assert third.rows == 3
        log(third, "failed", "failed", "duplicate")
        assert retry_of(third.run, retried.run)

    def test_of_runs_that_were_asked_otherwise_is_refused(
        self, tmp_path: Path, started: Starter
    ) -> None:
        """One plan has one set of columns; the message names both runs and both values."""
        rows(tmp_path, 10)
        first = ran(started(MONDAY), "failed")
        second = ran(started(TUESDAY, 'each = "day"\n[fixed]\nrole_name = "a"'), "failed")
        with pytest.raises(UsageError, match="retry them one at a time") as caught:
            retry_of(first, second)
        assert all(
            each in str(caught.value) for each in (first.name, second.name, "'role_name': 'a'")
        )
        with pytest.raises(UsageError, match="named twice"):
            retry_of(first, RunDirectory(first.path.parent / "." / first.name))

    def test_may_start_over(self, tmp_path: Path) -> None:
        """`--new` takes the first name that is free."""
        assert free_beside(tmp_path / "a-retry") == tmp_path / "a-retry"
        (tmp_path / "a-retry").mkdir()
        assert free_beside(tmp_path / "a-retry") == tmp_path / "a-retry-2"


def _first(asked: tuple[Asked, Path]) -> tuple[Asked]:
    return (asked[0],)


class TestKeeping:
    """`keep` removes what is old, and nothing that is wanted."""

    def test_removes_old_finished_runs_of_the_job_alone(
        self, tmp_path: Path, started: Starter, config: Config
    ) -> None:
        """Never an unfinished one, the last finished one, one that is held, or another job's."""
        rows(tmp_path, 10, 11)
        days = [MONDAY.replace(day=day) for day in (1, 2, 3, 4, 5)]
        done = ("succeeded", "failed")
        runs = [ran(started(day), *done) for day in days]
        other = prepare(Asked(tmp_path / "rows.csv"), config)
        log(other, *done)
        unfinished = ran(started(WEDNESDAY), "succeeded")
        for each in (*runs, other.run, unfinished):
            os.utime(each.checkpoint, (0, 0))
        os.utime(runs[1].checkpoint, (95 * _DAY_S, 95 * _DAY_S))
        home = JobHome(config.run.directory / ".jobs", "nightly")
        with home.locked(), runs[2].locked():
            removed = remove_old(home, config.run.directory, days=90, now=180 * _DAY_S)
        assert removed == [runs[0].name, runs[3].name]
        left = sorted(each.name for each in config.run.directory.iterdir())
        kept = (runs[1], runs[2], runs[4], other.run, unfinished)
        assert left == sorted([".jobs", *(each.name for each in kept)])
        assert sorted(each.suffix for each in home.folder.iterdir()) == [".lock"]

    def test_finishes_what_a_crash_left(self, tmp_path: Path) -> None:
        """A run that was half removed is out of sight, and goes the next time."""
        home = JobHome(tmp_path / ".jobs", "nightly")
        leftover = home.folder / "nightly.removed-nightly-2026-01-01"
        leftover.mkdir(parents=True)
        assert remove_old(home, tmp_path, days=1, now=0.0) == []
        assert not leftover.exists()


class TestTheTurn:
    """One start of a job at a time."""

    def test_a_second_start_is_refused_with_the_holder(self, tmp_path: Path) -> None:
        """Whatever run it would make; another job is another lock."""
        home = JobHome(tmp_path, "nightly")
        assert not home.is_locked()
        with home.locked():
            assert home.is_locked()
            with pytest.raises(LockedError, match=f"process {os.getpid()} on"), home.locked():
                pass
            with JobHome(tmp_path, "other").locked():
                pass
        assert not home.is_locked()

    def test_a_start_may_wait(self, tmp_path: Path) -> None:
        """It goes on when the other ends."""
        home, order = JobHome(tmp_path, "nightly"), list[str]()

        def second() -> None:
            with home.locked(wait=True):
                order.append("second")

        with home.locked():
            thread = threading.Thread(target=second)
            thread.start()
            thread.join(0.05)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]

    def test_the_journal_survives_a_torn_line(self, tmp_path: Path) -> None:
        """It is for people: what cannot be read is left out."""
        home = JobHome(tmp_path, "nightly")
        home.note("started")
        with home.journal.open("ab") as file:
            file.write(b'{"event": "en\n')
        home.note("skipped", reason="runs")
        assert ["started", "skipped"] == [each["event"] for each in home.history()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('manifest = "m.csv"\neach = "week"', "each"),
        ('manifest = "m.csv"\nkeep = "3 months"', "keep"),
        ('manifest = "m.csv"\nif_locked = "kill"', "if_locked"),
        ('manifest = "m.csv"\ninclude_failed = true', 'each = "day"'),
        ('manifest = "m"\neach = "day"\ninclude_failed = true\nformat = "jsonl"', "is CSV"),
        ('desired = "m.csv"\neach = "day"', "desired"),
        ('retry = ["a"]\nmanifest = "m.csv"', "manifest with retry"),
        ('retry = ["a"]\noperation = "link"', "operation with retry"),
        ('retry = ["a"]\neach = "manifest"', "with retry"),
        ('retry = ["../a"]', "names of jobs"),
        ("retry = []", "retry: "),
        ('manifest = "m.csv"\ninclude_faild = true', "did you mean include_failed"),
    ],
)
def test_a_job_that_means_nothing_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """By file and key."""
    file = tmp_path / "nightly.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_job(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_job_is_called_as_its_file() -> None:
    """And as a folder may be called."""
    assert Job(source=Path("a/my job.v2.toml"), tables={}, manifest=Path()).name == "my-job-v2"


class TestTheFolder:
    """What stands in `jobs/` beside the job files."""

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
    def test_the_units_are_right(self, tmp_path: Path) -> None:
        """systemd knows every key of them, and what they keep from the service is enough."""
        for unit in (_JOBS / "systemd").iterdir():
            text = unit.read_text().replace("/opt/bulkops/bin/bulkops", sys.executable)
            (tmp_path / unit.name.replace("@", "@nightly")).write_text(text)
        units = sorted(str(each) for each in tmp_path.iterdir())
        assert len(units) == 2
        verified = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *units],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (verified.returncode, verified.stderr)
        secure = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", units[0]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert secure.returncode == 0, secure.stdout[-200:]

    def test_the_service_waits_for_a_drain_and_goes_on_when_paused(self) -> None:
        """Calls under way, files, hooks and pings fit into the time that it is given."""
        lines = (_JOBS / "systemd" / "bulkops@.service").read_text().splitlines()
        keys = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
        config = Config()
        longest = config.limits.timeout_s + config.hooks.command_timeout_s
        longest += 4 * config.hooks.timeout_s
        assert float(keys["TimeoutStopSec"]) > longest
        assert keys["RestartForceExitStatus"] == "5"
        timer = (_JOBS / "systemd" / "bulkops@.timer").read_text()
        assert "Persistent=true" in timer
        assert "RandomizedDelaySec=" in timer

    @pytest.mark.parametrize(
        ("code", "expected"), [(0, True), (5, False), (143, False), (3, None), (1, None), (7, None)]
    )
    def test_airflow_looks_again_when_a_run_is_paused(
        self, monkeypatch: pytest.MonkeyPatch, code: int, expected: bool | None
    ) -> None:
        """A sensor that is not done is asked later; what needs a person fails at once."""
        tasks: list[Callable[[], bool]] = []

        class FailError(Exception):
            """Stands for Airflow's own."""

        def sensor(**words: Any) -> Callable[[Callable[[], bool]], Callable[[], None]]:
            assert words["mode"] == "reschedule"

            def decorate(function: Callable[[], bool]) -> Callable[[], None]:
                return lambda: tasks.append(function)

            return decorate

        decorators = types.ModuleType("airflow.decorators")
        vars(decorators).update(
            dag=lambda **_: lambda function: function, task=types.SimpleNamespace(sensor=sensor)
        )
        exceptions = types.ModuleType("airflow.exceptions")
        vars(exceptions).update(AirflowFailException=FailError)
        for each in (types.ModuleType("airflow"), decorators, exceptions):
            monkeypatch.setitem(sys.modules, each.__name__, each)
        monkeypatch.setattr(
            subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], code)
        )
        runpy.run_path(str(_JOBS / "airflow_dag.py"))
        (run_job,) = tasks
        if expected is None:
            with pytest.raises(FailError, match=str(code)):
                run_job()
        else:
            assert expected == run_job()
