"""
Read a world from rows: a CSV file with a header, or JSON lines.

What a row is follows from its columns; `README.md` has the table. The columns are those of a
manifest, so that the file of a migration, read here, is the organisation it is meant for. Rows of a
manifest (a file with `op`) that say nothing possible are left out, with a warning: real ones have
such rows, and what they are about is in no organisation.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.seed import ROLE_SIDES, SeedError, record_id
from bulkops.emulator.state.territories import Assigned, Territory
from bulkops.emulator.state.world import World

Row = Mapping[str, Any]
_PLACES = frozenset({"op", "module", "record_id", "related_list", "related_id"})
_ROLE = frozenset({"role_id", "role_name"})
_DELIMITERS = ",;\t|"


def load_csv(path: Path) -> World:
    """Read a world from a CSV file; the delimiter is the most frequent one of the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        delimiter = max(_DELIMITERS, key=header.count)
        # Empty cells are columns that the row does not have.
        rows = (
            (n, {name: cell for name, cell in row.items() if name and cell})
            for n, row in enumerate(csv.DictReader(file, delimiter=delimiter), 2)
        )
        return _world(path, rows)


def load_jsonl(path: Path) -> World:
    """Read a world from a file with one JSON object a line."""
    with path.open("rb") as file:
        return _world(path, _objects(file))


def _objects(lines: Iterable[bytes]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SeedError(f"line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise SeedError(f"line {number}: found {type(row).__name__}, expected an object")
        yield number, row


def _world(path: Path, rows: Iterable[tuple[int, Row]]) -> World:
    made = Organisation()
    builder = _Builder(made)
    manifest, left_out, first = False, 0, ""
    try:
        for number, row in rows:
            manifest = manifest or "op" in row
            try:
                builder.add(number, row)
            except SeedError as error:
                if not manifest:
                    raise
                left_out, first = left_out + 1, first or str(error)
    except (SeedError, csv.Error, UnicodeDecodeError) as error:
        raise SeedError(f"{path}: {error}") from error
    if left_out:
        log = structlog.get_logger("bulkops.emulator")
        log.warning("seed.left_out", file=str(path), rows=left_out, first=first)
    return World({made.name: made})


class _Builder:
    """An organisation while its rows are read."""

    def __init__(self, made: Organisation) -> None:
        self._made = made
        #: one string object an id, however many rows name it
        self._known: dict[str, str] = {}

    def add(self, number: int, row: Row) -> None:
        """Add what one row says; raises SeedError that names the line."""
        try:
            self._add(row)
        except SeedError as error:
            raise SeedError(f"line {number}: {error}") from error

    def _add(self, row: Row) -> None:
        if "related_id" in row:
            self._relation(row)
        elif "territory_id" in row and "module" in row:
            self._assignment(row)
        elif "territory_id" in row:
            self._territory(row)
        elif "module" in row:
            fields = {name: value for name, value in row.items() if name not in _PLACES}
            self._record(row["module"], row.get("record_id"), fields or None)
        elif "role_id" in row:
            self._role(row)
        else:
            raise SeedError(
                f"found the columns {sorted(row)}, expected `module` and `record_id`, "
                f"`territory_id` or `role_id`"
            )

    def _record(self, module: str, given: object, fields: dict[str, Any] | None = None) -> str:
        found = record_id(given, "record_id")
        return self._made.add_record(module, self._known.setdefault(found, found), fields)

    def _relation(self, row: Row) -> None:
        key = (row.get("module", ""), row.get("related_list", ""))
        side = self._made.sides.get(key)
        if side is None:
            raise SeedError(f"found {key[0]!r} and {key[1]!r}, expected a module and its list")
        fields = {name: value for name, value in row.items() if name not in _PLACES | _ROLE}
        if key in ROLE_SIDES:
            role = self._role(row)
            fields = {"Contact_Role": {"name": self._made.roles[role], "id": role}}
        parent = self._record(key[0], row.get("record_id"))
        side.link(parent, self._record(side.other, row["related_id"]), fields or None)

    def _role(self, row: Row) -> str:
        role = record_id(row.get("role_id"), "role_id")
        name = row.get("role_name")
        if name is not None or role not in self._made.roles:
            self._made.roles[role] = str(name or f"Role {role}")
        return role

    def _assignment(self, row: Row) -> None:
        record = self._record(row["module"], row.get("record_id"))
        how = row.get("assigned", Assigned.MANUALLY)
        if how not in list(Assigned):
            raise SeedError(f"assigned: found {how!r}, expected one of {[*map(str, Assigned)]}")
        for each in str(row["territory_id"]).split(";"):
            territory = self._under_the_top(record_id(each.strip(), "territory_id"))
            self._made.record_territories.assign(row["module"], record, territory, Assigned(how))

    def _under_the_top(self, territory_id: str) -> str:
        """A territory that no row has described so far hangs under the organisation's own."""
        held = self._made.territories
        if territory_id not in held:
            top = self._made.id
            if top not in held:
                held.put(Territory(id=top, name="Organisation"))
            held.put(Territory(territory_id, f"Territory {territory_id}", parent_id=top))
        return territory_id

    def _territory(self, row: Row) -> None:
        territory_id = record_id(row["territory_id"], "territory_id")
        parent = row.get("parent_id")
        self._made.territories.put(
            Territory(
                id=territory_id,
                name=str(row.get("name", f"Territory {territory_id}")),
                parent_id=None if parent is None else record_id(parent, "parent_id"),
            )
        )
