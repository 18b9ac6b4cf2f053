"""
Put operations that depend on each other in an order: sources before what they point at.

A territory whose children and records go to another must go while that other still stands. So
when both are deleted by one manifest, the one that is pointed at goes later. Those that point
at each other in a circle can go in no order.
"""

from __future__ import annotations

from collections.abc import Mapping


def levels(targets: Mapping[str, str]) -> tuple[dict[str, int], list[list[str]]]:
    """
    Return the level of each key of `targets`, from 1, and the circles.

    A level is one more than the highest level among those that point at it. `targets` maps an
    item to what it points at, which may be no key itself. Items of a circle have no level; what
    they point at is levelled as if they were not there.
    """
    circles = _circles(targets)
    broken = {item for circle in circles for item in circle}
    open_edges = {item: target for item, target in targets.items() if item not in broken}
    pointed_at = dict.fromkeys(open_edges, 0)
    for target in open_edges.values():
        if target in pointed_at:
            pointed_at[target] += 1
    level = {item: 1 for item, count in pointed_at.items() if count == 0}
    ready = list(level)
    for item in ready:
        target = open_edges[item]
        if target not in pointed_at:
            continue
        level[target] = max(level.get(target, 1), level[item] + 1)
        pointed_at[target] -= 1
        if pointed_at[target] == 0:
            ready.append(target)
    return level, circles


def _circles(targets: Mapping[str, str]) -> list[list[str]]:
    """Return the circles of a graph in which every node points at one other at most."""
    circles = []
    seen: set[str] = set()
    for start in targets:
        path: dict[str, int] = {}
        item = start
        while item in targets and item not in seen and item not in path:
            path[item] = len(path)
            item = targets[item]
        if item in path:
            circles.append(list(path)[path[item] :])
        seen.update(path)
    return circles
