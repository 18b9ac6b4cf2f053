"""
Plan a large skewed CSV, side by side with the least that DuckDB can do to the same file.

    python tests/bench/bench_plan.py --rows 1000000 --memory 512MB --shape few

Prints rows a second, seconds and peak resident memory of both, their ratio, and the calls of the
plan. Each measurement has a process of its own, and they take turns, because the machine is
noisy: compare within one run of this script, not between two.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

#: SQL of a row's cells, by shape. `i` is the number of the row; `record` one of a twenty-fifth as
#: many records, the first of which have most of the rows.
SHAPES: Mapping[str, str] = {
    # Calls are few: the records that many rows share are in the path.
    "few": "'unlink' AS op, 'Products' AS module, record AS record_id, 'Deals' AS related_list, "
    "(4150870000100000000 + i)::VARCHAR AS related_id, '' AS list_price",
    # A call for nearly every row: the same relations from their other side.
    "many": "'unlink' AS op, 'Deals' AS module, (4150870000100000000 + i)::VARCHAR AS record_id, "
    "'Products' AS related_list, record AS related_id, '' AS list_price",
    "territories": "'remove_territories' AS op, 'Leads' AS module, record AS record_id, "
    "(4150870000900000000 + i % 50)::VARCHAR AS territory_id",
    # A column mapped wrongly: every row wishes something else of the same relation.
    "disputed": "'link' AS op, 'Price_Books' AS module, '4150870000000000000' AS record_id, "
    "'Products' AS related_list, '4150870000000000001' AS related_id, i::VARCHAR AS list_price",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What one process did: seconds, peak resident memory in MiB, and calls; or how it failed.
    """

    seconds: float
    peak_mib: float
    calls: int = 0
    failure: str = ""


def generate(file: Path, *, rows: int, shape: str) -> None:
    """Write `rows` rows: interleaved, one in 500 twice, one in 1,000 mangled by a spreadsheet."""
    record = f"CAST(floor({max(rows // 25, 1)} * pow(u, 3)) AS BIGINT)"
    mangled = "CASE WHEN i % 1000 = 7 THEN '4.15087E+18' ELSE record_id END AS record_id"
    with duckdb.connect(config={"memory_limit": "512MB"}) as connection:
        connection.execute(
            f"COPY (SELECT * EXCLUDE (i) REPLACE ({mangled}) FROM (SELECT {SHAPES[shape]}, i FROM ("
            f"SELECT i, (4150870000000000000 + {record})::VARCHAR AS record FROM ("
            "SELECT i, (hash(i) % 1000003) / 1000003.0 AS u FROM ("
            "SELECT r - CASE WHEN r % 500 = 499 THEN 1 ELSE 0 END AS i "
            f"FROM range({rows}) AS numbers(r)))))) TO '{file}' (FORMAT csv, HEADER)"
        )


def bare(file: Path, folder: Path, memory: str) -> int:
    """Count the rows of each group of the file into Parquet, as DuckDB alone would."""
    with duckdb.connect(str(folder / "bare.duckdb")) as connection:
        connection.execute("SET memory_limit = ?", [memory])
        connection.execute("SET temp_directory = ?", [str(folder)])
        connection.execute(
            "COPY (SELECT op, module, record_id, count(*) AS lines "
            f"FROM read_csv('{file}', all_varchar = true, header = true) GROUP BY ALL) "
            f"TO '{folder / 'bare.parquet'}' (FORMAT parquet)"
        )
    (folder / "bare.duckdb").unlink()
    return 0


def plan(file: Path, folder: Path, memory: str) -> int:
    """Plan the file as `bulkops plan` does, its digest and the two stored files included."""
    from bulkops.manifest import inspect
    from bulkops.planner import Wanted, make_plan

    planned = make_plan(
        inspect(file),
        Wanted(),
        plan=folder / "plan.parquet",
        rows=folder / "rows.parquet",
        memory=memory,
        temp_directory=folder,
    )
    return planned.summary.total.calls


def read(_file: Path, folder: Path, _memory: str) -> int:
    """Read every batch of the stored plan, as a run does."""
    from bulkops.plan_file import read_batches

    return sum(1 for _ in read_batches(folder / "plan.parquet"))


STEPS: Mapping[str, Callable[[Path, Path, str], int]] = {"bare": bare, "plan": plan, "read": read}


def peak_mib() -> float:
    """
    Return the peak resident memory of this process in MiB.

    From `/proc`, because `getrusage` counts what the parent had when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def measure(step: str, folder: Path, memory: str) -> Measured:
    """Take one step in a process of its own, and return what it measured of itself."""
    command = [sys.executable, __file__, "--step", step, "--directory", str(folder)]
    done = subprocess.run(
        [*command, "--memory", memory], check=False, capture_output=True, text=True
    )
    if done.returncode:
        return Measured(0, 0, failure=done.stderr.strip().rpartition("\n")[2] or "killed")
    return Measured(**json.loads(done.stdout))


def take(step: str, folder: Path, memory: str) -> None:
    """Take one step here and print what it took as JSON."""
    started = time.perf_counter()
    calls = STEPS[step](folder / "manifest.csv", folder, memory)
    print(json.dumps(asdict(Measured(time.perf_counter() - started, peak_mib(), calls))))


def compare(folder: Path, *, rows: int, memory: str, shape: str, rounds: int) -> None:
    """Generate the file, take all steps in turns, and print the medians."""
    file = folder / "manifest.csv"
    generate(file, rows=rows, shape=shape)
    print(f"{rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB, {shape}, limit {memory}")
    found: dict[str, list[Measured]] = {step: [] for step in STEPS}
    for _ in range(rounds):
        for step, measured in found.items():
            measured.append(measure(step, folder, memory))
            if measured[-1].failure:
                sys.exit(f"{step}: {measured[-1].failure}")
    middle = {step: statistics.median(each.seconds for each in got) for step, got in found.items()}
    for step, got in found.items():
        peak = max(each.peak_mib for each in got)
        speed = f"{rows / middle[step]:12,.0f} rows/s"
        print(f"{step:<5}{middle[step]:8.2f} s{speed}{peak:8,.0f} MiB peak")
    print(f"ratio plan / bare: {middle['plan'] / middle['bare']:.1f}")
    print(f"batches: {found['plan'][-1].calls:,} planned, {found['read'][-1].calls:,} read back")


def main() -> None:
    """Read the options, and compare or take one step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="512MB", help="memory limit of DuckDB")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="few")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, default=None, help="where to put files")
    parser.add_argument("--step", choices=sorted(STEPS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        take(asked.step, asked.directory, asked.memory)
        return
    with tempfile.TemporaryDirectory(prefix="bench-plan-", dir=asked.directory) as folder:
        compare(
            Path(folder),
            rows=asked.rows,
            memory=asked.memory,
            shape=asked.shape,
            rounds=asked.rounds,
        )


if __name__ == "__main__":
    # The package is used as it lies beside the tests, installed or not.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
