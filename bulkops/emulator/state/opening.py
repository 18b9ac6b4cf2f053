"""Where the world of a program comes from: its own last save, a seed, or chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bulkops.emulator.state.generate import WorldSize, generate
from bulkops.emulator.state.saving import load_saved, load_world
from bulkops.emulator.state.world import World


def open_world(
    *,
    save_path: Path | None = None,
    seed_path: Path | None = None,
    size: WorldSize | None = None,
    random_seed: int = 7,
) -> tuple[World, float]:
    """
    The world to begin with, and the time at which it was saved (0: it is new).

    A file that was saved before goes before everything, so that the same command goes on where it
    ended. Raises ValueError or OSError that names the file.
    """
    if save_path is not None and save_path.exists():
        return load_saved(save_path)
    if seed_path is not None and size is not None:
        raise ValueError("a seed and a generated world: expected one of them")
    if seed_path is not None:
        return load_world(seed_path), 0.0
    return (World() if size is None else generate(size, seed=random_seed)), 0.0


def parse_size(text: str) -> WorldSize:
    """Read `products=1000,deals=50000,links=200000,skew=1.2`; ValueError says what is wrong."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        try:
            found[name] = float(value) if "." in value else int(value)
        except ValueError as error:
            raise ValueError(
                f"world size {part!r}: expected name=number, for example links=200000"
            ) from error
    return WorldSize.from_mapping(_whole(found))


def _whole(found: Mapping[str, float]) -> Mapping[str, float]:
    """Refuse half a record."""
    for name, value in found.items():
        if isinstance(value, float) and name not in {"skew", "assigned", "automatic"}:
            raise ValueError(f"world size {name}: found {value!r}, expected a whole number")
    return found
