"""
The rules of the API as operations on plain sets: what an answer's status and codes must be.

It holds no HTTP, no JSON and no texts, and shares no code with the emulator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

OK = "SUCCESS"
Verdict = tuple[int, list[str]]
Pair = tuple[str, str]


@dataclass
class Model:
    """Links, roles, assignments and territories of one small organisation."""

    products: frozenset[str]
    deals: frozenset[str]
    contacts: frozenset[str]
    accounts: frozenset[str]
    role_names: frozenset[str]
    top: str
    parents: dict[str, str | None]
    links: set[Pair] = field(default_factory=set)
    roles: dict[Pair, str] = field(default_factory=dict)
    lost_roles: set[Pair] = field(default_factory=set)
    held: dict[Pair, str] = field(default_factory=dict)
    #: account → what is scheduled for it
    jobs: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    schedules: bool = False

    def unlink(self, product: str, deals: Sequence[str], *, turned: bool) -> Verdict:
        return self._linked(product, deals, turned=turned, wanted=False)

    def link(self, product: str, deals: Sequence[str], *, turned: bool) -> Verdict:
        return self._linked(product, deals, turned=turned, wanted=True)

    def _linked(self, near: str, far: Sequence[str], *, turned: bool, wanted: bool) -> Verdict:
        parents, others = (self.deals, self.products) if turned else (self.products, self.deals)
        if near not in parents:
            return 400, ["INVALID_DATA"]

        def one(other: str) -> str:
            pair = (other, near) if turned else (near, other)
            if wanted and other in others:
                self.links.add(pair)
                return OK
            if not wanted and pair in self.links:
                self.links.remove(pair)
                return OK
            return "INVALID_DATA"

        return self._of([one(each) for each in far])

    def set_roles(self, deal: str, wanted: Sequence[tuple[str, str | None]]) -> Verdict:
        if deal not in self.deals:
            return 400, ["INVALID_DATA"]

        def one(contact: str, role: str | None) -> str:
            if contact not in self.contacts:
                return "INVALID_DATA"
            if role is None:
                return "MANDATORY_NOT_FOUND"
            if role not in self.role_names:
                return "INVALID_DATA"
            self.roles[deal, contact] = role
            return OK

        return self._of([one(*each) for each in wanted])

    def remove_roles(self, deal: str, contacts: Sequence[str]) -> Verdict:
        if deal not in self.deals:
            return 400, ["INVALID_DATA"]

        def one(contact: str) -> str:
            if self.roles.pop((deal, contact), None) is not None:
                self.lost_roles.add((deal, contact))
                return OK
            if contact in self.contacts and (deal, contact) not in self.lost_roles:
                return "MANDATORY_NOT_FOUND"
            return "INVALID_DATA"

        return self._of([one(each) for each in contacts])

    def territories(self, what: str, wanted: Sequence[tuple[str, tuple[str, ...]]]) -> Verdict:
        check = self._removal if what == "remove" else self._assignment
        return self._of([self._territory_item(what, check, *each) for each in wanted])

    def _territory_item(
        self,
        what: str,
        check: Callable[[str, str], str],
        account: str,
        territories: tuple[str, ...],
    ) -> str:
        if account not in self.accounts:
            return "INVALID_DATA"
        if account in self.jobs:
            return "ALREADY_SCHEDULED"
        for place, each in enumerate(territories):
            if each in territories[:place]:
                return "ALREADY_USED"
            if each not in self.parents:
                return "INVALID_DATA"
        for each in territories:
            refused = check(account, each)
            if refused:
                return refused
        if self.schedules:
            self.jobs[account] = (what, territories)
            return "SCHEDULED"
        self._change(what, account, territories)
        return OK

    def _removal(self, account: str, territory: str) -> str:
        how = self.held.get((account, territory))
        return {None: "INVALID_DATA", "automatically": "NOT_ALLOWED"}.get(how, "")

    def _assignment(self, account: str, territory: str) -> str:
        return "DUPLICATE_DATA" if (account, territory) in self.held else ""

    def _change(self, what: str, account: str, territories: tuple[str, ...]) -> None:
        for each in territories:
            if what == "remove":
                self.held.pop((account, each), None)
            elif each in self.parents:
                self.held.setdefault((account, each), "manually")

    def end_jobs(self) -> None:
        for account, (what, territories) in self.jobs.items():
            self._change(what, account, territories)
        self.jobs.clear()

    def transfer(self, wanted: Sequence[tuple[str, str | None]]) -> Verdict:
        def one(territory: str, target: str | None) -> str:
            if territory not in self.parents or territory == self.top:
                return "INVALID_DATA"
            if target is not None and target not in self._above(territory):
                return "INVALID_DATA"
            if target is None and territory in self.parents.values():
                return "DEPENDENT_FIELD_MISSING"
            self._delete(territory, target)
            return OK

        return self._of([one(*each) for each in wanted])

    def delete(self, wanted: Sequence[str]) -> Verdict:
        def one(territory: str) -> str:
            if territory not in self.parents:
                return "INVALID_DATA"
            if territory == self.top or territory in self.parents.values():
                return "NOT_ALLOWED"
            self._delete(territory, None)
            return OK

        return self._of([one(each) for each in wanted])

    def _above(self, territory: str) -> set[str]:
        found: set[str] = set()
        parent = self.parents[territory]
        while parent is not None:
            found.add(parent)
            parent = self.parents[parent]
        return found

    def _delete(self, territory: str, target: str | None) -> None:
        del self.parents[territory]
        self.parents.update(
            {each: target for each, parent in self.parents.items() if parent == territory}
        )
        for account, held in [pair for pair in self.held if pair[1] == territory]:
            how = self.held.pop((account, held))
            if target is not None:
                self.held.setdefault((account, target), how)

    @staticmethod
    def _of(codes: list[str]) -> Verdict:
        failed = sum(code not in {OK, "SCHEDULED"} for code in codes)
        if failed == len(codes):
            return 400, codes
        if failed:
            return 207, codes
        return (202 if "SCHEDULED" in codes else 200), codes
