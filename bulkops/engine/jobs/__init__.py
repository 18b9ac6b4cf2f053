"""
What one start of a job knows of the others: whose turn it is, what they did, what they left.

A job is a file of `jobs/`; what it asks for is read by `bulkops.jobfile`.
"""

from __future__ import annotations

from bulkops.engine.jobs.home import JobHome
from bulkops.engine.jobs.keep import remove_old
from bulkops.engine.jobs.start import Start, start_of

__all__ = ["JobHome", "Start", "remove_old", "start_of"]
