"""
How long and how much memory opening a run takes whose lines are nearly all settled.

Prints, for runs of four kinds, the time of `read_progress` beside the time that DuckDB takes to
read the same log: one that is finished; one that was stopped with its last thousand lines open;
one with a call for every line; and one whose second half was skipped once and opened again. Each
way has a process of its own, for its peak memory. Both use all cores: the ratio of their processor
time is the one to go by where others use the machine too. Run it as
`python tests/bench/bench_resume.py [lines]`.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_LINES = 10_000_000
_KINDS: dict[str, dict[str, Any]] = {
    "finished": {},
    "stopped": {"still_open": 1000},
    "a call for every line": {"still_open": 1000, "most": 1},
    "opened again": {"reopened": True},
}


_SKIPPED = (
    b'{"type":"outcome","line":%d,"status":"skipped","code":"OAUTH_SCOPE_MISMATCH","message":'
    b'"not sent","batch":%d,"aborted":true,"t":1.5}\n'
)


def write_log(
    path: Path, lines: int, *, still_open: int = 0, most: int = 46, reopened: bool = False
) -> None:
    """Write the log of a run with calls of 1 to `most` lines."""
    chance = random.Random(7)
    line, call = 1, 0
    rows = lines + still_open
    with path.open("wb") as file:
        file.write(b'{"type":"run","v":1,"run":"x","plan":"p","rows":%d,"t":1.5}\n' % rows)
        if reopened:
            file.writelines(_SKIPPED % (each, each) for each in range(lines // 2, lines + 1))
            file.write(b'{"type":"note","event":"run.reopened","lines":%d,"t":1.5}\n' % lines)
        while line <= lines:
            call += 1
            file.write(b'{"type":"sent","batch":%d,"attempt":1,"call":%d,"t":1.5}\n' % (call, call))
            end = min(line + chance.randint(1, most), lines + 1)
            file.writelines(
                b'{"type":"outcome","line":%d,"status":"succeeded","code":"SUCCESS","message":'
                b'"relation removed","http_status":200,"batch":%d,"attempts":1,"t":1.5}\n'
                % (each, call)
                for each in range(line, end)
            )
            line = end
        if still_open:
            file.write(b'{"type":"note","event":"run.stopped","reason":"interrupted","t":1.5}\n')


def by_duckdb(path: Path) -> int:
    """Read every outcome's columns, as any reader of the log must."""
    import duckdb

    with duckdb.connect(config={"memory_limit": "200MB"}) as connection:
        row = connection.execute(
            "SELECT count(*), sum(line), max(status), max(code), sum(batch) FROM read_json(?, "
            "format = 'newline_delimited', columns = {type: 'VARCHAR', line: 'BIGINT', "
            "status: 'VARCHAR', code: 'VARCHAR', message: 'VARCHAR', http_status: 'INTEGER', "
            "batch: 'BIGINT', attempts: 'INTEGER', t: 'DOUBLE'}) WHERE type = 'outcome'",
            [str(path)],
        ).fetchone()
    assert row is not None
    return int(row[0])


def by_bulkops(path: Path) -> int:
    """Open the run as `bulkops run` does."""
    from bulkops.files.resume import read_progress

    return len(read_progress(path, mend=False).settled)


def measured(way: str, path: Path) -> tuple[float, float, float]:
    """Run one way in a process of its own; return seconds, those of the processor, and MiB."""
    command = [sys.executable, __file__, "--way", way, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(found[0]), float(found[1]), float(found[2])


def main() -> None:
    """Write a log, read it both ways in turn, three times, and print each pair."""
    if "--way" in sys.argv:
        way, path = sys.argv[2], Path(sys.argv[3])
        begun = time.perf_counter()
        (by_duckdb if way == "duckdb" else by_bulkops)(path)
        seconds = time.perf_counter() - begun
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(f"{seconds:.3f} {time.process_time():.3f} {used.ru_maxrss / 1024:.1f}")
        return
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else _LINES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.jsonl"
        for kind, shape in _KINDS.items():
            write_log(path, lines, **shape)
            size = path.stat().st_size / 1e6
            print(f"{kind}: {lines:,} settled lines, {size:,.0f} MB of log")
            for _ in range(3):
                duck_s, duck_cpu, duck_mib = measured("duckdb", path)
                ours_s, ours_cpu, ours_mib = measured("bulkops", path)
                print(
                    f"duckdb {duck_s:6.2f} s {duck_mib:5.0f} MiB   bulkops {ours_s:6.2f} s "
                    f"{ours_mib:5.0f} MiB   ratio {ours_s / duck_s:.2f}, "
                    f"of processor time {ours_cpu / duck_cpu:.2f}"
                )


if __name__ == "__main__":
    main()
