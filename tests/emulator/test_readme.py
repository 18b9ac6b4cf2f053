"""The package's README tells the truth: every knob, fault and control route, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import orjson

import bulkops.emulator
from bulkops.emulator import Behaviour, FaultKind
from bulkops.emulator.control import known_routes
from bulkops.emulator.emulator import TOKEN_PATH
from bulkops.emulator.routing import resolve

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


EXAMPLES = {
    "{Module}": "Leads",
    "{id}": "1",
    "{related_list}": "Campaigns",
    "{name or id}": "Leads",
    "{related_id}": "2",
    "{contact_id}": "3",
}


def example(path: str) -> str:
    """A path of the table with something in its placeholders."""
    for name, value in EXAMPLES.items():
        path = path.replace(name, value)
    return path


def test_calls() -> None:
    """Every call in the table is one that the emulator knows, by every method it is listed with."""
    rows = re.findall(r"^\| (`/.*) \| (.*) \|$", section("What it answers"), flags=re.MULTILINE)
    known = []
    for calls, methods in rows:
        listed = calls.split("; the same below")[0]
        paths = re.findall(r"`(/[^`?]*)", listed)
        paths += [f"{paths[0]}{more}" for more in re.findall(r"`\.\.\.(/[^`?]*)", listed)]
        for path in set(paths) - {TOKEN_PATH}:
            known += [
                resolve(method, f"/crm/v8{example(path)}")
                for method in re.findall(r"\b(?:GET|PUT|POST|DELETE)\b", methods)
            ]

    assert len(known) > 25


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
