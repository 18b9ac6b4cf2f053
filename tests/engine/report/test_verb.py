"""`bulkops report`, and the report that every run writes at its end."""

from __future__ import annotations

import json
from pathlib import Path

from bulkops.engine.derive import derive
from bulkops.errors import ExitCode
from tests.e2e.harness import Bench
from tests.engine.report.outline import outline
from tests.engine.report.runs import log, note, outcome, sent, unlinks


def test_the_end_of_a_run_writes_its_report_with_links_to_its_files(tmp_path: Path) -> None:
    """Derived after the files that it leads to."""
    made = log(unlinks(tmp_path, 2), sent(0, 1), outcome(1, 1), outcome(1, 2, "failed", code="X"))
    derive(made, ExitCode.INCOMPLETE, finished=True)

    page = outline((made.run.path / "report.html").read_text(encoding="utf-8"))
    links = {each.attributes["href"] for each in page.all("a")}
    assert {"failed.csv", "outcomes.csv"} == links
    assert all((made.run.path / link).is_file() for link in links)


def test_the_verb_prints_where_and_with_json_the_figures(tmp_path: Path) -> None:
    """The path alone for people and scripts; a versioned object for programs."""
    made = log(
        unlinks(tmp_path, 2),
        note(0, "run.started"),
        sent(0, 1),
        outcome(1, 1),
        outcome(2, 2, "failed", code="INVALID_DATA"),
        note(3, "run.finished", reason=""),
    )
    bench, name = Bench(tmp_path, "http://127.0.0.1:9"), made.run.name
    printed = bench.run("report", name)
    target = tmp_path / "elsewhere.html"
    told = json.loads(bench.run("report", name, "--json", "--output", str(target)).stdout)

    assert (0, str(made.run.path / "report.html")) == (printed.returncode, printed.stdout.strip())
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert {"v", "run", "state", "rows", "settled", "timeline", "report"} <= set(told)
    assert (1, "finished", str(target)) == (told["v"], told["state"], told["report"])
    assert {"succeeded": 1, "failed": 1} == told["statuses"]
    assert (1, 1, 0) == (told["calls"], told["planned_calls"], told["reads"])
    assert 2 == sum(map(sum, told["timeline"]["settled"].values()))


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """Exit code 2, with the file's name."""
    made = log(unlinks(tmp_path, 1), outcome(1, 1))
    bench = Bench(tmp_path, "http://127.0.0.1:9")
    ended = bench.run("report", made.run.name, "--output", str(tmp_path / "no" / "r.html"))

    assert 2 == ended.returncode
    assert "r.html: cannot be written" in " ".join(ended.stderr.split())
