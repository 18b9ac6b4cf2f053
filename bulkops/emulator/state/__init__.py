"""What an emulated organisation holds. Knows nothing of HTTP, faults or message texts."""

from __future__ import annotations
