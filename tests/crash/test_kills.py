"""
SIGKILL at random moments, with a server that fails before and after the effect: no row lost.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from bulkops.cli.demo import write_demo
from tests.crash.oracle import Tally
from tests.crash.story import Story, emulator_on, kill_at_random

_WRITES = {"path": "^/crm/v8/(?!.*get_feature)"}
FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 503, "body": "html", "probability": 0.05, **_WRITES},
    {"kind": "status", "probability": 0.05},
    {"kind": "status_after", "probability": 0.06, **_WRITES},
    {"kind": "cut_before", "probability": 0.05},
    {"kind": "cut_after", "probability": 0.06},
    {"kind": "cut_body", "probability": 0.05},
    {"kind": "truncated", "probability": 0.05},
]
#: What differs from story to story: settings of the program, and knobs of the emulator.
_PATIENT = {"BULKOPS_LIMITS__ATTEMPTS": "14"}
_IMPATIENT = {"BULKOPS_LIMITS__ATTEMPTS": "2", "BULKOPS_LIMITS__CONCURRENCY": "6"}
_LEARNING = _PATIENT | {
    "BULKOPS_LIMITS__CONCURRENCY": "3",
    "BULKOPS_LIMITS__TERRITORY_RECORDS_PER_CALL": "auto",
    "BULKOPS_RUN__DURABILITY": "flush",
}
Variant = tuple[dict[str, str], dict[str, Any]]
VARIANTS: dict[str, Variant] = {
    "patient": (_PATIENT | {"BULKOPS_LIMITS__CONCURRENCY": "4"}, {"job_seconds": 1.5}),
    "impatient": (_IMPATIENT, {"job_seconds": 0.6}),
    "learning": (_LEARNING, {"job_seconds": 0.8, "job_failure_ratio": 0.15}),
    "at once": (_PATIENT | {"BULKOPS_LIMITS__CONCURRENCY": "5"}, {"offload_from": 0}),
}


def tell(folder: Path, *, seed: int, kills: int, rows: int, variant: str, totals: Tally) -> None:
    """Kill a run `kills` times, let it finish, and compare everything there is."""
    settings, knobs = VARIANTS[variant]
    chance = random.Random(f"{seed}:{variant}")
    manifest, world = write_demo(folder, rows=rows)
    before = json.loads(world.read_bytes())
    told = {"latency_median_s": 0.025, "latency_sigma": 0.6, "tokens_per_window": 10_000}
    with emulator_on(folder, world, faults=FAULTS, seed=seed, **told, **knobs) as bench:
        story = Story(bench, manifest, before, settings)
        for _ in range(kills):
            if not kill_at_random(story, chance):
                break
        story.finish()
        tally = story.judge()
    totals.add(tally)
    assert not tally.mismatches, "\n".join(tally.mismatches)
    assert tally.kills >= kills // 2


@pytest.mark.parametrize(("seed", "variant"), [*enumerate(VARIANTS, 1)])
def test_no_line_is_lost_or_told_wrongly(
    tmp_path: Path, totals: Tally, seed: int, variant: str
) -> None:
    """Whenever it is killed, log, world and ledger agree in the end, line by line."""
    tell(tmp_path, seed=seed, kills=6, rows=500, variant=variant, totals=totals)


@pytest.mark.large
@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", range(100, 108))
def test_three_hundred_kills(tmp_path: Path, totals: Tally, seed: int, variant: str) -> None:
    """The same law, at length."""
    tell(tmp_path, seed=seed, kills=14, rows=1200, variant=variant, totals=totals)
