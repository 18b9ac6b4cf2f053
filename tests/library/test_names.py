"""The names of `import bulkops`: all there, where it says, and nothing loaded before its time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bulkops

_SOURCE = Path(bulkops.__file__)
#: What takes a moment to import, and what belongs to the shell.
_HEAVY = ("aiohttp", "duckdb", "numpy", "orjson", "pydantic", "rich", "structlog", "typer")


def promised() -> dict[str, set[str]]:
    """What type checkers see: module to names."""
    tree = ast.parse(_SOURCE.read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.If):
            for each in node.body:
                if isinstance(each, ast.ImportFrom) and each.module:
                    found.setdefault(each.module, set()).update(name.name for name in each.names)
    return found


def test_type_checkers_and_python_see_the_same() -> None:
    """A name comes from the same module for both, and all of them are public."""
    assert promised() == {module: {*names} for module, names in bulkops._PLACES.items()}
    names = [name for each in bulkops._PLACES.values() for name in each]
    assert sorted([*names, "__version__"]) == sorted(bulkops.__all__)
    assert sorted(bulkops.__all__) == dir(bulkops)


@pytest.mark.parametrize("name", bulkops.__all__)
def test_every_name_is_there(name: str) -> None:
    """And says in its docstring what it is."""
    found = getattr(bulkops, name)
    if isinstance(found, type) or callable(found):
        assert found.__doc__


def test_another_name_is_not_there() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="no attribute 'plans'"):
        bulkops.plans  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import bulkops", ""),
        ("import bulkops; bulkops.__version__; dir(bulkops)", ""),
        ("import bulkops; bulkops.ExitCode; bulkops.Outcome; bulkops.Settled", ""),
        ("import bulkops; bulkops.plan", "duckdb"),
    ],
)
def test_nothing_is_loaded_before_its_time(code: str, loaded: str) -> None:
    """A program that mentions bulkops starts as fast as one that does not."""
    names = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    heavy = {*_HEAVY} & {*names}
    assert (loaded in heavy) if loaded else not heavy
    assert "bulkops.cli" not in names


def test_looking_at_a_run_loads_nothing_that_sends() -> None:
    """`status` answers at once, and in little memory."""
    code = "import bulkops; bulkops.status; import sys; print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"aiohttp", "bulkops.engine.execute"} & {*names}


def test_the_package_is_typed() -> None:
    """Type checkers believe what it says (https://typing.python.org/en/latest/spec/distributing.html)."""
    assert (_SOURCE.parent / "py.typed").is_file()
