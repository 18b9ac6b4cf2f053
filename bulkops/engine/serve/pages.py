"""
The pages: values put into templates, with everything escaped.

A page and what is sent to it later are made of the same template: a stream carries the inner part
of its `main`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup, escape

from bulkops.engine.report import words as spoken
from bulkops.engine.report.page import MEANINGS
from bulkops.engine.report.templates import templates_of
from bulkops.engine.serve import words
from bulkops.engine.serve.entry import moment
from bulkops.engine.serve.listing import Listing
from bulkops.engine.serve.looks import Look
from bulkops.engine.serve.words import Said
from bulkops.model import Status
from bulkops.version import __version__

#: Runs on a page of the list.
PER_PAGE: Final = 50
#: Files of ours that pages load, and what they are.
ASSETS: Final[Mapping[str, str]] = {
    "style.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
#: Seconds between two loads where no script runs.
_REFRESH_S: Final = 10


@cache
def asset(name: str) -> bytes:
    """Return a file of ours; the style is that of the report, and what only these pages need."""
    ours = files("bulkops.engine.serve").joinpath("assets")
    content = ours.joinpath(name).read_bytes()
    if name == "style.css":
        report = files("bulkops.engine.report").joinpath("assets", "report.css")
        return report.read_bytes() + content
    return content


@dataclass(frozen=True, slots=True)
class Pager:
    """
    Which page of the list is shown, of how many; and the numbers to lead to, `0` for a gap.
    """

    page: int
    pages: int

    @property
    def links(self) -> Sequence[int]:
        """The first, the last, and those around."""
        near = range(self.page - 1, self.page + 2)
        shown = sorted({1, self.pages, *near} & {*range(1, self.pages + 1)})
        found = shown[:1]
        for before, each in pairwise(shown):
            found += [each] if each == before + 1 else [0, each]
        return found


class Pages:
    """
    Makes the pages of the runs in `folder`.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._templates = _environment()

    def list_page(self, listing: Listing, page: int, *, whole: bool) -> str:
        """Return the list of runs; only its inner part unless `whole`. Pages count from 1."""
        pages = max(1, -(-len(listing.runs) // PER_PAGE))
        page = min(max(page, 1), pages)
        first = (page - 1) * PER_PAGE
        live = sum(each.is_live for each in listing.runs)
        return self._render(
            "list",
            whole=whole,
            events=f"/events?page={page}",
            title=f"Runs ({live} under way)" if live else "Runs",
            listing=listing,
            live=live,
            runs=listing.runs[first : first + PER_PAGE],
            first=first,
            pager=Pager(page, pages),
            folder=self._folder,
            counts=_counts(listing),
        )

    def run_page(self, look: Look, *, whole: bool) -> str:
        """Return the live page of a run; only its inner part unless `whole`."""
        said = words.state_of(look.entry)
        return self._render(
            "run",
            whole=whole,
            events=f"/runs/{_quoted(look.entry.name)}/events",
            title=f"{look.entry.name}: {said.word}",
            entry=look.entry,
            facts=look.facts,
            said=said,
            over=look.is_over,
        )

    def error_page(self, title: str, message: str) -> str:
        """Return a page that says why there is none."""
        return self._render("error", whole=True, events="", title=title, message=message)

    def _render(self, name: str, *, whole: bool, **values: Any) -> str:
        template = self._templates.get_template(f"{name}.html.j2")
        return template.render(**values, layout="base.html.j2" if whole else "inner.html.j2")


def _counts(listing: Listing) -> Sequence[tuple[int, Said]]:
    """Return how many runs there are in each state of people, the most pressing first."""
    found: dict[str, tuple[int, Said]] = {}
    for each in listing.runs:
        said = words.state_of(each)
        known, _ = found.get(said.word, (0, said))
        found[said.word] = known + 1, said
    tones = ("going", "holding", "bad", "good", "idle")
    return sorted(found.values(), key=lambda each: (tones.index(each[1].tone), each[1].word))


def _environment() -> Environment:
    environment = templates_of("bulkops.engine.serve")
    environment.filters.update(moment=moment, quoted=_quoted, coded=_coded)
    environment.globals.update(
        state_of=words.state_of,
        parts_of=words.parts_of,
        unwanted=words.unwanted,
        headline=words.headline,
        announcement=words.announcement,
        numbers_of=words.numbers_of,
        meanings=MEANINGS,
        Status=Status,
        version=__version__,
        refresh_s=_REFRESH_S,
    )
    return environment


def _quoted(name: str) -> str:
    """Return a run's name as a part of an address."""
    return quote(name, safe="")


def _coded(text: str) -> Markup:
    """Return words in which what stands between backticks is shown as a command."""
    parts = spoken.plain(text, most=1000).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    tags = (Markup("{}"), Markup("<code>{}</code>"))
    return Markup("").join(tags[at % 2].format(part) for at, part in enumerate(parts))
