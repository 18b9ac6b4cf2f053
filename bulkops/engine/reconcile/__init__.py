"""
Make the organisation hold what a file says it should, and touch nothing that file is silent on.

DESIRED becomes a table of what is wished (`desired`); what is there is asked (`questions`,
`reading`, `reading_log`) or taken from a snapshot (`snapshot`); the `difference` is an ordinary
manifest, if the `guards` let it pass. `home` keeps what one night knows of the other;
`reconciliation` does one after the other. Sending is not done here: a manifest is run like any.

What is not known is never guessed: nothing is planned for what a read could not tell.
"""

from __future__ import annotations

from bulkops.engine.reconcile.asking import Asking
from bulkops.engine.reconcile.finding import Found, Preview
from bulkops.engine.reconcile.guards import GuardError
from bulkops.engine.reconcile.home import Home
from bulkops.engine.reconcile.means import Means
from bulkops.engine.reconcile.reconciliation import conclude, reconcile

__all__ = ["Asking", "Found", "GuardError", "Home", "Means", "Preview", "conclude", "reconcile"]
