"""
The shapes of what verbs print for programs: JSON Schemas, a file each, and `schema` prints them.

A file holds what its verb prints, its version `v` included, or what `serve` answers below `/api`.
What several of them print stands once, in `shared.json`; a schema takes from there what it refers
to, so that it is whole by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Final

import orjson
import typer

from bulkops.cli.common import AsJson, print_json
from bulkops.cli.console import say
from bulkops.errors import UsageError

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFS: Final = "$defs"
_SHARED: Final = "shared"
_API: Final = "api "
#: The version that all shapes have: `v` of what is printed.
VERSION: Final = 1


def register(app: typer.Typer) -> None:
    """Add the verb of this file to `app`."""
    app.command("schema")(schema)


def names() -> list[str]:
    """Return what has a schema: verbs, such as `config show`, and answers, such as `api runs`."""
    return sorted(name.replace("-", " ") for name in _files() if name != _SHARED)


def verbs() -> list[str]:
    """Return the verbs among them."""
    return [each for each in names() if not each.startswith(_API)]


def schema_of(words: str) -> dict[str, Any]:
    """Return the schema of one of `names`. Raises `UsageError` for another."""
    if words not in names():
        raise UsageError(f"schema {words}: expected one of {', '.join(names())}")
    name = words.replace(" ", "-")
    own = _files()[name]
    known = {**_files()[_SHARED][_DEFS], **own.get(_DEFS, {})}
    body = {key: each for key, each in own.items() if key != _DEFS}
    return {
        "$schema": _DIALECT,
        "$id": f"urn:bulkops:{name}:v{VERSION}",
        **body,
        _DEFS: {key: known[key] for key in sorted(_needed(body, known))},
    }


@cache
def _files() -> Mapping[str, Any]:
    folder = resources.files("bulkops.cli") / "schemas"
    return {
        each.name.removesuffix(".json"): orjson.loads(each.read_bytes())
        for each in folder.iterdir()
        if each.name.endswith(".json")
    }


def _needed(value: object, known: Mapping[str, Any]) -> set[str]:
    """Return the definitions that a part of a schema refers to, directly or not."""
    needed, new = set[str](), _named(value)
    while new:
        needed |= new
        new = set[str]().union(*(_named(known[name]) for name in new)) - needed
    return needed


def _named(value: object) -> set[str]:
    match value:
        case {"$ref": str(target), **rest}:
            return {target.removeprefix(f"#/{_DEFS}/")} | _named(rest)
        case dict():
            return set[str]().union(*map(_named, value.values()))
        case list():
            return set[str]().union(*map(_named, value))
    return set()


def schema(
    verb: Annotated[
        list[str] | None,
        typer.Argument(metavar="VERB", help="Such as plan, config show or api runs."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """
    Print the JSON Schema of what a verb prints with --json, or serve answers; or what has one.
    """
    if verb:
        return print_json(schema_of(" ".join(verb)))
    known = {each: schema_of(each) for each in names()}
    if as_json:
        told = [
            {"verb": each, "title": known[each]["title"], "description": known[each]["description"]}
            for each in known
        ]
        return print_json({"v": VERSION, "schemas": told})
    for each in known:
        say(f"{each:<12} {known[each]['description']}")
    return None
