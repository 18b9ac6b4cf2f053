"""
Check before a run what a run needs: configuration, credentials, rights, relations, credits.

Reads only, a few calls, and each of them is booked in the ledger as any call is.
"""

from __future__ import annotations

from bulkops.engine.check.findings import Finding, State, Wants, exit_code
from bulkops.engine.check.here import look_here
from bulkops.engine.check.there import look_there
from bulkops.engine.check.wants import wants_of

__all__ = ["Finding", "State", "Wants", "exit_code", "look_here", "look_there", "wants_of"]
