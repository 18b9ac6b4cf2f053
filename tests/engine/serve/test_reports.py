"""Reports as they lie there, or made aside; and nothing is ever written to a run directory."""

from __future__ import annotations

import os
from pathlib import Path

from bulkops.engine.serve import pages
from tests.engine.report.runs import unlinks
from tests.engine.serve.house import finished, process_on, served, unfinished


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, with when it was changed; sockets have no content."""
    return {
        str(each.relative_to(folder)): (
            each.lstat().st_mtime_ns,
            each.read_bytes() if each.is_file() else b"",
        )
        for each in sorted(folder.rglob("*"))
    }


async def test_a_report_is_given_as_it_lies_there(tmp_path: Path) -> None:
    """With a policy under which its own style and script run, and nothing is loaded."""
    made = finished(tmp_path)
    async with served(tmp_path / "runs") as server:
        got = await server.get(f"/runs/{made.run.name}/report")
    assert (made.run.path / "report.html").read_bytes() == (await got.text()).encode()
    policy = got.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "script-src 'unsafe-inline'" in policy
    assert "nosniff" == got.headers["X-Content-Type-Options"]


async def test_a_report_that_is_not_there_is_made_aside(tmp_path: Path) -> None:
    """It leads to the files of the run, which can be fetched; the directory is as it was."""
    made = finished(tmp_path, bad=True)
    (made.run.path / "report.html").unlink()
    before = contents(tmp_path / "runs")
    path = f"/runs/{made.run.name}"
    async with served(tmp_path / "runs") as server:
        text = await server.text(f"{path}/report")
        assert f"Report of run {made.run.name}" in text
        for name in ("failed.csv", "outcomes.csv"):
            assert f'href="{name}"' in text
            got = await server.get(f"{path}/{name}")
            assert (made.run.path / name).read_bytes() == (await got.text()).encode()
            assert "attachment" in got.headers["Content-Disposition"]
        assert text == await server.text(f"{path}/report")
    assert before == contents(tmp_path / "runs")


async def test_an_old_report_is_made_anew_once_no_process_is_on_the_run(tmp_path: Path) -> None:
    """While one is, the old one is given: it says when it was made."""
    made = unfinished(tmp_path, "drained")
    old = (made.run.path / "report.html").read_bytes()
    with made.run.checkpoint.open("ab") as file:
        file.write(b'{"type":"outcome","line":2,"status":"succeeded","t":1.0}\n')
    later = (made.run.path / "report.html").stat().st_mtime + 5
    os.utime(made.run.checkpoint, (later, later))
    before = contents(made.run.path)
    async with served(tmp_path / "runs") as server:
        path = f"/runs/{made.run.name}/report"
        async with process_on(made):
            assert old == (await server.text(path)).encode()
        assert "Finished; every row is in its wanted state" in await server.text(path)
    assert before == contents(made.run.path)


async def test_a_run_that_goes_on_or_never_began_has_none(tmp_path: Path) -> None:
    """The words say when there will be one."""
    made = unlinks(tmp_path, 2)
    async with served(tmp_path / "runs") as server:
        got = await server.get(f"/runs/{made.run.name}/report")
        assert 404 == got.status
        assert "when its process ends" in await got.text()
        made.run.checkpoint.write_bytes(b"")
        async with process_on(made):
            assert 404 == (await server.get(f"/runs/{made.run.name}/report")).status
        assert 404 == (await server.get(f"/runs/{made.run.name}/failed.csv")).status
        assert 404 == (await server.get(f"/runs/{made.run.name}/checkpoint.jsonl")).status
        assert 404 == (await server.get(f"/runs/{made.run.name}/run.json")).status


async def test_a_stale_socket_is_none_of_a_process(tmp_path: Path) -> None:
    """A killed run leaves its socket behind; its report is made all the same."""
    made = unfinished(tmp_path, None)
    async with served(tmp_path / "runs") as server:
        (made.run.path / "ctl.sock").touch()
        assert "Not finished" in await server.text(f"/runs/{made.run.name}/report")
        (entry,) = (await server.json("/api/runs"))["runs"]
        assert "unfinished" == entry["state"]


async def test_looking_leaves_no_trace(tmp_path: Path) -> None:
    """Whatever is asked for, the runs are the same files afterwards, to the nanosecond."""
    made = finished(tmp_path, bad=True)
    other = unfinished(tmp_path / "other", None)
    other.run.path.rename(tmp_path / "runs" / "other")
    before = contents(tmp_path / "runs")
    async with served(tmp_path / "runs") as server:
        for name in (made.run.name, "other"):
            for path in (f"/runs/{name}", f"/runs/{name}/report", f"/api/runs/{name}"):
                await server.text(path)
            await server.text(f"/api/runs/{name}/outcomes")
        for path in ("/", "/api/runs", "/metrics"):
            await server.text(path)
    assert before == contents(tmp_path / "runs")


def test_every_asset_is_there() -> None:
    """The style is that of the report, and more."""
    for name in pages.ASSETS:
        assert pages.asset(name)
    assert b"--paper" in pages.asset("style.css")
