"""The sample organisation and manifest that the tests of the whole program share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bulkops.cli.demo import write_demo


@dataclass(frozen=True)
class Sample:
    """A manifest of everything, its world, and that world as data."""

    manifest: Path
    world: Path
    before: dict[str, Any]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """Some thousand rows of every operation, good and bad."""
    manifest, world = write_demo(tmp_path, rows=1500)
    return Sample(manifest, world, json.loads(world.read_bytes()))
