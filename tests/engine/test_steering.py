"""What holds a run and what changes it: any reason to hold wins over every wish to go."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.engine.steering import Hands, Steering
from bulkops.errors import ExitCode, PausedError, UsageError
from bulkops.files.config import Config
from bulkops.files.credits import Ledger
from bulkops.rules.books import Budget
from bulkops.rules.tally import Tally
from bulkops.wire.holds import Holds
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import Stop


class Made:
    """The parts of a run, with a clock and a configuration that the test sets."""

    def __init__(self, folder: Path, *, wait: bool = True, **tables: dict[str, Any]) -> None:
        limits = {"concurrency": 10, **tables.pop("limits", {})}
        run = {"directory": str(folder), **tables.pop("run", {})}
        self.config = Config.model_validate({"limits": limits, "run": run})
        self.path = folder / "run"
        self.path.mkdir(parents=True)
        self.hour = 12
        self.changed: list[tuple[str, str]] = []
        self.stop, self.limiter = Stop(), Limiter(ceiling=10)
        self.holds = Holds(self.limiter, changed=lambda *each: self.changed.append(each))
        self.purse = Purse(
            Ledger(folder / "credits.json"), budget=Budget(9, 0), stop=self.stop, holds=self.holds
        )
        hands = Hands(
            run=self.path,
            limiter=self.limiter,
            holds=self.holds,
            purse=self.purse,
            stop=self.stop,
            tally=Tally(),
        )
        self.steering = Steering(
            hands,
            self.config,
            wait=wait,
            reload=lambda: self.config,
            now=lambda: datetime(2026, 11, 22, self.hour).astimezone(),
        )

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        return self.steering.answer({"v": 1, "do": do, **values})

    def reread(self, **limits: Any) -> dict[str, Any]:
        self.config = self.config.model_copy(
            update={"limits": Config.model_validate({"limits": limits}).limits}
        )
        self.steering.reread()
        return self.ask("status")


wishes = st.lists(
    st.sampled_from(["pause", "resume", "file", "no file", "all", "not all", "open", "closed"]),
    max_size=15,
)


@given(wishes)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_run_goes_only_when_nothing_holds_it(
    tmp_path_factory: pytest.TempPathFactory, happened: list[str]
) -> None:
    """Whatever the order: held by exactly the reasons that are there, each by its name."""
    made = Made(tmp_path_factory.mktemp("steering"), run={"window": "09:00-17:00"})
    files = {"file": made.path / "pause", "all": made.path.parent / "pause"}
    names = {
        "pause": "ctl",
        "file": "pause file",
        "all": "pause file of all runs",
        "closed": "window",
    }
    ends = {"resume": "pause", "no file": "file", "not all": "all", "open": "closed"}
    expected: set[str] = set()
    for each in happened:
        match each:
            case "pause" | "resume":
                made.ask(each)
            case "file" | "all":
                files[each].touch()
            case "no file" | "not all":
                files[ends[each]].unlink(missing_ok=True)
            case "open" | "closed":
                made.hour = 12 if each == "open" else 3
        made.steering.look()
        expected = expected - {names[ends[each]]} if each in ends else expected | {names[each]}
        status = made.ask("status")
        assert expected == set(status["held"])
        assert ("holding" if expected else "running") == status["state"]
        assert bool(expected) == (made.limiter.holding is not None)
    for name in set(names.values()):
        seen = [bool(words) for each, words in made.changed if each == name]
        # Told when it begins and when it ends, and not in between.
        assert all(one != other for one, other in pairwise(seen))


async def test_outside_the_window_a_run_that_does_not_wait_ends(tmp_path: Path) -> None:
    """With exit code 5 and the window in its words."""
    made = Made(tmp_path, wait=False, run={"window": "09:00-17:00"})
    made.steering.look()
    assert not made.stop.asked
    made.hour = 17
    made.steering.look()
    assert made.stop.reason is not None
    assert made.stop.reason.exit_code == ExitCode.PAUSED
    assert "outside the window 09:00-17:00" in str(made.stop.reason)


async def test_limits_are_set_within_the_configuration(tmp_path: Path) -> None:
    """From the next call on, and the status says what they are."""
    made = Made(tmp_path, limits={"calls_per_second": 5})
    status = made.ask("set", concurrency=3)
    assert (status["concurrency"], status["calls_per_second"]) == (3, 5)
    assert made.limiter.level.ceiling == 3
    assert made.ask("set", calls_per_second=2.5)["calls_per_second"] == 2.5
    assert made.ask("status")["concurrency"] == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "nothing: expected concurrency=N or calls_per_second=X"),
        ({"concurency": 3}, "concurency: expected concurrency=N"),
        ({"concurrency": 0}, "concurrency=0: expected a whole number from 1 to 10"),
        ({"concurrency": 11}, "concurrency=11: expected a whole number from 1 to 10"),
        ({"concurrency": 2.5}, "concurrency=2.5: expected a whole number"),
        ({"concurrency": True}, "concurrency=True: expected a whole number"),
        ({"calls_per_second": -1}, "calls_per_second=-1: expected a number above 0, up to"),
        ({"calls_per_second": 0}, "calls_per_second=0: expected a number above 0, up to"),
        ({"calls_per_second": 9}, "up to the configuration's 5"),
        ({"concurrency": 2, "calls_per_second": "fast"}, "calls_per_second=fast"),
    ],
)
async def test_what_may_not_be_set_changes_nothing(
    tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    """All of a request or none of it, and the refusal says what was expected."""
    made = Made(tmp_path, limits={"calls_per_second": 5})
    with pytest.raises(UsageError) as caught:
        made.ask("set", **values)
    assert words in str(caught.value)
    status = made.ask("status")
    assert (status["concurrency"], status["calls_per_second"]) == (10, 5)


async def test_limits_that_are_read_again_replace_what_was_set(tmp_path: Path) -> None:
    """The last word counts, but there are no more workers than the run began with."""
    made = Made(tmp_path)
    made.ask("set", concurrency=2)
    status = made.reread(concurrency=7, calls_per_second=3, credits_per_day=1000)
    assert (status["concurrency"], status["calls_per_second"]) == (7, 3)
    assert made.purse.budget == Budget(1000, 200)
    assert made.reread(concurrency=25)["concurrency"] == 10
    made.reread(concurrency=4)
    with pytest.raises(UsageError, match="from 1 to 4"):
        made.ask("set", concurrency=5)


async def test_a_configuration_that_became_wrong_is_left_alone(tmp_path: Path) -> None:
    """The run goes on with what it had."""
    made = Made(tmp_path)

    def wrong() -> Config:
        raise UsageError("config.toml: limits.concurency: unknown key")

    made.steering._reload = wrong
    made.steering.reread()
    assert made.ask("status")["concurrency"] == 10


async def test_a_run_that_is_ending_cannot_be_held(tmp_path: Path) -> None:
    """What drains, drains; and draining twice is no error."""
    made = Made(tmp_path)
    assert "drained" in made.ask("drain")["ending"]
    assert isinstance(made.stop.reason, PausedError)
    for do in ("pause", "set"):
        with pytest.raises(UsageError, match="the run is ending"):
            made.ask(do, **({"concurrency": 1} if do == "set" else {}))
    assert made.ask("drain")["state"] == "ending"
    with pytest.raises(UsageError, match="'stop': expected status, pause, resume, drain or set"):
        made.ask("stop")
