"""Manifests of which nothing can be read, and names that nobody knows: one clear error each."""

from __future__ import annotations

import errno
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bulkops.errors import BulkopsError, ExitCode, ManifestError, UsageError
from bulkops.files import planner
from bulkops.files.manifest import inspect
from bulkops.files.planner import Wanted, make_plan
from bulkops.rules.operations import OPS

_HEADER = "op,module,record_id,related_list,related_id\n"
_ROW = "unlink,Leads,1,Campaigns,2\n"


def refusal(file: Path, **wanted: Any) -> str:
    """Return the words with which a manifest is refused, without its path."""
    folder = file.parent
    with pytest.raises(ManifestError) as caught:
        make_plan(
            inspect(file), Wanted(**wanted), plan=folder / "plan.parquet", rows=folder / "rows"
        )
    words = str(caught.value)
    assert ExitCode.USAGE == caught.value.exit_code
    assert words.startswith(f"{file}: ")
    assert "\n" not in words
    assert [] == [left for left in folder.iterdir() if left != file]
    return words.removeprefix(f"{file}: ")


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a manifest into a folder of its own."""

    def write(content: str | bytes, name: str = "manifest.csv") -> Path:
        path = tmp_path / "manifests" / name
        path.parent.mkdir()
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_a_missing_column_is_named(file: Callable[..., Path]) -> None:
    """Without a column that its operation needs no row can be one, so nothing is read."""
    path = file("module,record_id,related_list\nLeads,1,Campaigns\n")

    assert (
        "found columns module, record_id, related_list; expected also related_id "
        "(give them with --map or --set)"
    ) == refusal(path, fixed={"op": "unlink"})


def test_a_name_that_is_nearly_right_is_pointed_at(file: Callable[..., Path]) -> None:
    """Each missing column with a near miss in the header comes with the option that helps."""
    path = file("Module,Record Id,related_list,contact\nLeads,1,Campaigns,2\n")

    assert (
        "found columns Module, Record Id, related_list, contact; expected also module, record_id, "
        "related_id ('Module' looks like module: --map module='Module'; "
        "'Record Id' looks like record_id: --map record_id='Record Id')"
    ) == refusal(path, fixed={"op": "unlink"})


def test_mapped_and_set_columns_are_not_missing(file: Callable[..., Path]) -> None:
    """What the command gives need not be in the file."""
    path = file("Lead,Campaign\n1,2\n")
    made = make_plan(
        inspect(path),
        Wanted(
            columns={"record_id": "Lead", "related_id": "Campaign"},
            fixed={"op": "unlink", "module": "Leads", "related_list": "Campaigns"},
        ),
        plan=path.with_name("plan.parquet"),
        rows=path.with_name("rows.parquet"),
    )

    assert (1, 1) == (made.rows, made.summary.total.sent)


def test_optional_columns_may_be_missing(file: Callable[..., Path]) -> None:
    """A territory may be deleted without a word on who gets what it held."""
    path = file("territory_id,note\n5,x\n")
    made = make_plan(
        inspect(path),
        Wanted(fixed={"op": "delete_territory"}),
        plan=path.with_name("plan.parquet"),
        rows=path.with_name("rows.parquet"),
    )

    assert 1 == made.summary.total.sent


def test_no_operation_at_all(file: Callable[..., Path]) -> None:
    """A file without an `op` column needs `--op`."""
    path = file("module,record_id\nLeads,1\n")

    assert ("found columns module, record_id; expected also op (give it with --op)") == refusal(
        path
    )


def test_a_file_without_a_header(file: Callable[..., Path]) -> None:
    """Its first row is taken for one, in which nothing is known."""
    assert refusal(file(_ROW)).endswith("(give it with --op; or is the first line no header?)")


def test_every_column_of_another_name_is_told_at_once(file: Callable[..., Path]) -> None:
    """Not one a start: the words can be copied as they are."""
    words = refusal(file("Op,Module,Record ID\nunlink,Leads,1\n"))
    assert "--map op='Op'; " in words
    assert "--map module='Module'; " in words
    assert words.endswith("--map record_id='Record ID')")


def test_a_full_disk_is_told_in_words(
    file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is met while rows are read: what failed, and where more room may be."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(planner, "load", full)
    path = file(_HEADER + _ROW)
    with pytest.raises(BulkopsError, match=r"No space left.*Is there room in .*temp_directory"):
        make_plan(
            inspect(path),
            Wanted(),
            plan=path.parent / "plan.parquet",
            rows=path.parent / "rows.parquet",
        )
    assert [path] == list(path.parent.iterdir())


def test_an_operation_in_a_column_of_another_name(file: Callable[..., Path]) -> None:
    """`Op` is not `op`, but nearly."""
    path = file("Op,module\nunlink,Leads\n")

    assert (
        "found columns Op, module; expected also op ('Op' looks like op: --map op='Op')"
    ) == refusal(path)


def test_a_column_mapped_from_nowhere(file: Callable[..., Path]) -> None:
    """A mapping must name a column that the file has."""
    words = refusal(file(_HEADER + _ROW), columns={"record_id": "Lead Id"})

    assert "'Lead Id'" in words
    assert "'record_id'" in words


@pytest.mark.parametrize("option", ["columns", "fixed"])
def test_a_name_that_is_no_column_of_ours(file: Callable[..., Path], option: str) -> None:
    """A typing error in `--map` or `--set` is refused before anything is read."""
    with pytest.raises(UsageError, match=r"^'record' is not a column that bulkops reads; expected"):
        make_plan(
            inspect(file(_HEADER + _ROW)),
            Wanted(**{option: {"record": "x"}}),
            plan=Path("plan"),
            rows=Path("rows"),
        )


def test_an_operation_that_is_none(file: Callable[..., Path]) -> None:
    """`--op` takes the names of operations alone."""
    words = f"'delete' is not an operation; expected one of {', '.join(OPS)}"
    with pytest.raises(UsageError) as caught:
        make_plan(
            inspect(file(_HEADER + _ROW)),
            Wanted(fixed={"op": "delete"}),
            plan=Path("plan"),
            rows=Path("rows"),
        )

    assert words == str(caught.value)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "manifest.csv", "empty file"),
        (b"", "manifest.jsonl", "empty file"),
        (b"\n \n", "manifest.csv", "found nothing in this file"),
        (
            gzip.compress(_ROW.encode() * 999, mtime=0)[:-20],
            "manifest.csv.gz",
            "truncated or damaged gzip",
        ),
        (
            gzip.compress(_ROW.encode(), mtime=0)[:12],
            "manifest.csv.gz",
            "truncated or damaged gzip",
        ),
        (_HEADER.encode(), "manifest.csv.gz", "the name says gz"),
        ((_HEADER + _ROW).encode() + b"unlink,L\xe4nder,1,C,2\n", "m.csv", "found bytes e4"),
        (b'{"op": "unlink", "module": "L\xe4nder"}\n', "m.jsonl", "found bytes e4"),
        (b"PK\x03\x04" + bytes(100), "manifest.csv", "a zip archive or an Excel workbook"),
        (b"op,module,op\nunlink,Leads,link\n", "manifest.csv", "the header has 'op' 2 times"),
    ],
    ids=[
        "empty",
        "empty JSON lines",
        "blank lines",
        "gzip cut at its end",
        "gzip cut at its begin",
        "no gzip",
        "latin-1",
        "latin-1 JSON lines",
        "workbook",
        "a column twice",
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    file: Callable[..., Path], content: bytes, name: str, words: str
) -> None:
    """One line of words with what was found; no half plan is left behind."""
    assert words in refusal(file(content, name))


def test_latin_1_far_from_the_begin(file: Callable[..., Path]) -> None:
    """What the first look does not see, the reading does, with the line of the file."""
    path = file((_HEADER + _ROW * 20_000).encode() + b"unlink,L\xe4nder,1,C,2\n")

    assert "line 20002 of the file, that are not UTF-8" in refusal(path)


def test_a_gzip_cut_far_from_the_begin(file: Callable[..., Path]) -> None:
    """A file that ends too early is not a shorter manifest."""
    noise = "".join(
        f"unlink,Leads,{number * 7919 % 10007},Campaigns,2\n" for number in range(90_000)
    )
    path = file(gzip.compress((_HEADER + noise).encode())[:-9], "manifest.csv.gz")

    assert "truncated or damaged gzip" in refusal(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "found a directory, expected a file"),
        (lambda path: None, "there is no such file"),
    ],
    ids=["directory", "nothing"],
)
def test_a_path_that_is_no_file(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    """A directory, or nothing at all, is refused by name."""
    path = tmp_path / "manifest.csv"
    make(path)
    with pytest.raises(ManifestError) as caught:
        inspect(path)

    assert f"{path}: {words}" == str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["LF", "CRLF", "none"])
def test_a_header_alone_is_a_manifest_of_no_rows(file: Callable[..., Path], end: str) -> None:
    """Nothing to do is no error, whatever the line ends."""
    path = file(_HEADER.replace("\n", end))
    made = make_plan(
        inspect(path),
        Wanted(),
        plan=path.with_name("plan.parquet"),
        rows=path.with_name("rows.parquet"),
    )

    assert (0, ()) == (made.rows, made.summary.shares)


def test_a_plan_that_does_not_fit_says_what_helps(file: Callable[..., Path]) -> None:
    """Too little memory ends in one of our errors, which names the keys to change."""
    rows = "".join(f"unlink,Leads,{number},Campaigns,{number}\n" for number in range(60_000))
    path = file(_HEADER + rows)
    with pytest.raises(UsageError) as caught:
        make_plan(
            inspect(path),
            Wanted(),
            plan=path.with_name("plan.parquet"),
            rows=path.with_name("rows.parquet"),
            memory="16MB",
        )

    assert (
        f"{path}: planning it needs more than 16MB of memory; raise `memory` in [plan], or give "
        "`temp_directory` a folder with more room"
    ) == str(caught.value)
