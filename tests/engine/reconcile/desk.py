"""
A reconciliation up to its difference, over real sockets and without sending: what is found.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bulkops.emulator import Behaviour, Emulator, Fault, world_from
from bulkops.engine.reconcile import Asking, Found, reconcile
from bulkops.engine.reconcile.home import Home
from bulkops.engine.reconcile.means import Means
from bulkops.files.config import Config

Row = Mapping[str, Any]
#: Every limit is off: what is found is looked at, not whether it is too much.
NO_LIMITS = {"max_change": "", "max_unlink": -1, "max_deviation": ""}


@dataclass
class Desk:
    """A folder, an emulator, and a configuration that leads to it."""

    folder: Path
    emulator: Emulator
    config: Config

    async def find(self, desired: Sequence[Row], **more: Any) -> Found:
        """Find the difference of the organisation and `desired`, or go on with finding it."""
        path = self.folder / "desired.jsonl"
        write_jsonl(path, desired)
        new = more.pop("new", False)
        rules = {name: more.pop(name) for name in list(more) if name in type(_RULES).model_fields}
        asking = Asking(desired=(path,), **more)
        tables = self.config.model_dump(exclude_unset=True)
        tables["reconcile"] = {**tables.get("reconcile", {}), **rules}
        config = Config.model_validate(tables)
        home = Home.of(asking, config)
        means = Means()
        with home.locked():
            return await reconcile(asking, config, home, means, new=new)

    def reads(self) -> list[str]:
        """Return the paths that were read."""
        return [call.path for call in self.emulator.ledger if call.method == "GET"]


_RULES = Config().reconcile


@asynccontextmanager
async def desk(
    folder: Path,
    world: Mapping[str, Any],
    *,
    faults: Iterable[Fault] = (),
    behaviour: Behaviour | None = None,
    **limits: Any,
) -> AsyncIterator[Desk]:
    """Serve `world`, with `faults`, and yield what reads it."""
    async with Emulator(
        world=world_from(dict(world)), faults=faults, behaviour=behaviour
    ) as emulator:
        config = Config.model_validate(
            {
                "api": {"base_url": emulator.url},
                "auth": {"access_token": emulator.access_token, "token_cache": str(folder / "t")},
                "limits": {
                    "attempts": 2,
                    "retry_wait_s": 0.001,
                    "concurrency": 5,
                    "ledger": str(folder / "credits"),
                    **limits,
                },
                "run": {"directory": folder / "runs", "durability": "flush"},
                "reconcile": {"prune": True, **NO_LIMITS},
            }
        )
        yield Desk(folder, emulator, config)


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def member(campaign: str, lead: str, said: str = "") -> Row:
    """Return a row of DESIRED: a lead in a campaign."""
    row = {
        "module": "Campaigns",
        "record_id": campaign,
        "related_list": "Leads",
        "related_id": lead,
    }
    return {**row, "Member_Status": said} if said else row


def territory(record: str, *ids: str, module: str = "Accounts") -> Row:
    return {"module": module, "record_id": record, "territory_id": ";".join(ids)}


def changes(found: Found) -> set[tuple[str, ...]]:
    """Return the difference: op, record, what is held, and its values."""
    rows = [orjson.loads(line) for line in found.changes.read_bytes().splitlines()]
    return {
        (
            row["op"],
            row["record_id"],
            row.get("related_id", row.get("territory_id")),
            *(row[name] for name in ("Member_Status", "role_id") if name in row),
        )
        for row in rows
    }


def unread(found: Found) -> dict[str, str]:
    """Return the records that are unread, and why."""
    path = found.run.path / "unread.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["record_id"]: row["why"] for row in csv.DictReader(file)}


def refused(found: Found) -> dict[int, str]:
    """Return the lines of DESIRED that wish nothing, and the code of why."""
    path = found.run.path / "refused.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {int(row["line"]): row["code"] for row in csv.DictReader(file)}
