"""The level remembered between runs: a hint in a file for its owner alone, and never a trap."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bulkops.files.config import Config
from bulkops.files.levels import LevelFile, level_file_of


def config(url: str = "http://127.0.0.1:1", **auth: str) -> Config:
    return Config(api={"base_url": url}, auth=auth or {"client_id": "1000.app"})


def test_a_level_is_found_again(tmp_path: Path) -> None:
    """By the next run of the same app, beside those of others."""
    path = tmp_path / "deep" / "levels.json"
    mine, theirs = LevelFile(path, "mine"), LevelFile(path, "theirs")
    assert mine.load() is None
    mine.save(12)
    theirs.save(5)
    mine.save(14)
    assert (mine.load(), theirs.load()) == (14, 5)


def test_the_file_is_for_its_owner_alone_and_replaced_whole(tmp_path: Path) -> None:
    """Nothing half written is ever under its name, and nothing else stays in the folder."""
    path = tmp_path / "state" / "levels.json"
    LevelFile(path, "a").save(7)
    before = path.stat().st_ino
    LevelFile(path, "a").save(8)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_ino != before
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b'{"mine": "12"}', b'{"mine": true}', b'{"mine": 0}',
     b'{"mine": -4}', b'{"mine": 1e9}', b'{"mine": 100000}', b"\xff\xfe"],
)  # fmt: skip
def test_damage_is_told_and_ignored(tmp_path: Path, content: bytes) -> None:
    """A hint that cannot be read is no hint; the next save mends the file."""
    path = tmp_path / "levels.json"
    path.write_bytes(content)
    file = LevelFile(path, "mine")
    with capture_logs() as logs:
        assert file.load() is None
    assert [each["event"] for each in logs] == ["levels.ignored"]
    assert str(path) == logs[0]["path"]
    file.save(9)
    assert file.load() == 9


def test_what_is_damaged_of_others_does_not_cost_mine(tmp_path: Path) -> None:
    """Each entry is judged by itself."""
    path = tmp_path / "levels.json"
    path.write_bytes(b'{"mine": 12, "theirs": "many"}')
    assert LevelFile(path, "mine").load() == 12


ODD = st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.just([7])
NEARLY = st.dictionaries(st.sampled_from(["mine", "theirs"]), st.integers(-(2**63), 2**65) | ODD)


@given(content=st.binary(max_size=60) | NEARLY.map(lambda each: json.dumps(each).encode()))
def test_no_content_ends_a_run(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Loading gives a level that can be one, or none."""
    path = tmp_path_factory.getbasetemp() / "any-levels.json"
    path.write_bytes(content)
    with capture_logs():
        level = LevelFile(path, "mine").load()
    assert level is None or 1 <= level <= 1000


def test_a_place_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """The run has done its work; only the hint is lost."""
    (tmp_path / "file").write_text("in the way")
    with capture_logs() as logs:
        file = LevelFile(tmp_path / "file" / "levels.json", "mine")
        file.save(9)
        assert file.load() is None
    assert {each["event"] for each in logs} == {"levels.ignored"}


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    """Of many organisations those told of last are kept."""
    path = tmp_path / "levels.json"
    for number in range(205):
        LevelFile(path, str(number)).save(5)
    kept = orjson.loads(path.read_bytes())
    assert list(kept) == [str(number) for number in range(5, 205)]


def test_apps_and_addresses_have_levels_of_their_own() -> None:
    """The limit is the app's, and a sandbox is not the organisation."""
    files = [
        level_file_of(each)
        for each in (
            config(),
            config(client_id="1000.other"),
            config("http://127.0.0.1:2"),
            config(access_token="1000.token"),
        )
    ]
    assert len({each.key for each in files}) == 4
    assert files[0] == level_file_of(config())


def test_the_file_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are digests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = level_file_of(config(access_token="1000.secret"))
    file.save(5)
    assert b"1000" not in file.path.read_bytes()


def test_it_lives_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system says that programs keep such things."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert level_file_of(config()).path == tmp_path / "bulkops" / "levels.json"
