"""The day's credits: never more than ours, whoever asks, and whatever the clock does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.errors import CheckpointError, ExitCode
from bulkops.files.config import Config
from bulkops.files.credits import Ledger, budget_of, ledger_of
from bulkops.rules.books import BUCKET_S, WINDOW_S, Books, Budget

NOON = 1_795_000_000.0 - 1_795_000_000.0 % BUCKET_S
TEN = Budget(credits=12, leave=2)


def reserved(books: Books, wanted: int, now: float, *, budget: Budget = TEN) -> int:
    books.turn_to(now)
    return books.reserve("me", wanted, budget, now)


def test_no_more_is_given_than_the_day_has_for_us() -> None:
    """What is to be left alone is left alone, to the last credit."""
    books = Books()
    assert [reserved(books, 7, NOON) for _ in range(3)] == [7, 3, 0]
    assert books.available(TEN, NOON) == 0


def test_credits_come_back_by_the_minute_they_were_taken_in() -> None:
    """Not all at once, not a moment before the day is over, and the time can be told."""
    books = Books()
    reserved(books, 4, NOON)
    reserved(books, 6, NOON + 3600)
    later = NOON + WINDOW_S
    assert books.frees_at(TEN, NOON + 7200) == later
    assert reserved(books, 9, later - 0.001) == 0
    assert reserved(books, 9, later) == 4
    assert books.frees_at(TEN, later) == later + 3600


def test_what_is_given_back_can_be_taken_again() -> None:
    """A credit that was not used does not wait a day."""
    books = Books()
    reserved(books, 10, NOON)
    books.give_back("me", int(NOON // BUCKET_S), 3, NOON + 1)
    assert reserved(books, 9, NOON + 1) == 3


@pytest.mark.parametrize("back_s", [1.0, 90.0, 7200.0, 3 * WINDOW_S])
def test_a_clock_set_back_frees_nothing(back_s: float) -> None:
    """Neither at once, nor before a day has passed by the clock as it is now."""
    books = Books()
    reserved(books, 10, NOON)
    now = NOON - back_s
    assert reserved(books, 1, now) == 0
    assert reserved(books, 1, now + WINDOW_S - 2 * BUCKET_S) == 0
    assert reserved(books, 10, now + WINDOW_S + BUCKET_S) == 10


def test_a_clock_that_ran_ahead_and_is_set_right_frees_nothing() -> None:
    """What had seemed to be a day ago counts again."""
    books = Books()
    reserved(books, 6, NOON)
    assert reserved(books, 1, NOON + WINDOW_S) == 1
    assert reserved(books, 10, NOON + 10) == 3


def test_the_server_counts_what_others_use() -> None:
    """It corrects downwards, and each later answer measures anew."""
    books = Books()
    reserved(books, 5, NOON)
    books.answer("me", 5, NOON)
    books.observe(4, books.answered, TEN, NOON)
    assert books.available(TEN, NOON) == 2
    books.observe(7, books.answered, TEN, NOON)
    assert books.available(TEN, NOON) == 5
    # More than the configuration gives is never taken.
    books.observe(1000, books.answered, TEN, NOON)
    assert books.available(TEN, NOON) == 5


def test_what_the_server_may_not_have_counted_is_taken_as_not_counted() -> None:
    """Calls under way when the answer was made are in neither number for certain."""
    books = Books()
    reserved(books, 5, NOON)
    books.answer("me", 2, NOON)
    books.observe(6, 2, TEN, NOON)
    assert books.available(TEN, NOON) == 6 - TEN.leave - 3


def test_what_others_used_is_forgotten_after_a_day() -> None:
    """If nobody measures again, it has come back by then."""
    books = Books()
    books.turn_to(NOON)
    books.observe(2, 0, TEN, NOON)
    assert books.available(TEN, NOON) == 0
    assert books.frees_at(TEN, NOON) == NOON + WINDOW_S
    assert books.available(TEN, NOON + WINDOW_S) == 10


def test_a_process_that_died_has_no_calls_under_way_for_ever() -> None:
    """After hours of silence what it held counts as answered, and as used."""
    books = Books()
    reserved(books, 4, NOON)
    books.turn_to(NOON + 3 * 3600)
    assert (books.answered, books.holders) == (4, {})
    assert books.used(NOON + 3 * 3600) == 4


def test_a_process_that_was_silent_for_long_answers_for_nothing_twice() -> None:
    """
    What it held counts as answered since; it comes back, and gives back or has its answers.

    Were it counted again, calls under way would be taken for counted by the server, and what is
    to be left to others would be used.
    """
    books = Books()
    reserved(books, 4, NOON)
    later = NOON + 3 * 3600
    books.turn_to(later)
    books.give_back("me", int(NOON // BUCKET_S), 3, later)
    books.answer("me", 1, later)
    assert books.reserved == books.answered
    assert reserved(books, 2, later) == 2
    before = books.answered
    books.observe(8, before, TEN, later)
    assert books.available(TEN, later) == 8 - TEN.leave - 2


events = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "give_back", "hear", "back"]),
        st.integers(1, 8),
        st.floats(0, 4 * 3600, allow_nan=False),
    ),
    max_size=60,
)


@given(events)
@settings(deadline=None)
def test_no_day_ever_holds_more_than_ours(happened: list[tuple[str, int, float]]) -> None:
    """Whatever is taken, given back and heard: in any 24 hours at most our part is used."""
    books, now = Books(), NOON
    used: list[tuple[float, int]] = []
    minutes: list[int] = []
    for what, count, passed in happened:
        now += passed
        books.turn_to(now)
        if what == "reserve":
            granted = books.reserve("me", count, TEN, now)
            used += [(now, 1)] * granted
            minutes += [int(now // BUCKET_S)] * granted
        elif what == "give_back" and minutes:
            books.give_back("me", minutes.pop(), 1, now)
            used.pop()
        elif what == "hear":
            books.observe(count, books.answered, TEN, now)
        window = [n for at, n in used if now - 86_400 < at <= now]
        assert sum(window) <= TEN.own
        assert books.used(now) >= sum(window)


def _take_all(path: Path, granted: multiprocessing.Queue[int]) -> None:
    total = 0
    while True:
        with Ledger(path).opened() as books:
            books.turn_to(NOON)
            got = books.reserve(str(os.getpid()), 3, Budget(500, 100), NOON)
        if not got:
            break
        total += got
    granted.put(total)


def test_processes_share_one_day(tmp_path: Path) -> None:
    """Four at once get all of it, and not one credit twice."""
    path = tmp_path / "state" / "credits.json"
    spawn = multiprocessing.get_context("fork")
    granted: multiprocessing.Queue[int] = spawn.Queue()
    processes = [spawn.Process(target=_take_all, args=(path, granted)) for _ in range(4)]
    for each in processes:
        each.start()
    assert sum(granted.get(timeout=60) for _ in processes) == 400
    for each in processes:
        each.join()


def _take_for_ever(path: Path) -> None:
    while True:
        with Ledger(path).opened() as books:
            books.turn_to(NOON)
            books.reserve("doomed", 1, Budget(10**9, 0), NOON)


def test_a_killed_process_leaves_a_ledger_that_can_be_read(tmp_path: Path) -> None:
    """However often, it is whole, it never says less than before, and the lock is free."""
    path = tmp_path / "credits.json"
    used = 0
    for _ in range(8):
        process = multiprocessing.get_context("fork").Process(target=_take_for_ever, args=(path,))
        process.start()
        begun = used
        while used < begun + 5:
            used = Ledger(path).read().used(NOON)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        with Ledger(path).opened() as books:
            assert books.used(NOON) >= used
            used = books.used(NOON)


def test_a_power_cut_gives_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken is safe before a call leaves: the new books, and then their name."""
    synced: list[Path] = []
    sync = os.fsync

    def seen(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink())
        sync(file)

    monkeypatch.setattr(os, "fsync", seen)
    with Ledger(tmp_path / "credits.json").opened() as books:
        reserved(books, 4, NOON)
    assert [tmp_path / "credits.part", tmp_path] == synced


def test_the_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Neither file nor folder can be read or changed by others."""
    path = tmp_path / "state" / "credits.json"
    with Ledger(path).opened() as books:
        books.reserve("me", 1, TEN, NOON)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("content", ["", "{}", '{"v": 2}', '{"v": 1, "buckets": 3}', "[]"])
def test_a_damaged_ledger_is_no_empty_one(tmp_path: Path, content: str) -> None:
    """What was used is not known then, and guessing would spend what is for others."""
    path = tmp_path / "credits.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=r"credits\.json: .*cannot be read"):
        Ledger(path).read()


def test_a_ledger_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    """It names the file, and the setting that mends it."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(CheckpointError, match=r"limits\.ledger") as caught,
        Ledger(tmp_path / "file" / "credits.json").opened(),
    ):
        pass
    assert caught.value.exit_code == ExitCode.INTERNAL


def test_organisations_have_ledgers_of_their_own(tmp_path: Path) -> None:
    """By product, address and client, or by name; and no client id stands in a file name."""

    def path(**tables: dict[str, str]) -> Path:
        limits = {"ledger": str(tmp_path), **tables.pop("limits", {})}
        return ledger_of(Config.model_validate({"limits": limits, **tables})).path

    one = path(auth={"client_id": "1000.A"})
    assert one == path(auth={"client_id": "1000.A", "client_secret": "s"})
    others = [
        path(auth={"client_id": "1000.B"}),
        path(auth={"client_id": "1000.A"}, api={"data_center": "eu"}),
        path(auth={"client_id": "1000.A"}, api={"base_url": "http://127.0.0.1:1"}),
        path(auth={"client_id": "1000.A"}, limits={"organisation": "acme"}),
    ]
    assert len({one, *others}) == 5
    assert others[3] == path(auth={"client_id": "1000.B"}, limits={"organisation": "acme"})
    assert "1000" not in one.name


def test_the_budget_is_that_of_the_configuration() -> None:
    """The edition's credits, and the share of them that is for others."""
    assert budget_of(Config()) == Budget(50_000, 10_000)
