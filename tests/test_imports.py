"""
The house: six floors and an island, and arrows that go down only.

Floors: 0 nouns, 1 rules, 2 files, 3 wire, 4 engine, 5 library, 6 shell. A module may import its own
floor and those below it; the shell sees the library and the nouns, and nothing beneath. The
emulator is an island: it imports nothing of the client, and only the shell imports it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bulkops"
#: What stands where at the top level. A new floor, or a new noun, must say so here.
FLOORS: dict[int, set[str]] = {
    0: {"errors", "model", "rows", "version"},
    1: {"rules"},
    2: {"files"},
    3: {"wire"},
    4: {"engine"},
    5: {"__init__", "library"},
    6: {"__main__", "cli"},
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
ISLAND = "emulator"
SHELL = 6
RULES = 1
#: What the shell may see of the house, besides its own modules and the island.
COUNTER = {"__init__", "library", "errors", "model"}
#: All that nouns and rules may know of Python: values, and nothing that waits or touches a file.
PURE = {
    *("__future__", "array", "collections", "collections.abc", "dataclasses", "datetime", "enum"),
    *("functools", "heapq", "itertools", "json", "math", "operator", "re", "types", "typing"),
}
#: Finding the files of the operations is all that `rules/operations/__init__.py` does at import.
DISCOVERY = {"importlib", "pkgutil"}


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted names within the package, such as `cli.words`, and their files."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        yield ".".join(parts), path


MODULES = dict(modules())


def imported(path: Path) -> set[str]:
    """Full names of what a file imports, wherever in it the import stands."""
    package = path.relative_to(PACKAGE.parent).parent.parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, (base, node.module)))
            # `from bulkops import jobfile` imports the module, not a name of the package.
            found |= {resolved(name, alias.name) for alias in node.names}
    return found


def resolved(module: str, name: str) -> str:
    full = f"{module}.{name}"
    return full if full.removeprefix("bulkops.") in MODULES else module


def neighbours(path: Path) -> set[str]:
    """The top-level modules and packages of bulkops that a file imports."""
    ours = {each for each in imported(path) if each.split(".")[0] == "bulkops"}
    return {each.split(".")[1] if "." in each else "__init__" for each in ours}


def top(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def part(name: str) -> str:
    """Return the module or package within its floor: `files.planner` for `files.planner.sides`."""
    return ".".join(name.split(".")[:2])


CLIENT = [name for name in MODULES if top(name) != ISLAND]
PURE_ONES = [name for name in CLIENT if FLOOR.get(top(name), SHELL) <= RULES]


def test_every_module_has_its_floor() -> None:
    """The table lists what there is, no more and no less, and each once."""
    listed = [name for names in FLOORS.values() for name in names]
    assert sorted(listed) == sorted({top(name) for name in CLIENT})


@pytest.mark.parametrize("name", CLIENT)
def test_arrows_go_down_only(name: str) -> None:
    """A module imports its own floor and those below it."""
    mine = FLOOR[top(name)]
    above = {
        each for each in neighbours(MODULES[name]) - {ISLAND} if FLOOR.get(each, SHELL + 1) > mine
    }
    assert not above


@pytest.mark.parametrize("name", [name for name in MODULES if top(name) == "cli"])
def test_the_shell_uses_the_library_alone(name: str) -> None:
    """What the program can do, any program can: there is no other door."""
    assert neighbours(MODULES[name]) <= COUNTER | {"cli", ISLAND}


def test_nothing_goes_round_in_a_circle() -> None:
    """Within a floor too, what imports a module is not imported by it."""
    arrows = {part(name): set[str]() for name in MODULES}
    for name, path in MODULES.items():
        targets = {part(each.removeprefix("bulkops.")) for each in imported(path)}
        arrows[part(name)] |= targets & arrows.keys() - {part(name)}
    while leaves := {name for name, targets in arrows.items() if not targets}:
        arrows = {name: each - leaves for name, each in arrows.items() if name not in leaves}
    assert arrows == {}


@pytest.mark.parametrize("name", PURE_ONES)
def test_nouns_and_rules_are_pure(name: str) -> None:
    """They import values alone: nothing async, no files, no clock, no chance."""
    foreign = {each for each in imported(MODULES[name]) if top(each) != "bulkops"}
    assert not foreign - PURE - (DISCOVERY if name == "rules.operations" else set())


@pytest.mark.parametrize("name", PURE_ONES)
def test_nouns_and_rules_neither_wait_nor_speak(name: str) -> None:
    """No coroutine, no `open`, no `print`: whoever calls them does that."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, waiting)]
    called = {node.func.id for node in ast.walk(tree) if is_plain_call(node)}
    assert not called & {"open", "print", "input", "exec", "eval", "__import__"}


def is_plain_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@pytest.mark.parametrize("name", [name for name in MODULES if top(name) == ISLAND])
def test_the_island_knows_nothing_of_the_client(name: str) -> None:
    """Client and emulator are two readings of one documentation; neither may copy the other."""
    assert neighbours(MODULES[name]) <= {ISLAND}


@pytest.mark.parametrize("name", [name for name in CLIENT if FLOOR.get(top(name)) != SHELL])
def test_only_the_shell_imports_the_island(name: str) -> None:
    """Nothing that runs against the real API can reach the emulator."""
    assert ISLAND not in neighbours(MODULES[name])


def test_the_shell_does_import_the_island() -> None:
    """The rules above look at something: `bulkops demo` starts the emulator."""
    assert any(ISLAND in neighbours(MODULES[name]) for name in CLIENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import bulkops.rules.settle", {"bulkops.rules.settle"}),
        ("from bulkops import __version__", {"bulkops"}),
        ("from bulkops.rules import settle, SPECS", {"bulkops.rules.settle", "bulkops.rules"}),
        ("from bulkops.cli import words", {"bulkops.cli.words"}),
        ("from bulkops.cli.words import shown", {"bulkops.cli.words"}),
        ("def late():\n    from bulkops.files import planner", {"bulkops.files.planner"}),
        ("from . import words", {"bulkops.cli.words"}),
        ("from .words import shown", {"bulkops.cli.words"}),
        ("from ..rules.settle import settle", {"bulkops.rules.settle"}),
    ],
)
def test_every_form_of_import_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: set[str]
) -> None:
    """A rule that overlooks a form of import is no rule."""
    file = tmp_path / "bulkops" / "cli" / "late.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "bulkops")
    assert imported(file) == expected
