"""
Logs of every schema there ever was are read as they were meant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bulkops.files.resume import read_progress
from bulkops.rules.progress import Progress

_FOLDER = Path(__file__).parent.parent / "data" / "checkpoints"
_PLAN = "13089991603418178704341517758083022618-235972650754348361425497109173383440303"


@dataclass(frozen=True)
class Meant:
    """What a log means. `doubts` are lines by the batch they travel in; `free` are not in doubt."""

    rows: int
    statuses: dict[str, int]
    settled: set[int]
    calls: int
    finished: bool = False
    unknown: set[int] = field(default_factory=set)
    jobs: dict[int, str] = field(default_factory=dict)
    doubts: set[tuple[int, int]] = field(default_factory=set)
    free: set[tuple[int, int]] = field(default_factory=set)
    capacities: dict[str, int] = field(default_factory=dict)
    reads: int = 0
    stop: str = ""


MEANT = {
    "v1-finished": Meant(
        rows=9,
        statuses={
            "succeeded": 2,
            "unchanged": 1,
            "duplicate": 1,
            "invalid": 1,
            "conflict": 2,
            "failed": 1,
            "skipped": 1,
        },
        settled=set(range(1, 10)),
        calls=4,
        finished=True,
    ),
    "v1-killed": Meant(
        rows=16,
        statuses={"succeeded": 3, "unchanged": 1, "unknown": 1},
        settled={3, 6, 7, 12},
        calls=10,
        unknown={11},
        jobs={4: "7000000001000000044"},
        # 1 and 2 met silence and were sent again; 8 was never answered; 11 is unknown.
        doubts={(1, 1), (1, 2), (3, 8), (4, 11)},
        # 4 is the business of its job, 5 was never sent; 9 and 10 travel in a batch not begun.
        free={(1, 4), (1, 5), (5, 9), (5, 10)},
        capacities={"remove_territories": 2},
        reads=2,
    ),
    "v1-stopped": Meant(
        rows=4,
        statuses={},
        settled=set(),
        calls=1,
        jobs={1: "7000000001000000021"},
        free={(1, 1), (2, 2)},
        reads=1,
        stop="1 lines wait for jobs of the server that have not ended after 2 s. Run the same "
        "command again later.",
    ),
    "v1-repaired": Meant(
        rows=3,
        statuses={"succeeded": 1},
        settled={1},
        calls=1,
        # What was cut off may have said that these were sent.
        doubts={(1, 2), (2, 3)},
    ),
    "v1-reopened": Meant(
        rows=6,
        statuses={"succeeded": 2, "failed": 1, "invalid": 1},
        settled={1, 4, 5, 6},
        calls=4,
        doubts={(2, 2)},
        # 3 was skipped and never sent.
        free={(3, 3)},
    ),
    "v1-torn": Meant(
        rows=16,
        statuses={},
        settled=set(),
        calls=3,
        # The torn line was to say that call 2 ended; so it is as if it had not.
        doubts={(1, 1), (1, 2), (2, 6)},
        free={(1, 3), (3, 8)},
        capacities={"remove_territories": 2},
    ),
}


def test_every_golden_log_is_known() -> None:
    """No log lies there that nobody says the meaning of."""
    assert set(MEANT) == {path.stem for path in _FOLDER.glob("*.jsonl")}


@pytest.mark.parametrize("name", MEANT)
@pytest.mark.parametrize("long_bytes", [0, 8_000_000], ids=["as a long one", "as a short one"])
def test_a_golden_log_is_read_as_it_was_meant(name: str, long_bytes: int) -> None:
    """Outcomes, jobs, doubts and counts are those of the version that wrote the log."""
    meant = MEANT[name]
    progress = read_progress(_FOLDER / f"{name}.jsonl", mend=False, long_bytes=long_bytes)
    assert _PLAN == progress.plan
    assert meant.rows == progress.rows
    assert meant.settled == _settled(progress)
    assert meant.statuses == {each.value: n for each, n in progress.statuses.items() if n}
    assert meant.unknown == progress.unknown
    assert meant.finished == progress.finished
    assert meant.jobs == progress.jobs
    assert meant.calls == progress.calls.count
    assert meant.capacities == progress.capacities
    assert meant.reads == progress.reads
    assert meant.stop == progress.stop
    asked = meant.doubts | meant.free
    assert meant.doubts == {each for each in asked if progress.doubts(*each)}


def _settled(progress: Progress) -> set[int]:
    return {line for line in range(progress.rows + 1) if line in progress.settled}
