"""Which faults strike which call: counts matches, draws lots with a seed, forgets nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bulkops.emulator.faults.fault import Fault


@dataclass(slots=True)
class _Armed:
    fault: Fault
    pattern: re.Pattern[str]
    chance: random.Random
    matches: int = 0
    strikes: int = 0
    #: how many matching calls the strike under way has still to go
    going_on: int = 0


class FaultPlan:
    """The faults in force, in the order they were added."""

    __slots__ = ("_armed", "_seed")

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 7) -> None:
        self._seed = seed
        self._armed: list[_Armed] = []
        for fault in faults:
            self.add(fault)

    def __len__(self) -> int:
        return len(self._armed)

    def add(self, fault: Fault) -> None:
        """Put a fault in force; its counting starts now."""
        chance = random.Random(f"{self._seed}:{len(self._armed)}")  # noqa: S311
        self._armed.append(_Armed(fault, re.compile(fault.path), chance))

    def clear(self) -> None:
        """Take all faults out of force."""
        self._armed.clear()

    def strike(self, *, method: str, path: str, named: Iterable[str] | None = None) -> list[Fault]:
        """
        The faults that strike this call; counts it.

        `named` are the ids in the call, for faults that look for some.
        """
        struck: list[Fault] = []
        for armed in self._armed:
            fault = armed.fault
            if fault.method and fault.method != method:
                continue
            if not armed.pattern.search(path):
                continue
            if fault.ids and (named is None or set(fault.ids).isdisjoint(named)):
                continue
            armed.matches += 1
            if fault.times and armed.strikes >= fault.times:
                continue
            if armed.going_on or _is_turn(armed):
                armed.going_on = (armed.going_on or fault.run) - 1
                armed.strikes += 1
                struck.append(fault)
        return struck

    def needs_ids(self) -> bool:
        """Whether any fault looks at the ids of a call."""
        return any(armed.fault.ids for armed in self._armed)


def _is_turn(armed: _Armed) -> bool:
    fault = armed.fault
    if fault.nth:
        return armed.matches == fault.nth
    if fault.every:
        return armed.matches % fault.every == 0
    if fault.probability:
        return armed.chance.random() < fault.probability
    return True
