"""The example of the README: it runs as it stands, says nothing else, and type checkers agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import emulator
from tests.library.desk import world

_ROOT = Path(__file__).parent.parent.parent
_HEADER = "op,module,record_id,related_list,related_id\n"
_GOOD = "unlink,Products,4150868050000000001,Deals,4150868010000000001\n"
_BAD = "unlink,Products,4150868050000000099,Deals,4150868010000000099\n"


def example() -> str:
    """The only block of Python in the README."""
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.+?)^```$", readme, re.DOTALL | re.MULTILINE)
    return str(code)


def test_the_example_runs(tmp_path: Path) -> None:
    """Over real sockets, twice: the second time there is nothing to send. Nothing else is said."""
    (tmp_path / "world.json").write_text(json.dumps(world(range(1), 1)))
    (tmp_path / "cleanup.csv").write_text(_HEADER + _GOOD + _BAD)
    (tmp_path / "example.py").write_text(example())
    with emulator(tmp_path, tmp_path / "world.json") as bench:
        for settled in (2, 0):
            done = subprocess.run(
                [sys.executable, "example.py"],
                cwd=tmp_path,
                env=bench.environment(PYTHONPATH=str(_ROOT)),
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (0, "") == (done.returncode, done.stderr)
            assert settled == sum(map(int, re.findall(r"(\d+) lines settled", done.stdout)))
            first, *_, code, failed = done.stdout.splitlines()
            assert ("2 rows, 2 calls", "exit code 3") == (first, code)
            assert failed.startswith("2 ")
        assert 2 == sum(call["method"] == "DELETE" for call in bench.ledger())


def test_the_example_is_well_typed(tmp_path: Path) -> None:
    """As strict as a type checker can be, from outside of this project."""
    (tmp_path / "example.py").write_text(example())
    cache = _ROOT / ".mypy_cache" / "users"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", ""]
    done = subprocess.run(
        [*command, "--cache-dir", str(cache), "--follow-imports", "silent", "example.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(_ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert "Success: no issues found in 1 source file\n" == done.stdout, done.stderr
