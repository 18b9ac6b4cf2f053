"""The schemas of what verbs print: one for every verb, closed, and each property described."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from bulkops.cli import program
from bulkops.cli.failing import wants_json
from bulkops.cli.schema import VERSION, names, schema_of, verbs
from bulkops.errors import BulkopsError, ExitCode
from tests.e2e import test_json
from tests.e2e.shapes import titles

_ROOT = Path(__file__).parents[2]
#: Verbs that have nothing to say to a program: a page for people.
NOTHING_TO_SAY = {"man"}
#: Objects that may have keys which are not ours to name.
OPEN = {"row", "extra", "query", "body", "held", "verification"}


def commands() -> dict[str, Any]:
    """Every verb with its command, those of a group by both words."""
    root: Any = typer.main.get_command(program())
    found = {}
    for name, command in root.commands.items():
        group = getattr(command, "commands", None)
        if group is None:
            found[name] = command
        else:
            found |= {f"{name} {each}": command.commands[each] for each in group}
    return found


def test_every_verb_has_a_schema_and_prints_json() -> None:
    """Whoever adds a verb says what it prints for programs, or says here that it prints nothing."""
    known = commands()
    assert sorted(known.keys() - NOTHING_TO_SAY) == verbs()
    silent = {
        name
        for name, command in known.items()
        if not any("--json" in getattr(each, "opts", ()) for each in command.params)
    }
    assert NOTHING_TO_SAY == silent


@pytest.mark.parametrize("verb", names())
def test_a_schema_is_whole_and_right(verb: str) -> None:
    """It is valid itself, refers to nothing elsewhere, and holds nothing that it does not need."""
    schema = schema_of(verb)
    Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    named = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', text))
    assert text.count('"$ref"') == len(re.findall(r'"\$ref": "#/\$defs/\w+"', text))
    assert named == schema["$defs"].keys()
    assert schema["$id"] == f"urn:bulkops:{verb.replace(' ', '-')}:v{VERSION}"
    assert schema["description"].endswith(".")
    assert titles(verb)[-1] == ("failure" if verb in verbs() else "refused")


def parts(schema: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of a schema that say what objects hold, each with its name."""
    if isinstance(schema, list):
        for each in schema:
            yield from parts(each, name)
    if not isinstance(schema, dict):
        return
    if (
        "properties" in schema
        or schema.get("type") == "object"
        or "unevaluatedProperties" in schema
    ):
        yield name, schema
    for key, each in schema.items():
        if key in {"properties", "$defs"}:
            for inner, value in each.items():
                yield from parts(value, inner)
        else:
            yield from parts(each, name)


@pytest.mark.parametrize("verb", names())
def test_every_property_is_described(verb: str) -> None:
    """With words of its own, or with those of what it refers to."""
    schema = schema_of(verb)
    for name, part in parts(schema):
        for key, each in part.get("properties", {}).items():
            target = schema["$defs"].get(each.get("$ref", "").removeprefix("#/$defs/"), {})
            words = each.get("description") or target.get("description")
            assert words, f"{verb}: {name}.{key}"
            assert words.endswith("."), f"{verb}: {name}.{key}"


@pytest.mark.parametrize("verb", names())
def test_every_object_is_closed(verb: str) -> None:
    """What is not named in a schema is refused, but for what is not ours to name."""
    schema = schema_of(verb)
    text = json.dumps(schema)
    for name, part in parts(schema):
        closed = part.get("additionalProperties") is not None or "unevaluatedProperties" in part
        # Others build on it with `$ref`, and close what they build.
        base = f'"$ref": "#/$defs/{name}"' in text and name in schema["$defs"]
        assert closed or base or name in OPEN, f"{verb}: {name}"


def test_every_shape_is_met_by_the_program() -> None:
    """The tests of the real program print each alternative of each schema at least once."""
    tree = ast.parse(Path(test_json.__file__).read_text(encoding="utf-8"))
    met = {(verb, "failure") for verb in test_json.FAILURES}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="shown"), args=[_, ast.Constant(title), *words]):
                pass
            case ast.Call(func=ast.Name(id="held"), args=[ast.Constant(title), words_tuple, *_]):
                words = getattr(words_tuple, "elts", [])
            case _:
                continue
        said = [each.value for each in words[:2] if isinstance(each, ast.Constant)]
        met |= {(each, title) for each in (" ".join(said), *said[:1]) if each in verbs()}
    assert {(verb, title) for verb in verbs() for title in titles(verb)} == met


def errors(kind: type[BulkopsError] = BulkopsError) -> Iterator[type[BulkopsError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from errors(each)


def test_every_kind_of_error_has_its_code() -> None:
    """The codes of the schema are those of the errors, and the exit codes are those there are."""
    shapes = [schema_of("run")["$defs"][name] for name in ("failure", "guarded")]
    codes = [each["properties"]["error"]["properties"]["code"] for each in shapes]
    assert {each.code for each in errors()} == {*codes[0]["enum"], codes[1]["const"]}
    assert [int(each) for each in ExitCode] == schema_of("run")["$defs"]["exit"]["enum"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plan x.csv --json", True),
        ("--json plan", True),
        ("plan x.csv", False),
        ("plan --jsonl", False),
        ("plan -- --json", False),
    ],
)
def test_json_is_asked_for_by_its_word(line: str, expected: bool) -> None:
    """Wherever it stands among the options, also where they are wrong; a file may be named so."""
    assert expected == wants_json(line.split())


def test_schemas_are_printed() -> None:
    """`schema VERB` prints what programs validate with; alone it lists the verbs."""
    run, whole = CliRunner().invoke, program()
    assert schema_of("config show") == json.loads(run(whole, ["schema", "config", "show"]).output)
    listed = run(whole, ["schema"]).output
    assert all(re.search(rf"^{each} ", listed, re.MULTILINE) for each in names())


def test_the_readme_names_every_kind_of_error() -> None:
    """What `code` may be."""
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    (words,) = re.findall(r"^`code` is (.*?)\. A program", readme, re.MULTILINE | re.DOTALL)
    without_notes = re.sub(r"\(.*?\)", "", words, flags=re.DOTALL)
    assert {each.code for each in errors()} == set(re.findall(r"`(\w+)`", without_notes))


def test_the_readme_says_what_every_verb_prints() -> None:
    """A row of the table for each verb."""
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("| verb | with `--json` |\n|---|---|\n")[1].split("\n\n")[0]
    named = re.findall(r"`([a-z ]+)`", "\n".join(row.split("|")[1] for row in table.split("\n")))
    assert sorted(named) == sorted(commands())
