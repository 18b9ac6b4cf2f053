"""Near misses among column names: what a manifest's author probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_CLOSE = 0.85


def suggest(header: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """
    Return their name -> known name for each name of `header` that is nearly a known one.

    Known names are matched exactly everywhere else, so `Record_Id`, `record id` and `recordid`
    are not `record_id`; nor is a known name suggested that the header has already.
    """
    names, wanted = list(header), list(known)
    missing = {_bare(name): name for name in wanted if name not in names}
    found: dict[str, str] = {}
    for theirs in names:
        if theirs in wanted:
            continue
        close = get_close_matches(_bare(theirs), missing, n=1, cutoff=_CLOSE)
        if close:
            found[theirs] = missing[close[0]]
    return found


def _bare(name: str) -> str:
    """Return `name` in lower case without anything but letters and digits."""
    return "".join(character for character in name.lower() if character.isalnum())
