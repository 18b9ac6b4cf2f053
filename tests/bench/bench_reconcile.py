"""
How long comparing takes: a DESIRED and a snapshot of so many rows that differ in 3 % of them.

`python tests/bench/bench_reconcile.py [ROWS]` prints the numbers found, CPU seconds and memory.
Reading is left out: it takes what the organisation's limits allow.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from bulkops.engine.reconcile import Asking, Home, Means, reconcile
from bulkops.files.config import Config

_HEADER = "module,record_id,related_list,related_id,Member_Status\n"
_FIRST_ID = 4_150_868_000_000_000_000


def write_sides(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write DESIRED and the snapshot: of a hundred rows one lacks, one is too many, one differs."""
    paths = folder / "desired.csv", folder / "actual.csv"
    with paths[0].open("w", encoding="utf-8") as desired, paths[1].open("w") as actual:
        desired.write(_HEADER)
        actual.write(_HEADER)
        for n in range(rows):
            campaign, lead = _FIRST_ID + n // 1000, _FIRST_ID + 10_000_000 + n * 7919 % 5_000_000
            row = f"Campaigns,{campaign},Leads,{lead}"
            if n % 100 != 0:
                desired.write(f"{row},{'Invited' if n % 100 == 2 else 'Active'}\n")
            if n % 100 != 1:
                actual.write(f"{row},Active\n")
    return paths


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="bulkops-bench-") as name:
        folder = Path(name)
        desired, actual = write_sides(folder, rows)
        limits = {"prune": True, "max_change": "", "max_unlink": -1}
        config = Config.model_validate({"run": {"directory": folder / "runs"}, "reconcile": limits})
        asking = Asking(desired=(desired,), actual=actual)
        home = Home.of(asking, config)
        wall, cpu = time.monotonic(), time.process_time()
        means = Means()
        with home.locked():
            found = asyncio.run(reconcile(asking, config, home, means))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(found.numbers)
        print(
            f"{rows:,} rows: {time.monotonic() - wall:.1f} s, {time.process_time() - cpu:.1f} s of "
            f"CPU, {peak:,.0f} MiB at most"
        )


if __name__ == "__main__":
    main()
