"""
The page of a report: figures and charts put into its template, as one file that needs no other.

Whatever comes from a manifest, a server or a configuration is escaped by the template engine, and
its control characters are written out. A policy in the page lets its own style and script run, by
their digests, and nothing else: no request leaves the page.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from markupsafe import Markup

from bulkops.engine.report import pictures, tables
from bulkops.engine.report.figures import SHOWN_ROWS, Figures
from bulkops.engine.report.templates import templates_of
from bulkops.model import Status
from bulkops.version import __version__

#: What each status means, as the README says it.
MEANINGS: Final[Mapping[Status, str]] = {
    Status.SUCCEEDED: "the server did it",
    Status.UNCHANGED: "it was so already",
    Status.DUPLICATE: "the same wish as an earlier row, whose fate it shares",
    Status.FAILED: "the server refused it for good, or the attempts ran out",
    Status.INVALID: "the row is not an operation; it was not sent",
    Status.CONFLICT: "two rows wish opposite things; neither was sent",
    Status.SKIPPED: "not sent: the server refuses all calls of its kind",
    Status.UNKNOWN: "sent, no answer, and the server could not be asked",
    Status.SCHEDULED: "a job of the server is pending",
}


def render(figures: Figures, *, links: Mapping[str, str], made_at: float) -> str:
    """
    Return the page.

    `links` are the addresses of files beside it, by their names; those that are not there are
    left out. `made_at` is in seconds since 1970.
    """
    style, script = _asset("report.css"), _asset("report.js")
    return (
        templates_of("bulkops.engine.report")
        .get_template("report.html.j2")
        .render(
            figures=figures,
            timeline=figures.timeline,
            links=links,
            made_at=made_at,
            version=__version__,
            meanings=MEANINGS,
            statuses=[status for status in Status if figures.statuses[status]],
            shown_rows=SHOWN_ROWS,
            style=style,
            script=script,
            policy=_policy(style, script),
            tables=tables.tables_of(figures),
            pictures=pictures.pictures_of(figures),
        )
    )


def _asset(name: str) -> Markup:
    """Return a file of ours as it stands."""
    assets = files("bulkops.engine.report").joinpath("assets")
    return Markup(assets.joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _policy(style: str, script: str) -> str:
    """Return the content security policy that lets these two run alone."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
