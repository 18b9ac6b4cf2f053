"""
What `plan` shows before anything is sent: cost, requests, and where a row goes.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Sample
from tests.e2e.harness import Bench, emulator, is_write

LEADS = [f"41508680200000{number:04}" for number in range(250)]
CAMPAIGN = "415086806000000001"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """No server: planning needs none."""
    return Bench(tmp_path, "http://127.0.0.1:9")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """250 leads to take off a campaign, one of them twice, and one that is no id."""
    path = tmp_path / "leads.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["op", "module", "record_id", "related_list", "related_id"])
        for lead in [*LEADS, LEADS[4], "4.15E+18"]:
            writer.writerow(["unlink", "Leads", lead, "Campaigns", CAMPAIGN])
    return path


def test_the_plan_says_what_the_better_side_saves(bench: Bench, manifest: Path) -> None:
    """Calls, those of the manifest's own sides, and what no plan can beat."""
    told = json.loads(bench.run("plan", str(manifest), "--json").stdout)
    (relation,) = told["relations"]
    assert (3, 250, 3) == (relation["calls"], relation["as_given"], relation["at_least"])
    assert 3 == told["cost"]["credits"]
    words = bench.run("plan", str(manifest)).stdout
    assert "3 calls instead of 250" in words


def test_the_time_follows_the_latency_that_is_given(bench: Bench, manifest: Path) -> None:
    """Calls times latency over the calls in flight; without one it is assumed, and says so."""
    for latency in (0.5, 2.0):
        told = json.loads(
            bench.run("plan", str(manifest), "--latency", str(latency), "--json").stdout
        )
        assert told["cost"]["seconds"] == pytest.approx(3 * latency / 20)
        assert "given" == told["cost"]["basis"]
    assert (
        "assumed" == json.loads(bench.run("plan", str(manifest), "--json").stdout)["cost"]["basis"]
    )


def test_capture_is_counted(bench: Bench, manifest: Path) -> None:
    """A read before each write is a credit more."""
    more = {"BULKOPS_RUN__CAPTURE": "fields"}
    told = json.loads(bench.run("plan", str(manifest), "--json", **more).stdout)
    assert (3, 3, 6) == tuple(told["cost"][name] for name in ("calls", "captures", "credits"))


def test_more_than_a_day_takes_days(bench: Bench, manifest: Path) -> None:
    """One credit a day is ours: three calls take three days."""
    more = {"BULKOPS_LIMITS__CREDITS_PER_DAY": "2", "BULKOPS_LIMITS__LEAVE_CREDITS": "50%"}
    told = json.loads(bench.run("plan", str(manifest), "--json", **more).stdout)
    assert (1, 1, 3) == tuple(told["cost"][name] for name in ("ours_a_day", "ours_now", "days"))
    assert "That takes 3 days" in bench.run("plan", str(manifest), **more).stdout


def test_a_sample_is_what_is_sent(tmp_path: Path, sample: Sample) -> None:
    """Each request shown is a call that the server then sees, with the same path and query."""
    with emulator(tmp_path, sample.world, job_seconds=0.1) as bench:
        told = json.loads(
            bench.run("plan", str(sample.manifest), "--sample", "20", "--json").stdout
        )
        assert 20 == len(told["requests"])
        bench.run("run", str(sample.manifest), "--yes")
        seen = {(call["method"], call["path"]) for call in bench.ledger() if is_write(call)}
        for each in told["requests"]:
            assert (each["method"], each["url"].removeprefix(bench.url)) in seen
        again = json.loads(bench.run("plan", str(sample.manifest), "--json").stdout)
        assert again["cost"]["basis"].startswith("measured by manifest-")


def test_every_kind_of_row_is_explained(bench: Bench, manifest: Path) -> None:
    """A sent row names its call, a repeated one the line it repeats, a bad one what is wrong."""
    sent = bench.run("plan", str(manifest), "--explain", "5")
    assert "from the other side" in sent.stdout
    assert f"/Campaigns/{CAMPAIGN}/Leads" in sent.stdout
    repeated = json.loads(bench.run("plan", str(manifest), "--explain", "251", "--json").stdout)
    assert (False, "duplicate", 5) == tuple(
        repeated[name] for name in ("sent", "status", "of_line")
    )
    bad = bench.run("plan", str(manifest), "--explain", "252")
    assert "mangled by a spreadsheet" in bad.stdout
    missing = bench.run("plan", str(manifest), "--explain", "999")
    assert (2, True) == (missing.returncode, "has 252 records" in missing.stderr)


def test_a_line_of_several_files_is_named_by_its_file(
    bench: Bench, manifest: Path, tmp_path: Path
) -> None:
    """FILE:LINE is the record of that file."""
    second = tmp_path / "more.csv"
    second.write_text(
        f"op,module,record_id,related_list,related_id\nunlink,Leads,77,Campaigns,{CAMPAIGN}\n"
    )
    named = f"{second}:1"
    told = json.loads(
        bench.run("plan", str(manifest), str(second), "--explain", named, "--json").stdout
    )
    assert (253, "77") == (told["line"], told["row"]["record_id"])
