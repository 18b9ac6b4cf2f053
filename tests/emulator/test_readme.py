"""The package's README tells the truth: every knob, fault and control route, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import orjson

import bulkops.emulator
from bulkops.emulator import Behaviour, FaultKind
from bulkops.emulator.control import known_routes

README = (Path(bulkops.emulator.__file__).parent / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text below a heading, to the next one."""
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_knobs() -> None:
    """The table has every field of `Behaviour` with its default."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", section("Knobs"), flags=re.MULTILINE))

    assert rows == {each.name: orjson.dumps(each.default).decode() for each in fields(Behaviour)}


def test_faults() -> None:
    """The table has every kind of fault."""
    firsts = re.findall(r"^\| (`.*?) \|", section("Faults"), flags=re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(firsts))) - {"kind"}

    assert named == {each.value for each in FaultKind}


def test_control_routes() -> None:
    """The table has every route with its methods."""
    named = set()
    for methods, path in re.findall(
        r"^\| `(\w+)(?:`, `\w+)* (/_emulator/[\w/]+)", section("Control routes"), flags=re.MULTILINE
    ):
        row = next(line for line in section("Control routes").splitlines() if path in line)
        every = re.findall(r"\b(GET|POST|DELETE)\b", row.split("|")[1])
        assert methods in every
        named |= {f"{method} {path}" for method in every}

    assert named == set(known_routes())
