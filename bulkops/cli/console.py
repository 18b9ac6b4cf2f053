"""
What reaches a terminal: text that it cannot act upon, and no harm where nobody reads it.

Messages of a server and cells of a manifest may hold control characters, which a terminal obeys:
they are written as what they are. A reader who leaves (`| head`) ends no run and changes no code.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import IO, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from bulkops.cli.log import printable


class PlainConsole(Console):
    """
    A console whose text holds no control characters but ours, and that outlives its reader.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text of a string as ever, once it is clean: so it is measured as it is shown."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as ever; whatever the text came from."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """
        Go on in silence where this is talk: what is under way is worth more than who watches it.

        Data that nobody reads end the program.
        """
        if not self.stderr:
            raise  # noqa: PLE0704  (rich calls this while it handles a BrokenPipeError)
        self.quiet = True
        abandon(self.file)


def say(text: str, *, nl: bool = True) -> None:
    """Print text for people on standard output, control characters as what they are."""
    typer.echo(printable(text), nl=nl)


def abandon(stream: IO[str]) -> None:
    """Let what is still written to `stream`, whose reader has left, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
