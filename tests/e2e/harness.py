"""
Run the real program against the emulator as another process, and hold the log against the world.

The oracle is a model of sets: the world before, with every line applied that its outcome calls
done, must be the world after. It knows nothing of plans, calls or logs.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

DONE = frozenset({"succeeded", "unchanged"})
CREDENTIALS = {
    "BULKOPS_AUTH__CLIENT_ID": "emulator-client",
    "BULKOPS_AUTH__CLIENT_SECRET": "emulator-secret",
    "BULKOPS_AUTH__REFRESH_TOKEN": "emulator-refresh",
}


@dataclass(frozen=True)
class Bench:
    """A folder, an emulator that answers at `url`, and how to run bulkops against it."""

    folder: Path
    url: str

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "bulkops", *words]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: each for key, each in os.environ.items() if not key.startswith("BULKOPS_")}
        return {
            **kept,
            **CREDENTIALS,
            "BULKOPS_API__BASE_URL": self.url,
            "BULKOPS_AUTH__TOKEN_CACHE": str(self.folder / "tokens.json"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "BULKOPS_RUN__DIRECTORY": str(self.folder / "runs"),
            "BULKOPS_STOP__FAILED_RATIO": "1.0",
            "BULKOPS_STOP__FAILED_IN_A_ROW": "0",
            "BULKOPS_LIMITS__LEDGER": str(self.folder / "credits"),
            "BULKOPS_LIMITS__RETRY_WAIT_S": "0.05",
            "BULKOPS_LIMITS__LOCKED_WAIT_S": "0.1",
            "BULKOPS_LIMITS__TERRITORY_RECORDS_PER_CALL": "10",
            "BULKOPS_FOLLOW__FIRST_INTERVAL_S": "0.2",
            "BULKOPS_FOLLOW__MAX_INTERVAL_S": "1.0",
            **more,
        }

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    def begin(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start, to be interrupted."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def run_directory(self) -> Path:
        """The only run there is; what is kept of jobs beside runs is none."""
        (found,) = sorted(self.folder.glob("runs/[!.]*/"))
        return found

    def records(self) -> list[dict[str, Any]]:
        """Return the log, but for a torn last line."""
        lines = (self.run_directory / "checkpoint.jsonl").read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def ask(self, path: str, body: object = None) -> bytes:
        """Call a control route of the emulator."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", data=data)
        with urllib.request.urlopen(request, timeout=60) as reply:
            content: bytes = reply.read()
        return content

    def world(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("world"))
        return found

    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ask("ledger").splitlines()]


@contextmanager
def emulator(folder: Path, world: Path, **knobs: object) -> Iterator[Bench]:
    """Serve `world` in a process of its own."""
    words = [w for name, each in knobs.items() for w in ("--knob", f"{name}={json.dumps(each)}")]
    command = [sys.executable, "-m", "bulkops", "emulator", "--port", "0", "--seed", str(world)]
    with (
        (folder / "emulator.log").open("wb") as errors,
        subprocess.Popen(
            [*command, *words], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            yield Bench(folder, process.stdout.readline().strip())
        finally:
            process.terminate()


def wait_for(bench: Bench, *, outcomes: int, process: subprocess.Popen[str]) -> None:
    """Return once the log of the run holds so many sent calls' outcomes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        logs = sorted(bench.folder.glob("runs/*/checkpoint.jsonl"))
        settled = logs[0].read_bytes().count(b'"batch":') if logs else 0
        if settled >= outcomes:
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    raise AssertionError("the run settled too little in a minute")


def wait_for_socket(bench: Bench, process: subprocess.Popen[str]) -> None:
    """Return once the run answers to `ctl`: it has its lock, and has begun."""
    deadline = time.monotonic() + 60
    while not list(bench.folder.glob("runs/*/ctl.sock")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def interrupt(process: subprocess.Popen[str], number: signal.Signals) -> int:
    """Send a signal and return the exit code."""
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


Truth = tuple[dict[frozenset[str], Any], dict[tuple[str, str], str], set[tuple[str, ...]], set[str]]


def truth(world: Mapping[str, Any]) -> Truth:
    """Return a world as plain sets: relations, contact roles, assigned territories, territories."""
    relations = {}
    for key, others in world["relations"].items():
        module, record, related = key.split("/")
        fields = others if isinstance(others, dict) else dict.fromkeys(others)
        for other, said in fields.items():
            relations[frozenset({f"{module}/{record}", f"{related}/{other}"})] = said or None
    roles = {
        (deal, contact): role
        for deal, contacts in world["contact_roles"].items()
        for contact, role in contacts.items()
    }
    held = {
        (module, record, territory)
        for module, records in world["record_territories"].items()
        for record, territories in records.items()
        for territory in territories
    }
    return relations, roles, held, {each["id"] for each in world["territories"]}


def apply(state: Truth, row: Mapping[str, str]) -> None:
    """Do to `state` what `row` wishes."""
    relations, roles, held, territories = state
    match row["op"], row.get("related_list"):
        case "unlink", "Contact_Roles":
            roles.pop((row["record_id"], row["related_id"]), None)
        case "link", "Contact_Roles":
            roles[row["record_id"], row["related_id"]] = row["role_id"]
        case "unlink", related:
            relations.pop(_pair(row, str(related)), None)
        case "link", related:
            said = {"Member_Status": row["Member_Status"]} if row.get("Member_Status") else None
            relations[_pair(row, str(related))] = said
        case "remove_territories", _:
            held.discard((row["module"], row["record_id"], row["territory_id"]))
        case "assign_territories", _:
            held.add((row["module"], row["record_id"], row["territory_id"]))
        case "delete_territory", _:
            territories.discard(row["territory_id"])


def _pair(row: Mapping[str, str], related: str) -> frozenset[str]:
    return frozenset({f"{row['module']}/{row['record_id']}", f"{related}/{row['related_id']}"})


def read_rows(manifest: Path) -> list[dict[str, str]]:
    """Return the manifest's rows."""
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hold_against_world(
    bench: Bench, rows: Sequence[Mapping[str, str]], before: Mapping[str, Any]
) -> Counter[str]:
    """
    Assert that every line has one terminal outcome and that they agree with the world.

    Return the number of lines by status.
    """
    told = [each for each in bench.records() if each["type"] == "outcome"]
    lines = Counter(each["line"] for each in told)
    assert set(range(1, len(rows) + 1)) == set(lines)
    assert [line for line, count in lines.items() if count > 1] == []
    state = truth(before)
    for each in told:
        if each["status"] in DONE:
            apply(state, rows[each["line"] - 1])
    after = truth(bench.world())
    for expected, actual in zip(state, after, strict=True):
        assert expected == actual
    return Counter(each["status"] for each in told)


def is_write(call: Mapping[str, Any]) -> bool:
    """Whether a call of the ledger is one that a plan counts."""
    return call["method"] != "GET" and call["path"].startswith("/crm/")


def closed_window() -> str:
    """A window that is closed now and for hours to come."""
    now = datetime.now().astimezone()
    begin, end = now + timedelta(hours=6), now + timedelta(hours=7)
    return f"{begin:%H:%M}-{end:%H:%M}"
