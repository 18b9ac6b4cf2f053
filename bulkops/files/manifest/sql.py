"""Spelling values in DuckDB's SQL: what cannot be a parameter, such as a file or an alias."""

from __future__ import annotations

from pathlib import Path

_WILD = str.maketrans({character: f"[{character}]" for character in "*?["})


def literal(text: str) -> str:
    """Return `text` as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """Return `text` as an identifier."""
    return '"' + text.replace('"', '""') + '"'


def pattern(path: Path) -> str:
    """Return the file pattern that fits `path` alone: DuckDB reads every path as a pattern."""
    return str(path.absolute()).translate(_WILD)
