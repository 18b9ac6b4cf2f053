"""Standard input as a file: whole or not at all, for its owner alone, and nothing left behind."""

from __future__ import annotations

import fcntl
import io
import os
import stat
from pathlib import Path

import pytest

from bulkops.errors import BulkopsError, ManifestError
from bulkops.files.spool import called_by_its_name, keep, spooled

CONTENT = b"op,record_id\n" + b"a,1\n" * 400_000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_has_all_and_goes_at_the_end(tmp_path: Path) -> None:
    """It can be read while it is held, by its owner alone; then it is gone."""
    with spooled(io.BytesIO(CONTENT), tmp_path) as path:
        assert CONTENT == path.read_bytes()
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        assert tmp_path == path.parent

    assert [] == list(tmp_path.iterdir())


def test_a_file_that_moved_stays(tmp_path: Path) -> None:
    """It is renamed, never copied: half of it is nowhere to be seen."""
    with spooled(io.BytesIO(CONTENT), tmp_path) as path:
        inode = path.stat().st_ino
        (tmp_path / "run").mkdir()
        keep(path, tmp_path / "run" / "stdin.csv")

    kept = tmp_path / "run" / "stdin.csv"
    assert (inode, 0o600) == (kept.stat().st_ino, stat.S_IMODE(kept.stat().st_mode))
    assert ["run"] == names(tmp_path)


def test_a_folder_is_made_and_goes_if_nothing_came_of_it(tmp_path: Path) -> None:
    """It is for its owner alone; one that was there stays."""
    folder = tmp_path / "deep" / "runs"
    with spooled(io.BytesIO(b"x"), folder):
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert not folder.exists()

    folder.mkdir()
    with spooled(io.BytesIO(b"x"), folder):
        pass
    assert folder.exists()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_whatever_ends_it_nothing_is_left(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    """While it is read, and while it is held."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise interruption

    with pytest.raises(interruption), spooled(Broken(), tmp_path):
        pass
    with pytest.raises(interruption), spooled(io.BytesIO(b"x"), tmp_path):
        raise interruption

    assert [] == list(tmp_path.iterdir())


def test_what_cannot_be_read_or_kept_is_one_error(tmp_path: Path) -> None:
    """A folder as standard input, a file where the folder should be."""
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(BulkopsError, match="file: standard input cannot be kept there"),
        spooled(io.BytesIO(b"x"), tmp_path / "file"),
    ):
        pass

    class Folder(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise IsADirectoryError(21, "Is a directory")

    with pytest.raises(BulkopsError) as caught, spooled(Folder(), tmp_path / "runs"):
        pass
    assert (
        f"standard input cannot be read, or not be kept in {tmp_path / 'runs'} ([Errno 21] Is a"
        " directory)"
    ) == str(caught.value)
    assert ["file"] == names(tmp_path)


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    """But not what another process is still writing, or has just begun."""
    for name in (".stdin-dead", ".stdin-alive", ".stdin-new", "stdin-mine"):
        (tmp_path / name).write_bytes(b"half")
        if name != ".stdin-new":
            os.utime(tmp_path / name, (1, 1))
    with (tmp_path / ".stdin-alive").open("rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        with spooled(io.BytesIO(b"x"), tmp_path):
            pass

    assert [".stdin-alive", ".stdin-new", "stdin-mine"] == names(tmp_path)


def test_errors_speak_of_standard_input(tmp_path: Path) -> None:
    """Nobody knows the file that it was kept in."""
    path = tmp_path / ".stdin-x"
    with pytest.raises(ManifestError) as caught, called_by_its_name(path):
        raise ManifestError(f"{path}: found nothing in this file")
    assert "standard input: found nothing in this file" == str(caught.value)

    with pytest.raises(ManifestError, match="other"), called_by_its_name(None):
        raise ManifestError("other")
