"""
Asynchronous bulk job runner for Zoho CRM and Bigin.

Floors, each importing itself and what stands below it: `model` and `errors`, then `rules`, `files`,
`wire`, `engine` and `cli`. The `emulator` is an island that only `cli` knows.
"""

from __future__ import annotations

__version__ = "0.1.0"
