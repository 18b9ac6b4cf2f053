"""
Choose the centres of whole families of graphs, and prove how near to the fewest calls that is.

    python tests/bench/bench_stars.py --edges 10000 100000 1000000

Prints, for each family and size: the calls as given (every tenth line goes by the right end, the
others by the left), all by left, all by right, ours, the bound and what proves most of it; then
ours as a multiple of the bound, and that of the cheaper method, which is for more edges than are
held whole; CPU seconds of ours with its bound, and of the cheaper method; the most memory of a
process that did all that, in MiB. Each row has a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from bulkops.files.planner.stars import WORK, Bound, calls, fewest
from bulkops.files.planner.stars.graph import Codes, Mask
from bulkops.files.planner.stars.load import by_load

CAP = 100
Edges = tuple[Codes, Codes]


def each_once(left: np.ndarray, right: np.ndarray) -> Edges:
    """Drop edges that are there twice, and number the codes without gaps."""
    pairs = np.unique(left.astype(np.int64) << 31 | right.astype(np.int64))
    codes = (np.unique(side, return_inverse=True)[1] for side in (pairs >> 31, pairs % 2**31))
    one, other = (side.astype(np.int32) for side in codes)
    return one, other


def one_product(size: int, random: np.random.Generator) -> Edges:
    """Deals with one product each; few products have most deals."""
    return each_once(np.arange(size), random.zipf(1.3, size) % max(size // 50, 1))


def campaigns(size: int, random: np.random.Generator) -> Edges:
    """Campaigns of thousands of leads, and leads of about three campaigns."""
    return each_once(
        random.integers(0, size // 3, size),
        (random.random(size) ** 2 * max(size // 5_000, 3)).astype(np.int64),
    )


def sparse(size: int, random: np.random.Generator) -> Edges:
    """About three edges a code, wherever they fall."""
    return each_once(*random.integers(0, size // 3, (2, size)))


def power_law(
    left: tuple[float, int], right: tuple[float, int]
) -> Callable[[int, np.random.Generator], Edges]:
    """The nth code is met as often as 1 / n**slope; one code for so many edges."""

    def edges(size: int, random: np.random.Generator) -> Edges:
        sides = []
        for slope, edges_a_code in (left, right):
            sums = np.cumsum(np.arange(1, size // edges_a_code + 1) ** -slope)
            sides.append(np.searchsorted(sums, random.random(size) * sums[-1]))
        return each_once(*sides)

    return edges


def complete(left: int, right: int) -> Callable[[int, np.random.Generator], Edges]:
    """Blocks in which each of the left meets each of the right."""

    def edges(size: int, _random: np.random.Generator) -> Edges:
        block, one, other = np.meshgrid(
            np.arange(max(size // (left * right), 1)), np.arange(left), np.arange(right)
        )
        return each_once((block * left + one).ravel(), (block * right + other).ravel())

    return edges


def crossed(size: int, _random: np.random.Generator) -> Edges:
    """One block: every campaign has every lead, and there are four times as many leads."""
    side = int((size / 4) ** 0.5)
    return complete(side, 4 * side)(4 * side * side, _random)


def grid(size: int, _random: np.random.Generator) -> Edges:
    """The squares of a chessboard, black ones left, that touch at a side."""
    side = int((size / 2) ** 0.5)
    row, column = (axis.ravel() for axis in np.mgrid[:side, :side])
    place = row * side + column
    ends = []
    for inside, step in ((column < side - 1, 1), (row < side - 1, side)):
        here, there = place[inside], place[inside] + step
        black = (row + column)[inside] % 2 == 0
        ends.append((np.where(black, here, there), np.where(black, there, here)))
    return each_once(*(np.concatenate(side) for side in zip(*ends, strict=True)))


def just_over(breadth: int) -> Callable[[int, np.random.Generator], Edges]:
    """Left codes of 130 each, over so many times as many right ones, wherever they fall."""

    def edges(size: int, random: np.random.Generator) -> Edges:
        centres = size // 130
        return each_once(
            np.repeat(np.arange(centres), 130), random.integers(0, centres * breadth, centres * 130)
        )

    return edges


FAMILIES: Mapping[str, Callable[[int, np.random.Generator], Edges]] = {
    "deal with one product": one_product,
    "campaigns x leads": campaigns,
    "random sparse": sparse,
    "mild power law": power_law((0.5, 3), (0.5, 3)),
    "steep power law": power_law((0.9, 3), (0.9, 3)),
    "steep on one side": power_law((0.4, 4), (1.1, 20)),
    "stars of 101": complete(1, 101),
    "stars of 150": complete(1, 150),
    "blocks of 30 x 120": complete(30, 120),
    "all with all": crossed,
    "grid": grid,
    # No families of a manifest's kind: where our plans and bounds are at their worst.
    "just over, 130 : 65": just_over(2),
    "just over, 130 : 130": just_over(1),
}


@dataclass(frozen=True, slots=True)
class Row:
    """
    What one family came to: calls, CPU seconds, and the peak of memory in MiB.
    """

    edges: int
    given: int
    by_left: int
    by_right: int
    ours: int
    cheap: int
    bound: Bound
    seconds: tuple[float, float]
    peak_mib: float


def measure(family: str, size: int, work: int) -> Row:
    """Make a family's graph, plan it both ways, and bound it."""
    random = np.random.default_rng(1)
    left, right = FAMILIES[family](size, random)
    given: Mask = random.random(left.size) < 0.1

    def cost(choice: Mask) -> int:
        return calls(left, right, choice, cap_left=CAP, cap_right=CAP)

    begin = time.process_time()
    found = fewest(left, right, cap_left=CAP, cap_right=CAP, given=given, work=work)
    planned = time.process_time()
    cheap = by_load(left, right, cap_left=CAP, cap_right=CAP, given=given)
    end = time.process_time()
    return Row(
        edges=left.size,
        given=cost(given),
        by_left=cost(np.zeros_like(given)),
        by_right=cost(np.ones_like(given)),
        ours=cost(found.centre_right),
        cheap=cost(cheap),
        bound=found.bound,
        seconds=(planned - begin, end - planned),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--work", type=int, default=WORK, help="edges to look at in climbing")
    options = parser.parse_args()
    print(
        f"{'family':21} {'edges':>8} {'given':>7} {'by left':>8} {'by right':>8} {'ours':>7} "
        f"{'bound':>7} {'argument':9} {'ratio':>6} {'cheap':>6} "
        f"{'ours s':>6} {'cheap s':>7} {'MiB':>5}"
    )
    with ProcessPoolExecutor(max_workers=1, max_tasks_per_child=1) as processes:
        for size in options.edges:
            for family in options.family:
                row = processes.submit(measure, family, size, options.work).result()
                ours, cheap = row.seconds
                print(
                    f"{family:21} {row.edges:8} {row.given:7} {row.by_left:8} {row.by_right:8} "
                    f"{row.ours:7} {row.bound.calls:7} {row.bound.argument.value:9} "
                    f"{row.ours / row.bound.calls:6.4f} {row.cheap / row.bound.calls:6.3f} "
                    f"{ours:6.1f} {cheap:7.1f} {row.peak_mib:5.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
