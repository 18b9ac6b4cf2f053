"""
Taking a run back: which of its lines we changed, and the manifest that reverses them.
"""

from __future__ import annotations

from bulkops.engine.undo.manifest import OF_LINE, Undoing, undo_of

__all__ = ["OF_LINE", "Undoing", "undo_of"]
