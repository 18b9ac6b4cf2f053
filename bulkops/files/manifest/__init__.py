"""
Reading a manifest into a DuckDB table: every record becomes a row, good or refused.

A manifest may be several files. Knows files, not operations: what a row means is for the floors
above. Two readers give the same table. The fast one is DuckDB, and it is believed only if the
file's own count agrees; the exact one goes line by line and says what is wrong with which line.
"""

from __future__ import annotations

from bulkops.files.manifest.gather import gather
from bulkops.files.manifest.load import Loaded, drop, load, some
from bulkops.files.manifest.sniff import inspect
from bulkops.files.manifest.source import Format, Manifest, Several, Source
from bulkops.files.manifest.suggest import suggest

__all__ = [
    "Format",
    "Loaded",
    "Manifest",
    "Several",
    "Source",
    "drop",
    "gather",
    "inspect",
    "load",
    "some",
    "suggest",
]
