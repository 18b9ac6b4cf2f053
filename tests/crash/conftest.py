"""
The sums of all crash tests, printed at the end (`-s`) and written to `$CRASH_REPORT` as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from tests.crash.oracle import Tally


@pytest.fixture(scope="session")
def totals() -> Iterator[Tally]:
    """The counts of the whole session; every story adds its own."""
    tally = Tally()
    yield tally
    facts = {each.name: getattr(tally, each.name) for each in fields(tally)}
    shown = {**facts, "mismatches": len(tally.mismatches), "faults_struck": tally.faults.total()}
    print("\ncrash:", ", ".join(f"{name} {each}" for name, each in shown.items()))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if path := os.environ.get("CRASH_REPORT"):
        target = Path(path)
        target = target.with_name(f"{target.stem}-{worker}{target.suffix}") if worker else target
        target.write_text(json.dumps({**shown, "found": tally.mismatches}, indent=2) + "\n")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder and not longer still."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "large" not in item.keywords:
            item.add_marker("crash")
