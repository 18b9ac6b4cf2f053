"""
Look into a plan before anything is sent: what it costs, what its calls are, where a row went.

Reads the stored plan, the ledger of credits and the logs of earlier runs; never the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import orjson

from bulkops.files.config import Config
from bulkops.files.credits import budget_of, ledger_of
from bulkops.files.database import connect
from bulkops.files.last_note import last_note
from bulkops.files.plan_file import batch_of_line, read_batches
from bulkops.files.planner.rows import judged_sql
from bulkops.files.planner.summary import ASSUMED_LATENCY_S
from bulkops.files.prepare import Prepared
from bulkops.files.rundir import RunDirectory
from bulkops.model import Api, Batch, merge_items
from bulkops.rules.operations import SPECS

_LINES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What a plan takes. `days` are those that its credits are spread over, by what is ours a day.

    `seconds` counts the calls alone, with `concurrency` of them always in flight; `captures` are
    reads before writes. `basis` says in words where the latency comes from.
    """

    calls: int
    captures: int
    credits: int
    share_of_day: float
    ours_a_day: int
    ours_now: int
    days: int
    concurrency: int
    latency_s: float
    basis: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form."""
        return asdict(self)


def cost_of(prepared: Prepared, config: Config, *, now: float, latency_s: float | None) -> Cost:
    """
    Return what a plan takes, with `latency_s` a call, or what the last run found.

    `now` is the time of day in seconds, for the credits that are used already. Raises
    `CheckpointError` if the ledger cannot be read.
    """
    calls, limits, budget = prepared.summary.total.calls, config.limits, budget_of(config)
    captures = calls if config.run.capture == "fields" else 0
    basis = "given"
    if latency_s is None:
        latency_s, basis = _measured(prepared, config)
    spent = calls + captures
    books = ledger_of(config).read()
    books.turn_to(now)
    ours_now = max(0, books.available(budget, now))
    later = max(0, spent - ours_now)
    return Cost(
        calls=calls,
        captures=captures,
        credits=spent,
        share_of_day=spent / budget.credits,
        ours_a_day=budget.own,
        ours_now=ours_now,
        days=1 + (math.ceil(later / budget.own) if later and budget.own else 0),
        concurrency=limits.ceiling,
        latency_s=latency_s,
        basis=basis,
        seconds=spent * latency_s / limits.ceiling,
    )


def _measured(prepared: Prepared, config: Config) -> tuple[float, str]:
    """Return the latency that the newest run on this organisation found, or the assumed one."""
    folder = prepared.run.path.parent
    logs = sorted(folder.glob("*/checkpoint.jsonl"), key=lambda path: -path.stat().st_mtime)
    for log in islice(logs, 20):
        run = RunDirectory(log.parent)
        described = (run.read_description() or {}).get("config", {})
        if described.get("api", {}).get("base_url") != config.public()["api"]["base_url"]:
            continue
        found = last_note(run).get("latency_s")
        if isinstance(found, int | float) and found:
            return float(found), f"measured by {run.name}"
    return ASSUMED_LATENCY_S, "assumed"


def sample(prepared: Prepared, config: Config, count: int) -> Iterator[dict[str, Any]]:
    """Yield the first `count` requests of a plan as they would be sent, without the token."""
    for _, batch in islice(read_batches(prepared.run.plan), count):
        yield request_of(batch, config)


def request_of(batch: Batch, config: Config) -> dict[str, Any]:
    """Return the call of a batch as JSON: method, URL, query and body."""
    api = Api(config.api.product, config.api.version)
    spec = SPECS[batch.spec]
    request = spec.request(api, batch.route, merge_items(batch.operations))
    return {
        "batch": batch.number,
        "lines": [each.line for each in batch.operations],
        "method": request.method,
        "url": f"{config.api.api_url}{request.path}",
        **({"query": dict(request.query)} if request.query else {}),
        **({"body": request.body} if request.body is not None else {}),
    }


def explain(prepared: Prepared, config: Config, line: int) -> dict[str, Any] | None:
    """
    Say where a line of the manifest went: its row, and its call or why it has none.

    `None` if there is no such line.
    """
    with connect(prepared.run.path) as connection:
        result = connection.execute(
            f"FROM {judged_sql(connection, prepared.run.rows)} WHERE line = ?", [line]
        )
        names = [column[0] for column in result.description or ()]
        values = result.fetchone()
    if values is None:
        return None
    row = {name: each for name, each in zip(names, values, strict=True) if each is not None}
    found: dict[str, Any] = {"line": line, "row": _as_written(row)}
    if "status" in row:
        told = ("status", "code", "message", "of_line")
        return {**found, "sent": False, **{name: row[name] for name in told if name in row}}
    batch = batch_of_line(prepared.run.plan, line)
    if batch is None:
        return {**found, "sent": False}
    others = [each.line for each in batch.operations if each.line != line]
    turned = row.get("record_id") not in {batch.route.record_id, None} and bool(
        batch.route.record_id
    )
    return {
        **found,
        "sent": True,
        "operation": batch.spec,
        "summary": SPECS[batch.spec].summary,
        "batch": batch.number,
        "of_batches": prepared.summary.total.calls,
        "turned": turned,
        "with_lines": others[:_LINES_SHOWN],
        "with_lines_in_all": len(others),
        "request": request_of(batch, config),
    }


def _as_written(row: dict[str, Any]) -> dict[str, Any]:
    """Return a stored row without what the plan says of it; JSON columns as values."""
    ours = {"line", "spec", "status", "code", "message", "of_line", "refused", "refused_code"}
    kept = {name: each for name, each in row.items() if name not in ours}
    for name in ("fields", "extra"):
        if name in kept:
            kept[name] = orjson.loads(kept[name])
    return kept
