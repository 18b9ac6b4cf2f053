"""
The log cut at every byte: what is read is the state of its whole lines, and the run ends the same.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from bulkops.cli.demo import write_demo
from bulkops.files.resume import read_progress
from bulkops.rules.progress import Progress
from tests.crash.oracle import Effect, Tally, asked_of, effects_of, wished
from tests.crash.story import Story, emulator_on
from tests.e2e.harness import Bench, apply, is_write, read_rows, truth

#: How often the whole program resumes; a few for each kind of record, the rest anywhere.
_RESUMED = 25
_QUICK: dict[str, Any] = {"job_seconds": 0.05, "tokens_per_window": 1000}


@dataclass(frozen=True)
class Finished:
    """A small run that ended: its log, its world before, and its calls with their effects."""

    manifest: Path
    before: dict[str, Any]
    name: str
    folder: Path
    log: bytes
    #: the effects of each writing call, jobs included, in the order of `sent` in the log
    effects: list[Counter[Effect]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Seventy rows of every operation, sent one call at a time."""
    folder = tmp_path_factory.mktemp("finished")
    manifest, world = write_demo(folder, rows=70)
    before = json.loads(world.read_bytes())
    with emulator_on(folder, world, **_QUICK) as bench:
        story = Story(bench, manifest, before, {"BULKOPS_LIMITS__CONCURRENCY": "1"})
        assert story.run() == 3, story.talk
        jobs = story.ended_jobs()
        calls = [call for call in story.ledger() if is_write(call)]
    log = (bench.run_directory / "checkpoint.jsonl").read_bytes()
    assert log.count(b'"type":"sent"') == len(calls)
    return Finished(manifest, before, bench.run_directory.name, folder, log, _by_call(calls, jobs))


def _by_call(
    calls: Sequence[Mapping[str, Any]], jobs: Sequence[Mapping[str, Any]]
) -> list[Counter[Effect]]:
    """Give each call its own effects and those of the jobs it had scheduled."""
    # A record has one job at a time, so the last call that asked for it is the job's.
    waiting = sorted(jobs, key=lambda job: int(job["id"]))
    found = []
    for call in calls:
        asked = set(asked_of(call, call["asked"]))
        own = effects_of([call], [])
        if call["path"].endswith("_territories") and call["status"] in {200, 202, 207}:
            mine = []
            for job in list(waiting):
                of_job = effects_of([], [{**job, "state": "done"}])
                if set(of_job) <= asked:
                    mine.append(job)
                    waiting.remove(job)
                    asked -= set(of_job)
            own += effects_of([], mine)
        found.append(own)
    assert waiting == []
    return found


def state(progress: Progress) -> dict[str, Any]:
    """Everything that a resumed run goes by."""
    return {
        "rows": progress.rows,
        "plan": progress.plan,
        "settled": progress.settled.to_text(100),
        "unknown": set(progress.unknown),
        "statuses": +progress.statuses,
        "jobs": dict(progress.jobs),
        "doubtful": set(progress.doubtful),
        "doubts": {(b, n) for b in range(1, 25) for n in range(1, 71) if progress.doubts(b, n)},
        "calls": progress.calls.count,
        "reads": progress.reads,
        "capacities": dict(progress.capacities),
        "stop": progress.stop,
    }


def test_every_torn_log_is_the_state_of_its_whole_lines(
    tmp_path: Path, finished: Finished, totals: Tally
) -> None:
    """Wherever it is cut, the log reads as its whole lines do, and is mended to them."""
    lines = finished.log.splitlines(keepends=True)
    progress = Progress()
    states = [state(progress)]
    counts = [(0, 0)]
    for line in lines:
        progress.take(json.loads(line))
        states.append(state(progress))
        counts.append((progress.calls.count, len(progress.settled)))
    path = tmp_path / "checkpoint.jsonl"
    path.write_bytes(finished.log)
    assert states[-1] == state(read_progress(path, mend=True))
    # From the end to the beginning, so that a shorter log is made by cutting the longer one.
    end = len(finished.log)
    for number, line in reversed(list(enumerate(lines))):
        start = end - len(line)
        for cut in range(end - 1, start - 1, -1):
            os.truncate(path, cut)
            # It is left alone here: the cuts to come need the bytes before this one.
            found = read_progress(path, mend=False)
            assert counts[number] == (found.calls.count, len(found.settled)), f"byte {cut}"
            if cut in {start, (start + end) // 2}:
                assert states[number] == state(found), f"byte {cut}"
            totals.log_prefixes += 1
        path.write_bytes(finished.log[: (start + end) // 2])
        read_progress(path, mend=True)
        assert path.stat().st_size == start
        end = start


def cuts(log: bytes) -> list[int]:
    """Return offsets to resume from: within and after each kind of record, and anywhere."""
    chance = random.Random(4)
    by_kind: dict[str, list[int]] = {}
    start = 0
    for line in log.splitlines(keepends=True):
        record = json.loads(line)
        kind = f"{record['type']} {record.get('event', record.get('learnt', ''))}"
        by_kind.setdefault(kind, []).extend([start + len(line) // 2, start + len(line)])
        start += len(line)
    chosen = {chance.choice(each) for each in by_kind.values()}
    while len(chosen) < _RESUMED:
        chosen.add(chance.randrange(len(log)))
    return sorted(chosen)


def world_after(finished: Finished, effects: Counter[Effect]) -> dict[str, Any]:
    """Return the world once these effects have happened to the one of the beginning."""
    reached = truth(finished.before)
    for row in read_rows(finished.manifest):
        # A row that says what another says too happens with it.
        if all(effects.get(each) for each in wished(row)) and _is_sent(row):
            apply(reached, row)
    relations, roles, held, territories = reached
    listed: dict[str, dict[str, Any]] = {}
    for pair, fields in relations.items():
        ends = sorted(pair, key=lambda end: not end.startswith(("Campaigns", "Products")))
        left, (module, _, other) = ends[0], ends[1].partition("/")
        listed.setdefault(f"{left}/{module}", {})[other] = fields or {}
    by_deal: dict[str, dict[str, str]] = {}
    for (deal, contact), role in roles.items():
        by_deal.setdefault(deal, {})[contact] = role
    by_module: dict[str, dict[str, dict[str, str]]] = {}
    once = finished.before["record_territories"]
    for module, record, territory in held:
        how = once.get(module, {}).get(record, {}).get(territory, "manually")
        by_module.setdefault(module, {}).setdefault(record, {})[territory] = how
    return {
        **finished.before,
        "relations": {
            key: each if any(each.values()) else list(each) for key, each in listed.items()
        },
        "contact_roles": by_deal,
        "record_territories": by_module,
        "territories": [
            each for each in finished.before["territories"] if each["id"] in territories
        ],
    }


def _is_sent(row: Mapping[str, str]) -> bool:
    return all(each.isdigit() for each in (row["related_id"], row["record_id"]) if each)


def test_a_run_resumed_from_a_torn_log_ends_the_same(
    tmp_path: Path, finished: Finished, totals: Tally
) -> None:
    """
    From any cut, with the world as it was then, every line ends as the world says.

    Whether the last call that the cut log calls `sent` had arrived is drawn by lot.
    """
    offsets = cuts(finished.log)
    with ExitStack() as stack:
        benches: SimpleQueue[Bench] = SimpleQueue()
        for _ in range(2):
            benches.put(
                stack.enter_context(
                    emulator_on(finished.folder, finished.folder / "world.json", **_QUICK)
                )
            )

        def resume(offset: int) -> Tally:
            bench = benches.get()
            try:
                return _resume(tmp_path / str(offset), finished, offset, bench.url)
            finally:
                benches.put(bench)

        with ThreadPoolExecutor(2) as pool:
            tallies = list(pool.map(resume, offsets))
    for tally in tallies:
        totals.add(tally)
    wrong = [
        f"cut at {o}: {m}" for o, t in zip(offsets, tallies, strict=True) for m in t.mismatches
    ]
    assert not wrong, "\n".join(wrong)


def _resume(folder: Path, finished: Finished, offset: int, url: str) -> Tally:
    run = folder / "runs" / finished.name
    run.mkdir(parents=True)
    source = finished.folder / "runs" / finished.name
    for name in ("run.json", "plan.parquet", "rows.parquet", "refused.parquet"):
        (run / name).write_bytes((source / name).read_bytes())
    log = finished.log[:offset]
    (run / "checkpoint.jsonl").write_bytes(log)
    sent = log[: log.rfind(b"\n") + 1].count(b'"type":"sent"')
    arrived = sent - (sent > 0 and random.Random(offset).random() < 0.5 and _in_flight(log))
    earlier: Counter[Effect] = sum(finished.effects[:arrived], Counter())
    bench = Bench(folder, url)
    bench.ask("seed", world_after(finished, earlier))
    bench.ask("reset", {})
    story = Story(bench, finished.manifest, finished.before)
    story.forgotten_jobs = len(story.ended_jobs())
    story.finish()
    return story.judge(earlier)


def _in_flight(log: bytes) -> bool:
    """Whether the last call of a log was sent, and nothing tells of its answer."""
    records = [json.loads(line) for line in log.split(b"\n")[:-1]]
    last = max(at for at, each in enumerate(records) if each["type"] == "sent")
    return all(each["type"] in {"sent", "note"} for each in records[last:])


def test_the_matching_world_of_the_end_is_the_end(finished: Finished) -> None:
    """The worlds made for the cuts are right: with all effects, it is the one of the wishes."""
    everything: Counter[Effect] = sum(finished.effects, Counter())
    reached = truth(world_after(finished, everything))
    expected = truth(finished.before)
    rows = read_rows(finished.manifest)
    for record in (json.loads(line) for line in finished.log.splitlines()):
        if record["type"] == "outcome" and record["status"] in {"succeeded", "unchanged"}:
            apply(expected, rows[record["line"] - 1])
    assert expected == reached


def test_a_damaged_log_is_refused_and_can_be_repaired(tmp_path: Path, totals: Tally) -> None:
    """Damage before the end is named by its byte; repaired, the run ends as the world says."""
    manifest, world = write_demo(tmp_path, rows=300)
    before = json.loads(world.read_bytes())
    with emulator_on(tmp_path, world, latency_median_s=0.02, job_seconds=0.3) as bench:
        story = Story(bench, manifest, before, {"BULKOPS_LIMITS__CONCURRENCY": "4"})
        story.first_run(b'"type":"sent"', 24)
        log = story.log
        assert log is not None
        content = log.read_bytes()
        offset = content.index(b"\n", len(content) * 2 // 3) + 1
        log.write_bytes(content[:offset] + b"{\x00\x00" + content[offset + 3 :])
        calls = story.writes()

        assert story.run() == 1, story.talk
        assert f"byte {offset}" in story.talk
        assert "bulkops repair" in story.talk
        assert "Traceback" not in story.talk
        assert story.writes() == calls

        mended = bench.run("repair", bench.run_directory.name)
        assert mended.returncode == 0, mended.stderr
        assert f"{offset:,}" in mended.stdout
        assert log.read_bytes().startswith(content[:offset])
        story.finish()
        tally = story.judge()
    totals.add(tally)
    assert not tally.mismatches, "\n".join(tally.mismatches)
