"""
The runs of a folder as web pages, as JSON, and as metrics.

Read-only, for people of this machine or whoever has the token. Derived from the run directories
and from the processes on them; nothing is ever written there.
"""

from __future__ import annotations

from bulkops.engine.serve.folder import RunsFolder
from bulkops.engine.serve.server import Address, serve_runs, serving

__all__ = ["Address", "RunsFolder", "serve_runs", "serving"]
