"""
A power cut takes back whatever was not synced: the log still calls every call `sent`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from bulkops.cli.demo import write_demo
from bulkops.files.plan_file import read_batches
from bulkops.rules.line_set import LineSet
from tests.crash.oracle import Tally, asked_of, wished
from tests.crash.story import Story, emulator_on
from tests.crash.test_kills import FAULTS
from tests.e2e.harness import is_write


def asked_more_than_sent(story: Story) -> list[str]:
    """Say which lines more calls of the ledger carry than the log calls `sent`."""
    log = story.log
    assert log is not None
    batches = dict(_batches(log.parent))
    sent: Counter[int] = Counter()
    for record in story.records():
        if record["type"] == "sent":
            sent.update(record.get("lines", batches[record["batch"]]))
    rows = story.rows
    line_of = {
        each: line
        for lines in batches.values()
        for line in lines
        for each in wished(rows[line - 1])
    }
    arrived: Counter[int] = Counter()
    for call in story.ledger():
        if is_write(call):
            arrived.update({line_of[each] for each in asked_of(call, call["asked"])})
    return [
        f"line {line}: {count} calls arrived, {sent[line]} are called sent"
        for line, count in arrived.items()
        if count > sent[line]
    ]


def _batches(run: Path) -> list[tuple[int, list[int]]]:
    return [
        (batch.number, [each.line for each in batch.operations])
        for _, batch in read_batches(run / "plan.parquet", LineSet())
    ]


def synced(book: Path) -> dict[str, int]:
    """Return the size of each file that was synced, as of the last time."""
    facts = (json.loads(line) for line in book.read_bytes().splitlines())
    return {fact["path"]: fact["size"] for fact in facts}


@pytest.mark.parametrize("sent", [1, 25])
def test_no_call_is_known_to_the_server_alone(tmp_path: Path, totals: Tally, sent: int) -> None:
    """Cut back to the last `fsync`, the log holds a `sent` for every call that arrived."""
    manifest, world = write_demo(tmp_path, rows=400)
    before = json.loads(world.read_bytes())
    book = tmp_path / "fsyncs.jsonl"
    with emulator_on(
        tmp_path, world, faults=FAULTS, seed=sent, latency_median_s=0.02, job_seconds=0.5
    ) as bench:
        story = Story(bench, manifest, before, {"BULKOPS_LIMITS__ATTEMPTS": "12"})
        story.first_run(b'"type":"sent"', sent, "--fsyncs", str(book))
        log = story.log
        assert log is not None
        kept = synced(book)[str(log.resolve())]
        os.truncate(log, kept)
        totals.power_cuts += 1

        assert asked_more_than_sent(story) == []

        story.finish()
        tally = story.judge()
    totals.add(tally)
    assert not tally.mismatches, "\n".join(tally.mismatches)


def test_the_log_is_in_its_folder_after_a_power_cut(tmp_path: Path) -> None:
    """A new file outlives a power cut only if its folder was synced too, before the first call."""
    manifest, world = write_demo(tmp_path, rows=200)
    book = tmp_path / "fsyncs.jsonl"
    with emulator_on(tmp_path, world, latency_median_s=0.02) as bench:
        story = Story(bench, manifest, {})
        story.first_run(b'"type":"sent"', 1, "--fsyncs", str(book))
        log = story.log
        assert log is not None
        assert str(log.parent.resolve()) in synced(book)
        assert str((log.parent / "plan.parquet").resolve()) in synced(book)
