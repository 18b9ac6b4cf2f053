"""Names lead to runs of the folder, and nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bulkops.engine.serve.folder import RunsFolder
from tests.engine.serve.house import Served, finished, served


def run_at(path: Path) -> Path:
    """A folder that looks like a run."""
    path.mkdir(parents=True)
    (path / "run.json").write_text('{"v": 1}')
    return path


def test_runs_are_folders_with_a_description(tmp_path: Path) -> None:
    """Hidden folders, links and other files are none; a folder that is not there has none."""
    runs = tmp_path / "runs"
    assert [] == list(RunsFolder(runs).runs())
    run_at(runs / "one")
    run_at(runs / ".jobs")
    (runs / "empty").mkdir()
    (runs / "pause").write_text("")
    (runs / "link").symlink_to(run_at(tmp_path / "outside"))
    assert ["one"] == [each.name for each in RunsFolder(runs).runs()]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "../outside",
            "one/../../outside",
            "/etc",
            "link",
            ".hidden",
            "none",
            "a\0b",
        ),
        *("x" * 5000, "\udcff", "..\\outside", "one/"),
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    """Paths, links, and what the system would not even look at."""
    runs = tmp_path / "runs"
    run_at(runs / "one")
    run_at(runs / ".hidden")
    (runs / "link").symlink_to(run_at(tmp_path / "outside"))
    assert RunsFolder(runs).find(name) is None
    found = RunsFolder(runs).find("one")
    assert found is not None
    assert runs / "one" == found.path


async def raw(server: Served, target: str) -> int:
    """Ask for a target as it stands, which no client of ours has tidied up; return the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.address.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    line = await reader.readline()
    await reader.read()
    writer.close()
    return int(line.split()[1])


WAYS = (
    *("..", "%2e%2e", ".%2e", "..%2foutside", "%2e%2e%2foutside", "%2Fetc", "link", "%252e%252e"),
    *("..%5coutside", "../outside", "%2e%2e/outside", "%00", "%ff", "linked%2f..%2flink"),
)


async def test_no_address_leads_out_of_the_folder(tmp_path: Path) -> None:
    """However it is written, for a page, a report, a file or data."""
    runs = tmp_path / "runs"
    run_at(runs / "one")
    (runs / "link").symlink_to(run_at(tmp_path / "outside"))
    (tmp_path / "outside" / "report.html").write_text("secret")
    (tmp_path / "outside" / "failed.csv").write_text("secret")
    async with served(runs) as server:
        for way in WAYS:
            pages = [f"/runs/{way}{path}" for path in ("", "/report", "/failed.csv", "/events")]
            data = [f"/api/runs/{way}{path}" for path in ("", "/outcomes", "/events")]
            answers = {target: await raw(server, target) for target in pages + data}
            assert set(answers.values()) <= {400, 404}, answers


async def test_files_of_a_run_that_are_links_are_not_given_out(tmp_path: Path) -> None:
    """A link may lead anywhere."""
    made = finished(tmp_path, bad=True)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for name in ("failed.csv", "report.html"):
        (made.run.path / name).unlink()
        (made.run.path / name).symlink_to(secret)
    async with served(tmp_path / "runs") as server:
        assert 404 == (await server.get(f"/runs/{made.run.name}/failed.csv")).status
        # The report is made anew instead.
        report = await server.text(f"/runs/{made.run.name}/report")
        assert "secret" != report
        assert "Report of run" in report
