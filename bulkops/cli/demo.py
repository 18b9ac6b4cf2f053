"""
The demonstration: a small organisation, a manifest with everything in it, good and bad.

Both are made from one seed, so that everybody sees the same run. The manifest holds every
operation, and on purpose what real ones hold: repeated and contradicting rows, ids that a
spreadsheet has mangled, relations that are gone already, ids that never were.
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bulkops import Config
from bulkops.errors import UsageError

_SEED = 7
_COLUMNS = (
    "op",
    "module",
    "record_id",
    "related_list",
    "related_id",
    "territory_id",
    "transfer_to_id",
    "role_id",
    "Member_Status",
    "ticket",
)
_ROLES = {"4150868000000006871": "Decision Maker", "4150868000000006873": "Purchasing"}
#: Territory removals in the background, as today's API does them; ended soon, for impatience.
_KNOBS = {"job_seconds": 1.0, "latency_median_s": 0.02}


@dataclass(slots=True)
class _Sample:
    """An organisation and the rows about it, as they are made."""

    chance: random.Random
    relations: dict[str, list[str]] = field(default_factory=dict)
    contact_roles: dict[str, dict[str, str]] = field(default_factory=dict)
    territories: list[dict[str, Any]] = field(default_factory=list)
    held: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    records: dict[str, list[str]] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, op: str, **values: str) -> None:
        self.rows.append({"op": op, **values})


def _ids(kind: int, count: int) -> list[str]:
    return [f"41508680{kind:02d}{number:09d}" for number in range(1, count + 1)]


def write_demo(directory: Path, *, rows: int) -> tuple[Path, Path]:
    """Write `manifest.csv` and `world.json` into `directory`; return their paths."""
    sample = _Sample(random.Random(_SEED))  # noqa: S311  (a sample, not a secret)
    for module, kind, share in (
        ("Deals", 1, 0.2),
        ("Leads", 2, 0.15),
        ("Contacts", 3, 0.15),
        ("Accounts", 4, 0.15),
        ("Products", 5, 0.005),
        ("Campaigns", 6, 0.002),
    ):
        sample.records[module] = _ids(kind, max(10, int(rows * share)))
    _related(sample, rows)
    _roles(sample, rows)
    _territories(sample, rows)
    _spoil(sample, rows)
    sample.chance.shuffle(sample.rows)
    return _write(sample, directory)


def _related(sample: _Sample, rows: int) -> None:
    """Unlink products from deals and campaigns from leads, link contacts to campaigns."""
    deals, leads, contacts = (sample.records[each] for each in ("Deals", "Leads", "Contacts"))
    for product in _spread(sample, "Products", int(rows * 0.45)):
        deal = sample.chance.choice(deals)
        sample.relations.setdefault(f"Products/{product}/Deals", []).append(deal)
        sample.add(
            "unlink", module="Products", record_id=product, related_list="Deals", related_id=deal
        )
    for campaign in _spread(sample, "Campaigns", int(rows * 0.15)):
        lead = sample.chance.choice(leads)
        if sample.chance.random() < 0.95:
            sample.relations.setdefault(f"Campaigns/{campaign}/Leads", []).append(lead)
        sample.add(
            "unlink", module="Campaigns", record_id=campaign, related_list="Leads", related_id=lead
        )
    for campaign in _spread(sample, "Campaigns", int(rows * 0.12)):
        sample.add(
            "link",
            module="Campaigns",
            record_id=campaign,
            related_list="Contacts",
            related_id=sample.chance.choice(contacts),
            Member_Status="Invited",
        )


def _spread(sample: _Sample, module: str, count: int) -> list[str]:
    """Return `count` records of a module, some far more often than others."""
    records = sample.records[module]
    weights = [1 / (place + 1) for place in range(len(records))]
    return sample.chance.choices(records, weights, k=count)


def _roles(sample: _Sample, rows: int) -> None:
    """Give some contacts a role in a deal, take others theirs."""
    deals, contacts = sample.records["Deals"], sample.records["Contacts"]
    route = {"module": "Deals", "related_list": "Contact_Roles"}
    half = len(deals) // 2
    for deal in sample.chance.sample(deals[:half], int(rows * 0.01)):
        role = sample.chance.choice(list(_ROLES))
        contact = sample.chance.choice(contacts)
        sample.add("link", **route, record_id=deal, related_id=contact, role_id=role)
    for deal in sample.chance.sample(deals[half:], int(rows * 0.02)):
        contact = sample.chance.choice(contacts)
        sample.contact_roles[deal] = {contact: sample.chance.choice(list(_ROLES))}
        sample.add("unlink", **route, record_id=deal, related_id=contact)


def _territories(sample: _Sample, rows: int) -> None:
    """Take accounts and leads out of territories, put contacts into some, delete three."""
    top, *others = _ids(7, 13)
    sample.territories = [{"id": top, "name": "Organisation", "parent_id": None}] + [
        {"id": each, "name": f"Region {number}", "parent_id": top}
        for number, each in enumerate(others, 1)
    ]
    kept, doomed = others[:-3], others[-3:]
    for module, share in (("Accounts", 0.12), ("Leads", 0.06)):
        for record in sample.chance.sample(sample.records[module], int(rows * share)):
            by_rule = sample.chance.random() < 0.02
            territory = sample.chance.choice(kept)
            how = "automatically" if by_rule else "manually"
            sample.held.setdefault(module, {})[record] = {territory: how}
            sample.add(
                "remove_territories", module=module, record_id=record, territory_id=territory
            )
    for record in sample.chance.sample(sample.records["Contacts"], int(rows * 0.03)):
        territory = sample.chance.choice(kept)
        sample.add(
            "assign_territories", module="Contacts", record_id=record, territory_id=territory
        )
    for territory in doomed:
        sample.add("delete_territory", territory_id=territory, transfer_to_id=top)


def _spoil(sample: _Sample, rows: int) -> None:
    """Add what goes wrong in real manifests until there are `rows` rows."""
    ready = list(sample.rows)
    links = [each for each in ready if each["op"] == "unlink"]
    while len(sample.rows) < rows:
        row = dict(sample.chance.choice(links))
        match sample.chance.randrange(6):
            case 0 | 1:
                pass
            case 2:
                row["op"] = "link"
                if row["related_list"] == "Contact_Roles":
                    row["role_id"] = next(iter(_ROLES))
            case 3:
                row["related_id"] = f"{float(row['related_id']):.5E}"
            case 4:
                row["related_id"] = row["related_id"].replace("41508680", "99999999", 1)
            case _:
                row["record_id"] = row["record_id"].replace("41508680", "99999999", 1)
        sample.rows.append(row)


def _write(sample: _Sample, directory: Path) -> tuple[Path, Path]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be made ({error}); give another --dir") from error
    manifest, world = directory / "manifest.csv", directory / "world.json"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(sample.rows, 1):
            writer.writerow({**row, "ticket": f"CLEAN-{number}"})
    content = {
        "records": sample.records,
        "relations": {key: sorted(set(each)) for key, each in sample.relations.items()},
        "roles": _ROLES,
        "contact_roles": sample.contact_roles,
        "territories": sample.territories,
        "record_territories": sample.held,
    }
    world.write_bytes(orjson.dumps(content))
    return manifest, world


def demo_config(directory: Path, url: str) -> Config:
    """Return the configuration that calls the emulator at `url`."""
    return Config.model_validate(
        {
            "api": {"base_url": url, "accounts_url": url},
            "auth": {
                "client_id": "emulator-client",
                "client_secret": "emulator-secret",
                "refresh_token": "emulator-refresh",
                "token_cache": str(directory / "tokens.json"),
            },
            "limits": {"locked_wait_s": 0.5, "ledger": str(directory / "credits")},
            # The point of the demonstration is to show bad rows, not to stop at them.
            "stop": {"failed_ratio": 1.0, "failed_in_a_row": 0},
            "run": {"directory": str(directory / "runs")},
            "follow": {"first_interval_s": 0.5, "max_interval_s": 4.0},
        }
    )


@contextmanager
def begun_emulator(world: Path, log: Path) -> Iterator[str]:
    """Run the emulator as a process of its own; yield its address."""
    knobs = [word for name, value in _KNOBS.items() for word in ("--knob", f"{name}={value}")]
    command = [sys.executable, "-m", "bulkops", "emulator", "--port", "0", "--seed", str(world)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(  # noqa: S603  (our own program)
            [*command, *knobs], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise UsageError(f"the emulator did not start; see {log}")
            yield url
        finally:
            process.terminate()
