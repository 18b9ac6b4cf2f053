"""
The templates of pages: everything in them is escaped, and control characters are written out.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bulkops.engine.report import words
from bulkops.rules.explain import explain


def templates_of(package: str) -> Environment:
    """Return the templates in the `assets` of a package, with the words that all pages use."""
    environment = Environment(
        loader=PackageLoader(package, "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        number=words.number, duration=words.duration, when=words.when, sentence=words.sentence
    )
    environment.globals.update(share=words.share, explain=explain)
    return environment


def _shown(value: Any) -> Any:
    """Write control characters out; escaping comes after."""
    return value if isinstance(value, Markup) else words.plain(value)
