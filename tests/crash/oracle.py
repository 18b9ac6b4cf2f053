"""
Who did what: hold the log of a run against the emulator's book of effects, line by line.

`tests.e2e.harness.truth` says what the world is; this says whose work it is. A line told
`succeeded` needs an effect of ours, one told `unchanged` or `failed` must have none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from tests.e2e.harness import DONE, Truth, apply, is_write, truth

Record = Mapping[str, Any]
#: What an effect is on, and whether the thing is there after it.
Effect = tuple[frozenset[str], bool]
_ABSENT = frozenset({"unlink", "remove_territories", "delete_territory"})
_FINAL = frozenset(
    {"succeeded", "unchanged", "duplicate", "failed", "invalid", "conflict", "skipped"}
)


@dataclass(slots=True)
class Tally:
    """
    What was compared. `mismatches` are the lines that are told wrongly, in words.

    `echoes` are lines whose success is read from a refusal, `guesses` those whose success is
    read from a world that has it so; either may be the work of somebody else, or of nobody.
    """

    kills: int = 0
    runs: int = 0
    stories: int = 0
    calls: int = 0
    lines: int = 0
    echoes: int = 0
    echoes_not_ours: int = 0
    guesses: int = 0
    guesses_not_ours: int = 0
    asked_again: int = 0
    log_prefixes: int = 0
    power_cuts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    learnt: Counter[str] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add the counts of another."""
        for each in fields(self):
            mine = getattr(self, each.name)
            setattr(self, each.name, mine + getattr(other, each.name))


def wished(row: Mapping[str, str]) -> list[Effect]:
    """Return what a row of the manifest wishes, the same from both sides of a relation."""
    there = row["op"] not in _ABSENT
    if row["op"] == "delete_territory":
        return [(frozenset({row["territory_id"]}), there)]
    if row["op"].endswith("_territories"):
        record = f"{row['module']}/{row['record_id']}"
        return [(frozenset({record, each}), there) for each in row["territory_id"].split(";")]
    return [(_pair(row["module"], row["record_id"], row["related_list"], row["related_id"]), there)]


def _pair(module: str, record: str, related_list: str, related: str) -> frozenset[str]:
    other = "Contacts" if related_list == "Contact_Roles" else related_list
    return frozenset({f"{module}/{record}", f"{other}/{related}"})


def asked_of(call: Record, names: Iterable[str]) -> list[Effect]:
    """Return what a writing call of the ledger asks for the items of these names."""
    _, _, _, first, second, *rest = call["path"].split("/")
    if second == "territories":
        return [(frozenset({each}), False) for each in names]
    if rest and second == "actions":
        there = rest[0] == "assign_territories"
        parts = (each.split(":") for each in names)
        return [(frozenset({f"{first}/{record}", each}), there) for record, each in parts]
    there = call["method"] == "PUT"
    return [(_pair(first, second, rest[0], each), there) for each in names]


def effects_of(ledger: Sequence[Record], jobs: Iterable[Record]) -> Counter[Effect]:
    """Return every effect that calls and ended jobs had, and how often."""
    found: Counter[Effect] = Counter()
    for call in ledger:
        if is_write(call):
            found.update(asked_of(call, call["changed"]))
    for job in jobs:
        if job["state"] == "done":
            record = f"{job['module']}/{job['record_id']}"
            there = job["kind"] == "manual_territory_assignment"
            found.update((frozenset({record, each}), there) for each in job["territories"])
    return found


def ended_jobs(listed: Mapping[str, Any]) -> list[Record]:
    """Return the ended jobs of all organisations, from the answer of `/_emulator/jobs`."""
    return [job for each in listed.values() for job in each["ended"]]


def compare(
    *,
    records: Sequence[Record],
    rows: Sequence[Mapping[str, str]],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    effects: Mapping[Effect, int],
) -> Tally:
    """Hold every line of the log against the world and against who did it."""
    told: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        if record["type"] == "outcome":
            told[record["line"]].append(record)
    tally = Tally(lines=len(rows))
    once, now = truth(before), truth(after)
    wishes = truth(before)
    for line, row in enumerate(rows, 1):
        outcome = _terminal(line, told.get(line, []), tally)
        if outcome is None:
            continue
        tally.statuses[outcome["status"]] += 1
        tally.learnt[outcome.get("learnt", "answered")] += 1
        if outcome["status"] in DONE:
            apply(wishes, row)
        if outcome["status"] in {"succeeded", "unchanged", "failed", "skipped"}:
            ours = [each for each in wished(row) if effects.get(each)]
            wrong = _judge(outcome, row, ours, once, now, tally)
            if wrong:
                tally.mismatches.append(f"line {line} {wrong}: {dict(outcome)} for {_short(row)}")
    extra = sorted(set(told) - set(range(1, len(rows) + 1)))
    tally.mismatches += [f"line {line}: is told, and is not in the manifest" for line in extra]
    _compare_worlds(wishes, now, tally)
    for effect, count in effects.items():
        if count > 1 and len(effect[0]) == 1:
            tally.mismatches.append(f"{set(effect[0])}: deleted {count} times")
    return tally


def _terminal(line: int, told: Sequence[Record], tally: Tally) -> Record | None:
    """Return the one outcome that stands; only `unknown` may stand before it."""
    *earlier, last = told or [{"status": "none at all"}]
    tally.asked_again += len(earlier)
    if any(each["status"] != "unknown" for each in earlier) or last["status"] not in _FINAL:
        shown = [each["status"] for each in (*earlier, last)]
        tally.mismatches.append(f"line {line}: expected one terminal outcome, found {shown}")
        return None
    return last


def _judge(
    outcome: Record,
    row: Mapping[str, str],
    ours: Sequence[Effect],
    before: Truth,
    after: Truth,
    tally: Tally,
) -> str:
    """Return what is wrong with an outcome, or ''."""
    status, learnt = outcome["status"], outcome.get("learnt")
    whole = len(ours) == len(wished(row))
    if status in DONE and not is_so(after, row):
        return "is told done, and the world has it otherwise"
    if status == "succeeded" and learnt == "echo":
        tally.echoes += 1
        tally.echoes_not_ours += not whole
        return ""
    if status == "succeeded" and outcome.get("code") == "probed":
        tally.guesses += 1
        tally.guesses_not_ours += not whole
        return ""
    if status == "succeeded" and not whole:
        # A link is an update, and the server calls it done whether or not anything changed.
        harmless = row["op"] == "link" and is_so(before, row)
        return "" if harmless else "is told succeeded, and was not our work"
    if status != "succeeded" and ours:
        return "is told otherwise, and was our work"
    return ""


def is_so(state: Truth, row: Mapping[str, str]) -> bool:
    """Whether the world is as a row wishes."""
    relations, roles, held, territories = state
    (key, there), *_ = wished(row)
    match row["op"]:
        case "delete_territory":
            return row["territory_id"] not in territories
        case "remove_territories" | "assign_territories":
            record = (row["module"], row["record_id"])
            return all(
                ((*record, each) in held) is there for each in row["territory_id"].split(";")
            )
        case _ if row["related_list"] == "Contact_Roles":
            return roles.get((row["record_id"], row["related_id"]), "") == (
                row["role_id"] if there else ""
            )
        case _:
            return (key in relations) is there


def _compare_worlds(wishes: Truth, now: Truth, tally: Tally) -> None:
    """Add what the world has and the outcomes do not say, and the other way round."""
    for name, expected, actual in zip(
        ("relations", "contact roles", "territories held", "territories"), wishes, now, strict=True
    ):
        if isinstance(expected, dict) and isinstance(actual, dict):
            differ = [key for key in {*expected, *actual} if expected.get(key) != actual.get(key)]
            differ += [key for key in {*expected} ^ {*actual} if key not in differ]
        else:
            differ = sorted(set(expected) ^ set(actual))
        tally.mismatches += [
            f"{name}: the world differs from the outcomes at {each}" for each in differ
        ]


def _short(row: Mapping[str, str]) -> dict[str, str]:
    return {key: each for key, each in row.items() if each and key != "ticket"}
