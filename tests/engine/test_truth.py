"""
The law of a run: whatever its calls meet, and wherever it dies, the log tells the truth.

A runner works on an emulated organisation without a socket between them. Each call that changes
something meets what an example has drawn: it is done and not heard, not done, refused, or the run
dies and what was not yet durable of its log may be gone. Later runs go on by what is left of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bulkops.emulator import Behaviour, world_from
from bulkops.emulator.arrival import parse_query
from bulkops.emulator.call import Answer, Call, Refused
from bulkops.emulator.routing import resolve
from bulkops.engine import runner as runner_module
from bulkops.engine.recorder import Thresholds
from bulkops.engine.runner import Runner, Settings
from bulkops.errors import AuthError, PausedError
from bulkops.files.checkpoint import Checkpoint
from bulkops.files.token_cache import Token
from bulkops.model import (
    WANTED,
    Batch,
    Exchange,
    Json,
    NoReply,
    Operation,
    Reply,
    Request,
    Route,
    SealedReply,
    Status,
)
from bulkops.rows import PlainOperations
from bulkops.rules.operations import SPECS
from bulkops.rules.pacing import Waits
from bulkops.rules.progress import Progress
from bulkops.rules.retrying import Policy
from bulkops.rules.spec import Wish
from bulkops.rules.tally import Tally
from bulkops.rules.watches import Intervals
from bulkops.wire.call import Wire
from bulkops.wire.stop import Stop
from tests.rigging import V8

#: Two records that are related, a record and its territory, or a territory that is there and ''.
Fact = tuple[str, str]

#: What a call may meet without anybody doubting what it did.
PLAIN = ("fine", "never left", "429", "401", "one locked", "too large", "forbidden")
#: What a call may meet, in words of who does it.
MET = (
    *PLAIN,
    *(
        "lost",
        "unheard",
        "unheard",
        "unheard",
        "not done, 500",
        "done, 500",
        "done, 502",
        "done, cut",
    ),
    *("one faulty", "one missing", "dies before", "dies after"),
)
READS = st.lists(
    st.sampled_from(["fine", "lost", "500", "429", "401", "forbidden"]), max_size=4
) | st.integers(1, 9).map(lambda reads: ["forbidden"] * reads)
NO_WAIT = Waits(retry_s=1e-9, locked_s=1e-9, longest_s=1e-6)
SOON = Intervals(first_s=1e-5, longest_s=1e-4, give_up_s=0.05)

DEALS = ("11", "12", "13", "14", "19")
CONTACTS = ("21", "22", "23", "24", "29")
ACCOUNTS = ("31", "32", "33", "39")
TERRITORIES = ("101", "102", "103", "109")
#: Those that end in 9 are nobody's.
SEED: dict[str, Any] = {
    "records": {
        "Products": ["1", "2"],
        "Deals": list(DEALS[:-1]),
        "Contacts": list(CONTACTS[:-1]),
        "Accounts": list(ACCOUNTS[:-1]),
    },
    "roles": {"91": "Buyer"},
    "territories": [
        {"id": "100"},
        *({"id": each, "parent_id": "100"} for each in TERRITORIES[:-1]),
    ],
}


class DeathError(BaseException):
    """The run ends at once."""


class Server:
    """An emulated organisation, the faults it is still to show, and what calls have changed."""

    def __init__(self, case: Case) -> None:
        self.world = world_from(case.seed)
        self.behaviour = case.behaviour
        self.met = list(case.met)
        self.reads_met = list(case.reads_met)
        self.changed: set[Fact] = set()

    def facts(self) -> set[Fact]:
        """All that is true."""
        held = self.world.organisation
        found = {(each.id, "") for each in held.territories}
        for side in (held.sides["Products", "Deals"], held.sides["Deals", "Contact_Roles"]):
            found |= {(parent, each) for parent in side.parents() for each in side.related(parent)}
        for account in ACCOUNTS:
            found |= {(account, each) for each in held.record_territories.of("Accounts", account)}
        return found

    def exchange(self, request: Request) -> Exchange:
        """Meet one call."""
        if request.method == "GET":
            return self._read(request, self.reads_met.pop(0) if self.reads_met else "fine")
        return self._write(request, self.met.pop(0) if self.met else "fine")

    def _read(self, request: Request, met: str) -> Exchange:
        match met:
            case "lost":
                return NoReply(sent=True, reason="reset")
            case "500" | "429" | "401":
                return _refused(int(met))
            case "forbidden":
                return _refused(403)
        return _reply(self._done(request))

    def _write(self, request: Request, met: str) -> Exchange:
        match met:
            case "lost":
                return NoReply(sent=True, reason="reset")
            case "never left":
                return NoReply(sent=False, reason="refused")
            case "not done, 500":
                return _refused(500)
            case "429" | "401":
                return _refused(int(met))
            case "forbidden":
                return _refused(403)
            case "too large" if len(_ids(request)) > 1:
                return Reply(413)
            case "dies before":
                raise DeathError
        first = _ids(request)[0]
        answer = self._done(request, locked=first if met == "one locked" else "")
        match met:
            case "unheard":
                return NoReply(sent=True, reason="reset")
            case "done, 500":
                return _refused(500)
            case "done, 502":
                return Reply(502)
            case "done, cut":
                return Reply(answer.status)
            case "dies after":
                raise DeathError
        return _spoilt(_reply(answer), met, first)

    def _done(self, request: Request, *, locked: str = "") -> Answer:
        before = self.facts()
        try:
            version, path, route = resolve(request.method, request.path)
            call = Call(
                world=self.world,
                organisation=self.world.organisation,
                client=next(iter(self.world.clients()))[1],
                behaviour=self.behaviour,
                version=version,
                method=request.method,
                path=path,
                query=parse_query(urlencode(request.query)),
                external=None,
                body=b"" if request.body is None else orjson.dumps(request.body),
                now=0.0,
                locked=frozenset({locked}),
            )
            return route.handler(call)
        except Refused as refused:
            return refused.answer
        finally:
            self.changed |= before ^ self.facts()


def _refused(status: int) -> Reply:
    code = {500: "INTERNAL_ERROR", 429: "TOO_MANY_REQUESTS", 401: "INVALID_TOKEN"}
    body = {"code": code.get(status, "NO_PERMISSION"), "details": {}, "message": "words"}
    return Reply(status, {**body, "status": "error"})


def _parsed(raw: bytes) -> Json:
    return orjson.loads(raw) if raw else None


def _reply(answer: Answer) -> Reply:
    return SealedReply(answer.status, answer.body(), {}, _parsed)


def _spoilt(reply: Reply, met: str, first: str) -> Reply:
    envelope, items = next(iter(reply.body.items()))
    if met not in {"one faulty", "one missing"} or not isinstance(items, list):
        return reply
    wrong = {"code": "INTERNAL_ERROR", "details": {"id": first}, "status": "error"}
    stranger = {"code": "SUCCESS", "details": {"id": "999"}, "status": "success"}
    kept = [each for each in items if each["details"].get("id") != first]
    if len(kept) == len(items):
        return reply
    return Reply(reply.status, {envelope: [wrong if met == "one faulty" else stranger, *kept]})


def _ids(request: Request) -> list[str]:
    if "ids" in request.query:
        return request.query["ids"].split(",")
    if request.path.rpartition("/")[0].endswith("/Contact_Roles"):
        return [request.path.rpartition("/")[2]]
    return [each["id"] for each in request.body.get("data") or request.body["territories"]]


class Log:
    """A checkpoint log of which a crash may take what is not durable, and that ends with it."""

    def __init__(self, kept: Sequence[dict[str, Any]]) -> None:
        self.records = list(kept)
        self.synced = len(kept)
        self.is_dead = False

    def append(self, **record: Any) -> None:
        if not self.is_dead:
            self.records.append(orjson.loads(orjson.dumps(record)))

    def append_each(self, kind: str, name: str, values: Any, /, **others: Any) -> None:
        for each in values:
            self.append(type=kind, **{name: each}, **others)

    async def durable(self) -> None:
        await asyncio.sleep(0)
        self.synced = len(self.records)

    def after(self, lost: int) -> Log:
        """What a crash leaves of it."""
        loose = len(self.records) - self.synced
        return Log(self.records[: len(self.records) - min(lost, loose)])

    @property
    def outcomes(self) -> Mapping[int, dict[str, Any]]:
        """The last outcome of each line."""
        return {each["line"]: each for each in self.records if each["type"] == "outcome"}


class Line:
    """The wire, as far as a run uses it, with the server at its other end."""

    def __init__(self, server: Server, log: Log) -> None:
        self._server = server
        self._log = log
        self.last_served = float("-inf")

    async def token(self) -> Token:
        return Token("t", None, 0.0, 1e12)

    async def call(self, request: Request, token: Token) -> Exchange:
        await asyncio.sleep(0)
        if self._log.is_dead:
            # What is under way elsewhere ends with the run.
            await asyncio.get_running_loop().create_future()
        try:
            exchange = self._server.exchange(request)
        except DeathError:
            self._log.is_dead = True
            raise
        if isinstance(exchange, Reply) and exchange.status < 500 and exchange.status != 429:
            self.last_served = asyncio.get_running_loop().time()
        return exchange

    async def refresh(self, rejected: str) -> None:
        pass

    def refused(self, wait_s: float | None) -> None:
        pass


@dataclass(frozen=True)
class Case:
    """One example."""

    spec: str
    batches: tuple[Batch, ...]
    seed: dict[str, Any]
    behaviour: Behaviour
    met: list[str]
    reads_met: list[str]
    attempts: int
    workers: int
    reopen: bool
    lost: list[int]

    def facts(self, batch: Batch, operation: Operation) -> set[Fact]:
        """What a line wishes, or wishes away."""
        if batch.spec == "delete_territory":
            return {(operation.item, "")}
        if operation.members:
            return {(operation.item, each) for each in operation.members}
        return {(batch.route.record_id, operation.item)}


def _behaviours(draw: st.DrawFn) -> Behaviour:
    shapes = st.sampled_from(["records", "flat", "keyed", "with_status"])
    return Behaviour(
        offload_from=draw(st.sampled_from([0, 1, 2])),
        job_looks=draw(st.integers(1, 2)),
        job_failure_ratio=draw(st.sampled_from([0.0, 0.0, 0.5])),
        job_id_shared=draw(st.booleans()),
        item_order=draw(st.sampled_from(["request", "reversed"])),
        json_path_space=draw(st.booleans()),
        unknown_link_id=draw(st.sampled_from(["by_status", "id", "json_path"])),
        mixed_status=draw(st.sampled_from([200, 207])),
        territory_records_per_call=draw(st.sampled_from([1, 2, 10])),
        feature_info_shape=draw(shapes),
        list_returns_territories=draw(st.booleans()),
    )


def _routes_and_lines(draw: st.DrawFn, name: str) -> list[tuple[Route, list[Operation]]]:
    if name == "delete_territory":
        chosen = draw(st.lists(st.sampled_from(TERRITORIES), min_size=1, unique=True))
        cut, fields = draw(st.integers(0, len(chosen))), {"transfer_to_id": "100"}
        parts = [
            [Operation(0, each, (), fields) for each in some]
            for some in (chosen[:cut], chosen[cut:])
        ]
        return [(Route(), part) for part in parts if part]
    if "territories" in name:
        members = st.lists(st.sampled_from(TERRITORIES), min_size=1, max_size=3, unique=True)
        wishes = draw(
            st.lists(
                st.tuples(st.sampled_from(ACCOUNTS), members.map(sorted).map(tuple)),
                min_size=1,
                max_size=6,
                unique=True,
            )
        )
        records = sorted({record for record, _ in wishes})
        cut = draw(st.integers(0, len(records)))
        parts = [
            [Operation(0, *each) for each in wishes if (each[0] in records[:cut]) is first]
            for first in (True, False)
        ]
        return [(Route("Accounts"), part) for part in parts if part]
    roles = "role" in name
    parents, items = (("11", "12"), CONTACTS) if roles else (("1", "2"), DEALS)
    place = ("Deals", "Contact_Roles") if roles else ("Products", "Deals")
    fields = {"role_id": "91"} if name == "link_contact_role" else {}
    found = []
    for parent in parents[: draw(st.integers(1, 2))]:
        chosen = draw(st.lists(st.sampled_from(items), min_size=1, unique=True))
        operations = [Operation(0, each, (), fields) for each in chosen]
        found.append((Route(place[0], parent, place[1]), operations))
    return found


def _seed(draw: st.DrawFn, facts: set[Fact], name: str) -> dict[str, Any]:
    real = sorted(fact for fact in facts if not any(each.endswith("9") for each in fact))
    held = draw(st.sets(st.sampled_from(real))) if real else set()
    groups: dict[str, list[str]] = {}
    for one, other in sorted(held):
        groups.setdefault(one, []).append(other)
    if name == "delete_territory":
        there = [{"id": "100"}, *({"id": one, "parent_id": "100"} for one in sorted(groups))]
        return {**SEED, "territories": there}
    if "territories" in name:
        how = st.sampled_from(["manually", "manually", "manually", "automatically"])
        given = {one: {each: draw(how) for each in others} for one, others in groups.items()}
        return {**SEED, "record_territories": {"Accounts": given}}
    if "role" in name:
        roles = {deal: dict.fromkeys(contacts, "91") for deal, contacts in groups.items()}
        return {**SEED, "contact_roles": roles}
    return {**SEED, "relations": {f"Products/{one}/Deals": each for one, each in groups.items()}}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from(sorted(SPECS)))
    batches, line = [], 0
    for number, (route, lines) in enumerate(_routes_and_lines(draw, name), 1):
        numbered = tuple(each._replace(line=line + n) for n, each in enumerate(lines, 1))
        line += len(lines)
        plain = not any(each.members or each.fields for each in numbered)
        operations: Sequence[Operation] = (
            PlainOperations([each.line for each in numbered], [each.item for each in numbered])
            if plain
            else numbered
        )
        batches.append(Batch(number, name, route, operations, len(lines)))
    case = Case(
        spec=name,
        batches=tuple(batches),
        seed=SEED,
        behaviour=_behaviours(draw),
        met=draw(st.lists(st.sampled_from(MET), max_size=12)),
        reads_met=draw(READS),
        attempts=draw(st.integers(1, 4)),
        workers=draw(st.integers(1, 2)),
        reopen=draw(st.booleans()),
        lost=draw(st.lists(st.integers(0, 9), max_size=3)),
    )
    wished = {
        fact for batch in batches for each in batch.operations for fact in case.facts(batch, each)
    }
    return replace(case, seed=_seed(draw, wished, name))


async def run(server: Server, log: Log, case: Case) -> None:
    """Do what is left to do; raises `DeathError`, perhaps in a group, where the run dies."""
    progress = Progress()
    for record in log.records:
        progress.take(record)
    if case.reopen and (reopened := progress.reopen()):
        log.append(type="note", event="run.reopened", lines=reopened)
    stop, tally = Stop(), Tally()
    settings = Settings(
        api=V8,
        workers=case.workers,
        policy=Policy(case.attempts, NO_WAIT),
        intervals=SOON,
        thresholds=Thresholds(1.0, 10**9),
    )
    runner = Runner(
        settings,
        wire=cast(Wire, Line(server, log)),
        checkpoint=cast(Checkpoint, log),
        progress=progress,
        stop=stop,
        tally=tally,
    )
    async with asyncio.timeout(20):
        await runner.run(plan=Path(), rows=Path())
    assert stop.reason is None or isinstance(stop.reason, PausedError | AuthError)
    log.synced = len(log.records)


async def lived(case: Case) -> tuple[Server, Log]:
    """Run as often as it takes, the last time without faults."""
    server, lost = Server(case), list(case.lost)
    rows = sum(len(batch.operations) for batch in case.batches)
    log = Log([{"type": "run", "v": 1, "run": "r", "plan": "p", "rows": rows}])

    async def steps(*_: Any) -> AsyncIterator[tuple[int, Batch]]:
        for batch in case.batches:
            yield int(bool(SPECS[case.spec].ordered_by)), batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner_module, "_in_steps", steps)
        patch.setattr(runner_module, "read_refusals", lambda _: iter(()))
        for _ in range(len(case.met) + 1):
            try:
                await run(server, log, case)
            except* DeathError:
                log = log.after(lost.pop() if lost else 0)
        server.met, server.reads_met = [], []
        await run(server, log, case)
    return server, log


@settings(deadline=None)
@given(cases())
def test_the_log_tells_the_truth(case: Case) -> None:
    """
    What succeeded or is unchanged is as wished; what is unchanged, failed or skipped was not
    changed by us; and where every call was heard, a relation that we took away was there.
    """
    server, log = asyncio.run(lived(case))
    wish = SPECS[case.spec].wish
    true, heard = server.facts(), set(case.met) <= set(PLAIN)
    lines = [(each, case.facts(batch, each)) for batch in case.batches for each in batch.operations]
    wishers = Counter(fact for _, facts in lines for fact in facts)
    assert {each.line for each, _ in lines} == set(log.outcomes)
    for operation, facts in lines:
        outcome = log.outcomes[operation.line]
        status = Status(outcome["status"])
        event(f"{case.spec}: {status} {outcome.get('code', '')}")
        # What another line wishes as well may be that line's doing.
        ours = {each for each in facts if wishers[each] == 1} & server.changed
        if status in WANTED:
            assert all((each in true) == (wish is Wish.PRESENT) for each in facts), outcome
        else:
            assert status is Status.FAILED or (status is Status.SKIPPED and not case.reopen)
        if status is not Status.SUCCEEDED:
            assert not ours, outcome
        elif heard and wish is Wish.ABSENT and not operation.members:
            assert ours, outcome
