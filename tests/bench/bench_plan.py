"""
Plan large skewed manifests, side by side with the least that DuckDB can do to the same files.

    python tests/bench/bench_plan.py --rows 1000000 10000000 --format csv jsonl --shape few

Prints a line for each size, format and shape: rows a second, their ratio to a bare `GROUP BY` of
the same file into Parquet, in time and in CPU time, peak resident memory, bytes in the temp folder
at their highest, and the calls of the plan, as planned and as read back. Each measurement has a
process of its own, and they take turns, because the machine is noisy: compare within one run of
this script, not between two. `--large` adds 50 million rows, which the bare statement cannot
do within the memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
#: The column whose values the bare statement lists for each record.
LISTED = {"few": "related_id", "many": "related_id", "territories": "territory_id"}
LARGE = 50_000_000
FORMATS = {
    "csv": "(FORMAT csv, HEADER)",
    "jsonl": "(FORMAT json)",
    # The same with one line at the end that is no JSON, and is refused.
    "odd.jsonl": "(FORMAT json)",
}
_ODD = b'{"op":"unlink",\n'
_MOST_OUTPUT = 200


@dataclass(frozen=True, slots=True)
class Task:
    """What one process is to do: a step upon the manifest in a folder, within so much memory."""

    step: str
    folder: Path
    file: Path
    memory: str
    listed: str


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What one process did: seconds, of CPU too, peak memory and temp files in MiB; or how it failed.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    peak_mib: float = 0.0
    spilled_mib: float = 0.0
    calls: int = 0
    failure: str = ""


def generate(file: Path, *, rows: int, shape: str, form: str) -> None:
    """Write `rows` rows: interleaved, one in 100 twice, one in 1,000 mangled by a spreadsheet."""
    record = f"CAST(floor({max(rows // 25, 1)} * pow(u, 3)) AS BIGINT)"
    mangled = "CASE WHEN i % 1000 = 7 THEN '4.15087E+18' ELSE record_id END AS record_id"
    with duckdb.connect(config={"memory_limit": "512MB"}) as connection:
        connection.execute(
            f"COPY (SELECT * EXCLUDE (i) REPLACE ({mangled}) FROM (SELECT {SHAPES[shape]}, i FROM ("
            f"SELECT i, (4150870000000000000 + {record})::VARCHAR AS record FROM ("
            "SELECT i, (hash(i) % 1000003) / 1000003.0 AS u FROM ("
            "SELECT r - CASE WHEN r % 100 = 99 THEN 1 ELSE 0 END AS i "
            f"FROM range({rows}) AS numbers(r)))))) TO '{file}' {FORMATS[form]}"
        )
    if form.startswith("odd"):
        with file.open("ab") as end:
            end.write(_ODD)


def bare(task: Task) -> int:
    """List what belongs to each record into Parquet, as DuckDB alone would; judge nothing."""
    read = (
        "read_csv('{}', all_varchar = true, header = true)"
        if task.file.suffix == ".csv"
        else "read_json('{}', format = 'newline_delimited', convert_strings_to_integers = false,"
        " ignore_errors = {odd})"
    ).format(task.file, odd=task.file.name.endswith(".odd.jsonl"))
    with duckdb.connect(str(task.folder / "temp" / "bare.duckdb")) as connection:
        connection.execute("SET memory_limit = ?", [task.memory])
        connection.execute("SET temp_directory = ?", [str(task.folder / "temp")])
        made = connection.execute(
            f"COPY (SELECT op, module, record_id, list({task.listed}) AS ids FROM {read} "
            f"GROUP BY ALL) TO '{task.folder / 'bare.parquet'}' (FORMAT parquet)"
        ).fetchone()
    return made[0] if made else 0


def plan(task: Task) -> int:
    """Plan the file as `bulkops plan` does, its digest and the two stored files included."""
    from bulkops.files.manifest import inspect
    from bulkops.files.planner import Wanted, make_plan

    planned = make_plan(
        inspect(task.file),
        Wanted(),
        plan=task.folder / "plan.parquet",
        rows=task.folder / "rows.parquet",
        memory=task.memory,
        temp_directory=task.folder / "temp",
    )
    return planned.summary.total.calls


def read(task: Task) -> int:
    """Read every batch of the stored plan, as a run does."""
    from bulkops.files.plan_file import read_batches

    return sum(1 for _ in read_batches(task.folder / "plan.parquet"))


STEPS: Mapping[str, Callable[[Task], int]] = {"bare": bare, "plan": plan, "read": read}


def peak_mib() -> float:
    """
    Return the peak resident memory of this process in MiB.

    From `/proc`, because `getrusage` counts what the parent had when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


@contextmanager
def watched(folder: Path) -> Iterator[list[int]]:
    """Yield the sizes of `folder` at several times, looked at while the block goes on."""
    sizes, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            size = 0
            for file in folder.rglob("*"):
                try:
                    size += file.stat().st_size
                except FileNotFoundError:
                    continue
            sizes.append(size)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield sizes
    finally:
        ended.set()
        looking.join()


def take(task: Task) -> None:
    """Take one step here and print what it took as JSON."""
    temp = task.folder / "temp"
    temp.mkdir(exist_ok=True)
    started, cpu = time.perf_counter(), time.process_time()
    with watched(temp) as sizes:
        calls = STEPS[task.step](task)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    found = Measured(seconds, cpu, peak_mib(), max(sizes) / 2**20, calls)
    print(json.dumps(asdict(found)))


def measure(task: Task) -> Measured:
    """Take one step in a process of its own, and return what it measured of itself."""
    command = [sys.executable, __file__, "--step", task.step, "--directory", str(task.folder)]
    command += ["--file", str(task.file), "--memory", task.memory, "--listed", task.listed]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    for left in (task.folder / "temp").glob("*"):
        left.unlink()
    if done.returncode:
        return Measured(failure=done.stderr.strip().rpartition("\n")[2][:_MOST_OUTPUT] or "killed")
    return Measured(**json.loads(done.stdout))


def compare(folder: Path, *, rows: int, memory: str, shape: str, form: str, rounds: int) -> bool:
    """Generate the file, take all steps in turns, print the medians; tell whether all went well."""
    file = folder / f"manifest.{form}"
    generate(file, rows=rows, shape=shape, form=form)
    found: dict[str, list[Measured]] = {step: [] for step in STEPS}
    for _ in range(rounds):
        for step, measured in found.items():
            task = Task(step, folder, file, memory, LISTED.get(shape, "list_price"))
            measured.append(measure(task))
    size = file.stat().st_size / 2**20
    file.unlink()
    failed = {step: each.failure for step, got in found.items() for each in got if each.failure}
    for step, words in failed.items():
        print(f"{rows:>11,} {form:<10}{shape:<12} {step}: {words}", flush=True)
    if {"plan", "read"} & failed.keys():
        return False
    middle = {
        step: (statistics.median(e.seconds for e in got), statistics.median(e.cpu for e in got))
        for step, got in found.items()
        if step not in failed
    }
    ratio = cpu_ratio = "-"
    if "bare" in middle:
        ratio = f"{middle['bare'][0] / middle['plan'][0]:.2f}"
        cpu_ratio = f"{middle['bare'][1] / middle['plan'][1]:.2f}"
    planned = found["plan"]
    print(
        f"{rows:>11,} {form:<10}{shape:<12}{size:>7,.0f}{middle['plan'][0]:>9.1f}"
        f"{middle['plan'][1]:>8.1f}{rows / middle['plan'][0]:>11,.0f}{ratio:>7}{cpu_ratio:>6}"
        f"{max(each.peak_mib for each in planned):>7,.0f}"
        f"{max(each.spilled_mib for each in planned):>7,.0f}"
        f"{planned[-1].calls:>12,}{found['read'][-1].calls:>12,}",
        flush=True,
    )
    return planned[-1].calls == found["read"][-1].calls


def main() -> int:
    """Read the options, and compare or take one step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--large", action="store_true", help=f"also {LARGE:,} rows, in one round")
    parser.add_argument("--memory", default="512MB", help="memory limit of DuckDB")
    parser.add_argument("--shape", choices=sorted(SHAPES), nargs="+", default=["few"])
    parser.add_argument("--format", choices=sorted(FORMATS), nargs="+", default=["csv"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, default=None, help="where to put files")
    for hidden in ("--step", "--file", "--listed"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        take(Task(asked.step, asked.directory, Path(asked.file), asked.memory, asked.listed))
        return 0
    print(
        f"{'rows':>11} {'format':<10}{'shape':<12}{'MiB':>7}{'seconds':>9}{'CPU s':>8}"
        f"{'rows/s':>11}{'ratio':>7}{'CPU':>6}{'peak':>7}{'temp':>7}{'batches':>12}"
        f"{'read back':>12}"
    )
    good = True
    for rows in [*asked.rows, *([LARGE] if asked.large else [])]:
        for form in asked.format:
            for shape in asked.shape:
                with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.directory) as folder:
                    good &= compare(
                        Path(folder),
                        rows=rows,
                        memory=asked.memory,
                        shape=shape,
                        form=form,
                        rounds=1 if rows >= LARGE else asked.rounds,
                    )
    return 0 if good else 1


if __name__ == "__main__":
    # The package is used as it lies beside the tests, installed or not.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
