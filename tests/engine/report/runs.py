"""Runs for the tests of the report: a planned manifest, and a log written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from bulkops.files.config import Config
from bulkops.files.prepare import Asked, Prepared, prepare

HEADER = "op,module,record_id,related_list,related_id\n"
#: When the logs begin.
BEGUN = 1_700_000_000.0


def planned(folder: Path, text: str, *, name: str = "manifest.csv", **asked: Any) -> Prepared:
    """Plan a manifest of this text in a folder of its own."""
    (folder / name).write_bytes(text.encode())
    config = Config.model_validate({"run": {"directory": str(folder / "runs")}})
    return prepare(Asked(folder / name, **asked), config)


def unlinks(folder: Path, rows: int, **asked: Any) -> Prepared:
    """Plan so many rows, all of one record."""
    lines = "".join(f"unlink,Leads,1,Campaigns,{each}\n" for each in range(1, rows + 1))
    return planned(folder, HEADER + lines, **asked)


def log(made: Prepared, *records: Mapping[str, Any]) -> Prepared:
    """Write a log: the header, and `records`, whose `at` is in seconds since its begin."""
    head = {"type": "run", "v": 1, "plan": made.digest, "rows": made.rows, "at": 0.0}
    with made.run.checkpoint.open("wb") as file:
        for record in (head, *records):
            content = {key: each for key, each in record.items() if key != "at"}
            file.write(orjson.dumps({**content, "t": BEGUN + record["at"]}) + b"\n")
    return made


def sent(at: float, call: int, batch: int = 1) -> dict[str, Any]:
    return {"type": "sent", "batch": batch, "attempt": 1, "call": call, "at": at}


def answer(at: float, call: int, batch: int = 1) -> dict[str, Any]:
    return {"type": "answer", "batch": batch, "call": call, "doubtful": [], "at": at}


def outcome(at: float, line: int, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    return {"type": "outcome", "line": line, "status": status, "batch": 1, "at": at, **more}


def job(at: float, line: int, job_id: str) -> dict[str, Any]:
    return {"type": "job", "batch": 1, "line": line, "job_id": job_id, "at": at}


def note(at: float, event: str, **facts: Any) -> dict[str, Any]:
    return {"type": "note", "event": event, "at": at, **facts}
