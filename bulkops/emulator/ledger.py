"""
What arrived and what it did: the emulator's own book, outside the API.

One short tuple a call, its ids as text and only once, because runs have millions of calls; lists
and JSON are made when asked for. Items that ask twice for one effect are found from the book on
demand, so that serving a call costs nothing for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import orjson

from bulkops.emulator.arrival import Arrival, parse_query
from bulkops.emulator.call import Answer, Cut
from bulkops.emulator.faults.fault import Fault


class LedgerRow(NamedTuple):
    """One call that arrived; `status` 0 means that no answer was sent."""

    seq: int
    time: float
    method: str
    path: str
    query: str
    kind: str
    status: int
    items: int
    effects: int
    unchanged: int
    #: what `pack` made of the names of the items
    packed_asked: str
    #: the same of those that changed state; `_AS_ASKED`: all
    packed_changed: str
    fault: str

    @classmethod
    def of(cls, arrival: Arrival, kind: str, answer: Answer, faults: Sequence[Fault]) -> Self:
        """What to remember of a call of this kind and of what it was given."""
        asked, changed = pack(answer)
        # By position, in the order of the fields: by name it takes three times as long.
        return cls(
            arrival.seq,
            arrival.time,
            arrival.method,
            arrival.path,
            arrival.query,
            kind,
            0 if answer.cut is Cut.SILENT else answer.status,
            len(answer.asked),
            len(answer.changed),
            answer.unchanged,
            asked,
            changed,
            ",".join([each.label for each in faults]) if faults else "",
        )

    @property
    def asked(self) -> list[str]:
        """Names of the items of the request."""
        if self.packed_asked == _IN_QUERY:
            return parse_query(self.query)["ids"].split(",")
        return _unpacked(self.packed_asked)

    @property
    def changed(self) -> list[str]:
        """Names of the items that changed state."""
        return self.asked if self.packed_changed == _AS_ASKED else _unpacked(self.packed_changed)

    def as_json(self) -> dict[str, Any]:
        """The row as JSON data."""
        row = self._asdict()
        del row["packed_asked"], row["packed_changed"]
        return {**row, "asked": self.asked, "changed": self.changed}


_SEPARATOR = "\x1f"
_IN_QUERY = "?"
_AS_ASKED = "="


def _unpacked(names: str) -> list[str]:
    return names.split(_SEPARATOR) if names else []


def pack(answer: Answer) -> tuple[str, str]:
    """Names of items as `LedgerRow` keeps them; ids that the query has already are not kept."""
    asked, changed = answer.asked, answer.changed
    if not asked:
        return "", _SEPARATOR.join(changed)
    same = asked is changed or (len(asked) == len(changed) and list(asked) == list(changed))
    return (
        _IN_QUERY if answer.is_asked_by_query else _SEPARATOR.join(asked),
        _AS_ASKED if same else _SEPARATOR.join(changed),
    )


@dataclass(slots=True)
class Ledger:
    """All calls in order of arrival of their answers."""

    rows: list[LedgerRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[LedgerRow]:
        return iter(self.rows)

    def lines(self, since: int = 0) -> Iterator[bytes]:
        """The rows with a sequence above `since`, as JSON lines."""
        for row in self.rows:
            if row.seq > since:
                yield orjson.dumps(row.as_json()) + b"\n"

    def repeated(self) -> int:
        """
        How many items asked again for an effect that an earlier call had already applied.

        An effect whose opposite came in between (linked again after an unlink) does not count.
        """
        applied: dict[frozenset[str], str] = {}
        repeats = 0
        for row in self.rows:
            if row.method == "GET" or row.kind == "token":
                continue
            kind = row.kind.removesuffix(".single")
            for asked in row.asked:
                repeats += applied.get(_effect_key(row, asked)) == kind
            for changed in row.changed:
                applied[_effect_key(row, changed)] = kind
        return repeats


def _effect_key(row: LedgerRow, named: str) -> frozenset[str]:
    """What an effect is on, the same from both sides of a relation."""
    if row.kind in _PLACELESS:
        return frozenset({named})
    module, record_id, related_list = row.path.split("/")[3:6]
    other = "Contacts" if related_list == "Contact_Roles" else related_list
    return frozenset({f"{module}/{record_id}", f"{other}/{named}"})


#: Kinds whose effects are named in full.
_PLACELESS = frozenset(
    {
        "territories.remove",
        "territories.remove.single",
        "territories.assign",
        "territories.assign.single",
        "territory.delete",
        "territory.delete.single",
        "territory.remove",
        "territory.remove.single",
    }
)


@dataclass(slots=True)
class Counters:
    """Sums over the ledger, kept while it grows."""

    #: by kind; adding to a `Counter` would take several times as long
    calls: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    statuses: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    faults: Counter[str] = field(default_factory=Counter)
    refused_429: int = 0
    credits: int = 0
    effects: int = 0
    unchanged: int = 0
    job_effects: int = 0
    tokens_issued: int = 0
    peak_in_flight: int = 0

    def count(self, row: LedgerRow) -> None:
        """Add one call."""
        self.calls[row.kind] += 1
        self.statuses[row.status] += 1
        self.effects += row.effects
        self.unchanged += row.unchanged
        if row.fault:
            self.faults.update(row.fault.split(","))

    def as_json(self) -> dict[str, Any]:
        """The sums as JSON data."""
        return {
            "calls": dict(self.calls),
            "statuses": {str(status): n for status, n in self.statuses.items()},
            "faults": dict(self.faults),
            "refused_429": self.refused_429,
            "credits": self.credits,
            "effects": self.effects,
            "unchanged": self.unchanged,
            "job_effects": self.job_effects,
            "tokens_issued": self.tokens_issued,
            "peak_in_flight": self.peak_in_flight,
        }
