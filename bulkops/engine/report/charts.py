"""
Charts as SVG to stand inline in a page: drawn by pygal, coloured by the page's own style sheet.

Each is drawn twice, for wide and for narrow pages, since text in a scaled picture shrinks with it.
What pygal adds for a file of its own (scripts, styles, identifiers, tool tips) is taken out: a page
that forbids everything foreign needs none of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pygal
from markupsafe import Markup
from pygal.etree import etree
from pygal.style import Style

from bulkops.engine.report.words import duration, number, plain

# pygal leaves a finder of its own, for maps, on the path of all imports. It follows a protocol that
# is no more: Python 3.11 would warn of it at every import from here on.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)
]

#: Distances between ticks that people count in, in seconds.
_TICKS_S: Final = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600),
    *(7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800),
)
_FOREIGN: Final = frozenset({"script", "style", "title", "desc", "defs"})
_LENGTHS: Final = ("d", "x", "y", "width", "height", "cx", "cy", "transform")


@dataclass(frozen=True, slots=True)
class Paper:
    """
    What a chart is drawn on: its name in the style sheet, and sizes in pixels.

    `ticks` is how many fit on its time axis, `label` how many letters before a bar.
    """

    name: str
    width: int
    letters: int
    row: int
    ticks: int
    label: int


WIDE = Paper("wide", width=920, letters=13, row=30, ticks=10, label=34)
NARROW = Paper("narrow", width=340, letters=11, row=26, ticks=4, label=20)

#: Draws a chart on some paper.
Drawing = Callable[[Paper], Any]


def bars(labels: Sequence[str], series: Mapping[str, Sequence[int]], *, name: str) -> Markup:
    """
    Return horizontal bars: one for each label, with a part for each of `series`.

    The keys of `series` are classes of the style sheet; `name` is what a screen reader says.
    """

    def draw(paper: Paper) -> Any:
        settings = _settings(paper, paper.row * len(labels) + 50)
        chart = pygal.HorizontalStackedBar(**settings)
        # The first label is to stand on top, as in the table.
        chart.x_labels = [_short(label, paper) for label in reversed(labels)]
        chart.min_scale, chart.max_scale = 2, paper.ticks // 2
        for key, values in series.items():
            chart.add(key, [value or None for value in reversed(values)])
        return chart

    return _both(draw, list(series), name)


def lines(
    seconds: float,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    name: str,
    bands: Mapping[str, Sequence[tuple[float, float]]],
    height: int = 220,
) -> Markup:
    """
    Return lines over the time of a run, of (second, value); `bands` mark times behind them.

    The keys of `series` and `bands` are classes of the style sheet, as in `bars`.
    """
    highest = max((value for points in series.values() for _, value in points), default=0) or 1
    top = _round_up(highest)

    def draw(paper: Paper) -> Any:
        chart = pygal.XY(**_settings(paper, height), show_dots=False, include_x_axis=True)
        chart.xrange, chart.range = (0, seconds), (0, top)
        chart.x_labels = _ticks(seconds, paper.ticks)
        chart.x_value_formatter = duration
        chart.y_labels = [top * step / 4 for step in range(5)]
        for key, spans in bands.items():
            corners = [
                corner
                for begun, ended in spans
                for corner in ((begun, 0), (begun, top), (ended, top), (ended, 0))
            ]
            chart.add(key, corners or [(0, 0)], fill=True)
        for key, points in series.items():
            chart.add(key, [*points] or [(0, 0)])
        return chart

    return _both(draw, [*bands, *series], name)


def steps(values: Sequence[float], width: float, seconds: float) -> list[tuple[float, float]]:
    """Return the corners of a line that keeps each value for `width` seconds."""
    corners: list[tuple[float, float]] = []
    for place, value in enumerate(values):
        begun, ended = place * width, min((place + 1) * width, seconds)
        if corners and corners[-1][1] == value:
            corners[-1] = (ended, value)
        else:
            corners += [(begun, value), (ended, value)]
    return corners


def _settings(paper: Paper, height: int) -> dict[str, Any]:
    letters = {
        f"{each}_font_size": paper.letters for each in ("label", "major_label", "title", "value")
    }
    return {
        "width": paper.width,
        "height": height,
        "style": Style(**letters),
        "css": (),
        "js": (),
        "show_legend": False,
        "margin": 4,
        "margin_right": 3 * paper.letters,
        "spacing": 6,
        "value_formatter": number,
        "truncate_label": -1,
        "classes": (),
        "show_x_guides": False,
        "show_y_guides": True,
    }


def _both(draw: Drawing, classes: Sequence[str], name: str) -> Markup:
    return Markup("").join(_drawn(draw(paper), paper, classes, name) for paper in (WIDE, NARROW))


def _drawn(chart: Any, paper: Paper, classes: Sequence[str], name: str) -> Markup:
    """Return the text of a chart, cleaned; the colour of each series is its class."""
    root = chart.render_tree()
    _clean(root, classes)
    box = root.get("viewBox")
    root.attrib.clear()
    root.attrib.update(
        {
            "class": f"chart {paper.name}",
            "viewBox": box,
            "role": "img",
            "aria-label": plain(name),
        }
    )
    text = etree.tostring(root, encoding="unicode", method="xml")
    # All of it is elements and texts that the XML library wrote, and so escaped.
    return Markup(text)  # noqa: S704


def _clean(element: Any, classes: Sequence[str]) -> None:
    for child in list(element):
        if not isinstance(child.tag, str) or child.tag in _FOREIGN:
            element.remove(child)
            continue
        if "tooltip" in child.get("class", "").split():
            element.remove(child)
            continue
        _clean(child, classes)
        if child.tag == "g" and not len(child):
            element.remove(child)
    for name in ("style", "id"):
        element.attrib.pop(name, None)
    for name in _LENGTHS:
        if name in element.attrib:
            element.set(name, re.sub(r"\d+\.\d+", _shorter, element.get(name)))
    colour = re.search(r"color-(\d+)", element.get("class", ""))
    if colour:
        element.set("class", f"series {classes[int(colour[1])]}")


def _shorter(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def _short(label: str, paper: Paper) -> str:
    return plain(label, most=paper.label)


def _round_up(value: float) -> float:
    """Return the next number up of which a quarter is easily read."""
    size = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    while size > value:
        size /= 10
    steps_up = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 4.8, 6, 8, 10)
    return next(size * step for step in steps_up if size * step >= value * 0.999)


def _ticks(seconds: float, most: int) -> list[float]:
    distance = next((each for each in _TICKS_S if seconds / each <= most), seconds or 1)
    return [place * distance for place in range(int(seconds / distance) + 1)]
