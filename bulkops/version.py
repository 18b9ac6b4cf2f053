"""
The version of this package, for whoever must say which bulkops wrote or sent something.
"""

from __future__ import annotations

__version__ = "0.1.0"
