"""The calls that block, as the program makes them: who is asked, what is told, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import bulkops
from bulkops.errors import ExitCode, ManifestError, NotConfirmedError, UsageError
from bulkops.library.seat import Told, Watch
from bulkops.model import Status
from tests.library.desk import Desk, desk


class Diary(bulkops.Seat):
    """Writes down what it hears; says no if it is to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.heard: list[str] = []
        self._refuses = refuses

    @contextmanager
    def planning(self) -> Iterator[Told]:
        self.heard.append("planning")
        yield lambda _phase, _rows: None

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        yield lambda look: self.heard.append(f"watching {look()['state']}")

    def shown(self, plan: bulkops.Plan, settled: int) -> None:
        self.heard.append(f"shown {plan.rows} {settled}")

    def confirm(self, plan: bulkops.Plan) -> None:
        self.heard.append(f"confirm {plan.calls}")
        if self._refuses:
            raise NotConfirmedError("no")

    def finished_before(self, plan: bulkops.Plan, stopped: int) -> None:
        self.heard.append(f"finished before {stopped}")

    def ended(self, plan: bulkops.Plan, finished: bulkops.Finished, *, last: bool) -> None:
        self.heard.append(f"ended {int(finished.code)}{' last' if last else ''}")

    def skipped(self, words: str) -> None:
        self.heard.append("skipped")


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose emulator lives in a thread, for calls that block."""
    found: list[Desk] = []
    there, gone = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with desk(tmp_path) as one:
            found.append(one)
            there.set()
            await gone.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert there.wait(20)
    try:
        yield found[0]
    finally:
        loops[0].call_soon_threadsafe(gone.set)
        thread.join()


def test_a_seat_is_asked_before_anything_is_sent(at: Desk) -> None:
    """Shown, asked, watching, told; and the second time, told alone."""
    diary, file = Diary(), at.manifest("cleanup.csv", range(4))
    assert ExitCode.OK is bulkops.start(file, config=at.config, seat=diary)
    assert ["planning", "shown 12 0", "confirm 4", "watching running", "ended 0 last"] == (
        diary.heard
    )
    diary = Diary()
    assert ExitCode.OK is bulkops.start(file, config=at.config, seat=diary)
    assert ["planning", "finished before 0", "ended 0 last"] == diary.heard


def test_a_no_sends_nothing(at: Desk) -> None:
    """It is an error, for whoever asked has to know."""
    diary = Diary(refuses=True)
    with pytest.raises(NotConfirmedError):
        bulkops.carry_out(at.plan(), seat=diary)
    assert ["shown 60 0", "confirm 20"] == diary.heard
    assert 0 == len(at.emulator.ledger)


def test_nobody_says_yes_and_hears_nothing(at: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    """That is what a program means that does not say otherwise. Nothing is printed."""
    finished = bulkops.carry_out(at.plan())
    assert (ExitCode.OK, {Status.SUCCEEDED: 60}) == (finished.code, finished.statuses)
    assert ("", "") == capfd.readouterr()


def test_a_job_is_started_in_its_turn(at: Desk) -> None:
    """Its journal says so; a start that finds it running is left out, if it is to be."""
    at.manifest("cleanup.csv", range(4))
    job = at.folder / "nightly.toml"
    job.write_text('manifest = "cleanup.csv"\nconfirm = false\n')
    diary = Diary()
    assert ExitCode.OK is bulkops.start(job, config=at.config, seat=diary)
    assert ["planning", "shown 12 0", "watching running", "ended 0 last"] == diary.heard
    (found,) = bulkops.jobs(at.folder, at.config)
    assert ("nightly", 0, False) == (found["job"], found["exit"], found["running"])


def test_what_did_not_end_well_is_tried_again(at: Desk) -> None:
    """`retry` is a plan like any; so is what takes a run back."""
    good, bad = at.manifest("cleanup.csv", range(2)), "unlink,Products,1,Deals,2,T\n"
    good.write_text(good.read_text() + bad)
    plan = bulkops.plan(good, config=at.config)
    assert ExitCode.INCOMPLETE is bulkops.carry_out(plan).code
    again = bulkops.retry(plan, config=at.config)
    assert 1 == again.rows
    (reason,) = bulkops.reasons(plan)
    assert ((7,), 1) == (reason.lines, reason.count)
    assert reason.advice
    taking = bulkops.undo(plan, config=at.config)
    assert taking.plan is not None
    assert (6, ExitCode.OK) == (taking.plan.rows, bulkops.carry_out(taking.plan).code)
    found = asyncio.run(bulkops.verify(taking.plan, everything=True, config=at.config))
    assert found.holds
    assert 6 == found.checked[Status.SUCCEEDED]


def test_a_run_is_checked_and_told_about(at: Desk) -> None:
    """What the verbs show, as values."""
    plan = at.plan()
    checked = asyncio.run(bulkops.check(plan.run, config=at.config))
    assert {each.subject for each in checked.findings} >= {"configuration", "credentials"}
    assert "planned" == bulkops.status(plan)["state"]
    bulkops.carry_out(plan)
    assert ("finished", 0) == (bulkops.status(plan)["state"], bulkops.status(plan)["exit"])
    (count,) = bulkops.counts(plan.name, at.config)
    assert (60, Status.SUCCEEDED) == (count.lines, count.status)
    assert bulkops.report(plan).path.is_file()
    assert bulkops.repair(plan).aside is None
    with pytest.raises(UsageError, match="no process is on this run"):
        bulkops.control(plan, "pause")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda at: bulkops.plan(config=at.config), UsageError),
        (lambda at: bulkops.plan("none.csv", config=at.config), ManifestError),
        (lambda at: bulkops.plan("none.toml", config=at.config), UsageError),
        (lambda at: bulkops.find_run("none", at.config), UsageError),
        (lambda at: bulkops.outcomes(at.plan(), status={"done"}), UsageError),
        (lambda at: bulkops.retry(at.plan(), config=at.config), UsageError),
        (lambda at: bulkops.start("a.csv", config=at.config, if_locked="wait"), UsageError),
        (lambda at: bulkops.load_config(at.folder / "none.toml"), UsageError),
        (lambda at: bulkops.jobs(at.folder / "none", at.config), UsageError),
    ],
)
def test_what_is_wrong_is_an_error_of_ours(
    at: Desk, wrong: object, error: type[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    """Never an end of the process, and never words on somebody else's screen."""
    with pytest.raises(error) as raised:
        wrong(at)  # type: ignore[operator]
    assert isinstance(raised.value, bulkops.BulkopsError)
    assert str(raised.value)
    assert ("", "") == capfd.readouterr()
