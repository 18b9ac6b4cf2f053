"""
One organisation: its records, links, territories, jobs, people's rights and apps.

Ids are strings of digits as the API sends them; the module's record table holds the one string
object that links refer to, so a million links do not hold a million copies.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from bulkops.emulator.catalogue import STANDARD_RELATIONS
from bulkops.emulator.limits import CreditWindow
from bulkops.emulator.state.clients import Client
from bulkops.emulator.state.jobs import Job, JobKind, JobQueue
from bulkops.emulator.state.relations import Side, pair
from bulkops.emulator.state.territories import Assigned, RecordTerritories, TerritoryTree

Record = dict[str, Any] | None


@dataclass(slots=True)
class Rights:
    """What the organisation's user may not do, and which features are on."""

    #: "Leads.delete", "Deals.update", "Contacts.read": 403 NO_PERMISSION
    denied: set[str] = field(default_factory=set)
    #: the same names: AUTHORIZATION_FAILED
    unauthorised: set[str] = field(default_factory=set)
    #: territories the user may neither add nor remove
    territories: set[str] = field(default_factory=set)
    #: records whose territories the user may not change
    records: set[str] = field(default_factory=set)
    #: records locked by an approval or a person
    locked: set[str] = field(default_factory=set)
    #: territory management: "on", "disabled" or "never enabled"
    territory_management: str = "on"
    #: territory management for Leads, which support has to switch on
    territories_for_leads: bool = True


@dataclass(slots=True)
class Organisation:
    """Everything one organisation holds."""

    name: str = "default"
    id: str = "7000000001"
    edition: str = "enterprise"
    users: int = 100
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    sides: dict[tuple[str, str], Side] = field(default_factory=dict)
    #: modules that have related lists
    linking_modules: set[str] = field(default_factory=set)
    #: (left module, its list, right module, its list) declared by the seed
    custom: list[tuple[str, str, str, str]] = field(default_factory=list)
    custom_names: set[tuple[str, str]] = field(default_factory=set)
    roles: dict[str, str] = field(default_factory=dict)
    #: pairs of deal and contact whose role was removed by a call
    removed_roles: set[tuple[str, str]] = field(default_factory=set)
    territories: TerritoryTree = field(default_factory=TerritoryTree)
    record_territories: RecordTerritories = field(default_factory=RecordTerritories)
    jobs: JobQueue = field(default_factory=JobQueue)
    rights: Rights = field(default_factory=Rights)
    clients: dict[str, Client] = field(default_factory=dict)
    credits: CreditWindow = field(default_factory=CreditWindow)
    last_job: int = 0
    #: relations that calls were let to, by what such calls have in common: as many as there are
    #: relations, versions and clients, and never taken back
    found_sides: dict[Hashable, Side] = field(default_factory=dict)
    #: (module, field) → value → record id, made when first asked for
    _external: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for left, left_name, right, right_name, required in STANDARD_RELATIONS:
            self._add_sides(
                pair(
                    left=left,
                    left_name=left_name,
                    right=right,
                    right_name=right_name,
                    required=required,
                )
            )

    def _add_sides(self, sides: tuple[Side, Side]) -> None:
        for side in sides:
            self.sides[side.module, side.name] = side
            self.linking_modules.add(side.module)

    def declare_relation(self, left: str, left_name: str, right: str, right_name: str) -> None:
        """Add a relation of the organisation's own (a multi-select look-up)."""
        for key in ((left, left_name), (right, right_name)):
            if key in self.sides:
                raise ValueError(f"relation {key[0]}/{{id}}/{key[1]} exists already")
        self._add_sides(pair(left=left, left_name=left_name, right=right, right_name=right_name))
        self.custom.append((left, left_name, right, right_name))
        self.custom_names |= {(left, left_name), (right, right_name)}

    def has_record(self, module: str, record_id: str) -> bool:
        """Whether the record exists."""
        return record_id in self.records.get(module, ())

    def add_record(self, module: str, record_id: str, fields: Record = None) -> str:
        """Make sure a record exists; merge `fields` into it; return the id to refer to it by."""
        table = self.records.setdefault(module, {})
        if fields is not None:
            self._external.clear()
            table[record_id] = {**(table.get(record_id) or {}), **fields}
        else:
            table.setdefault(record_id, None)
        return record_id

    def find_external(self, module: str, name: str, value: str) -> str | None:
        """The id of the record whose field `name` holds `value`; the first one, if several."""
        known = self._external.get((module, name))
        if known is None:
            known = self._external[module, name] = {}
            for record_id, fields in self.records.get(module, {}).items():
                if fields and fields.get(name) is not None:
                    known.setdefault(str(fields[name]), record_id)
        return known.get(value)

    def next_job_id(self) -> str:
        """A fresh job id."""
        self.last_job += 1
        return f"{self.id}{self.last_job:09d}"

    def run_due_jobs(self, now: float) -> int:
        """End the jobs whose time has come; return how many territories changed."""
        return sum(self.end_job(job) for job in self.jobs.due(now))

    def end_job(self, job: Job) -> int:
        """End one job, with its effect unless it fails; return how many territories changed."""
        self.jobs.end(job)
        if job.fails:
            return 0
        return self.change_territories(job.module, job.record_id, job.kind, job.territories)

    def change_territories(
        self, module: str, record_id: str, kind: JobKind, territories: tuple[str, ...]
    ) -> int:
        """Apply a removal or assignment now; return how many territories changed."""
        held = self.record_territories
        if kind is JobKind.REMOVAL:
            return sum(held.remove(module, record_id, each) for each in territories)
        by_hand = kind is JobKind.ASSIGNMENT
        how = Assigned.MANUALLY if by_hand else Assigned.AUTOMATICALLY
        return sum(
            held.assign(module, record_id, each, how)
            for each in territories
            if each in self.territories
        )
