"""
A world in a file: loaded at the start, saved at the end, whole or not at all.

A saved file is a seed with three things more, which only a restart needs: the emulator's time, the
tokens that are alive and the credits that are used. Ledger, counters and calls in flight end with
the program.
"""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from bulkops.emulator.state.rows import load_csv, load_jsonl
from bulkops.emulator.state.seed import SeedError, world_from
from bulkops.emulator.state.snapshot import write_organisation
from bulkops.emulator.state.world import World

SAVED_AT = "saved_at"


def load_world(path: Path) -> World:
    """Read a world from a `.csv`, `.jsonl` or JSON file; raises SeedError that names the file."""
    match path.suffix.lower():
        case ".csv":
            return load_csv(path)
        case ".jsonl" | ".ndjson":
            return load_jsonl(path)
        case _:
            return load_saved(path)[0]


def load_saved(path: Path) -> tuple[World, float]:
    """A world from a JSON file, and the time at which it was saved; 0 for a seed."""
    try:
        data = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SeedError(f"{path}: not JSON: {error}") from error
    try:
        saved_at = data.pop(SAVED_AT, 0.0) if isinstance(data, dict) else 0.0
        return world_from(data), float(saved_at)
    except (ValueError, KeyError, TypeError) as error:
        raise SeedError(f"{path}: {error}") from error


def save_world(world: World, path: Path, *, now: float) -> None:
    """
    Write the world so that `load_saved` gives it back.

    The file is replaced at once when it is complete and on the disk, so a crash leaves the old one.
    """
    data = {
        SAVED_AT: now,
        "organisations": {
            name: write_organisation(each, running=True)
            for name, each in world.organisations.items()
        },
    }
    beside = path.with_name(f"{path.name}.part")
    with beside.open("wb") as file:
        file.write(orjson.dumps(data))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
