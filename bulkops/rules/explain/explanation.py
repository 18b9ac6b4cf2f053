"""
An explanation of a code, and the advice that several codes share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    What a code means, and what to do: sentences without a full stop.
    """

    meaning: str
    advice: str


MEND_ROWS: Final = "mend these rows in failed.csv, then run it as a manifest"
MEND_FILE: Final = "mend the file where it is made; its text stands in column raw of failed.csv"
RETRY: Final = "bulkops retry sends these rows again"
LATER: Final = "nothing is wrong with the rows: wait, then bulkops retry"
REPORT: Final = "this is a fault of bulkops or a change of the API: report it with the message"
PERMIT: Final = (
    "give the user behind the token that permission, then run --resume-stopped or bulkops retry"
)
SWITCH_ON: Final = "have it switched on in the organisation, then bulkops retry"
