"""Somebody at a terminal: what is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops import Plan, plan
from bulkops.cli import terminal
from bulkops.files.config import Config


def _planned(folder: Path) -> Plan:
    """A plan of three rows in three calls."""
    manifest = folder / "cleanup.csv"
    rows = "".join(f"unlink,Products,{number},Deals,{7 + number}\n" for number in range(3))
    manifest.write_text("op,module,record_id,related_list,related_id\n" + rows, encoding="utf-8")
    config = {
        "run": {"directory": str(folder / "runs")},
        "api": {"base_url": "http://127.0.0.1:9"},
    }
    return plan(manifest, config=Config.model_validate(config))


@pytest.mark.parametrize(
    ("settled", "expected"),
    [
        (0, "Send 3 calls to http://127.0.0.1:9?"),
        (2, "Go on with the 1 line that is left, at http://127.0.0.1:9?"),
    ],
)
def test_what_is_asked_is_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: int, expected: str
) -> None:
    """A run that goes on does not ask for calls that were made already."""
    asked: list[str] = []
    monkeypatch.setattr(terminal, "confirm", lambda question, *, yes: asked.append(question))
    seat, made = terminal.Terminal(quiet=True), _planned(tmp_path)
    seat.shown(made, settled)
    seat.confirm(made)
    assert [expected] == asked
