"""Plan small manifests: from rows or text to batches and refusals, through real files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from bulkops.files.manifest import inspect
from bulkops.files.plan_file import read_batches, read_refusals
from bulkops.files.planner import Planned, Wanted, make_plan
from bulkops.model import Batch, Operation, Outcome

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Plan:
    """A stored plan, read back."""

    planned: Planned
    folder: Path
    steps: tuple[tuple[int, Batch], ...]
    refusals: Mapping[int, Outcome]

    @property
    def batches(self) -> tuple[Batch, ...]:
        return tuple(batch for _, batch in self.steps)

    @property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(each for batch in self.batches for each in batch.operations)

    @property
    def lines(self) -> list[list[int]]:
        """The lines of each batch, in the plan's order."""
        return [[each.line for each in batch.operations] for batch in self.batches]

    @property
    def statuses(self) -> dict[int, tuple[str, int | None]]:
        """Line -> status and `of_line`, of the lines that are not sent."""
        return {line: (each.status.value, each.of_line) for line, each in self.refusals.items()}


Planner = Callable[..., Plan]


def as_csv(rows: Rows) -> str:
    """Return rows as a CSV file with every column that one of them has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_jsonl(rows: Rows) -> str:
    """Return rows as JSON lines."""
    return "".join(orjson.dumps(row).decode() + "\n" for row in rows)


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    """Return a function that plans a text, or rows, in a folder of their own."""

    def planned(manifest: str | bytes | Rows, name: str = "manifest.csv", **wanted: Any) -> Plan:
        folder = tmp_path_factory.mktemp("plan")
        file = folder / name
        if not isinstance(manifest, str | bytes):
            manifest = as_csv(manifest) if name.endswith(".csv") else as_jsonl(manifest)
        file.write_bytes(manifest.encode() if isinstance(manifest, str) else manifest)
        made = make_plan(
            inspect(file),
            Wanted(**wanted),
            plan=folder / "plan.parquet",
            rows=folder / "rows.parquet",
            temp_directory=folder,
        )
        return Plan(
            made,
            folder,
            tuple(read_batches(folder / "plan.parquet")),
            {each.line: each for each in read_refusals(folder / "rows.parquet")},
        )

    return planned
