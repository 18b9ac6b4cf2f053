"""An organisation of products and their deals, in this process, and what to do with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bulkops
from bulkops.emulator import Behaviour, Emulator, world_from

_PRODUCT, _DEAL = 4150868050000000001, 4150868010000000001
_HEADER = "op,module,record_id,related_list,related_id,ticket\n"


@dataclass(frozen=True)
class Desk:
    """A folder, an emulator, and the configuration that calls it."""

    folder: Path
    emulator: Emulator
    config: bulkops.Config

    def manifest(self, name: str, products: range, *, deals: int = 3, also: str = "") -> Path:
        """A file that unlinks so many deals of each of these products: a call for each."""
        path = self.folder / name
        path.write_text(_HEADER + "".join(rows(products, deals)) + also, encoding="utf-8")
        return path

    def plan(self, name: str = "cleanup.csv", products: range = range(20), **more: Any) -> Any:
        """A plan of such a file."""
        return bulkops.plan(self.manifest(name, products, **more), config=self.config)

    @property
    def written(self) -> int:
        """Calls that would change something."""
        return sum(row.method != "GET" for row in self.emulator.ledger)


def rows(products: range, deals: int) -> list[str]:
    """Lines of a manifest, those of a product together."""
    return [
        f"unlink,Products,{_PRODUCT + product},Deals,{_DEAL + product * 100 + deal},T\n"
        for product in products
        for deal in range(deals)
    ]


def world(products: range, deals: int) -> dict[str, Any]:
    """What those lines need."""
    held = {
        f"Products/{_PRODUCT + product}/Deals": [
            str(_DEAL + product * 100 + deal) for deal in range(deals)
        ]
        for product in products
    }
    return {
        "records": {
            "Products": [str(_PRODUCT + product) for product in products],
            "Deals": [each for deals_of in held.values() for each in deals_of],
        },
        "relations": held,
    }


def configured(folder: Path, url: str, token: str, **tables: dict[str, Any]) -> bulkops.Config:
    """What a program gives to `plan`; calls go one after the other unless it says otherwise."""
    values: dict[str, dict[str, Any]] = {
        "api": {"base_url": url, "accounts_url": url},
        "auth": {"access_token": token, "token_cache": str(folder / "tokens.json")},
        "limits": {"concurrency": 1, "ledger": str(folder / "credits"), "retry_wait_s": 0.05},
        "stop": {"failed_ratio": 1.0, "failed_in_a_row": 0},
        "run": {"directory": str(folder / "runs")},
    }
    for name, table in tables.items():
        values[name] = {**values.get(name, {}), **table}
    return bulkops.Config.model_validate(values)


@asynccontextmanager
async def desk(
    folder: Path,
    *,
    products: range = range(20),
    deals: int = 3,
    latency_s: float = 0.0,
    **tables: dict[str, Any],
) -> AsyncIterator[Desk]:
    """Serve such an organisation in this loop; a call takes `latency_s` seconds."""
    behaviour = Behaviour(latency_median_s=latency_s, latency_sigma=0.0)
    async with Emulator(world=world_from(world(products, deals)), behaviour=behaviour) as emulator:
        config = configured(folder, emulator.url, emulator.access_token, **tables)
        yield Desk(folder, emulator, config)


def log_of(plan: bulkops.Plan) -> list[dict[str, Any]]:
    """The log of a run, whole."""
    return [json.loads(line) for line in (plan.run / "checkpoint.jsonl").read_bytes().splitlines()]


def told_in(log: Sequence[dict[str, Any]]) -> list[tuple[int, str, str]]:
    """Line, status and code of its outcomes, in its order."""
    found = [each for each in log if each["type"] == "outcome"]
    return [(each["line"], each["status"], each.get("code", "")) for each in found]


def told_by(events: Sequence[bulkops.Event]) -> list[tuple[int, str, str]]:
    """The same of events."""
    return [
        (each.line, each.status.value, each.code)
        for event in events
        if isinstance(event, bulkops.Settled)
        for each in event.outcomes
    ]


def in_doubt(log: Sequence[dict[str, Any]]) -> int:
    """Calls that were sent, and of which nothing is known."""
    sent = Counter(each["batch"] for each in log if each["type"] == "sent")
    known = {each.get("batch") for each in log if each["type"] in {"outcome", "answer"}}
    return sum(number for batch, number in sent.items() if batch not in known)


async def whole(plan: bulkops.Plan, **more: Any) -> list[bulkops.Event]:
    """All events of a run."""
    return [event async for event in bulkops.run(plan, **more)]
