"""
What the codes of outcomes mean and what to do about them, in words of our own.

Codes in capitals are the API's, those in small letters ours. Never decides anything: see
`verdicts.py` for that.
"""

from __future__ import annotations

from typing import Final

from bulkops.rules.explain.api import API, BY_MESSAGE
from bulkops.rules.explain.explanation import Explanation
from bulkops.rules.explain.ours import OURS

__all__ = ["EXPLAINED", "Explanation", "explain"]

_UNKNOWN_CODE: Final = Explanation(
    "a code of the server that bulkops does not know", "see its message, and the API's page"
)
#: Every code that has words.
EXPLAINED: Final = frozenset({*API, *OURS})


def explain(code: str, message: str = "") -> Explanation:
    """Return what `code` means and what to do; `message` may say it more exactly."""
    folded = message.casefold()
    for words, explanation in BY_MESSAGE.get(code, ()):
        if words in folded:
            return explanation
    return API.get(code) or OURS.get(code) or _UNKNOWN_CODE
