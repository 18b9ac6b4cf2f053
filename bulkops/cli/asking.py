"""
The options that say what a manifest means, for the verbs that read one.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bulkops import Format

Op = Annotated[
    str | None, typer.Option("--op", help="The operation of every row, in place of a column.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="COLUMN=VALUE", help="Fill a column for every row."),
]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=THEIRS", help="Read a column from one named otherwise."),
]
Fields = Annotated[
    list[str] | None,
    typer.Option("--field", metavar="COLUMN", help="Send this column as a field of the relation."),
]
InputFormat = Annotated[
    Format | None,
    typer.Option("--format", help="What the manifest is, whatever its name and first bytes say."),
]
