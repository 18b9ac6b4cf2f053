"""
What our own ledger says of the day's credits. The organisation is not asked.
"""

from __future__ import annotations

from datetime import datetime

from bulkops.engine.check.findings import Finding, State
from bulkops.errors import ExitCode
from bulkops.files.config import Config
from bulkops.files.credits import budget_of, ledger_of


def our_credits(config: Config, now: float) -> Finding:
    """Return what is left for our runs at `now`, in seconds since 1970."""
    budget, books = budget_of(config), ledger_of(config).read()
    books.turn_to(now)
    left = books.available(budget, now)
    words = (
        f"{max(left, 0):,} left for our runs of {budget.own:,} a day "
        f"({books.used(now):,} booked by them; {budget.leave:,} are kept for others)"
    )
    if left > 0:
        return Finding("our credits", State.OK, words)
    at = books.frees_at(budget, now)
    back = f"; the next come back {datetime.fromtimestamp(at):%Y-%m-%d %H:%M}" if at else ""
    mend = "run again then, or raise limits.credits_per_day if there are more"
    return Finding("our credits", State.WRONG, words + back, mend, ExitCode.PAUSED)
