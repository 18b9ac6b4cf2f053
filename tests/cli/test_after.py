"""What a verification says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bulkops.cli.after import _tell
from bulkops.engine.verify.findings import Verification
from bulkops.model import Status


@pytest.mark.parametrize(
    ("checked", "expected"),
    [
        (0, "r: 0 lines read back; none of those asked for claims anything (--all asks for all)"),
        (5, "r: 5 lines read back"),
    ],
)
def test_nothing_read_back_is_no_proof(
    capsys: pytest.CaptureFixture[str], checked: int, expected: str
) -> None:
    """A sample of a small run may be empty: whoever reads `0` has verified nothing."""
    _tell(Path("r"), Verification(checked=Counter({Status.SUCCEEDED: checked})))
    assert expected == capsys.readouterr().out.splitlines()[0]
