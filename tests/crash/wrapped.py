"""
Run the real program in a process where the machine misbehaves; no test, a program for the tests.

    wrapped.py [--fsyncs FILE] [--largest BYTES] [--back SECONDS --after SECONDS] -- WORDS

`--fsyncs` books every `fsync`: a JSON line with the path and the size the file had before it.
`--largest` is the size beyond which no file grows (`RLIMIT_FSIZE`): a full disk. `--back` sets
the clock back by so many seconds, `--after` so many seconds of running.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fsyncs")
    parser.add_argument("--largest", type=int)
    parser.add_argument("--back", type=float, default=0.0)
    parser.add_argument("--after", type=float, default=0.0)
    split = sys.argv.index("--")
    asked = parser.parse_args(sys.argv[1:split])
    sys.argv = ["bulkops", *sys.argv[split + 1 :]]
    if asked.fsyncs:
        _book_fsyncs(asked.fsyncs)
    if asked.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked.largest, asked.largest))
    if asked.back:
        _set_back(asked.back, after=asked.after)
    # Only now: what is imported may keep a reference to what was patched.
    from bulkops.cli import main as program

    program()


def _book_fsyncs(book: str) -> None:
    file = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    fsync = os.fsync

    def booked(target: int) -> None:
        path = Path(f"/proc/self/fd/{target}").readlink()
        fact = {"path": str(path), "size": os.fstat(target).st_size}
        fsync(target)
        os.write(file, json.dumps(fact).encode() + b"\n")

    os.fsync = os.fdatasync = booked  # type: ignore[assignment]  # what the program hands in


def _set_back(seconds: float, *, after: float) -> None:
    clock, begun = time.time, time.monotonic()

    def back() -> float:
        return clock() - (seconds if time.monotonic() - begun >= after else 0.0)

    time.time = back


if __name__ == "__main__":
    main()
