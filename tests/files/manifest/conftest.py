"""A connection, and both readings of the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest

from bulkops.files.manifest import Loaded, Source, fast, inspect, load

KNOWN = ("op", "module", "record_id", "related_list", "related_id", "territory_id")


@dataclass(frozen=True)
class Reader:
    """Loads files on one connection and shows what became of them."""

    connection: duckdb.DuckDBPyConnection
    directory: Path

    def write(self, content: bytes, name: str = "manifest.csv") -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path

    def load(self, source: Source, *, exact: bool = False, **options: Any) -> Loaded:
        options = {"known": KNOWN} | options
        if not exact:
            return load(self.connection, source, table="manifest", **options)
        with patch.object(fast, "read", return_value=None):
            return load(self.connection, source, table="manifest", **options)

    def read(self, content: bytes, name: str = "manifest.csv", **options: Any) -> Loaded:
        return self.load(inspect(self.write(content, name)), **options)

    def rows(self, columns: str = "*") -> list[tuple[Any, ...]]:
        return self.connection.execute(f"SELECT {columns} FROM manifest ORDER BY line").fetchall()

    def refusals(self) -> list[tuple[int, str, str]]:
        found = self.connection.execute(
            "SELECT line, refused_code, refused FROM manifest"
            " WHERE refused_code IS NOT NULL ORDER BY line"
        )
        return found.fetchall()

    def both(self, source: Source, **options: Any) -> tuple[Loaded, Loaded]:
        """Load twice, hold that the tables are equal, and return both results."""
        usual = self.load(source, **options)
        first = self.rows()
        certain = self.load(source, exact=True, **options)
        assert first == self.rows()
        assert replace(usual, exact=True) == certain
        return usual, certain


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader whose connection keeps to two threads and to its own directory."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute("SET memory_limit = '512MB'")
        connection.execute(f"SET temp_directory = '{tmp_path}'")
        yield Reader(connection, tmp_path)
