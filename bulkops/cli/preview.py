"""
Show what is in a plan: the calls it would send, and where one row of the manifest went.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from bulkops.cli.common import print_json
from bulkops.cli.console import say
from bulkops.cli.words import short
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from bulkops import Plan

Latency = Annotated[
    float | None,
    typer.Option(
        min=0.001, max=600, metavar="S", help="Seconds a call takes; else as earlier runs found."
    ),
]
Sample = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Print the first N requests instead.")
]
Explain = Annotated[
    str | None,
    typer.Option(metavar="LINE", help="Say where a line went: 17, or parts/b.csv:3 of several."),
]
_WIDEST = 2000


def tell_sample(plan: Plan, count: int, *, as_json: bool) -> None:
    """Print requests as they would be sent: JSON, or as people write them."""
    if as_json:
        print_json({"v": 1, "requests": list(plan.requests(count))})
        return
    for each in plan.requests(count):
        say(_request(each))


def _request(request: Mapping[str, Any]) -> str:
    query = "&".join(f"{name}={value}" for name, value in request.get("query", {}).items())
    url = f"{request['url']}?{query}" if query else request["url"]
    body = f"\n  {orjson.dumps(request['body']).decode()}" if "body" in request else ""
    lines = request["lines"]
    first = f"lines {lines[0]} … {lines[-1]}" if len(lines) > 1 else f"line {lines[0]}"
    head = f"# call {request['batch']}: {len(lines)} rows, {first}"
    return f"{head}\n{request['method']} {url}{short(body, most=_WIDEST) if body else ''}"


def tell_about(plan: Plan, named: str, *, as_json: bool) -> None:
    """
    Print where a line went. Raises `UsageError` for a line that the manifest does not have.
    """
    line = _line(plan, named)
    found = plan.explain(line)
    if found is None:
        raise UsageError(
            f"--explain {named}: the manifest has {plan.rows:,} records; expected one of them"
        )
    if as_json:
        print_json({"v": 1, **found})
        return
    say(f"{plan.place(line)}:")
    for name, value in found["row"].items():
        shown = value if isinstance(value, str) else orjson.dumps(value).decode()
        say(f"  {name:<14} {short(shown)}")
    for sentence in _fate(plan, found):
        say(sentence)


def _fate(plan: Plan, found: Mapping[str, Any]) -> list[str]:
    """Return in sentences what becomes of a row."""
    if not found["sent"]:
        words = found.get("message") or (
            f"it repeats {plan.place(found['of_line'])}, and shares its fate"
            if "of_line" in found
            else ""
        )
        return [f"It is not sent: {found.get('status', 'invalid')}. {short(words)}"]
    others = found["with_lines_in_all"]
    company = f", together with {others:,} other rows" if others else ", alone"
    sentences = [
        (
            f"It is sent by call {found['batch']:,} of {found['of_batches']:,}{company} "
            f"({found['operation']}: {found['summary']})."
        )
    ]
    if found["turned"]:
        sentences.append(
            "It is called from the other side of its relation: that takes fewer calls."
        )
    return [*sentences, _request(found["request"])]


def _line(plan: Plan, named: str) -> int:
    """Read a line: a number over the whole manifest, or a file and its record."""
    name, colon, number = named.rpartition(":")
    if not number.isascii() or not number.isdigit():
        raise UsageError(f"--explain {named}: expected a line such as 17, or FILE:3")
    if not colon:
        return int(number)
    for part in plan.files:
        if part.name == name and 1 <= int(number) <= part.rows:
            return part.first_line + int(number) - 1
    files = ", ".join(part.name for part in plan.files)
    raise UsageError(f"--explain {named}: no such record; the files are {files}")
